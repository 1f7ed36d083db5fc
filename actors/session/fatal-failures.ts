/**
 * Owns: which peers cannot be connected without a change of configuration. Calls that wait for such a peer fail
 * immediately.
 * Independent of: how dials fail, and of redials, which continue at the cap of the back-off.
 */
import { errorCodes } from '../../codec/errors.ts'
import type { Cause } from '../base/causes.ts'
import type { WaitingCall } from './session-context.ts'
import type { TimerWheel } from '../base/timer-wheel.ts'

/** How long a peer that cannot be dialled has to dial this side, before calls fail. */
const inboundGraceMs = 1_000

interface Failure {
  cause: Cause
  isReported: boolean
}

export class FatalFailures {
  readonly #wheel: TimerWheel
  readonly #calls: ReadonlySet<WaitingCall>
  readonly #peerMayDial: boolean
  readonly #failures = new Map<string, Failure>()
  /** Called once per peer and error code. Set by the facade. */
  onFirst: (peer: string, cause: Cause) => void = () => {}

  /** @param peerMayDial this side listens, and a peer that it dials may dial it too */
  constructor(wheel: TimerWheel, calls: ReadonlySet<WaitingCall>, peerMayDial: boolean) {
    this.#wheel = wheel
    this.#calls = calls
    this.#peerMayDial = peerMayDial
  }

  of(peer: string): Cause | null {
    const failure = this.#failures.get(peer)
    return failure?.isReported === true ? failure.cause : null
  }

  /** A dial failed, and the peer has no other address to dial immediately. */
  failed(peer: string, cause: Cause): void {
    if (!errorCodes[cause.code].fatal) return this.clear(peer)
    const failure = this.#failures.get(peer)
    if (failure !== undefined) {
      const isOther = failure.cause.code !== cause.code
      failure.cause = cause
      if (failure.isReported) this.#report(peer, failure, isOther)
      return
    }
    const first: Failure = { cause, isReported: false }
    this.#failures.set(peer, first)
    const report = (): void => {
      if (this.#failures.get(peer) === first) this.#report(peer, first, true)
    }
    if (this.#peerMayDial) this.#wheel.schedule(inboundGraceMs, report)
    else report()
  }

  /** The peer is connected, or fails with a cause that may resolve by itself. */
  clear(peer: string): void {
    this.#failures.delete(peer)
  }

  #report(peer: string, failure: Failure, isNew: boolean): void {
    failure.isReported = true
    if (isNew) this.onFirst(peer, failure.cause)
    for (const call of this.#calls) if (call.peers.includes(peer)) call.connectFailed(peer, failure.cause)
  }
}
