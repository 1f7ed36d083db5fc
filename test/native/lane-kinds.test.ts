/**
 * Owns: tests of the parts of a native link that serve every kind of lane: the table of handlers, and the outbox with
 * frames other than session values. Independent of: what any kind of lane does.
 */
import { describe, expect, test } from 'vitest'
import {
  controlLane,
  encodeFin,
  firstStreamLane,
  messagesLane,
  requestsLane,
  responsesLane,
  setupLane,
} from '../../codec/native-frames.ts'
import type { EncodedFrame, FrameWriter } from '../../codec/frame-writer.ts'
import { noopHooks } from '../../protocol/link-core.ts'
import { Deque } from '../../protocol/deque.ts'
import { LinkEpoch } from '../../protocol/native/epoch/link-epoch.ts'
import { PeerProcesses } from '../../protocol/native/handshake/peer-processes.ts'
import { settleHeld, type EpochEnd, type OutcomeCounts } from '../../protocol/native/epoch/outcomes.ts'
import { SendCredit } from '../../protocol/native/lanes/credit.ts'
import { LaneKindWithoutState, LaneTable } from '../../protocol/native/lanes/lane-kind.ts'
import { NativeOutbox } from '../../protocol/native/lanes/native-outbox.ts'
import type { FrameEncoder, SendingLane } from '../../protocol/native/lanes/sending-lane.ts'
import { NodeMemory } from '../../protocol/native/memory/node-memory.ts'
import { NativeFrameReader } from '../../codec/native-frame-reader.ts'

class Kind extends LaneKindWithoutState {
  override readonly carriedFrames: number
  readonly ended: EpochEnd[] = []
  readonly closed: Error[] = []
  readonly #outcomes: OutcomeCounts

  constructor(carriedFrames: number, outcomes: OutcomeCounts) {
    super()
    this.carriedFrames = carriedFrames
    this.#outcomes = outcomes
  }

  onFrame(): boolean {
    return false
  }

  override epochEnded(end: EpochEnd): OutcomeCounts {
    this.ended.push(end)
    return this.#outcomes
  }

  override close(error: Error): void {
    this.closed.push(error)
  }
}

describe('the table of lane kinds', () => {
  const kinds = (): { table: LaneTable; sessions: Kind; others: Kind; control: Kind } => {
    const sessions = new Kind(10, { acked: 1, unknown: 2, notSent: 3 })
    const others = new Kind(5, { acked: 10, unknown: 20, notSent: 30 })
    const control = new Kind(0, { acked: 0, unknown: 0, notSent: 0 })
    const table = new LaneTable({
      session: sessions,
      setup: others,
      messages: others,
      requests: others,
      responses: others,
      stream: others,
      unassigned: others,
      control,
    })
    return { table, sessions, others, control }
  }

  test('the table of lane kinds finds the handler of every lane id', () => {
    const { table, sessions, others, control } = kinds()
    expect([0, 0x3fff_ffff].map((id) => table.of(id))).toEqual([sessions, sessions])
    const ids = [0x4000_0000, setupLane, messagesLane, requestsLane, responsesLane, firstStreamLane, 0xffff_fffe]
    expect(ids.map((id) => table.of(id))).toEqual(Array.from({ length: ids.length }, () => others))
    expect(table.of(controlLane)).toBe(control)
  })

  test('a handler that serves several kinds is told of the end of an epoch once, and its outcomes count once', () => {
    const { table, sessions, others, control } = kinds()
    const end: EpochEnd = { reason: 'expired', held: new Map() }
    expect(table.epochEnded(end, { values: new Map(), streamBytes: new Map() }, null)).toEqual({
      acked: 11,
      unknown: 22,
      notSent: 33,
    })
    expect([sessions, others, control].map(({ ended }) => ended.length)).toEqual([1, 1, 1])
    expect(table.carriedFrames).toBe(15)
    table.close(new Error('over'))
    expect([sessions, others, control].map(({ closed }) => closed.length)).toEqual([1, 1, 1])
  })
})

/** Bytes of a stream: lane id, descriptor, length, bytes. */
const bytesFrames: FrameEncoder<Buffer> = {
  lengthBytes: (bytes) => 9 + bytes.length,
  write: (writer: FrameWriter, laneId, bytes) => writer.writeFrame(laneId, { type: 'Bytes', value: bytes }, false),
  encode: (writer: FrameWriter, laneId, bytes): EncodedFrame =>
    writer.encode(laneId, { type: 'Bytes', value: bytes }, false),
}

function streamLane(id: number): SendingLane {
  const credit = new SendCredit(0)
  const own = { isOwed: false, waiting: new Deque<never>(), long: null, cutOff: null, encoded: 0, lastFrame: 0 }
  return { id, end: null, credit, ...own }
}

describe('the outbox with frames of streams', () => {
  const open = (): { outbox: NativeOutbox; epoch: LinkEpoch } => {
    const limits = {
      maxMessageLengthBytes: 1 << 20,
      laneWindowBytes: 65_536,
      resumeTimeoutMs: 1_000,
      links: 1,
      replayWindowBytes: 1 << 22,
      streamsMax: 1024,
    }
    const epoch = new LinkEpoch({
      linkIndex: 0,
      ownKey: Buffer.alloc(32, 1),
      peerKey: Buffer.alloc(32, 2),
      processes: new PeerProcesses(1n),
      drawEpoch: () => 5n,
      limits,
    })
    const counters = { valuesSent: 0, bytesSent: 0, valuesReceived: 0, bytesReceived: 0, framesDropped: 0 }
    const outbox = new NativeOutbox(
      {
        peer: 'bob',
        memory: new NodeMemory().open(),
        sendQueueBytesMax: 1e6,
        sendQueueValuesMax: 100,
        nowMs: () => 0,
      },
      epoch,
      counters,
      () => noopHooks,
    )
    outbox.flow()
    return { outbox, epoch }
  }

  test('frames of streams wait for the credit of their own lane and leave in order when it comes', () => {
    const { outbox, epoch } = open()
    const [first, second] = [streamLane(firstStreamLane), streamLane(firstStreamLane + 2)]
    second.credit.grant(1_000)
    const resolved: number[] = []
    expect(outbox.trySendFrame(first, bytesFrames, Buffer.from([1]))).toBe(false)
    for (const byte of [1, 2]) {
      outbox.waitToSend(
        first,
        bytesFrames,
        Buffer.from([byte]),
        () => resolved.push(byte),
        () => {},
      )
    }
    expect(outbox.trySendFrame(second, bytesFrames, Buffer.from([9]))).toBe(true)
    first.credit.grant(1_000)
    outbox.sendWaiting()
    outbox.writeOwn(encodeFin(first.id))
    const frames: [number, number][] = []
    const reader = new NativeFrameReader(
      { maxMessageLengthBytes: 1 << 20, linkIndex: 0 },
      { onFrame: (lane, _descriptor, buffer, _start, end) => frames.push([lane, buffer[end - 1] as number]) > 0 },
    )
    for (const part of outbox.takeBatch()) reader.push(part)
    expect(frames.map(([lane]) => lane)).toEqual([second.id, first.id, first.id, first.id])
    expect(frames.slice(0, 3).map(([, byte]) => byte)).toEqual([9, 1, 2])
    expect([resolved, first.encoded, first.credit.balanceBytes]).toEqual([[1, 2], 2, 980])
    // The Fin is a frame of the link's own: only Bytes count in outcomes.
    expect([...settleHeld(epoch.retransmit, null).held].map(([lane, { unknown }]) => [lane, unknown])).toEqual([
      [second.id, 1],
      [first.id, 2],
    ])
  })

  test('frames of streams that were not handed over count as not sent, by lane', () => {
    const { outbox } = open()
    const lane = streamLane(firstStreamLane)
    lane.credit.grant(1_000)
    for (let frame = 0; frame < 3; frame++) outbox.trySendFrame(lane, bytesFrames, Buffer.alloc(10))
    const { values, streamBytes } = outbox.dropPending()
    expect([[...values], [...streamBytes]]).toEqual([[[lane.id, 3]], [[lane.id, 30]]])
  })
})
