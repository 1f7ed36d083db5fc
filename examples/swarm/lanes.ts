/**
 * Owns: the sessions with one other peer, as numbered lanes: made, read, written, and made anew where a link was reset.
 * Refuses to know: pieces and rounds; it carries bytes.
 *
 * In the native dialect a broken socket is not heard of here. Only a link that cannot be resumed ends its lanes, with
 * LinkResetError: then all lanes to that peer are closed, which tells the peer, and both sides make them anew. A value that
 * `send` had not handed over is sent on the new lane; what had been handed over and is unknown, the transfer asks about.
 */
import { ConnectionLostError, LinkResetError, StatewireError } from '../../index.ts'
import type { ErrorCode, NetworkValue, Session } from '../../index.ts'
import { TransferError } from './messages.ts'

export interface LaneHooks {
  onBytes(lane: number, bytes: Uint8Array): void
  /** What was on its way on this lane may be lost. */
  onLost(lane: number): void
  /** The lane is over for good, or what came on it could not be used. */
  onFailed(lane: number, error: Error): void
}

export interface LanesOptions {
  /** The identity of the other peer. */
  readonly peer: string
  readonly connections: number
  /** Makes the sessions of all lanes; null where they are not made anew. */
  readonly makeSessions: ((timeoutMs: number) => Promise<Session[]>) | null
  readonly hooks: LaneHooks
}

/** All peers of the swarm are started within it; also for making sessions anew, over all attempts. */
const makeWithinMs = 20_000
/** One attempt to make them anew. The sides may see resets of two links in another order, and then begin at different numbers. */
const attemptMs = 2_000

/** How a lane ends at the side that closed it, at the side that was told so, and at both sides of a link that was reset. */
const renewable: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_LINK_RESET',
  'ERR_SESSION_RESET',
  'ERR_SESSION_CLOSED',
])

/** What another attempt may mend. */
function isLate(error: unknown): boolean {
  return error instanceof StatewireError && error.code === 'ERR_TIMED_OUT'
}

/** Before sessions are tried again that were reset while they were made. */
const retryMs = 20

export class Lanes {
  readonly #options: LanesOptions
  #sessions: readonly Session[] = []
  #renewal: Promise<void> | null = null
  #isStopped = false
  /** Of the sessions of now: numbers of the connections whose links were reset. */
  readonly #reset = new Set<number>()
  /** Links that were reset, and values of this side that may have arrived or not because of that. */
  linkResets = 0
  unknown = 0

  constructor(options: LanesOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#sessions.length
  }

  /** Makes the sessions; the other peer does the same. */
  async make(timeoutMs = makeWithinMs): Promise<void> {
    this.use((await this.#options.makeSessions?.(timeoutMs)) ?? [])
  }

  /** After a crash of this process: the other peer has to see first that its links were reset. */
  makeAgain(): Promise<void> {
    return (this.#renewal ??= this.#makeAnew(this.#sessions))
  }

  /** Reads these sessions from now on. */
  use(sessions: readonly Session[]): void {
    this.#sessions = sessions
    this.#reset.clear()
    for (const [lane, session] of sessions.entries()) void this.#read(sessions, lane, session)
  }

  /** Resolves when the lane has taken the bytes: this is the back-pressure. @throws why the lane is over for good */
  async send(lane: number, bytes: Uint8Array): Promise<void> {
    for (;;) {
      const sessions = this.#sessions
      try {
        await (sessions[lane] as Session).send(this.#options.peer, { type: 'Bytes', value: bytes })
        return
      } catch (error) {
        // A send that rejects has handed nothing over, so sending it again is no repetition.
        if (!this.#isRenewable(error)) throw error
        await this.#renew(sessions)
      }
    }
  }

  /** Makes nothing anew any more. */
  stop(): void {
    this.#isStopped = true
  }

  /** Reads one lane until it ends. What an ampc connection lost is heard at its place between the values. */
  async #read(sessions: readonly Session[], lane: number, session: Session): Promise<void> {
    const { peer, hooks } = this.#options
    for (;;) {
      let value: NetworkValue
      try {
        value = await session.receive(peer)
      } catch (error) {
        if (error instanceof ConnectionLostError) {
          hooks.onLost(lane)
          continue
        }
        if (error instanceof LinkResetError) this.#countReset(sessions, lane, error)
        if (this.#isRenewable(error))
          this.#renew(sessions).catch((failure: unknown) => hooks.onFailed(lane, failure as Error))
        else hooks.onFailed(lane, error as Error)
        return
      }
      try {
        if (value.type !== 'Bytes') throw new TransferError(`a ${value.type} came instead of Bytes`)
        hooks.onBytes(lane, value.value)
      } catch (error) {
        hooks.onFailed(lane, error as Error)
        return
      }
    }
  }

  /** Every lane of a reset link hears of it; the link counts once. */
  #countReset(sessions: readonly Session[], lane: number, { reason, outcomes }: LinkResetError): void {
    this.unknown += outcomes.unknown
    const connection = lane % this.#options.connections
    // A peer that leaves in order ends its links too.
    if (reason === 'goodbye' || sessions !== this.#sessions || this.#reset.has(connection)) return
    this.#reset.add(connection)
    this.linkResets++
  }

  #isRenewable(error: unknown): boolean {
    if (this.#isStopped || this.#options.makeSessions === null || !(error instanceof StatewireError)) return false
    return renewable.has(error.code) && !(error instanceof LinkResetError && error.reason === 'goodbye')
  }

  /** Once for all who saw these sessions end; one who saw it late has them already. */
  #renew(over: readonly Session[]): Promise<void> {
    if (this.#sessions !== over) return Promise.resolve()
    return (this.#renewal ??= this.#makeAnew(over))
  }

  async #makeAnew(over: readonly Session[]): Promise<void> {
    // The lanes on links that were not reset too: the peer hears of it by their end, and the numbers of both sides stay alike.
    for (const session of over) session.close()
    const untilMs = Date.now() + makeWithinMs
    for (;;) {
      try {
        await this.make(attemptMs)
        break
      } catch (error) {
        if (!(this.#isRenewable(error) || isLate(error)) || this.#isStopped || Date.now() >= untilMs) throw error
        await new Promise((resolve) => setTimeout(resolve, retryMs))
      }
    }
    this.#renewal = null
    for (const lane of over.keys()) this.#options.hooks.onLost(lane)
  }
}
