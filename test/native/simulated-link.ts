/**
 * Owns: two ends of one link, each with the real LinkEpoch and the real frames, over in-memory connections that lose,
 * cut and delay data; and the model that knows what was sent and what arrived.
 * Independent of: actors and sockets. One event per call, so that a failing run shrinks to a few of them.
 */
import { expect } from 'vitest'
import { encodeFrame } from '../../codec/frame-writer.ts'
import type { Hello } from '../../codec/hello.ts'
import { encodeAck, encodeGoodbye } from '../../codec/native-frames.ts'
import { NativeFrameReader } from '../../codec/native-frame-reader.ts'
import { decodeAck, decodeGoodbye } from '../../protocol/native/frame-bodies.ts'
import { resolveCrossing } from '../../protocol/native/handshake/hello-checks.ts'
import type { Adoption } from '../../protocol/native/epoch/link-epoch.ts'
import { laneOutcome, type EpochEnd } from '../../protocol/native/epoch/outcomes.ts'
import { lanes, limits, noTally, Side } from './simulated-link-side.ts'
import type { Connection, End, Item, Outcome, SenderLane, Value } from './simulated-link-side.ts'

export class SimulatedLink {
  readonly tally = noTally()
  readonly sides: readonly [Side, Side]
  readonly #connections = new Set<Connection>()
  readonly #values = new Map<number, Value>()
  readonly #all: SenderLane[] = []
  #nextValueId = 1
  #epochs = 0n
  #nowMs = 0

  constructor() {
    const draw = (): bigint => (this.#epochs += 1n)
    this.sides = [new Side(1, draw), new Side(2, draw)]
    this.sides[0].peer = this.sides[1]
    this.sides[1].peer = this.sides[0]
    for (const side of this.sides) {
      side.boot()
      this.#all.push(...side.lanes.values())
    }
  }

  send(side: Side, lane: number): void {
    const value: Value = { id: this.#nextValueId, outcome: null, arrivals: 0 }
    this.#nextValueId += 1
    this.#values.set(value.id, value)
    side.lanes.get(lane)!.values.push(value)
    side.waiting.push({ lane, value })
    side.link.valueWaits(this.#nowMs)
    this.#flush(side)
  }

  dial(side: Side): void {
    if (side.dial !== null) return
    this.#dropCurrent(side)
    const connection: Connection = { dialer: this.#end(side), acceptor: this.#end(side.peer) }
    connection.dialer.mine = side.link.composeHello()
    connection.acceptor.queue.push(connection.dialer.mine)
    this.#connections.add(connection)
    side.dial = connection
  }

  /** Delivers the oldest item of one direction of one connection; part of a buffer if `bytes` is set. */
  deliver(pick: number, bytes = Infinity): void {
    const ends = [...this.#connections]
      .flatMap((connection) => [connection.dialer, connection.acceptor].map((end) => ({ connection, end })))
      .filter(({ end }) => end.queue.length > 0)
    if (ends.length === 0) return
    const { connection, end } = ends[pick % ends.length]!
    const item = end.queue.shift()!
    if (Buffer.isBuffer(item) && item.length > bytes && bytes > 0) {
      end.queue.unshift(item.subarray(bytes))
      this.#receive(connection, end, item.subarray(0, bytes))
    } else this.#receive(connection, end, item)
    this.#forget(connection)
  }

  /** Breaks a connection. `ends`: 1 the dialer's end detects it, 2 the acceptor's, 3 both. `lost` items are dropped. */
  cut(pick: number, ends: number, lost: boolean): void {
    const connections = [...this.#connections]
    if (connections.length === 0) return
    const connection = connections[pick % connections.length]!
    if (lost) connection.dialer.queue.length = connection.acceptor.queue.length = 0
    if ((ends & 1) !== 0) this.#close(connection, connection.dialer)
    if ((ends & 2) !== 0) this.#close(connection, connection.acceptor)
    this.#forget(connection)
  }

  /** The process dies and starts again: it has no state, and notifies neither side. */
  crash(side: Side): void {
    this.tally.crashes += 1
    for (const connection of this.#connections)
      for (const end of [connection.dialer, connection.acceptor]) if (end.side === side) end.isOpen = false
    side.connection = side.dial = null
    side.bootId += 1n
    side.waiting = []
    for (const lane of side.lanes.values()) for (const value of lane.values) value.outcome ??= 'unknown'
    this.#newLanes(side)
    side.boot()
  }

  expire(side: Side): void {
    const atMs = side.link.expiresAtMs
    if (atMs === null) return
    const end = side.link.expire(atMs)!
    this.#dropDial(side)
    this.#ended(side, end)
  }

  ack(side: Side): void {
    if (side.connection === null) return
    this.#write(side, encodeAck(side.link.received))
  }

  protocolError(side: Side): void {
    if (side.connection === null) return
    const { next } = side.link.retransmit
    this.#write(side, encodeGoodbye({ code: 1, next, received: side.link.received, reason: '' }))
    this.#close(side.connection, this.#endOf(side.connection, side), 'protocol-error')
  }

  goodbye(side: Side): void {
    if (side.connection === null || side.link.goodbye.isSent) return
    this.tally.goodbyes += 1
    this.#sayGoodbye(side)
  }

  /** Nothing more breaks: both sides must reconnect, and everything still alive must arrive and be acknowledged. */
  settle(): void {
    for (let round = 0; round < 400; round += 1) {
      for (let step = 0; step < 50; step += 1) this.deliver(step)
      this.noticeEnds()
      for (const side of this.sides)
        if (side.dial !== null && !side.dial.acceptor.isOpen && side.dial.dialer.queue.length === 0)
          this.#dropDial(side)
      if (this.sides.every((side) => side.connection === null && side.dial === null)) this.dial(this.sides[round % 2]!)
      for (const side of this.sides) {
        this.#flush(side)
        this.ack(side)
      }
      const isQuiet = this.sides.every(
        (side) => side.connection !== null && side.waiting.length === 0 && side.link.retransmit.heldFrames === 0,
      )
      if (isQuiet) break
    }
    for (const side of this.sides) {
      expect(
        [side.link.isUp, side.waiting.length, side.link.retransmit.heldFrames],
        'after calm both sides are up, and all is acknowledged',
      ).toEqual([true, 0, 0])
      for (const lane of side.lanes.values())
        for (const value of lane.values) expect(value.arrivals, 'a value without an outcome arrived').toBe(1)
    }
  }

  /** A side whose other end is closed, and which has read everything, detects it: by a FIN, or by the watchdog. */
  noticeEnds(): void {
    for (const side of this.sides) {
      const { connection } = side
      if (
        connection === null ||
        this.#endOf(connection, side.peer).isOpen ||
        this.#endOf(connection, side).queue.length > 0
      )
        continue
      this.#close(connection, this.#endOf(connection, side))
    }
  }

  /** The contract of docs/protocol.md (native) for every value that was ever sent. */
  check(): void {
    for (const lane of this.#all) {
      // In order and without a gap: what arrived is a prefix of what was sent.
      const arrived = lane.values.findIndex((value) => value.arrivals === 0)
      if (arrived >= 0)
        expect(
          lane.values.slice(arrived).every((value) => value.arrivals === 0),
          'no gap',
        ).toBe(true)
      for (const value of lane.values) {
        expect(value.arrivals, 'nothing arrives twice').toBeLessThanOrEqual(1)
        if (value.outcome === 'acked') expect(value.arrivals, 'acked means received').toBe(1)
        if (value.outcome === 'notSent') expect(value.arrivals, 'notSent means not received').toBe(0)
      }
    }
  }

  #end(side: Side): End {
    const end: End = { side, queue: [], isOpen: true, finSent: false, reader: undefined as never, mine: null }
    end.reader = new NativeFrameReader(
      { maxMessageLengthBytes: limits.maxMessageLengthBytes, linkIndex: 0 },
      {
        onFrame: (lane, descriptor, buffer, start, stop) => {
          this.#frame(end, lane, descriptor, buffer, start, stop)
          return true
        },
      },
    )
    return end
  }

  #endOf(connection: Connection, side: Side): End {
    return connection.dialer.side === side ? connection.dialer : connection.acceptor
  }

  #receive(connection: Connection, end: End, item: Item): void {
    const { side } = end
    if (!end.isOpen) return
    if (item === 'refusal') this.#close(connection, end)
    else if (item === 'fin') {
      this.#fin(connection, end)
      this.#close(connection, end)
    } else if (Buffer.isBuffer(item)) {
      if (side.connection === connection) end.reader.push(item)
    } else if (end === connection.acceptor) this.#accept(connection, item)
    else if (side.dial === connection) {
      expect(side.link.checkAnswer(item)).toBeNull()
      side.dial = null
      this.#adopt(connection, end, item)
    }
  }

  #accept(connection: Connection, hello: Hello): void {
    const { side } = connection.acceptor
    const fault = side.link.checkInbound(hello)
    const crossing = fault === null && resolveCrossing(side.dial !== null, side.key, side.peer.key) === 'refuse'
    if (fault !== null || crossing) {
      if (crossing) this.tally.crossings += 1
      else {
        expect(fault!.name).toBe('stale')
        expect(
          side.peer.link.refusedAsStale(hello, 0n) === 'duplicate' && side.peer.dial === connection,
          'the newest hello of a live dial is never stale',
        ).toBe(false)
        this.tally.stale += 1
      }
      connection.dialer.queue.push('refusal')
      connection.acceptor.isOpen = false
      return
    }
    this.#dropDial(side)
    this.#dropCurrent(side)
    const mine = side.link.composeHello()
    connection.acceptor.mine = mine
    connection.dialer.queue.push(mine)
    this.#adopt(connection, connection.acceptor, hello)
  }

  #adopt(connection: Connection, end: End, theirs: Hello): void {
    const { side } = end
    const adoption = side.link.adopt(end.mine!, theirs)
    this.#count(adoption)
    side.connection = connection
    if (adoption.end !== null) this.#ended(side, adoption.end)
    side.link.retransmit.invariants()
    for (const part of adoption.replay) this.#write(side, part)
    this.#flush(side)
  }

  #count({ verdict }: Adoption): void {
    if (verdict.mine === 'RESUME') this.tally.resumes += 1
    else if (verdict.mine === 'KEEP') this.tally.keeps += 1
    else this.tally.freshes += 1
  }

  #frame(end: End, lane: number, descriptor: number, buffer: Buffer, start: number, stop: number): void {
    const { side } = end
    // The connection was dropped by an earlier frame of the same chunk.
    if (side.connection === null || this.#endOf(side.connection, side) !== end) return
    if (descriptor === 0x32) side.link.retransmit.ack(decodeAck(buffer, start))
    else if (descriptor === 0x33) this.#onGoodbye(side, side.link.receiveGoodbye(decodeGoodbye(buffer, start, stop)))
    else {
      side.link.goodbye.checkCounted()
      const value = this.#values.get(buffer.readUInt32LE(start + 4))!
      value.arrivals += 1
      this.tally.arrived += 1
      side.link.countFrame(stop - start + 5, this.#nowMs)
      expect(lanes).toContain(lane)
    }
  }

  #onGoodbye(side: Side, step: 'answer' | 'finish' | 'protocol-error'): void {
    const connection = side.connection!
    if (step === 'answer') this.#sayGoodbye(side)
    else if (step === 'finish') {
      // The last Ack, then FIN. The socket ends with the other's FIN, and until then this side keeps reading.
      this.ack(side)
      this.#fin(connection, this.#endOf(connection, side))
    } else this.#close(connection, this.#endOf(connection, side), 'protocol-error')
  }

  #fin(connection: Connection, end: End): void {
    const other = this.#endOf(connection, end.side.peer)
    if (end.finSent || !other.isOpen) return
    end.finSent = true
    other.queue.push('fin')
  }

  #sayGoodbye(side: Side): void {
    side.link.goodbye.sent()
    this.#write(
      side,
      encodeGoodbye({ code: 0, next: side.link.retransmit.next, received: side.link.received, reason: 'over' }),
    )
  }

  #flush(side: Side): void {
    if (side.connection === null || side.link.goodbye.isSent || side.link.goodbye.isEnding) return
    for (const { lane, value } of side.waiting.splice(0)) {
      const body = Buffer.alloc(4)
      body.writeUInt32LE(value.id)
      const frame = encodeFrame(lane, { type: 'Bytes', value: body })
      side.link.retransmit.push([frame], [frame.length])
      side.lanes.get(lane)!.handedOver += 1
      this.#write(side, frame)
    }
  }

  #write(side: Side, bytes: Buffer): void {
    const connection = side.connection!
    const other = this.#endOf(connection, side.peer)
    if (other.isOpen) other.queue.push(bytes)
  }

  #dropDial(side: Side): void {
    if (side.dial === null) return
    // Its hello may already be in the kernel's buffer, so the other side still gets it.
    side.dial.dialer.isOpen = false
    side.dial = null
  }

  #dropCurrent(side: Side): void {
    if (side.connection !== null) this.#close(side.connection, this.#endOf(side.connection, side))
  }

  #close(connection: Connection, end: End, reason: 'protocol-error' | null = null): void {
    const { side } = end
    end.isOpen = false
    if (side.dial === connection) side.dial = null
    if (side.connection !== connection) return
    side.connection = null
    const ended = reason === null ? side.link.connectionLost(this.#nowMs) : side.link.renew(reason)
    if (ended !== null) this.#ended(side, ended)
  }

  /** Every lane of the side ends: each value gets its outcome, in the order of sending. */
  #ended(side: Side, end: EpochEnd): void {
    for (const [id, lane] of side.lanes) {
      const waiting = side.waiting.filter((item) => item.lane === id).length
      const counts = laneOutcome(end, id, lane.handedOver, waiting)
      expect(counts.acked + counts.unknown + counts.notSent, 'one outcome for each value').toBe(lane.values.length)
      const outcomes: Outcome[] = (['acked', 'unknown', 'notSent'] as const).flatMap((outcome) =>
        Array.from({ length: counts[outcome] }, () => outcome),
      )
      for (const [index, value] of lane.values.entries()) {
        value.outcome = outcomes[index]!
        if (value.outcome === 'acked') expect(value.arrivals, 'acked means received by then').toBe(1)
      }
      this.tally.acked += counts.acked
      this.tally.unknown += counts.unknown
      this.tally.notSent += counts.notSent
    }
    side.waiting = []
    this.#newLanes(side)
  }

  #newLanes(side: Side): void {
    side.lanes = new Map(lanes.map((lane) => [lane, { values: [], handedOver: 0 }]))
    this.#all.push(...side.lanes.values())
  }

  #forget(connection: Connection): void {
    const { dialer, acceptor } = connection
    const isOver = !dialer.isOpen && !acceptor.isOpen
    if (
      isOver ||
      (dialer.queue.length === 0 &&
        acceptor.queue.length === 0 &&
        (!dialer.isOpen || !acceptor.isOpen) &&
        dialer.side.connection !== connection &&
        acceptor.side.connection !== connection &&
        dialer.side.dial !== connection)
    ) {
      this.#connections.delete(connection)
    }
  }
}
