/**
 * Owns: what a native link does besides carrying lanes: Ping, Pong, Ack and Goodbye as they arrive, what is due by time, and
 * who waits for acknowledgements.
 * Refuses to know: sessions and values; sockets and timers. Its link's state asks it and tells it.
 */
import { encodePing, nativeDescriptors } from '../../../codec/native-frames.ts'
import { Deque } from '../../deque.ts'
import type { DueAction, LinkHooks } from '../../link-core.ts'
import type { FloodGuard } from '../lanes/flood-guard.ts'
import { decodeAck, decodeGoodbye, decodePing, decodePong } from '../frame-bodies.ts'
import { goodbyeSilenceMs } from '../epoch/goodbye.ts'
import { KeepAlive } from '../epoch/keep-alive.ts'
import type { RoundTrip } from '../../link-figures.ts'
import type { KeepAliveOptions } from '../epoch/keep-alive.ts'
import type { LinkEpoch } from '../epoch/link-epoch.ts'
import type { NativeLane } from '../lanes/native-lane.ts'
import type { NativeOutbox } from '../lanes/native-outbox.ts'

/** A round trip is measured soon after a connection is up, and not while others wait for the first bytes of it. */
const firstPingAfterMs = 1_000

interface Flush {
  /** Null: of the whole link. */
  readonly lane: NativeLane | null
  /** The lane's last frame. */
  readonly lastFrame: number
  /** Frames that must be acknowledged yet. */
  frames: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class LinkUpkeep {
  readonly #options: KeepAliveOptions
  readonly #epoch: LinkEpoch
  readonly #outbox: NativeOutbox
  readonly #guard: FloodGuard
  readonly #hooks: () => LinkHooks
  readonly #flushes = new Deque<Flush>()
  /** Acknowledged by a hello alone. */
  #unconfirmedFrames = 0
  #keepAlive: KeepAlive | null = null
  /** A chunk is being read, so the frame that is handled is not counted yet. */
  isReading = false
  /** The later of this side's Goodbye and the last byte received. */
  #goodbyeSilentSinceMs = 0
  /** When a round trip is measured at the latest; infinite once one is, or is being. */
  #measureAtMs = Infinity
  /** Why the peer said Goodbye last, in its own words. */
  peersReason = ''

  constructor(
    options: KeepAliveOptions,
    epoch: LinkEpoch,
    outbox: NativeOutbox,
    guard: FloodGuard,
    hooks: () => LinkHooks,
  ) {
    this.#options = options
    this.#epoch = epoch
    this.#outbox = outbox
    this.#guard = guard
    this.#hooks = hooks
  }

  /** The last measured, or null before the first Pong of a connection. */
  get roundTripMs(): number | null {
    return this.#keepAlive?.roundTripMs ?? null
  }

  /** Of the connection that is up. */
  get roundTrip(): RoundTrip | null {
    return this.#keepAlive?.roundTrip ?? null
  }

  /**
   * A connection is up. Its first Ping goes out when a window wants to grow, or a second later.
   * @param frames acknowledged by the peer's hello. A Reset that the peer sent before it received them may still be on its
   * way; none is once it acknowledges anything on this connection.
   */
  begin(nowMs: number, frames = 0): void {
    this.peersReason = ''
    this.isReading = false
    this.#unconfirmedFrames += frames
    this.#keepAlive = new KeepAlive(this.#options, nowMs)
    this.#measureAtMs = nowMs + firstPingAfterMs
    this.#outbox.forgetControl()
    if (this.#flushes.length > 0) this.ping(nowMs)
  }

  /** No window grows before a round trip is measured. */
  measure(nowMs: number): void {
    if (this.#measureAtMs < Infinity) this.ping(nowMs)
  }

  end(): void {
    this.#keepAlive = null
    this.#measureAtMs = Infinity
    this.#outbox.forgetControl()
  }

  received(nowMs: number): void {
    this.isReading = true
    this.#goodbyeSilentSinceMs = nowMs
    this.#keepAlive?.received(nowMs)
  }

  /** This side's Goodbye is sent. The time for its answer begins now, however long the link was idle before. */
  sayGoodbye(nowMs: number): void {
    this.#epoch.goodbye.say()
    this.#goodbyeSilentSinceMs = nowMs
  }

  /** Counted frames that are handled. @param isTaken the one that is being handled has reached the application */
  handledFrames(isTaken: boolean): number {
    return this.#epoch.received + (this.isReading && isTaken ? 1 : 0)
  }

  sent(nowMs: number): void {
    this.#keepAlive?.sent(nowMs)
  }

  /** This side's own pause is not the peer's silence. */
  readingPaused(nowMs: number): void {
    this.#keepAlive?.readingPaused(nowMs)
  }

  readingResumed(nowMs: number): void {
    this.#keepAlive?.readingResumed(nowMs)
  }

  ping(nowMs: number): void {
    this.#measureAtMs = Infinity
    if (this.#keepAlive !== null) this.#outbox.ping(encodePing(this.#keepAlive.ping(nowMs)))
  }

  /** A frame of the control lane; `nowMs` is the time of its chunk. Throws ProtocolError as its parts do. */
  onControl(descriptor: number, buffer: Buffer, bodyStart: number, bodyEnd: number, nowMs: number): void {
    this.#guard.frame(nowMs)
    switch (descriptor) {
      case nativeDescriptors.Ping:
        this.#outbox.pong(decodePing(buffer, bodyStart))
        return
      case nativeDescriptors.Pong: {
        const pong = decodePong(buffer, bodyStart)
        this.#keepAlive?.pong(pong.echo, nowMs)
        this.#onAck(pong.received)
        return
      }
      case nativeDescriptors.Ack:
        this.#onAck(decodeAck(buffer, bodyStart))
        return
      default: {
        const heldFrames = this.#epoch.retransmit.heldFrames
        const goodbye = decodeGoodbye(buffer, bodyStart, bodyEnd)
        this.peersReason = goodbye.reason
        this.#outbox.endAllowance()
        const step = this.#epoch.receiveGoodbye(goodbye)
        this.acknowledged(heldFrames - this.#epoch.retransmit.heldFrames)
        this.#hooks().onGoodbye(step, goodbye.reason)
      }
    }
  }

  #onAck(received: number): void {
    const frames = this.#epoch.retransmit.ack(received)
    if (frames > 0) this.#outbox.acknowledged()
    this.acknowledged(frames)
  }

  /** The peer ended the lane: what it has not acknowledged yet, it may have dropped. */
  laneEnded(lane: NativeLane, error: Error): void {
    const ackedFrames = this.#outbox.ackedFrames - this.#unconfirmedFrames
    if (lane.lastFrame > ackedFrames) lane.cutOff = error
    for (let count = this.#flushes.length; count > 0; count -= 1) {
      const flush = this.#flushes.shift() as Flush
      if (flush.lane === lane && flush.lastFrame > ackedFrames) flush.reject(error)
      else this.#flushes.push(flush)
    }
  }

  /** So many frames, the oldest, are no longer held. */
  acknowledged(frames: number): void {
    frames += this.#unconfirmedFrames
    this.#unconfirmedFrames = 0
    if (frames === 0) return
    for (let count = this.#flushes.length; count > 0; count -= 1) {
      const flush = this.#flushes.shift() as Flush
      flush.frames -= frames
      if (flush.frames <= 0) flush.resolve()
      else this.#flushes.push(flush)
    }
  }

  /** Of all that is encoded by now. A Ping asks for the acknowledgement: its Pong is one. */
  whenAcked(lane: NativeLane | null, nowMs: number, resolve: () => void, reject: (error: Error) => void): () => void {
    const frames = this.#outbox.unackedFrames + this.#unconfirmedFrames
    if (frames === 0) {
      resolve()
      return () => {}
    }
    const flush: Flush = { lane, lastFrame: lane?.lastFrame ?? 0, frames, resolve, reject }
    this.#flushes.push(flush)
    this.ping(nowMs)
    return () => void this.#flushes.remove(flush)
  }

  /** The epoch is over: what was not acknowledged by now never is. */
  rejectFlushes(reason: (lane: NativeLane | null) => Error): void {
    this.#unconfirmedFrames = 0
    for (const { lane, reject } of this.#flushes.drain()) reject(reason(lane))
  }

  /** When `poll` is to be called next while a connection is up. */
  get nextDueAtMs(): number {
    // One that was asked for leaves with the next batch.
    const ackAtMs = this.#outbox.isAckDue ? Infinity : (this.#epoch.acks.dueAtMs ?? Infinity)
    const silenceAtMs = this.#epoch.goodbye.isSaid ? this.#goodbyeSilentSinceMs + goodbyeSilenceMs : Infinity
    return Math.min(ackAtMs, silenceAtMs, this.#measureAtMs, this.#keepAlive?.nextAtMs ?? Infinity)
  }

  /** @returns what the link has to do about the connection; a Ping is in the batch already */
  poll(nowMs: number, dueAtMs: number): readonly DueAction[] {
    if (this.#epoch.goodbye.isSaid && nowMs >= this.#goodbyeSilentSinceMs + goodbyeSilenceMs) return ['dead']
    const actions: DueAction[] = []
    const ackAtMs = this.#epoch.acks.dueAtMs
    if (ackAtMs !== null && ackAtMs <= nowMs) {
      this.#outbox.ackIsDue()
      actions.push('ack')
    }
    if (nowMs >= this.#measureAtMs) this.ping(nowMs)
    const keepAlive = this.#keepAlive
    if (keepAlive === null || keepAlive.nextAtMs > nowMs) return actions
    actions.push(...keepAlive.poll(nowMs, dueAtMs))
    if (actions.includes('ping')) this.ping(nowMs)
    return actions
  }

  lookAgain(): DueAction | null {
    return this.#keepAlive?.lookAgain() ?? null
  }
}
