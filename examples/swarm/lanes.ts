/**
 * Owns: the sessions with one other peer, as numbered lanes: made, read, written, and made again after a link was
 * reset.
 * Independent of: pieces and rounds; it carries bytes.
 *
 * In the native dialect a broken socket does not show here. Only a link that cannot be resumed ends its lanes, with
 * LinkResetError. Then all lanes to that peer are closed, which ends them at the peer too, and both sides make them
 * again. A value that `send` had not accepted is sent on the new lane. For values that it had accepted and whose
 * outcome is unknown, the transfer asks.
 */
import { ConnectionLostError, LinkResetError, StatewireError } from '../../index.ts'
import type { ErrorCode, NetworkValue, Session } from '../../index.ts'
import { TransferError } from './messages.ts'

export interface LaneHooks {
  onBytes(lane: number, bytes: Uint8Array): void
  /** Values in flight on this lane may be lost. */
  onLost(lane: number): void
  /** The lane is over for good, or its bytes could not be used. */
  onFailed(lane: number, error: Error): void
}

export interface LanesOptions {
  /** The identity of the other peer. */
  readonly peer: string
  readonly connections: number
  /** Makes the sessions of all lanes; null where they are not made again. */
  readonly makeSessions: ((timeoutMs: number) => Promise<Session[]>) | null
  readonly hooks: LaneHooks
}

/** The time within which all peers of the swarm start; also for making sessions again. */
const makeWithinMs = 20_000

/** How a lane ends: at the side that closed it, at the other side, and at both sides of a link that was reset. */
const renewable: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_LINK_RESET',
  'ERR_SESSION_RESET',
  'ERR_SESSION_CLOSED',
])

export class Lanes {
  readonly #options: LanesOptions
  #sessions: readonly Session[] = []
  #renewal: Promise<void> | null = null
  #isStopped = false
  /** Of the current sessions: numbers of the connections whose links were reset. */
  readonly #reset = new Set<number>()
  /** Links that were reset, and values of this side that may or may not have arrived because of that. */
  linkResets = 0
  unknown = 0

  constructor(options: LanesOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#sessions.length
  }

  /** Makes the sessions; the other peer does the same. */
  async make(): Promise<void> {
    this.use((await this.#options.makeSessions?.(makeWithinMs)) ?? [])
  }

  /** Reads these sessions from now on. */
  use(sessions: readonly Session[]): void {
    this.#sessions = sessions
    this.#reset.clear()
    for (const [lane, session] of sessions.entries()) void this.#read(sessions, lane, session)
  }

  /**
   * Resolves when the lane has accepted the bytes: this is the back-pressure. @throws why the lane is over for good
   */
  async send(lane: number, bytes: Uint8Array): Promise<void> {
    for (;;) {
      const sessions = this.#sessions
      try {
        await (sessions[lane] as Session).send(this.#options.peer, { type: 'Bytes', value: bytes })
        return
      } catch (error) {
        // A send that rejects has accepted nothing, so sending it again is no repetition.
        if (!this.#isRenewable(error)) throw error
        await this.#renew(sessions)
      }
    }
  }

  /** Stops making lanes again. */
  stop(): void {
    this.#isStopped = true
  }

  /** Reads one lane until it ends. A loss on an ampc connection is reported at its place between the values. */
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
        if (value.type !== 'Bytes') throw new TransferError(`received a ${value.type} instead of Bytes`)
        hooks.onBytes(lane, value.value)
      } catch (error) {
        hooks.onFailed(lane, error as Error)
        return
      }
    }
  }

  /** Every lane of a reset link is notified; the link counts once. */
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

  /** Once for all lanes that saw these sessions end; a lane that saw it late already has the new ones. */
  #renew(over: readonly Session[]): Promise<void> {
    if (this.#sessions !== over) return Promise.resolve()
    return (this.#renewal ??= this.#makeAgain(over))
  }

  async #makeAgain(over: readonly Session[]): Promise<void> {
    // Also the lanes on links that were not reset: their end notifies the peer, which then calls too.
    for (const session of over) session.close()
    const sessions = (await this.#options.makeSessions?.(makeWithinMs)) ?? []
    // First: the new lanes may end at once.
    this.#renewal = null
    this.use(sessions)
    for (const lane of over.keys()) this.#options.hooks.onLost(lane)
  }
}
