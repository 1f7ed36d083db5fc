/**
 * Owns: that a link which admits many values at once admits exactly those that it would admit one by one: no waiting
 * value is overtaken, and window, frames and memory stay within their bounds. Independent of: which lane sends next.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeGoodbye, encodeReset, goodbyeCodes, nativeDescriptors } from '../../codec/native-frames.ts'
import { noopHooks } from '../../protocol/link-core.ts'
import { FloodGuard } from '../../protocol/native/lanes/flood-guard.ts'
import { defaultKeepAlive } from '../../protocol/native/epoch/keep-alive.ts'
import { LaneMemory } from '../../protocol/native/memory/lane-memory.ts'
import { LinkEpoch } from '../../protocol/native/epoch/link-epoch.ts'
import { PeerProcesses } from '../../protocol/native/handshake/peer-processes.ts'
import { LinkUpkeep } from '../../protocol/native/link/link-upkeep.ts'
import { NativeLane } from '../../protocol/native/lanes/native-lane.ts'
import { NativeOutbox } from '../../protocol/native/lanes/native-outbox.ts'
import { NodeMemory } from '../../protocol/native/memory/node-memory.ts'
import { retransmitFrameOverheadBytes, retransmitFramesMax } from '../../protocol/native/epoch/retransmit-buffer.ts'
import { valueFrames } from '../../protocol/native/lanes/sending-lane.ts'
import { bytes } from '../support/native-scene.ts'

const lanesPerLink = 3

class Sender {
  readonly outbox: NativeOutbox
  readonly epoch: LinkEpoch
  readonly lanes: readonly NativeLane[]
  /** The socket takes one write batch, and no other for now. */
  isFull = false
  readonly #memory
  readonly #windowBytes: number

  constructor(node: NodeMemory, replayWindowBytes: number) {
    let drawn = 0n
    this.#windowBytes = replayWindowBytes
    this.#memory = node.open()
    this.epoch = new LinkEpoch({
      linkIndex: 0,
      ownKey: new Uint8Array(32).fill(1),
      peerKey: new Uint8Array(32).fill(2),
      processes: new PeerProcesses(1n),
      drawEpoch: () => (drawn += 1n),
      limits: {
        maxMessageLengthBytes: 65_536,
        laneWindowBytes: 65_536,
        resumeTimeoutMs: 1000,
        links: 1,
        replayWindowBytes,
        streamsMax: 1024,
      },
    })
    const counters = { valuesSent: 0, bytesSent: 0, valuesReceived: 0, bytesReceived: 0, framesDropped: 0 }
    const flushNow = (): void => {
      this.outbox.takeBatch()
      if (this.isFull) this.outbox.block()
    }
    this.outbox = new NativeOutbox(
      { peer: 'bob', memory: this.#memory, sendQueueBytesMax: 1e9, sendQueueValuesMax: 1e6, nowMs: () => 0 },
      this.epoch,
      counters,
      () => ({ ...noopHooks, flushNow }),
    )
    this.lanes = Array.from(
      { length: lanesPerLink },
      (_, id) =>
        new NativeLane(id, { onTaken() {}, onUnread() {} }, new LaneMemory(this.#memory, 0), {
          windowBytes: 0,
          creditBytes: 0,
        }),
    )
    this.outbox.flow()
  }

  get costBytes(): number {
    const pendingFrames = this.outbox.unackedFrames - this.epoch.retransmit.heldFrames
    return this.epoch.retransmit.costBytes + this.outbox.pendingBytes + retransmitFrameOverheadBytes * pendingFrames
  }

  get reservedBytes(): number {
    return this.#memory.held.replayBytes
  }

  /** The rule for one value, checked from scratch: everything except memory. */
  admits(lane: NativeLane): boolean {
    return (
      this.outbox.isFlowing &&
      lane.waiting.length === 0 &&
      lane.credit.canSend &&
      !this.epoch.goodbye.isEnding &&
      this.outbox.unackedFrames < retransmitFramesMax &&
      this.costBytes < this.#windowBytes
    )
  }

  trySend(lane: NativeLane, lengthBytes: number): boolean {
    const isAdmitted = this.admits(lane)
    const neededBytes = this.costBytes + 9 + lengthBytes + retransmitFrameOverheadBytes
    const isTaken = this.outbox.trySendFrame(lane, valueFrames, bytes(lengthBytes))
    if (isTaken) {
      expect(isAdmitted, 'it was taken, so it is admitted').toBe(true)
      expect(this.costBytes).toBe(neededBytes)
      expect(this.reservedBytes, 'and there is memory for it').toBeGreaterThanOrEqual(neededBytes)
    } else
      expect(isAdmitted && neededBytes <= this.reservedBytes, 'it was not taken, so something is missing').toBe(false)
    return isTaken
  }
}

const link = fc.nat(1)
const lane = fc.nat(lanesPerLink - 1)
const lengthBytes = fc.constantFrom(1, 100, 3000, 15_000)
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      does: fc.constant('send' as const),
      link,
      lane,
      lengthBytes,
      times: fc.constantFrom(1, 5, 60),
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('wait' as const), link, lane, lengthBytes }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('own' as const), link, times: fc.constantFrom(1, 200) }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('take' as const), link }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('ack' as const), link, share: fc.constantFrom(0.3, 1) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constant('grant' as const),
      link,
      lane,
      lengthBytes: fc.constantFrom(1000, 100_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constantFrom('block' as const, 'flow' as const, 'drop' as const, 'fill' as const),
      link,
    }),
  },
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

function run(sender: Sender, step: Step): void {
  const { outbox, epoch, lanes } = sender
  switch (step.does) {
    case 'send':
      for (let time = 0; time < step.times; time++) sender.trySend(lanes[step.lane]!, step.lengthBytes)
      return
    case 'wait':
      outbox.waitToSend(
        lanes[step.lane]!,
        valueFrames,
        bytes(step.lengthBytes),
        () => {},
        () => {},
      )
      return
    case 'own':
      for (let time = 0; time < step.times; time++) outbox.writeOwn(encodeReset(0, { code: 1, reason: 'closed' }))
      return
    case 'take':
      outbox.takeBatch()
      return
    case 'ack':
      epoch.retransmit.ack(epoch.retransmit.first + Math.ceil(epoch.retransmit.heldFrames * step.share))
      outbox.acknowledged()
      return
    case 'grant':
      if (lanes[step.lane]!.credit.grant(step.lengthBytes)) outbox.sendWaiting()
      return
    case 'block':
      outbox.block()
      return
    case 'fill':
      sender.isFull = !sender.isFull
      return
    case 'flow':
      outbox.flow()
      return
    case 'drop':
      epoch.retransmit.clear()
      outbox.dropPending()
  }
}

describe('the send allowance', () => {
  it.each([
    ['with a short window', 20_000, 4_000_000],
    ['when two links share little memory', 4_000_000, 96_000],
    ['with plenty of memory', 4_000_000, 64_000_000],
  ])('a value is taken exactly if it would be admitted alone, %s', (_, windowBytes, budgetBytes) => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
        const node = new NodeMemory(budgetBytes, 2)
        const senders = [new Sender(node, windowBytes), new Sender(node, windowBytes)]
        for (const sender of senders) for (const { credit } of sender.lanes) credit.grant(100_000)
        for (const each of steps) run(senders[each.link]!, each)
        node.invariants()
      }),
      { numRuns: 300 },
    )
  })

  it('a value is taken exactly if it would be admitted alone, at the limit of frames', () => {
    const sender = new Sender(new NodeMemory(), 64 * 1024 * 1024)
    const [lane] = sender.lanes
    lane!.credit.grant(1_000_000_000)
    // Memory is taken 64 KiB at a time. Otherwise the last frame would use up both.
    let taken = Number(sender.outbox.trySendFrame(lane!, valueFrames, bytes(100)))
    while (sender.outbox.trySendFrame(lane!, valueFrames, bytes(1))) taken++
    expect(taken).toBe(retransmitFramesMax)
  })

  it('no value is taken once the peer has sent a Goodbye', () => {
    const sender = new Sender(new NodeMemory(), 1_000_000)
    const [lane] = sender.lanes
    lane!.credit.grant(1_000_000)
    expect(sender.trySend(lane!, 100)).toBe(true)
    const upkeep = new LinkUpkeep(
      defaultKeepAlive,
      sender.epoch,
      sender.outbox,
      new FloodGuard({ carriedFrames: () => 0 }, 0),
      () => noopHooks,
    )
    const goodbye = encodeGoodbye({ code: goodbyeCodes.normal, next: 0, received: 0, reason: '' })
    upkeep.onControl(nativeDescriptors.Goodbye, goodbye, 5, goodbye.length, 0)
    expect(sender.trySend(lane!, 100)).toBe(false)
  })
})
