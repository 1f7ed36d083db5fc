/**
 * Owns: that the first bytes of an accepted socket are looked at and put back, so that a wrong protocol costs no cryptography.
 * Refuses to know: what they say (the chooser's business), and deadlines: whoever waits for this destroys a socket that says too little.
 */
import type net from 'node:net'
import type { TlsAcceptor, TlsChooser } from './tls-side.ts'

export interface LookHandlers {
  /** The socket is paused, and whoever reads it next reads the first bytes again. */
  onChosen(side: TlsAcceptor): void
  /** With what the chooser threw. */
  onUnsuitable(error: Error): void
  /** The other side has ended before it had said enough. */
  onEnd(): void
}

export function chooseByFirstBytes(raw: net.Socket, choose: TlsChooser, handlers: LookHandlers): void {
  let first: Buffer = Buffer.alloc(0)
  const onData = (bytes: Buffer): void => {
    first = first.length === 0 ? bytes : Buffer.concat([first, bytes])
    let side: TlsAcceptor | 'need more'
    try {
      side = choose(first)
    } catch (error) {
      return handlers.onUnsuitable(error as Error)
    }
    if (side === 'need more') return
    raw.pause()
    raw.off('data', onData)
    raw.off('end', onEnd)
    raw.unshift(first)
    handlers.onChosen(side)
  }
  const onEnd = (): void => handlers.onEnd()
  raw.on('data', onData)
  raw.on('end', onEnd)
  raw.resume()
}
