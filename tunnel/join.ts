/**
 * Owns: one connection of a tunnel: bytes go both ways between a local end and a stream, ends and failures as well.
 * Independent of: where the local end comes from, and of peers.
 *
 * | at one local end            | at the other local end      |
 * |---|---|
 * | it ends its writing (FIN)   | it reads to the end (FIN)   |
 * | it fails (RST)              | it is reset (RST)           |
 * | it stops reading            | its writes wait             |
 *
 * While the link below is broken, both wait. When it is reset, both are reset.
 */
import type { Readable, Writable } from 'node:stream'
import type { CloseReason, Stream } from '../actors/index.ts'

/** What a tunnel resets its streams with. */
export const tunnelCodes = { localFailure: 256, killed: 257, closing: 258 } as const

/** A socket, or the standard streams of a process. */
export interface LocalEnd {
  readonly readable: Readable
  readonly writable: Writable
  /** Ends it in a way that nobody takes for a proper end. */
  readonly abort: () => void
}

export interface TunnelEnd {
  /** `ended`: both sides were done. `lost`: the link was reset. */
  readonly how: 'ended' | 'reset' | 'killed' | 'lost'
  readonly by: 'local' | 'peer' | 'both' | 'network'
  readonly message: string
  /** To the peer. */
  readonly bytesSent: number
  /** From the peer. */
  readonly bytesReceived: number
}

export class Join {
  readonly ended: Promise<TunnelEnd>
  readonly #local: LocalEnd
  readonly #stream: Stream
  #ownEnd: Pick<TunnelEnd, 'how' | 'by' | 'message'> | null = null
  #settle: (end: TunnelEnd) => void = () => {}

  constructor(local: LocalEnd, stream: Stream) {
    this.#local = local
    this.#stream = stream
    this.ended = new Promise((resolve) => (this.#settle = resolve))
    const { readable, writable } = local
    const failed = (error: Error): void => this.#localFailed(error.message)
    readable.on('error', failed)
    if ((writable as unknown) !== readable) writable.on('error', failed)
    readable.once('close', () => {
      if (!readable.readableEnded) this.#localFailed('it was closed before its end')
    })
    writable.once('close', () => {
      if (!writable.writableFinished) this.#localFailed('it was closed before it had taken everything')
    })
    // The reason is in `closed`.
    stream.on('error', () => {})
    stream.once('close', () => void stream.closed.then((reason) => this.#streamClosed(reason)))
    readable.pipe(stream)
    stream.pipe(writable)
    // It may have failed before it came here.
    if (readable.destroyed || writable.destroyed) this.#localFailed('it was closed before the stream was open')
  }

  get isHalfClosed(): boolean {
    return this.#local.readable.readableEnded || this.#stream.readableEnded
  }

  /** Resets both sides. */
  kill(code: number, how: TunnelEnd['how'], message: string): void {
    this.#fail({ how, by: 'local', message }, code)
  }

  #localFailed(why: string): void {
    this.#fail({ how: 'reset', by: 'local', message: `the local connection failed: ${why}` }, tunnelCodes.localFailure)
  }

  #fail(end: Pick<TunnelEnd, 'how' | 'by' | 'message'>, code: number): void {
    if (this.#ownEnd !== null) return
    this.#ownEnd = end
    const { destroyed } = this.#stream
    if (!destroyed) this.#stream.reset(code, end.message.slice(0, reasonCharactersMost))
    this.#local.abort()
    if (destroyed) this.#finish(end)
  }

  #streamClosed(reason: CloseReason): void {
    if (this.#ownEnd !== null) return this.#finish(this.#ownEnd)
    if (reason.how !== 'finished') {
      this.#ownEnd = endOf(reason)
      this.#local.abort()
      return this.#finish(this.#ownEnd)
    }
    const { writable } = this.#local
    const done = (): void => {
      this.#ownEnd ??= { how: 'ended', by: 'both', message: 'both sides are done' }
      this.#finish(this.#ownEnd)
    }
    // The program may take its time with what has arrived.
    if (writable.writableFinished) done()
    else writable.once('finish', done)
  }

  #finish(end: Pick<TunnelEnd, 'how' | 'by' | 'message'>): void {
    const { bytesWritten, bytesRead } = this.#stream
    this.#settle({ ...end, bytesSent: bytesWritten, bytesReceived: bytesRead })
  }
}

/** A reason has at most 256 bytes; ours are ASCII but for the names in them. */
const reasonCharactersMost = 200

function endOf({ how, by, code, reason }: CloseReason): Pick<TunnelEnd, 'how' | 'by' | 'message'> {
  if (how === 'lost') return { how: 'lost', by: 'network', message: `the link was reset: ${reason}` }
  const isOwn = by === 'self'
  if (code === tunnelCodes.killed) return { how: 'killed', by: isOwn ? 'local' : 'peer', message: reason }
  return { how: 'reset', by: isOwn ? 'local' : 'peer', message: reason === '' ? `code ${code}` : reason }
}
