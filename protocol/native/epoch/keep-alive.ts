/**
 * Owns: the watchdog of one connection (docs/protocol.md, native): when to ping, when the peer is suspect, when it is dead; and the
 * round-trip time.
 * Refuses to know: timers and sockets. Time comes in as a number; its owner sets one timer for `nextAtMs`, calls `poll` when
 * it fires, and `lookAgain` after each of two more turns of the event loop if it is told so.
 *
 * Any received byte is life. This side's own stalls are not the peer's silence: bytes may wait in the kernel while a blocked
 * event loop runs its timers first.
 */
import { StatewireError } from '../../../codec/errors.ts'
import type { RoundTrip } from '../../link-figures.ts'

export interface KeepAliveOptions {
  readonly pingIntervalMs: number
  readonly suspectAfterMs: number
  readonly deadAfterMs: number
}

export const defaultKeepAlive: KeepAliveOptions = {
  pingIntervalMs: 10_000,
  suspectAfterMs: 15_000,
  deadAfterMs: 20_000,
}

/** The receiver of one long frame sends nothing else: a longer interval would let its peer take it for dead. */
const pingIntervalMsMax = 10_000
/** A timer that comes so late says that this side stood still, not the peer. */
const lateTimerMs = 1_000
const turnsBeforeDeath = 2
/** Of 10 s: 250 ms. */
const stepsPerInterval = 40

const newestWeight = 1 / 8

function withMeasured(before: RoundTrip | null, lastMs: number): RoundTrip {
  if (before === null) return { lastMs, smoothedMs: lastMs, minMs: lastMs }
  return {
    lastMs,
    smoothedMs: before.smoothedMs + newestWeight * (lastMs - before.smoothedMs),
    minMs: Math.min(before.minMs, lastMs),
  }
}

/** `ping`: send one now with the echo of {@link KeepAlive.ping}. `look-again`: call lookAgain after the next turn. */
export type KeepAliveAction = 'ping' | 'suspect' | 'look-again' | 'dead'

export class KeepAlive {
  readonly #options: KeepAliveOptions
  #receivedAtMs: number
  #sentAtMs: number
  #pingedAtMs: number
  #isSuspect = false
  #turnsLeft = 0
  /** The end of silence is counted from here: later than the last byte, after a stall of this side. */
  #silentSinceMs: number
  #graceUsed = false
  #pausedAtMs: number | null = null
  #echo = 0n
  #outstanding: { readonly echo: bigint; readonly sentAtMs: number } | null = null
  #roundTrip: RoundTrip | null = null

  /** Throws ERR_INVALID_OPTION. */
  constructor(options: KeepAliveOptions, nowMs: number) {
    const { pingIntervalMs, suspectAfterMs, deadAfterMs } = options
    const isOk =
      pingIntervalMs > 0 &&
      pingIntervalMs <= pingIntervalMsMax &&
      deadAfterMs >= 2 * pingIntervalMs &&
      suspectAfterMs > pingIntervalMs &&
      suspectAfterMs <= deadAfterMs
    if (!isOk || !Number.isFinite(deadAfterMs)) {
      throw new StatewireError(
        'ERR_INVALID_OPTION',
        `Keep-alive of ping ${pingIntervalMs} ms, suspect ${suspectAfterMs} ms, dead ${deadAfterMs} ms: ping is at most 10000, suspect lies between ping and dead, dead is at least twice ping.`,
      )
    }
    this.#options = options
    this.#receivedAtMs = this.#sentAtMs = this.#pingedAtMs = this.#silentSinceMs = nowMs
  }

  get isSuspect(): boolean {
    return this.#isSuspect
  }

  /** The last measured, or null before the first Pong. */
  get roundTripMs(): number | null {
    return this.#roundTrip?.lastMs ?? null
  }

  /** What the Pongs of this connection have told so far. */
  get roundTrip(): RoundTrip | null {
    return this.#roundTrip
  }

  /** Bytes arrived. @returns whether the connection was suspect until now */
  received(nowMs: number): boolean {
    const wasSuspect = this.#isSuspect
    this.#receivedAtMs = this.#silentSinceMs = nowMs
    this.#isSuspect = false
    this.#graceUsed = false
    this.#turnsLeft = 0
    return wasSuspect
  }

  /** Bytes were handed to the socket. */
  sent(nowMs: number): void {
    this.#sentAtMs = nowMs
  }

  /** This side stops reading: nothing can be heard, so nothing is held against the peer. It still pings, to be heard. */
  readingPaused(nowMs: number): void {
    this.#pausedAtMs ??= nowMs
    this.#turnsLeft = 0
  }

  readingResumed(nowMs: number): void {
    if (this.#pausedAtMs === null) return
    const pausedMs = nowMs - this.#pausedAtMs
    this.#receivedAtMs += pausedMs
    this.#silentSinceMs += pausedMs
    this.#pausedAtMs = null
  }

  /** What a Ping sent now carries. */
  ping(nowMs: number): bigint {
    this.#echo += 1n
    this.#outstanding = { echo: this.#echo, sentAtMs: nowMs }
    this.#pingedAtMs = this.#sentAtMs = nowMs
    return this.#echo
  }

  /** An echo that was not asked for last is ignored: it tells nothing about time. */
  pong(echo: bigint, nowMs: number): void {
    if (this.#outstanding?.echo !== echo) return
    this.#roundTrip = withMeasured(this.#roundTrip, Math.max(0, nowMs - this.#outstanding.sentAtMs))
    this.#outstanding = null
  }

  /** When to call {@link poll} next. */
  get nextAtMs(): number {
    if (this.#pausedAtMs !== null) return this.#pingDueAtMs()
    return Math.min(
      this.#pingDueAtMs(),
      this.#silentSinceMs + (this.#isSuspect ? this.#options.deadAfterMs : this.#options.suspectAfterMs),
    )
  }

  /** The timer fired. @param dueAtMs when it should have: `nextAtMs` as it was when the timer was set */
  poll(nowMs: number, dueAtMs: number): KeepAliveAction[] {
    const actions: KeepAliveAction[] = []
    if (nowMs >= this.#pingDueAtMs()) actions.push('ping')
    if (this.#pausedAtMs !== null) return actions
    const silentMs = nowMs - this.#silentSinceMs
    if (!this.#isSuspect && silentMs >= this.#options.suspectAfterMs) {
      this.#isSuspect = true
      actions.push('suspect')
    }
    if (silentMs < this.#options.deadAfterMs || this.#turnsLeft > 0) return actions
    if (nowMs - dueAtMs > lateTimerMs && !this.#graceUsed) {
      // Once for each silence, or a loop that is always late would never find a peer dead.
      this.#graceUsed = true
      this.#silentSinceMs = nowMs - this.#options.deadAfterMs + this.#options.pingIntervalMs
      return actions
    }
    this.#turnsLeft = turnsBeforeDeath
    actions.push('look-again')
    return actions
  }

  /** One more turn of the event loop is over. @returns what now, or null if bytes came meanwhile */
  lookAgain(): KeepAliveAction | null {
    if (this.#turnsLeft === 0) return null
    this.#turnsLeft -= 1
    return this.#turnsLeft > 0 ? 'look-again' : 'dead'
  }

  /**
   * A little early, at a time that is the same for all links: with a thousand idle ones, 25 Pings leave in one turn of the loop four
   * times a second, and their answers come together, instead of each waking the process by itself.
   */
  #pingDueAtMs(): number {
    const stepMs = this.#options.pingIntervalMs / stepsPerInterval
    return Math.floor(this.#silentPingAtMs() / stepMs) * stepMs
  }

  #silentPingAtMs(): number {
    const { pingIntervalMs } = this.#options
    const sentDueAtMs = this.#sentAtMs + pingIntervalMs
    if (this.#pausedAtMs !== null) return sentDueAtMs
    // A ping that went out for this silence begins the next interval; one that went out earlier, for want of sending, does not.
    const receivedDueAtMs = this.#receivedAtMs + pingIntervalMs
    return Math.min(
      sentDueAtMs,
      this.#pingedAtMs >= receivedDueAtMs ? this.#pingedAtMs + pingIntervalMs : receivedDueAtMs,
    )
  }
}
