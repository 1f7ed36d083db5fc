/**
 * Owns: the class of Node that streams and channels extend, with a type in which `closed` is free: here it is a
 * promise.
 * Node has a boolean of that name, which its own functions do not need (test/streams/duplex-conformance.test.ts).
 * Independent of: what is sent.
 */
import { Duplex } from 'node:stream'
import type { DuplexOptions } from 'node:stream'

export type Callback = (error?: Error | null) => void

/** As methods, so that a class can override them. */
export interface DuplexMembers extends Omit<
  Duplex,
  | 'closed'
  | 'read'
  | '_read'
  | '_write'
  | '_writev'
  | '_final'
  | '_destroy'
  | typeof Symbol.asyncDispose
  | typeof Symbol.asyncIterator
> {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as in Node's types
  read(size?: number): any
  _read(size: number): void
  _write(chunk: unknown, encoding: BufferEncoding, callback: Callback): void
  _writev?(chunks: { chunk: never; encoding: BufferEncoding }[], callback: Callback): void
  _final(callback: Callback): void
  _destroy(error: Error | null, callback: Callback): void
  [Symbol.asyncDispose](): Promise<void>
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as in Node's types
  [Symbol.asyncIterator](): NodeJS.AsyncIterator<any>
}

export const DuplexBase = Duplex as unknown as new (options?: DuplexOptions) => DuplexMembers
