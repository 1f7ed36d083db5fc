/**
 * Owns: what a native link does besides carrying lanes: Ping, Pong, Ack and Goodbye as they arrive, what is due at a
 * time, and the calls that wait for acknowledgements.
 * Independent of: sessions and values; sockets and timers.
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
import type { EpochEnd } from '../epoch/outcomes.ts'
import { neverAcknowledged, unackedFramesMax } from '../epoch/retransmit-buffer.ts'
import type { NativeOutbox } from '../lanes/native-outbox.ts'
import type { SendingLane } from '../lanes/sending-lane.ts'

/** A round trip is measured soon after a connection is up, but not while the first bytes are being exchanged. */
const firstPingAfterMs = 1_000

interface Flush {
  /** Null: all lanes of the link. */
  readonly lane: SendingLane | null
  /** The lane's last frame. */
  readonly lastFrame: number
  /** Frames that are still to be acknowledged. */
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
  /** Acknowledged only by a hello so far. */
  #unconfirmedFrames = 0
  #keepAlive: KeepAlive | null = null
  /** A chunk is being read, so the frame that is handled is not counted yet. */
  isReading = false
  /** The later of this side's Goodbye and the last byte received. */
  #goodbyeSilentSinceMs = 0
  /** When a round trip is measured at the latest. Infinite once it is, or is being, measured. */
  #measureAtMs = Infinity
  /** Since when nothing was acknowledged, while a connection was up. Null while none is. */
  #unackedSinceMs: number | null = null
  /** The same, up to the end of the last connection. */
  #unackedForMs = 0
  /** The reason in the peer's last Goodbye. */
  peerReason = ''

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

  /** The connection that is up is suspect. */
  get isSuspect(): boolean {
    return this.#keepAlive?.isSuspect ?? false
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
   * A connection is up. Its first Ping is sent when a window wants to grow, or a second later.
   * @param frames acknowledged by the peer's hello. A Reset that the peer sent before it received them may still be in
   *   flight; none is once the peer acknowledges anything on this connection.
   */
  begin(nowMs: number, frames = 0): void {
    this.peerReason = ''
    this.isReading = false
    this.#unconfirmedFrames += frames
    this.#unackedSinceMs = frames > 0 ? nowMs : nowMs - this.#unackedForMs
    this.#keepAlive = new KeepAlive(this.#options, nowMs)
    this.#measureAtMs = nowMs + firstPingAfterMs
    this.#outbox.forgetControl()
    if (this.#flushes.length > 0) this.ping(nowMs)
  }

  /** No window grows before a round trip is measured. */
  measure(nowMs: number): void {
    if (this.#measureAtMs < Infinity) this.ping(nowMs)
  }

  end(nowMs: number): void {
    if (this.#unackedSinceMs !== null) this.#unackedForMs = nowMs - this.#unackedSinceMs
    this.#unackedSinceMs = null
    this.#keepAlive = null
    this.#measureAtMs = Infinity
    this.#outbox.forgetControl()
  }

  received(nowMs: number): void {
    this.isReading = true
    this.#goodbyeSilentSinceMs = nowMs
    this.#keepAlive?.received(nowMs)
  }

  /** This side's Goodbye is sent. The time for its answer starts now, however long the link was idle before. */
  goodbyeSent(nowMs: number): void {
    this.#epoch.goodbye.sent()
    this.#goodbyeSilentSinceMs = nowMs
  }

  /** Counted frames that are handled. @param isTaken the one that is being handled has reached the application */
  handledFrames(isTaken: boolean): number {
    return this.#epoch.received + (this.isReading && isTaken ? 1 : 0)
  }

  sent(nowMs: number): void {
    this.#keepAlive?.sent(nowMs)
  }

  ping(nowMs: number): void {
    this.#measureAtMs = Infinity
    if (this.#keepAlive !== null) this.#outbox.ping(encodePing(this.#keepAlive.ping(nowMs)))
  }

  /** A frame of the control lane; `nowMs` is the time of its chunk. Throws ProtocolError like its parts. */
  onControl(descriptor: number, buffer: Buffer, bodyStart: number, bodyEnd: number, nowMs: number): void {
    this.#guard.frame(nowMs)
    switch (descriptor) {
      case nativeDescriptors.Ping:
        this.#outbox.pong(decodePing(buffer, bodyStart))
        return
      case nativeDescriptors.Pong: {
        const pong = decodePong(buffer, bodyStart)
        this.#keepAlive?.pong(pong.echo, nowMs)
        this.#onAck(pong.received, nowMs)
        return
      }
      case nativeDescriptors.Ack:
        this.#onAck(decodeAck(buffer, bodyStart), nowMs)
        return
      default: {
        const heldFrames = this.#epoch.retransmit.heldFrames
        const goodbye = decodeGoodbye(buffer, bodyStart, bodyEnd)
        this.peerReason = goodbye.reason
        this.#outbox.endAllowance()
        const step = this.#epoch.receiveGoodbye(goodbye)
        this.acknowledged(heldFrames - this.#epoch.retransmit.heldFrames)
        this.#hooks().onGoodbye(step, goodbye.reason)
      }
    }
  }

  #onAck(received: number, nowMs: number): void {
    const frames = this.#epoch.retransmit.ack(received)
    if (frames > 0) this.#unackedSinceMs = nowMs
    // First, because the outbox may send a last Piece now, and then its flush waits for other frames than these.
    this.acknowledged(frames)
    if (frames > 0) this.#outbox.acknowledged()
  }

  /** Some frames do not wait for room. A peer that acknowledges none of them for so long never will. */
  #isNeverAcknowledged(nowMs: number): boolean {
    const sinceMs = this.#unackedSinceMs
    const isLong = sinceMs !== null && nowMs - sinceMs >= this.#options.deadAfterMs
    return isLong && this.#outbox.unackedFrames > unackedFramesMax
  }

  /** The peer ended the lane: it may have dropped what it has not acknowledged. */
  laneEnded(lane: SendingLane, error: Error): void {
    const ackedFrames = this.#outbox.ackedFrames - this.#unconfirmedFrames
    if (lane.lastFrame > ackedFrames) lane.cutOff = error
    for (let count = this.#flushes.length; count > 0; count -= 1) {
      const flush = this.#flushes.shift() as Flush
      if (flush.lane === lane && flush.lastFrame > ackedFrames) flush.reject(error)
      else this.#flushes.push(flush)
    }
  }

  /** This many frames, the oldest, are no longer held. */
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

  /**
   * Of everything that is accepted by now: first the last Piece is sent. A Ping asks for the acknowledgement: its Pong
   * is one.
   */
  whenAcked(lane: SendingLane | null, nowMs: number, resolve: () => void, reject: (error: Error) => void): () => void {
    let cancelNext: () => void = () => {}
    const cancel = this.#outbox.whenPiecesSent(lane, (error) => {
      if (error !== null && lane !== null) reject(error)
      else cancelNext = this.whenAcked(lane, nowMs, resolve, reject)
    })
    if (cancel !== null) {
      return () => {
        cancel()
        cancelNext()
      }
    }
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

  /** The epoch has ended: what is not acknowledged by now never will be. */
  rejectFlushes(reason: (lane: SendingLane | null) => Error): void {
    this.#unconfirmedFrames = this.#unackedForMs = 0
    for (const { lane, reject } of this.#flushes.drain()) reject(reason(lane))
  }

  /** When `poll` is to be called next while a connection is up. */
  get nextDueAtMs(): number {
    // An Ack that is due already is sent with the next batch.
    const ackAtMs = this.#outbox.isAckDue ? Infinity : (this.#epoch.acks.dueAtMs ?? Infinity)
    const silenceAtMs = this.#epoch.goodbye.isSent ? this.#goodbyeSilentSinceMs + goodbyeSilenceMs : Infinity
    return Math.min(ackAtMs, silenceAtMs, this.#measureAtMs, this.#keepAlive?.nextAtMs ?? Infinity)
  }

  /** @returns what the link does about the connection. A Ping is in the batch already. */
  poll(nowMs: number, dueAtMs: number): readonly DueAction[] {
    if (this.#epoch.goodbye.isSent && nowMs >= this.#goodbyeSilentSinceMs + goodbyeSilenceMs) return ['dead']
    if (this.#isNeverAcknowledged(nowMs)) {
      this.#hooks().onBroken(neverAcknowledged(this.#outbox.unackedFrames))
      return []
    }
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

  /** What the peer said belongs to the end that its Goodbye made. */
  withPeerReason(end: EpochEnd): EpochEnd & { readonly peerReason: string } {
    return { ...end, peerReason: end.reason === 'goodbye' ? this.peerReason : '' }
  }
}
