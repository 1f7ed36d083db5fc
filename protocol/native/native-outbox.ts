/**
 * Owns: the sending half of a native link: what waits for credit or for room, what is encoded and not handed over, and the
 * batch of a turn. Here a frame gets its sequence: when it is handed to a connection.
 * Refuses to know: what arrives; sockets and clocks.
 */
import { encodedLength } from '../../codec/encode-value.ts'
import { InvalidValueError, ProtocolError, StatewireError } from '../../codec/errors.ts'
import { encodeFrame, FrameWriter } from '../../codec/frame-writer.ts'
import { byReferenceThresholdBytes } from '../../codec/limits.ts'
import { encodeAck, encodePong } from '../../codec/native-frames.ts'
import type { NetworkValue } from '../../codec/values.ts'
import type { SpareMemory } from '../../codec/spare-memory.ts'
import type { LinkCounters, LinkHooks } from '../link-core.ts'
import { AckBeforeReset } from './ack-before-reset.ts'
import { countValues } from './count-values.ts'
import { joined } from './joined-batch.ts'
import type { LinkEpoch } from './link-epoch.ts'
import type { LaneSend, NativeLane } from './native-lane.ts'
import type { LinkFigures } from './native-link-options.ts'
import type { LinkMemory } from './node-memory.ts'
import { replayFrameOverheadBytes, replayWindowFramesMax } from './replay-window.ts'
import { SendRoom } from './send-room.ts'

/** What each waiting value costs besides its bytes. */
const valueOverheadBytes = 64
/** As in ../link-state.ts, and for the same reasons; but TLS copies a batch twice, and a larger one falls out of the cache (64 KiB values: 984 to 1,137 MiB/s). */
const flushAtBytes = 64 * 1024
const flushReferencesAtBytes = 512 * 1024
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
  readonly #counters: LinkCounters
  readonly #hooks: () => LinkHooks
  readonly #lanesThatWait = new Set<NativeLane>()
  readonly #writer: FrameWriter
  readonly #room: SendRoom
  /** Lengths of the frames that are encoded and not handed over, of which the first `#pendingFrames` are true: the array is used again. */
  readonly #lengths: number[] = []
  #pendingFrames = 0
  /** Frames handed to a connection since the link was made. */
  #takenFrames = 0
  /** Of those: Credit and Reset. */
  #ownFrames = 0
  #ownBytes = 0
  #ping: Buffer | null = null
  /** Of the newest Ping: one answer is enough for all that wait, so a peer that pings and never reads fills no queue. */
  #pongEcho: bigint | null = null
  /** Why nothing new is taken any more. */
  #refusal: Error | null = null
  #waitingValues = 0
  #waitingBytes = 0
  /** Admitted already, overheads included. Whatever makes less admissible, or lets a value wait, ends it. */
  #allowanceBytes = 0
  #isFlowing = false
  #isPumping = false
  #flushRequested = false
  #ackIsDue = false
  readonly #ackBeforeReset: AckBeforeReset

  constructor(options: OutboxOptions, epoch: LinkEpoch, counters: LinkCounters, hooks: () => LinkHooks) {
    this.#options = options
    this.#epoch = epoch
    this.#counters = counters
    this.#hooks = hooks
    this.#room = new SendRoom(options.memory)
    this.#ackBeforeReset = new AckBeforeReset(epoch)
    this.#writer = new FrameWriter(options.arenas)
    epoch.window.onReceived = (memory) => this.#writer.receivedFrom(memory)
  }

  get isFlowing(): boolean {
    return this.#isFlowing
  }

  get waitingValues(): number {
    return this.#waitingValues
  }

  get pendingBytes(): number {
    return this.#writer.pendingBytes
  }

  get figures(): LinkFigures['sendQueue'] {
    return { values: this.#waitingValues, bytes: this.#waitingBytes, pendingBytes: this.#writer.pendingBytes }
  }

  /** What is encoded and not acknowledged costs so much, as the replay window counts. */
  get #costBytes(): number {
    return this.#epoch.window.costBytes + this.#writer.pendingBytes + replayFrameOverheadBytes * this.#pendingFrames
  }

  get hasPending(): boolean {
    return this.#writer.pendingBytes > 0 || this.#ping !== null || this.#pongEcho !== null
  }

  /** Frames that are encoded, and not acknowledged or not even handed over. */
  get unackedFrames(): number {
    return this.#epoch.window.heldFrames + this.#pendingFrames
  }

  /** Frames that are acknowledged, counted from when the link was made. */
  get ackedFrames(): number {
    return this.#takenFrames - this.#epoch.window.heldFrames
  }

  trySend(own: NativeLane, value: NetworkValue): boolean {
    if (own.end !== null || !own.credit.canSend) return this.#notNow(own)
    // While there is an allowance the link flows, nobody waits, and the window admits.
    if (this.#allowanceBytes === 0 && (!this.#isFlowing || own.waiting.length > 0 || !this.#isAdmitted())) return this.#notNow(own)
    const frameLengthBytes = 4 + encodedLength(value)
    const leftBytes = this.#allowanceBytes - frameLengthBytes - replayFrameOverheadBytes
    if (leftBytes >= 0) {
      this.#allowanceBytes = leftBytes
      this.#write(own, value, null, frameLengthBytes)
      return true
    }
    if (!this.#room.fits(this.#costBytes, frameLengthBytes)) return false
    this.#encode(own, value, null, frameLengthBytes)
    this.#allow()
    return true
  }

  /** While values wait, each one asks: the next may not overtake them. */
  #allow(): void {
    if (!this.#isFlowing || this.#waitingValues > 0) return
    const costBytes = this.#costBytes
    this.#allowanceBytes = Math.max(0, Math.min(allowanceQuantumBytes, this.#room.leftBytes(costBytes), this.#epoch.window.leftBytes(costBytes, this.#pendingFrames)))
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

  waitToSend(own: NativeLane, value: NetworkValue, resolve: () => void, reject: (error: Error) => void): () => boolean {
    const { end } = own
    const lengthBytes = end === null ? encodedLength(value) : 0
    const costBytes = lengthBytes + valueOverheadBytes
    const memoryBytes = valueOverheadBytes + (lengthBytes < byReferenceThresholdBytes ? lengthBytes : 0)
    if (end !== null || this.#refusal !== null) reject(end ?? (this.#refusal as Error))
    else if (this.#waitingValues >= this.#options.sendQueueValuesMax || (this.#waitingValues > 0 && this.#waitingBytes + costBytes > this.#options.sendQueueBytesMax)) {
      reject(new StatewireError('ERR_SEND_QUEUE_FULL', `${this.#waitingValues} values (${this.#waitingBytes} bytes) wait to be sent already; await send() before the next`))
    } else if (!this.#options.memory.queueValue(memoryBytes, own.waiting.length === 0)) {
      reject(new StatewireError('ERR_SEND_QUEUE_FULL', `the memory budget of the node is used up, and a value waits to be sent on session ${own.id} already; await send() before the next`))
    } else {
      const frame = lengthBytes < byReferenceThresholdBytes ? encodeFrame(own.id, value) : null
      const send: LaneSend = { lengthBytes, memoryBytes, frame, value, resolve, reject }
      own.waiting.push(send)
      this.#allowanceBytes = 0
      this.#lanesThatWait.add(own)
      this.#waitingValues++
      this.#waitingBytes += costBytes
      this.#epoch.valueWaits(this.#options.nowMs())
      if (!this.#epoch.isUp) this.#hooks().requestTimer()
      // If it is room alone that is missing, nothing else will ask for it.
      if (own.waiting.length === 1 && this.#isFlowing && own.credit.canSend && this.#isAdmitted()) this.#waitForRoom(send)
      return () => {
        if (!own.waiting.remove(send)) return false
        this.#forgetWaiting(send)
        return true
      }
    }
    return () => false
  }

  #forgetWaiting(send: LaneSend): void {
    this.#waitingValues--
    this.#waitingBytes -= send.lengthBytes + valueOverheadBytes
    this.#options.memory.unqueueValue(send.memoryBytes)
  }

  /** In the order in which links ask, over all links of the node. */
  #waitForRoom(send: LaneSend): void {
    this.#room.wait(this.#costBytes, 4 + send.lengthBytes, () => this.sendWaiting())
  }

  #isAdmitted(): boolean {
    return !this.#epoch.goodbye.isEnding && this.#epoch.window.admits(this.#pendingFrames, this.#writer.pendingBytes)
  }

  #encode(lane: NativeLane, value: NetworkValue, frame: Buffer | null, lengthBytes: number): void {
    const limit = this.#epoch.peerLimits?.maxMessageLengthBytes ?? Infinity
    // 9 bytes of header: what is compared is what follows them.
    if (lengthBytes - 9 > limit) throw new InvalidValueError(`a value of ${lengthBytes - 9} bytes is longer than the ${limit} that ${this.#options.peer} takes`)
    this.#write(lane, value, frame, lengthBytes)
  }

  #write(lane: NativeLane, value: NetworkValue, frame: Buffer | null, lengthBytes: number): void {
    // A batch that ends where the arena ends is one buffer: a plain write, where two are a gathered one, copied again under TLS.
    if (this.#writer.pendingBytes >= arenaFlushAtBytes && lengthBytes < byReferenceThresholdBytes && !this.#writer.hasRoomFor(lengthBytes)) this.#hooks().flushNow()
    if (frame === null) this.#writer.writeFrame(lane.id, value)
    else this.#writer.writeRaw(frame)
    lane.credit.spend(lengthBytes)
    this.#lengths[this.#pendingFrames++] = lengthBytes
    lane.encoded++
    lane.lastFrame = this.#takenFrames + this.#pendingFrames
    const flushBytes = lengthBytes < byReferenceThresholdBytes ? flushAtBytes : flushReferencesAtBytes
    if (this.#writer.pendingBytes >= flushBytes) this.#hooks().flushNow()
    else this.requestFlush()
  }

  /** Frames of the link's own: Credit and Reset are always admitted and never queue behind values. */
  writeOwn(frame: Buffer): void {
    // After the own Goodbye nothing that counts may follow; the link ends with this connection.
    if (this.#epoch.goodbye.isSaid) return
    this.#allowanceBytes = 0
    this.#writer.writeRaw(frame)
    this.#lengths[this.#pendingFrames++] = frame.length
    this.#ownFrames++
    this.#ownBytes += frame.length
    // Once, and not thrown: the application may be on the stack.
    if (this.#pendingFrames === ownFramesMax + 1) this.#hooks().onBroken(new ProtocolError('ERR_REPLAY_WINDOW_OVERRUN', `${ownFramesMax} frames wait to be sent; the peer reads none.`))
    this.requestFlush()
  }

  /** @param received counted frames that came before the session ended; they are acknowledged before the Reset */
  writeReset(frame: Buffer, received: number): void {
    if (this.#ackBeforeReset.differsFrom(received)) this.#hooks().flushNow()
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
    const frameBytes = this.#writer.pendingBytes
    const batch = this.#writer.take()
    if (this.#pendingFrames > 0) {
      // Counted here and not a value at a time: the counters of many links lie far apart.
      this.#counters.valuesSent += this.#pendingFrames - this.#ownFrames
      this.#counters.bytesSent += frameBytes - this.#ownBytes
      this.#epoch.window.push(batch, this.#lengths, this.#pendingFrames)
      this.#takenFrames += this.#pendingFrames
      this.#pendingFrames = this.#ownFrames = this.#ownBytes = 0
      this.#room.charge(this.#epoch.window.costBytes)
    }
    const first = this.#ackBeforeReset.take()
    // A Pong is an Ack, so it says what is counted by now: an older number behind a newer one would break the protocol.
    if (this.#pongEcho !== null) this.#writer.writeRaw(encodePong(this.#pongEcho, this.#epoch.received))
    else if (this.#ackIsDue || this.#epoch.acks.isRipe(nowMs)) this.#writer.writeRaw(encodeAck(this.#epoch.received))
    // What was written behind the batch just now, if anything, has told the peer the count.
    if (this.#writer.pendingBytes > 0) this.#epoch.acks.sent()
    this.#ackIsDue = false
    if (this.#ping !== null) this.#writer.writeRaw(this.#ping)
    this.#ping = this.#pongEcho = null
    const whole = this.#writer.pendingBytes === 0 ? batch : joined(batch, this.#writer.take())
    return first === null ? whole : [first, ...whole]
  }

  flow(): void {
    if (this.#isFlowing) return
    this.#isFlowing = this.#refusal === null
    if (this.hasPending) this.requestFlush()
    else if (this.#ackIsDue) this.#hooks().requestAck()
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
        const send = lane.waiting.peek()
        if (send !== undefined && !this.#room.fits(this.#costBytes, 4 + send.lengthBytes)) {
          this.#waitForRoom(send)
          // It may have come at once.
          if (!this.#room.fits(this.#costBytes, 4 + send.lengthBytes)) return
        }
        this.#lanesThatWait.delete(lane)
        if (send === undefined) continue
        lane.waiting.shift()
        if (lane.waiting.length > 0) this.#lanesThatWait.add(lane)
        this.#forgetWaiting(send)
        try {
          this.#encode(lane, send.value, send.frame, 4 + send.lengthBytes)
          send.resolve()
        } catch (error) {
          send.reject(error as Error)
        }
      }
    } finally {
      this.#isPumping = false
    }
  }

  /** Only the newest is of use. */
  ping(frame: Buffer): void {
    this.#ping = frame
    this.requestFlush()
  }

  pong(echo: bigint): void {
    this.#pongEcho = echo
    this.requestFlush()
  }

  get isAckDue(): boolean {
    return this.#ackIsDue
  }

  ackIsDue(): void {
    if (this.#ackIsDue) return
    this.#ackIsDue = true
    if (this.#epoch.isUp) this.#hooks().requestAck()
  }

  /** A new connection, or none: what was to be said on the old one is not said. */
  forgetControl(): void {
    this.#ping = this.#pongEcho = null
    this.#ackIsDue = false
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
    this.#allowanceBytes = 0
    const batch = this.#writer.take()
    this.#writer.forgetArenas()
    this.#pendingFrames = this.#ownFrames = this.#ownBytes = 0
    this.#room.clear()
    return countValues(batch)
  }

  /** Values that are encoded and not handed over. Not on the byte path. */
  get pendingValues(): number {
    let sum = 0
    for (const count of countValues(this.#writer.peek()).values()) sum += count
    return sum
  }
}
