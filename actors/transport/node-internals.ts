/**
 * Owns: every private Node name in use, with its reason and what happens on a Node without it.
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
 * Makes a socket read into `memory` from now on, like Node's option `onread`. Reason: `onread` only works for dialled
 * plain sockets. Other sockets allocate for each read, which is measurably slower
 * (docs/decisions/0010-borrowed-read-buffers.md). Fallback: returns false, and the caller reads by the event 'data'.
 * @param onRead gets how many bytes of the memory were filled; returning false pauses reading
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
 * Calls back when the handshake on an accepted socket completes. Reason: only a `tls.Server` emits a documented event
 * for it, and it does not expose a socket before the handshake. Fallback: none is needed. The handshake times out, so
 * no unverified peer gets in.
 */
export function onAcceptedSecure(socket: tls.TLSSocket, listener: () => void): void {
  socket.once('secure', listener)
}

/**
 * Calls back with a TLS error on an accepted socket. Reason: without a `tls.Server` Node reports it by this event only.
 * Fallback: none is needed. The socket closes anyway, with the cause "it closed the connection".
 */
export function onTlsError(socket: tls.TLSSocket, listener: (error: Error) => void): void {
  socket.on('_tlsError', listener)
}

/**
 * Returns OpenSSL's error for the client's certificate chain, or undefined if the chain is valid. Reason: without a
 * `tls.Server`, `authorized` is never set on an accepted socket. Fallback: an error, so that no unverified peer gets
 * in.
 */
export function verifyErrorOf(socket: tls.TLSSocket): Error | undefined {
  const { ssl } = socket as unknown as { ssl: { verifyError(): Error | null } | null }
  if (typeof ssl?.verifyError !== 'function')
    return new Error('this version of Node does not report certificate errors')
  return ssl.verifyError() ?? undefined
}
