/** Owns: WebAssembly memory, whose types are in no library that the tests are compiled with. Independent of: what it holds. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer
  /** Detaches every view that there is. */
  grow(pages: number): number
}

/** @param pages of 64 KiB */
export function wasmMemory(pages: number): WasmMemory {
  const { WebAssembly } = globalThis as unknown as {
    WebAssembly: { Memory: new (options: { initial: number }) => WasmMemory }
  }
  return new WebAssembly.Memory({ initial: pages })
}
