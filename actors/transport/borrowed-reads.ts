/**
 * Owns: reading a socket into one shared buffer that its handler borrows during the call.
 * Independent of: what the bytes are, whether there is TLS, and how Node does it (node-internals.ts).
 *
 * Otherwise Node allocates an ArrayBuffer per read, or per TLS record. At high rates that garbage makes V8 mark the
 * heap repeatedly (docs/decisions/0010-borrowed-read-buffers.md).
 */
import type net from 'node:net'
import { Duplex } from 'node:stream'
import { viewOf } from '../../codec/chunk-views.ts'
import { readIntoMemory } from './node-internals.ts'
import { formatValue } from '../../codec/format-value.ts'
import { invalid } from '../base/checks.ts'
import type { PipeHandlers } from '../base/pipe.ts'

/** The most that libuv reads from the kernel at once. */
export const defaultReadBufferBytes = 64 * 1024
/** A record of TLS: with less, each would be split. */
export const readBufferBytesMin = 16 * 1024
/** More makes no read faster, and one read would keep the event loop busy for milliseconds. */
export const readBufferBytesMax = 1024 * 1024

/** @throws StatewireError ERR_INVALID_OPTION */
export function checkReadBuffer(lengthBytes: number = defaultReadBufferBytes): number {
  if (Number.isInteger(lengthBytes) && lengthBytes >= readBufferBytesMin && lengthBytes <= readBufferBytesMax)
    return lengthBytes
  throw invalid(
    `readBufferBytes must be a whole number from ${readBufferBytesMin} to ${readBufferBytesMax}, got ` +
      formatValue(lengthBytes),
  )
}

/**
 * Life of a byte 8/12: the kernel's bytes, or one TLS record. Passes everything the socket reads to `onBytes` instead
 * of the event 'data', which must have no listener. The bytes are valid until `onBytes` returns. The socket must be
 * connected; a paused socket stays paused.
 * @param memory one for all sockets of a thread, because a read and its callback are one step
 * @returns whether the socket reads into this memory
 */
export function borrowReads(socket: net.Socket, memory: Buffer, onBytes: (bytes: Buffer) => void): boolean {
  socket.on('data', onBytes)
  return readIntoMemory(socket, memory, (lengthBytes) => {
    // TLS may hold several decrypted records when its reader pauses: the rest stays in the socket, in order.
    if (socket.isPaused() || socket.readableLength > 0) return socket.push(Buffer.from(memory.subarray(0, lengthBytes)))
    onBytes(viewOf(memory.buffer, memory.byteOffset, lengthBytes))
    return true
  })
}

/**
 * Pauses a socket with borrowed reads. `socket.pause` would stop reading at once and so miss the other side's end; like
 * a stream, this reads on until the socket's buffer is full.
 */
export function pauseReads(socket: net.Socket): void {
  Duplex.prototype.pause.call(socket)
}

/**
 * Passes a copy of bytes to a handler and overwrites it afterwards, for transports without a socket. The copy is needed
 * because the sender may reuse its memory. Overwriting exposes handlers that keep borrowed bytes; on a socket that
 * mistake would often go unnoticed.
 */
export function deliverBorrowedCopy(bytes: Buffer, to: PipeHandlers | null): void {
  const copy = Buffer.from(bytes)
  to?.onBytes(copy)
  copy.fill(0xee)
}
