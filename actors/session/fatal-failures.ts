/**
 * Owns: which peers are not connected for a cause that will not resolve by itself, and that waiting calls fail with it at once.
 * Independent of: how dials fail, and of redials, which go on at the cap of the back-off.
 */
import { errorCodes } from '../../codec/errors.ts'
import type { Cause } from '../base/causes.ts'
import type { WaitingCall } from './session-context.ts'
import type { TimerWheel } from '../base/timer-wheel.ts'

/** How long a peer that cannot be dialled has to connect by itself, where it may, before calls fail. */
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
  /** Called once for each peer and code. Set by the facade. */
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

  /** A dial failed, and the peer has no other address to dial at once. */
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

  /** The peer is connected, or fails for another reason that may resolve. */
  clear(peer: string): void {
    this.#failures.delete(peer)
  }

  #report(peer: string, failure: Failure, isNew: boolean): void {
    failure.isReported = true
    if (isNew) this.onFirst(peer, failure.cause)
    for (const call of this.#calls) if (call.peers.includes(peer)) call.connectFailed(peer, failure.cause)
  }
}
