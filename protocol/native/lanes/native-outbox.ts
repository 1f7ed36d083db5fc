/**
 * Owns: the sending half of a native link: what waits for credit or for room, what is encoded and not handed over, and the
 * write batch. Here a frame gets its sequence: when it is handed to a connection.
 * Independent of: what arrives; sockets and clocks.
 *
 * Every value is in exactly one place: it waits, or is in the write batch, or in the replay window; outcomes are counted
 * from these places. So a step that can fail comes before the value moves, and a hook is called when it has moved: a hook may
 * end the epoch, and with it the lane.
 */
import { encodedLength } from '../../../codec/encode-value.ts'
import { InvalidValueError, ProtocolError, StatewireError } from '../../../codec/errors.ts'
import type { EncodedFrame } from '../../../codec/frame-writer.ts'
import { largeFrameThresholdBytes } from '../../../codec/limits.ts'
import type { NetworkValue } from '../../../codec/values.ts'
import type { SpareMemory } from '../../../codec/spare-memory.ts'
import type { LinkCounters, LinkHooks } from '../../link-core.ts'
import { AckBeforeReset } from '../epoch/ack-before-reset.ts'
import { ControlFrames } from './control-frames.ts'
import type { LinkEpoch } from '../epoch/link-epoch.ts'
import type { LaneSend, NativeLane } from './native-lane.ts'
import type { LinkFigures } from './native-link-options.ts'
import type { LinkMemory } from '../memory/node-memory.ts'
import { replayFrameOverheadBytes, replayWindowFramesMax } from '../epoch/retransmit-buffer.ts'
import { SendRoom } from './send-room.ts'
import { WriteBatch } from './write-batch.ts'

/** What each waiting value costs besides its bytes. */
const valueOverheadBytes = 64
/** As in ../link-state.ts, and for the same reasons; but TLS copies a batch twice, and a larger one falls out of the cache (64 KiB values: 984 to 1,137 MiB/s). */
const flushAtBytes = 64 * 1024
const flushLargeAtBytes = 512 * 1024
/** Below it a write of its own costs more than a second buffer. */
const arenaFlushAtBytes = 16 * 1024

export interface OutboxOptions {
  readonly peer: string
  readonly sendQueueBytesMax: number
  readonly sendQueueValuesMax: number
  readonly memory: LinkMemory
  /** Where batches are laid out; one for all links of a node. */
  readonly arenas?: SpareMemory
  readonly nowMs: () => number
}

/**
 * So much is encoded before window, room and goodbye are asked again: they are six objects, and on a link among many each is
 * cold (values a second over 64 connections, of those over one: 0.83, and 0.90 with this). Less than any peer's longest value.
 */
const allowanceQuantumBytes = 16 * 1024

/** Credit and Reset that wait because the peer reads nothing. */
const ownFramesMax = replayWindowFramesMax

export class NativeOutbox {
  readonly #options: OutboxOptions
  readonly #epoch: LinkEpoch
  readonly #hooks: () => LinkHooks
  readonly #lanesThatWait = new Set<NativeLane>()
  readonly #batch: WriteBatch
  readonly #room: SendRoom
  /** Why nothing new is taken any more. */
  #refusal: Error | null = null
  #waitingValues = 0
  #waitingBytes = 0
  /** Admitted already, overheads included. Whatever makes less admissible, or lets a value wait, ends it. */
  #allowanceBytes = 0
  #isFlowing = false
  #isPumping = false
  #flushRequested = false
  /** Epochs that have ended. */
  #ends = 0
  readonly #ackBeforeReset: AckBeforeReset
  readonly #control: ControlFrames

  constructor(options: OutboxOptions, epoch: LinkEpoch, counters: LinkCounters, hooks: () => LinkHooks) {
    this.#options = options
    this.#epoch = epoch
    this.#hooks = hooks
    this.#room = new SendRoom(options.memory)
    this.#ackBeforeReset = new AckBeforeReset(epoch)
    this.#control = new ControlFrames(epoch)
    this.#batch = new WriteBatch(options.arenas, epoch.window, counters)
  }

  get isFlowing(): boolean {
    return this.#isFlowing
  }

  get waitingValues(): number {
    return this.#waitingValues
  }

  get pendingBytes(): number {
    return this.#batch.bytes
  }

  get figures(): LinkFigures['sendQueue'] {
    return { values: this.#waitingValues, bytes: this.#waitingBytes, pendingBytes: this.#batch.bytes }
  }

  /** What is encoded and not acknowledged costs so much, as the replay window counts. */
  get #costBytes(): number {
    return this.#epoch.window.costBytes + this.#batch.costBytes
  }

  get hasPending(): boolean {
    return this.#batch.bytes > 0 || this.#control.isPending
  }

  /** Frames that are encoded, and not acknowledged or not even handed over. */
  get unackedFrames(): number {
    return this.#epoch.window.heldFrames + this.#batch.frames
  }

  /** Frames that are acknowledged, counted from when the link was made. */
  get ackedFrames(): number {
    return this.#batch.takenFrames - this.#epoch.window.heldFrames
  }

  /** @param transfer the value's memory is taken over instead of copied. Throws ERR_INVALID_VALUE, ERR_NOT_TRANSFERABLE. */
  trySend(own: NativeLane, value: NetworkValue, transfer = false): boolean {
    if (own.end !== null || !own.credit.canSend) return this.#notNow(own)
    // While there is an allowance the link flows, nobody waits, and the window admits.
    if (this.#allowanceBytes === 0 && (!this.#isFlowing || own.waiting.length > 0 || !this.#isAdmitted())) return this.#notNow(own)
    const frameLengthBytes = 4 + encodedLength(value)
    if (this.#endsArena(frameLengthBytes) && !this.#flushFor(own)) return false
    const leftBytes = this.#allowanceBytes - frameLengthBytes - replayFrameOverheadBytes
    if (leftBytes >= 0) {
      this.#allowanceBytes = leftBytes
      this.#added(own, this.#batch.add(own.id, value, transfer))
      return true
    }
    if (!this.#room.fits(this.#costBytes, frameLengthBytes)) return false
    this.#checkLength(frameLengthBytes)
    this.#added(own, this.#batch.add(own.id, value, transfer))
    this.#allow()
    return true
  }

  /** While values wait, each one asks: the next may not overtake them. */
  #allow(): void {
    if (!this.#isFlowing || this.#waitingValues > 0) return
    const costBytes = this.#costBytes
    this.#allowanceBytes = Math.max(0, Math.min(allowanceQuantumBytes, this.#room.leftBytes(costBytes), this.#epoch.window.leftBytes(costBytes, this.#batch.frames)))
  }

  /** The next value asks. */
  endAllowance(): void {
    this.#allowanceBytes = 0
  }

  /** Not taken: later, or never, which is another answer. */
  #notNow(own: NativeLane): false {
    if (this.#refusal !== null && own.end === null) throw this.#refusal
    return false
  }

  /** Arguments and errors as {@link trySend}. The returned function withdraws the value, if it is not too late. */
  waitToSend(own: NativeLane, value: NetworkValue, resolve: () => void, reject: (error: Error) => void, transfer = false): () => boolean {
    const { memory, sendQueueBytesMax, sendQueueValuesMax, nowMs } = this.#options
    const { end } = own
    const lengthBytes = end === null ? encodedLength(value) : 0
    const costBytes = lengthBytes + valueOverheadBytes
    if (end !== null || this.#refusal !== null) reject(end ?? (this.#refusal as Error))
    else if (this.#waitingValues >= sendQueueValuesMax || (this.#waitingValues > 0 && this.#waitingBytes + costBytes > sendQueueBytesMax)) {
      reject(new StatewireError('ERR_SEND_QUEUE_FULL', `${this.#waitingValues} values (${this.#waitingBytes} bytes) wait to be sent already; await send() before the next`))
    } else if (!memory.queueValue(costBytes, own.waiting.length === 0)) {
      reject(new StatewireError('ERR_SEND_QUEUE_FULL', `the memory budget of the node is used up, and a value waits to be sent on session ${own.id} already; await send() before the next`))
    } else {
      const send: LaneSend = { costBytes, memoryBytes: costBytes, frame: this.#encodeQueued(own, value, transfer, costBytes), resolve, reject }
      own.waiting.push(send)
      this.#allowanceBytes = 0
      this.#lanesThatWait.add(own)
      this.#waitingValues++
      this.#waitingBytes += costBytes
      this.#epoch.valueWaits(nowMs())
      if (!this.#epoch.isUp) this.#hooks().requestTimer()
      // If it is room alone that is missing, nothing else will ask for it.
      if (own.waiting.length === 1 && this.#isFlowing && own.credit.canSend && this.#isAdmitted()) this.#waitForRoom(send)
      return () => {
        if (!own.waiting.remove(send)) return false
        this.#forgetWaiting(send)
        this.#room.trim(this.#costBytes)
        return true
      }
    }
    return () => false
  }

  /** What waits is a copy as well. Its memory is reserved already. */
  #encodeQueued(own: NativeLane, value: NetworkValue, transfer: boolean, costBytes: number): EncodedFrame {
    try {
      return this.#batch.encode(own.id, value, transfer)
    } catch (error) {
      this.#options.memory.unqueueValue(costBytes)
      throw error
    }
  }

  #forgetWaiting(send: LaneSend): void {
    this.#waitingValues--
    this.#waitingBytes -= send.costBytes
    this.#options.memory.unqueueValue(send.memoryBytes)
    send.memoryBytes = 0
  }

  /** In the order in which links ask, over all links of the node. */
  #waitForRoom(send: LaneSend): void {
    this.#room.wait(() => this.#costBytes, send, () => this.sendWaiting())
  }

  #isAdmitted(): boolean {
    return !this.#epoch.goodbye.isEnding && this.#epoch.window.admits(this.#batch.frames, this.#batch.bytes)
  }

  /** @param frameLengthBytes with its header of 9 bytes, which the limit does not count */
  #checkLength(frameLengthBytes: number): void {
    const limit = this.#epoch.peerLimits?.maxMessageLengthBytes ?? Infinity
    if (frameLengthBytes - 9 > limit) throw new InvalidValueError(`a value of ${frameLengthBytes - 9} bytes is longer than the ${limit} that ${this.#options.peer} takes`)
  }

  /** A batch that ends where the arena ends is one buffer: a plain write, where two are a gathered one, copied again under TLS. */
  #endsArena(frameLengthBytes: number): boolean {
    return this.#batch.bytes >= arenaFlushAtBytes && !this.#batch.hasRoomFor(frameLengthBytes)
  }

  /** Before the frame is written, and not after: the flush may end the epoch. @returns whether the lane is still there */
  #flushFor(lane: NativeLane): boolean {
    this.#hooks().flushNow()
    return lane.end === null
  }

  #hasPlaceFor(lane: NativeLane): boolean {
    const next = lane.waiting.peek()
    return next === undefined || !this.#endsArena(next.frame.lengthBytes) || (this.#flushFor(lane) && this.#isFlowing)
  }

  /** A frame of this lane is in the batch. */
  #added(lane: NativeLane, lengthBytes: number): void {
    lane.encoded++
    lane.lastFrame = this.#batch.takenFrames + this.#batch.frames
    lane.credit.spend(lengthBytes)
    const flushBytes = lengthBytes < largeFrameThresholdBytes ? flushAtBytes : flushLargeAtBytes
    if (this.#batch.bytes >= flushBytes) this.#hooks().flushNow()
    else this.requestFlush()
  }

  /** Frames of the link's own: Credit and Reset are always admitted and never queue behind values. */
  writeOwn(frame: Buffer): void {
    // After the own Goodbye nothing that counts may follow; the link ends with this connection.
    if (this.#epoch.goodbye.isSaid) return
    this.#allowanceBytes = 0
    this.#batch.addOwn(frame)
    // Once, and not thrown: the application may be on the stack.
    if (this.#batch.frames === ownFramesMax + 1) this.#hooks().onBroken(new ProtocolError('ERR_REPLAY_WINDOW_OVERRUN', `${ownFramesMax} frames wait to be sent; the peer reads none.`))
    this.requestFlush()
  }

  /** @param received counted frames that came before the session ended; they are acknowledged before the Reset */
  writeReset(frame: Buffer, received: number): void {
    const ends = this.#ends
    if (this.#ackBeforeReset.differsFrom(received)) this.#hooks().flushNow()
    // The flush failed, and the session is of an epoch that is over.
    if (this.#ends !== ends) return
    this.#ackBeforeReset.add(received)
    this.writeOwn(frame)
  }

  requestFlush(): void {
    if (this.#flushRequested || !this.#epoch.isUp) return
    this.#flushRequested = true
    this.#hooks().requestFlush()
  }

  /** Here a frame gets its sequence: what is taken is handed to a connection. An Ack goes along where one is owed. */
  takeBatch(nowMs: number = this.#options.nowMs()): Buffer[] {
    this.#flushRequested = false
    const batch = this.#batch.take()
    this.#room.charge(this.#epoch.window.costBytes)
    const first = this.#ackBeforeReset.take()
    const whole = this.#batch.withControl(batch, this.#control.take(nowMs))
    return first === null ? whole : [first, ...whole]
  }

  flow(): void {
    if (this.#isFlowing) return
    this.#isFlowing = this.#refusal === null
    if (this.hasPending) this.requestFlush()
    else if (this.#control.isAckDue) this.#hooks().requestAck()
    this.acknowledged()
  }

  block(): void {
    this.#isFlowing = false
    this.#allowanceBytes = 0
    this.#room.stopWaiting()
  }

  /** Takes nothing new: what waits was not accepted. What was accepted goes on its way. */
  refuse(error: Error): void {
    this.#refusal ??= error
    this.block()
    for (const lane of this.#lanesThatWait) this.rejectWaiting(lane, error)
  }

  /** The replay window holds less. */
  acknowledged(): void {
    const costBytes = this.#costBytes
    this.#room.trim(costBytes)
    // Others wait for what was given back.
    if (this.#room.leftBytes(costBytes) < this.#allowanceBytes) this.#allowanceBytes = 0
    this.sendWaiting()
  }

  /** Lanes take turns, a value each; whoever had one goes to the end, so that the next pass begins with the others. */
  sendWaiting(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    try {
      // A Set visits in this loop what is added to it meanwhile.
      for (const lane of this.#lanesThatWait) {
        if (!this.#isFlowing || !this.#isAdmitted()) return
        if (!lane.credit.canSend) continue
        if (!this.#hasPlaceFor(lane)) return
        const send = lane.waiting.peek()
        if (send !== undefined && !this.#room.fitsQueued(this.#costBytes, send)) {
          this.#waitForRoom(send)
          // It may have come at once.
          if (!this.#room.fits(this.#costBytes, send.frame.lengthBytes)) return
        }
        this.#lanesThatWait.delete(lane)
        if (send === undefined) continue
        lane.waiting.shift()
        if (lane.waiting.length > 0) this.#lanesThatWait.add(lane)
        try {
          this.#forgetWaiting(send)
          this.#checkLength(send.frame.lengthBytes)
          this.#added(lane, this.#batch.addEncoded(send.frame))
          send.resolve()
        } catch (error) {
          send.reject(error as Error)
        }
      }
    } finally {
      this.#isPumping = false
    }
  }

  ping(frame: Buffer): void {
    this.#control.ping(frame)
    this.requestFlush()
  }

  pong(echo: bigint): void {
    this.#control.pong(echo)
    this.requestFlush()
  }

  get isAckDue(): boolean {
    return this.#control.isAckDue
  }

  ackIsDue(): void {
    if (this.#control.isAckDue) return
    this.#control.isAckDue = true
    if (this.#epoch.isUp) this.#hooks().requestAck()
  }

  /** A new connection, or none: what was to be said on the old one is not said. */
  forgetControl(): void {
    this.#control.forget()
    this.#ackBeforeReset.forget()
    this.#flushRequested = false
  }

  rejectWaiting(lane: NativeLane, error: Error): void {
    this.#lanesThatWait.delete(lane)
    for (const send of lane.waiting.drain()) {
      this.#forgetWaiting(send)
      send.reject(error)
    }
  }

  /** Encoded and never handed over, by lane; they are dropped. */
  dropPending(): Map<number, number> {
    this.#ends++
    this.#allowanceBytes = 0
    const counts = this.#batch.drop()
    this.#room.clear()
    return counts
  }

  /** Values that are encoded and not handed over. Not for use on each value. */
  get pendingValues(): number {
    return this.#batch.values
  }
}
