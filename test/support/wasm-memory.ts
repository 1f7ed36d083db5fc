/**
 * Owns: types of WebAssembly memory, which no library of the tests' compiler settings declares.
 * Independent of: what it holds.
 */
export interface WasmMemory {
  readonly buffer: ArrayBuffer
  /** Detaches every existing view. */
  grow(pages: number): number
}

/** @param pages of 64 KiB */
export function wasmMemory(pages: number): WasmMemory {
  const { WebAssembly } = globalThis as unknown as {
    WebAssembly: { Memory: new (options: { initial: number }) => WasmMemory }
  }
  return new WebAssembly.Memory({ initial: pages })
}
