/**
 * Owns: reading a socket into memory that is ours: used for every read, and lent to whoever hears of the bytes for
 * that call.
 * Independent of: what the bytes are, whether there is TLS, and how Node is made to do it (node-internals.ts).
 *
 * Node makes an ArrayBuffer for each read, under TLS for each record of 16 KiB. At a gigabyte a second that is
 * garbage which V8 counts against its heap, so that it marks the heap again and again
 * (docs/decisions/0010-borrowed-read-buffers.md).
 */
import type net from 'node:net'
import { Duplex } from 'node:stream'
import { viewOf } from '../../codec/chunk-views.ts'
import { readIntoMemory } from './node-internals.ts'
import type { PipeHandlers } from '../base/pipe.ts'

/** As much as libuv asks the kernel for at once. */
export const lentReadBytes = 64 * 1024

/**
 * Byte path 7/12: what the kernel had, or one record of TLS. From here on what the socket reads goes to `onBytes`, as
 * by its event 'data', which no one else must listen to. The bytes are lent: they are good until `onBytes` returns.
 * The socket is connected; one that is paused stays so.
 * @param memory one for all sockets of a thread, since a read and its call are one step
 * @returns whether it is read into this memory
 */
export function lendReads(socket: net.Socket, memory: Buffer, onBytes: (bytes: Buffer) => void): boolean {
  socket.on('data', onBytes)
  return readIntoMemory(socket, memory, (lengthBytes) => {
    // TLS may have several records in hand when its reader has had enough: the rest waits in the socket, in order.
    if (socket.isPaused() || socket.readableLength > 0) return socket.push(Buffer.from(memory.subarray(0, lengthBytes)))
    onBytes(viewOf(memory.buffer, memory.byteOffset, lengthBytes))
    return true
  })
}

/**
 * Pauses a socket whose reads are lent. Its own `pause` would stop reading at once, and with it the news that the
 * other side has gone; as of a stream, it reads on until its buffer is full.
 */
export function pauseReads(socket: net.Socket): void {
  Duplex.prototype.pause.call(socket)
}

/**
 * What carriers without a socket do. A copy, since the sender may go on writing behind its own; and spoilt
 * afterwards, so that whoever keeps what is lent finds out here, and not on a socket, where it is right most of the
 * time.
 */
export function lendCopy(bytes: Buffer, to: PipeHandlers | null): void {
  const lent = Buffer.from(bytes)
  to?.onBytes(lent)
  lent.fill(0xee)
}
