/**
 * Owns: that the first bytes of an accepted socket are looked at and given to TLS afterwards, so that a wrong protocol costs no cryptography.
 * Refuses to know: what they say (the chooser's business), and deadlines: whoever waits for this destroys a socket that says too little.
 */
import type net from 'node:net'
import type tls from 'node:tls'
import { missingOfRecord } from '../codec/client-hello.ts'
import type { Clock } from './environment.ts'
import { readPieces } from './lent-reads.ts'
import type { TlsAcceptor, TlsChooser } from './tls-side.ts'

/** Enough to name a protocol by, and no ClientHello is so short. */
const firstReadBytes = 32
/** A record may claim 16 KiB and never come; ClientHellos have some 300 bytes, with keys for the time after quantum computers 1,500. */
const nextReadBytesMax = 2 * 1024

export interface LookOptions {
  readonly clock: Clock
  /** Where what is not wanted any more is read to. */
  readonly memory: Buffer
}

export interface LookHandlers {
  /** `first` is to be given to the TLS socket by `giveFirstBytes`. Null: whoever reads the socket next reads the first bytes again. */
  onChosen(side: TlsAcceptor, first: Buffer | null): void
  /** With what the chooser threw. */
  onUnsuitable(error: Error): void
  /** The other side has ended before it had said enough. */
  onEnd(): void
}

/**
 * No byte behind the ClientHello is read. The last of it fills the memory of its read, so that the kernel is asked once more at once, and by
 * then it is TLS that asks: its first buffer is of the 64 KiB that are usual. Put back into the socket, the ClientHello would be
 * read into a buffer made for it, and every second read of this connection would never be longer than a kilobyte
 * (docs/decisions/0015-the-first-buffer-of-tls.md).
 */
export function chooseByFirstBytes(raw: net.Socket, choose: TlsChooser, { clock, memory }: LookOptions, handlers: LookHandlers): void {
  let first: Buffer = Buffer.alloc(0)
  let isOver = false
  const onData = (bytes: Buffer): void => {
    if (isOver) return void raw.pause()
    first = Buffer.concat([first, bytes])
    let side: TlsAcceptor | 'need more'
    try {
      side = choose(first)
    } catch (error) {
      isOver = true
      raw.off('end', onEnd)
      // A socket that is closed with bytes unread is reset, and what the other side has heard by then may be lost to it: one more read, and no third.
      clock.setImmediate(() => handlers.onUnsuitable(error as Error))
      return
    }
    if (side === 'need more') return
    isOver = true
    raw.off('data', onData)
    raw.off('end', onEnd)
    if (isInPieces) return handlers.onChosen(side, first)
    raw.pause()
    raw.unshift(first)
    handlers.onChosen(side, null)
  }
  const onEnd = (): void => handlers.onEnd()
  raw.on('data', onData)
  raw.on('end', onEnd)
  const isInPieces = readPieces(raw, Buffer.allocUnsafe(firstReadBytes), (bytes) => {
    onData(bytes)
    return isOver ? memory.subarray(first.length) : Buffer.allocUnsafe(Math.min(missingOfRecord(first), nextReadBytesMax))
  })
  raw.resume()
}

interface TlsHandle {
  receive?: (bytes: Uint8Array) => void
}

/**
 * In the next turn: TLS has asked the kernel by then, and got nothing from a client that waits for its answer.
 * `onFailed`: it got something, which came before the first bytes. (Without `receive` Node itself could not begin TLS on what a socket has read.)
 */
export function giveFirstBytes(raw: net.Socket, socket: tls.TLSSocket, first: Buffer, clock: Clock, onFailed: () => void): void {
  clock.setImmediate(() => {
    const { _handle: handle } = socket as { _handle?: TlsHandle | null }
    if (handle === null || handle === undefined) return
    if (raw.bytesRead > first.length || typeof handle.receive !== 'function') onFailed()
    else handle.receive(first)
  })
}
