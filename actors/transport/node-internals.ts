/**
 * Owns: every private name of Node that is used here: why, and what happens on a Node that has lost it.
 * Independent of: pipes and dialects. test/actors/node-internals.test.ts fails when Node changes one of these.
 */
import type net from 'node:net'
import type tls from 'node:tls'

interface ReadSlots {
  readonly buffer: symbol
  readonly callback: symbol
  readonly nextBuffer: symbol
}

interface ReadableSocket {
  readonly _handle?: { useUserBuffer?: (memory: Uint8Array) => void } | null
  [slot: symbol]: unknown
}

let knownSlots: ReadSlots | null | undefined

/**
 * Reads a socket into `memory` from now on: what Node's option `onread` sets up.
 * Reason: `onread` is for sockets that dial with no other socket below. Accepted sockets without it have Node
 * allocate for each read: 64 KiB values run at 0.79 of raw TLS instead of 1.16
 * (docs/decisions/0010-borrowed-read-buffers.md).
 * Fallback: returns false, and the caller reads by the event 'data'.
 * @param onRead is told how many bytes of the memory were filled; false: no more for now
 */
export function readIntoMemory(socket: net.Socket, memory: Buffer, onRead: (lengthBytes: number) => boolean): boolean {
  const slots = readSlotsOf(socket)
  const internals = socket as unknown as ReadableSocket
  const handle = internals._handle
  if (slots === null || typeof handle?.useUserBuffer !== 'function') return false
  internals[slots.buffer] = memory
  internals[slots.callback] = onRead
  internals[slots.nextBuffer] = null
  handle.useUserBuffer(memory)
  return true
}

/** Null: this Node has other names. They are the same on every socket, so they are looked up once. */
function readSlotsOf(socket: net.Socket): ReadSlots | null {
  if (knownSlots === undefined) {
    const symbols = Object.getOwnPropertySymbols(socket)
    const find = (name: string): symbol | undefined => symbols.find(({ description }) => description === name)
    const [buffer, callback, nextBuffer] = [find('kBuffer'), find('kBufferCb'), find('kBufferGen')]
    const isComplete = buffer !== undefined && callback !== undefined && nextBuffer !== undefined
    knownSlots = isComplete ? { buffer, callback, nextBuffer } : null
  }
  return knownSlots
}

/**
 * Calls back when the handshake on an accepted socket is through.
 * Reason: only a `tls.Server` emits a documented event for it, and that hands out no socket before the handshake is
 * over.
 * Fallback: none is needed. The handshake runs into its deadline: nobody gets in.
 */
export function onAcceptedSecure(socket: tls.TLSSocket, listener: () => void): void {
  socket.once('secure', listener)
}

/**
 * Calls back with an error of TLS on an accepted socket.
 * Reason: without a `tls.Server` Node tells of it by this event alone.
 * Fallback: none is needed. The socket closes all the same; its cause is then "it closed the connection".
 */
export function onTlsError(socket: tls.TLSSocket, listener: (error: Error) => void): void {
  socket.on('_tlsError', listener)
}

/**
 * What OpenSSL says of the chain of certificates that the client showed; undefined: it is valid.
 * Reason: without a `tls.Server`, `authorized` is never set on an accepted socket.
 * Fallback: an error, so that nobody gets in.
 */
export function verifyErrorOf(socket: tls.TLSSocket): Error | undefined {
  const { ssl } = socket as unknown as { ssl: { verifyError(): Error | null } | null }
  if (typeof ssl?.verifyError !== 'function') return new Error('this version of Node does not tell')
  return ssl.verifyError() ?? undefined
}
