/**
 * Owns: the watchdog of one connection (docs/protocol.md): when to ping, when the peer is suspect, when it is
 * dead; and the round-trip time.
 * Independent of: timers and sockets. Time is passed in. The owner sets one timer for `nextAtMs`, calls `poll` when it
 * fires, and `lookAgain` after each of two more ticks of the event loop if `poll` asks for it.
 *
 * Any received byte is a sign of life. An event-loop stall of this side is not the peer's silence: bytes may wait in
 * the kernel while a blocked event loop runs its timers first.
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

/**
 * The receiver of one long frame sends nothing in the meantime. With a longer interval its peer would take it for dead.
 */
const pingIntervalMsMax = 10_000
/** A timer that is this late shows a stall of this side, not silence of the peer. */
const lateTimerMs = 1_000
const turnsBeforeDeath = 2
/** 250 ms of 10 s. */
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

/** `ping`: send one now with the echo of {@link KeepAlive.ping}. `look-again`: call lookAgain after the next tick. */
export type KeepAliveAction = 'ping' | 'suspect' | 'look-again' | 'dead'

export class KeepAlive {
  readonly #options: KeepAliveOptions
  #receivedAtMs: number
  #sentAtMs: number
  #pingedAtMs: number
  #isSuspect = false
  #turnsLeft = 0
  /** Silence is measured from here. After a stall of this side it is later than the last byte. */
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

  /** What the Pongs of this connection have measured so far. */
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

  /**
   * This side stops reading, so the peer's silence does not count. Pings go on, so that the peer gets signs of life.
   */
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

  /** The echo of a Ping that is sent now. */
  ping(nowMs: number): bigint {
    this.#echo += 1n
    this.#outstanding = { echo: this.#echo, sentAtMs: nowMs }
    this.#pingedAtMs = this.#sentAtMs = nowMs
    return this.#echo
  }

  /** Only the echo of the last Ping measures time. */
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

  /** The timer fired. @param dueAtMs when it should have fired: `nextAtMs` when the timer was set */
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
      // Once for each silence: otherwise an event loop that is always late would never find a peer dead.
      this.#graceUsed = true
      this.#silentSinceMs = nowMs - this.#options.deadAfterMs + this.#options.pingIntervalMs
      return actions
    }
    this.#turnsLeft = turnsBeforeDeath
    actions.push('look-again')
    return actions
  }

  /** One more tick of the event loop has passed. @returns the next action, or null if bytes came in the meantime */
  lookAgain(): KeepAliveAction | null {
    if (this.#turnsLeft === 0) return null
    this.#turnsLeft -= 1
    return this.#turnsLeft > 0 ? 'look-again' : 'dead'
  }

  /**
   * A little early, at a time that all links share: with a thousand idle links, 25 Pings leave in one tick four times a
   * second, and their answers come together instead of waking the process one by one.
   */
  #pingDueAtMs(): number {
    const stepMs = this.#options.pingIntervalMs / stepsPerInterval
    return Math.floor(this.#silentPingAtMs() / stepMs) * stepMs
  }

  #silentPingAtMs(): number {
    const { pingIntervalMs } = this.#options
    const sentDueAtMs = this.#sentAtMs + pingIntervalMs
    if (this.#pausedAtMs !== null) return sentDueAtMs
    // A Ping sent for this silence starts the next interval. One sent earlier, because nothing had been sent, does not.
    const receivedDueAtMs = this.#receivedAtMs + pingIntervalMs
    return Math.min(
      sentDueAtMs,
      this.#pingedAtMs >= receivedDueAtMs ? this.#pingedAtMs + pingIntervalMs : receivedDueAtMs,
    )
  }
}
