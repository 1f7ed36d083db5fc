/**
 * Owns: checking the first bytes of an accepted socket before TLS begins, on a port that serves two dialects.
 * Independent of: what the bytes mean (the chooser's job), and deadlines: the caller destroys a socket that sends too
 * little.
 */
import type net from 'node:net'
import type { TlsChooser, TlsSide } from './tls-side.ts'

export interface LookHandlers {
  /** The bytes are back in the socket, for TLS to read. */
  onChosen(side: TlsSide): void
  /** With the error that the chooser threw. */
  onUnsuitable(error: Error): void
  /** The other side ended the connection before its ClientHello was complete. */
  onEnd(): void
}

export function chooseByFirstBytes(raw: net.Socket, choose: TlsChooser, handlers: LookHandlers): void {
  let first: Buffer = Buffer.alloc(0)
  const onEnd = (): void => handlers.onEnd()
  const stop = (): void => {
    raw.off('data', onData)
    raw.off('end', onEnd)
    raw.pause()
  }
  const onData = (bytes: Buffer): void => {
    first = Buffer.concat([first, bytes])
    let side: TlsSide | 'need more'
    try {
      side = choose(first)
    } catch (error) {
      stop()
      handlers.onUnsuitable(error as Error)
      return
    }
    if (side === 'need more') return
    stop()
    raw.unshift(first)
    handlers.onChosen(side)
  }
  raw.on('data', onData)
  raw.on('end', onEnd)
  raw.resume()
}
