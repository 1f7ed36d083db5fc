/**
 * Owns: reading a socket into memory that is ours: used for every read, and lent to whoever hears of the bytes for that call; or, before
 * TLS, in pieces of a given length.
 * Refuses to know: what the bytes are, and whether there is TLS.
 *
 * Node makes an ArrayBuffer for each read, under TLS for each record of 16 KiB. At a gigabyte a second that is garbage which
 * V8 counts against its heap, so that it marks the heap again and again. Measured against a raw TLS socket in the same run,
 * with and without this: 64 KiB values 1.16 and 0.79, round trips on one core 0.95 and 0.86, small values 0.70 and 0.56.
 *
 * Node's option `onread` does the same and is documented, for sockets that dial and have no other socket below. What the
 * option sets up is there on every socket and is not documented; where a part of it is missing, reads are as Node makes
 * them, and all that is lost is speed (docs/decisions/0010-reads-are-lent.md).
 */
import type net from 'node:net'
import { Duplex } from 'node:stream'
import { viewOf } from '../codec/chunk-views.ts'
import type { PipeHandlers } from './pipe.ts'

/** As much as libuv asks the kernel for at once. */
export const lentReadBytes = 64 * 1024

interface Parts {
  readonly buffer: symbol
  readonly callback: symbol
  /** What gives the memory of the next read. */
  readonly following: symbol
}

interface Internals {
  readonly _handle?: { useUserBuffer?: (memory: Uint8Array) => void } | null
  [part: symbol]: unknown
}

/**
 * Byte path 7/12: what the kernel had, or one record of TLS. From here on what the socket reads goes to `onBytes`, as by its event 'data', which no one else must listen to. The bytes
 * are lent: they are good until `onBytes` returns. The socket is connected; one that is paused stays so.
 * @param memory one for all sockets of a thread, since a read and its call are one step
 * @returns whether it is read into this memory
 */
export function lendReads(socket: net.Socket, memory: Buffer, onBytes: (bytes: Buffer) => void): boolean {
  socket.on('data', onBytes)
  return readInto(socket, memory, (lengthBytes) => {
    // TLS may have several records in hand when its reader has had enough: the rest waits in the socket, in order.
    if (socket.isPaused() || socket.readableLength > 0) return socket.push(Buffer.from(memory.subarray(0, lengthBytes)))
    onBytes(viewOf(memory.buffer, memory.byteOffset, lengthBytes))
    return true
  })
}

/**
 * The first reads of a socket that was accepted and does not read yet, each into memory of its own, so that none is longer than that: what
 * the kernel still has is left to whoever reads next. `onBytes` is lent the bytes, and gives the memory of the next read.
 * @returns whether it will be read so
 */
export function readPieces(socket: net.Socket, memory: Buffer, onBytes: (bytes: Buffer) => Buffer): boolean {
  let following = memory
  const onRead = (lengthBytes: number): boolean => {
    following = onBytes(following.subarray(0, lengthBytes))
    return true
  }
  return readInto(socket, memory, onRead, () => following)
}

/** @param onRead false: no more for now. @param following the memory of the next read; without it, the same */
function readInto(socket: net.Socket, memory: Buffer, onRead: (lengthBytes: number) => boolean, following: (() => Buffer) | null = null): boolean {
  const parts = partsOf(socket)
  const internals = socket as unknown as Internals
  const handle = internals._handle
  if (parts === undefined || typeof handle?.useUserBuffer !== 'function') return false
  internals[parts.buffer] = memory
  internals[parts.callback] = onRead
  internals[parts.following] = following
  handle.useUserBuffer(memory)
  return true
}

/**
 * Pauses a socket whose reads are lent. Its own `pause` would stop reading at once, and with it the news that the other side
 * has gone; as of a stream, it reads on until its buffer is full.
 */
export function pauseReads(socket: net.Socket): void {
  Duplex.prototype.pause.call(socket)
}

/**
 * What carriers without a socket do. A copy, since the sender may go on writing behind its own; and spoilt afterwards, so that
 * whoever keeps what is lent finds out here, and not on a socket, where it is right most of the time.
 */
export function lendCopy(bytes: Buffer, to: PipeHandlers | null): void {
  const lent = Buffer.from(bytes)
  to?.onBytes(lent)
  lent.fill(0xee)
}

let known: Parts | null | undefined

/** The names that `onread` is kept by; undefined where this Node has others. The same on every socket, so looked up once. */
function partsOf(socket: net.Socket): Parts | undefined {
  if (known === undefined) {
    const symbols = Object.getOwnPropertySymbols(socket)
    const [buffer, callback, following] = ['kBuffer', 'kBufferCb', 'kBufferGen'].map((name) => symbols.find(({ description }) => description === name))
    known = buffer === undefined || callback === undefined || following === undefined ? null : { buffer, callback, following }
  }
  return known ?? undefined
}
