/**
 * Owns: the outcome rule after internal errors: whatever step of sending throws, no value is reported as acknowledged
 * that the peer lacks, none as not sent that it has, and none of an ended session is sent in the next epoch.
 * Independent of: actors and sockets. A step is any method of a class that a value passes through; each is made to
 * throw in turn.
 */
import { describe, expect, it } from 'vitest'
import { FrameWriter, SpareMemory, type NetworkValue } from '../../codec/index.ts'
import { NativeFrameReader } from '../../codec/native-frame-reader.ts'
import { Deque } from '../../protocol/deque.ts'
import { noopHooks, type LinkHooks } from '../../protocol/link-core.ts'
import { AckSchedule } from '../../protocol/native/epoch/ack-schedule.ts'
import { ControlFrames } from '../../protocol/native/lanes/control-frames.ts'
import { firstWindowBytes, SendCredit } from '../../protocol/native/lanes/credit.ts'
import { GoodbyeExchange } from '../../protocol/native/epoch/goodbye.ts'
import { defaultKeepAlive } from '../../protocol/native/epoch/keep-alive.ts'
import { LinkEpoch } from '../../protocol/native/epoch/link-epoch.ts'
import { PeerProcesses } from '../../protocol/native/handshake/peer-processes.ts'
import { LinkUpkeep } from '../../protocol/native/link/link-upkeep.ts'
import { LinkResetError } from '../../protocol/native/lanes/native-lane.ts'
import type { NativeLane } from '../../protocol/native/lanes/native-lane.ts'
import { NativeLink } from '../../protocol/native/link/native-link.ts'
import { NativeOutbox } from '../../protocol/native/lanes/native-outbox.ts'
import { LinkMemory, NodeMemory } from '../../protocol/native/memory/node-memory.ts'
import { RetransmitBuffer } from '../../protocol/native/epoch/retransmit-buffer.ts'
import { SendQueue } from '../../protocol/native/lanes/send-queue.ts'
import { PendingSend } from '../../protocol/native/lanes/sending-lane.ts'
import { SendRoom } from '../../protocol/native/lanes/send-room.ts'
import { SendTurns } from '../../protocol/native/lanes/send-turns.ts'
import { openSessions } from '../support/open-sessions.ts'
import { WriteBatch } from '../../protocol/native/lanes/write-batch.ts'

const lanes = 2

/** Throws at the `at`-th call of one step, once, while it is armed. */
class Fault {
  isArmed = false
  calls = 0
  hasThrown = false
  readonly #at: number

  constructor(at: number) {
    this.#at = at
  }

  step(): void {
    if (!this.isArmed || ++this.calls !== this.#at) return
    this.hasThrown = true
    throw new TypeError('an injected error')
  }
}

class End {
  readonly state: NativeLink
  readonly reader
  readonly received = Array.from({ length: lanes }, () => 0)
  readonly #wire: Buffer[] = []
  #isFlushDue = false
  /** The socket takes nothing now. */
  isFull = false
  hasCrashed = false

  constructor(key: number, peerKey: number, step: (name: string) => void) {
    let drawn = BigInt(key) << 32n
    const epoch = new LinkEpoch({
      linkIndex: 0,
      ownKey: new Uint8Array(32).fill(key),
      peerKey: new Uint8Array(32).fill(peerKey),
      processes: new PeerProcesses(1n),
      drawEpoch: () => (drawn += 1n),
      limits: {
        maxMessageLengthBytes: 1 << 24,
        laneWindowBytes: firstWindowBytes,
        resumeTimeoutMs: 1000,
        links: 1,
        replayWindowBytes: 200_000,
        streamsMax: 1024,
      },
    })
    const nowMs = (): number => (step('nowMs'), 0)
    this.state = new NativeLink({
      peer: 'bob',
      linkIndex: 0,
      epoch,
      laneWindowBytes: firstWindowBytes,
      maxMessageLengthBytes: 1 << 24,
      messageBytesMax: 1 << 20,
      streamsMax: 1024,
      streamOpensPerSecond: 100_000,
      memory: new NodeMemory().open(),
      sendQueueBytesMax: 1e9,
      sendQueueValuesMax: 1e6,
      keepAlive: defaultKeepAlive,
      nowMs,
      arenas: new SpareMemory(1 << 22),
    })
    const hooks: LinkHooks = {
      ...noopHooks,
      requestFlush: () => {
        step('requestFlush')
        this.#isFlushDue = true
      },
      requestTimer: () => step('requestTimer'),
      flushNow: () => this.flush(),
    }
    this.state.setHooks(hooks)
    this.reader = this.state.createReader()
  }

  open(): NativeLane[] {
    const opened = openSessions(this.state, lanes, { creditBytes: firstWindowBytes })
    for (const lane of opened) lane.setHandler(() => void this.received[lane.id]!++)
    return opened
  }

  /** Like the pump: an error ends the epoch, within the same call. */
  flush(): void {
    if (this.isFull || this.hasCrashed) return
    this.#isFlushDue = false
    try {
      this.#wire.push(Buffer.concat(this.state.takeBatch()))
    } catch {
      this.crash()
    }
  }

  endTurn(): void {
    if (this.#isFlushDue || this.state.outbound.isAckDue) this.flush()
  }

  /** What the peer may read now. */
  taken(): Buffer[] {
    return this.#wire.splice(0)
  }

  read(chunks: readonly Buffer[]): void {
    try {
      for (const chunk of chunks) {
        if (this.hasCrashed) return
        this.state.kept.begin(chunk)
        this.state.chunkBegins(chunk.length)
        this.reader.push(chunk)
        this.state.kept.settle()
      }
    } catch {
      this.crash()
    }
  }

  crash(): void {
    if (this.hasCrashed) return
    this.hasCrashed = true
    this.state.crashed()
  }
}

interface Report {
  readonly fault: Fault
  /** By lane. */
  readonly lanes: readonly { accepted: number; threw: number; delivered: number; end: Error | null }[]
  /** Values in the first write batch of the next epoch. */
  readonly stray: number
}

/** One conversation that covers every case for a value, with one fault. */
function converse(stepName: string, at: number): Report {
  const fault = new Fault(at)
  const step = (name: string): void => {
    if (name === stepName) fault.step()
  }
  const [alice, bob] = [new End(1, 2, step), new End(2, 1, () => {})]
  const restore = patch(stepName, fault)
  try {
    const [mine, theirs] = [alice.state.epoch.composeHello(), bob.state.epoch.composeHello()]
    alice.state.established({ mine, theirs })
    bob.state.established({ mine: theirs, theirs: mine })
    const [own] = [alice.open(), bob.open()]
    const counts = own.map(() => ({ accepted: 0, threw: 0 }))
    /** Only Alice's steps can fail. */
    const doing = (act: () => void): void => {
      fault.isArmed = true
      try {
        act()
      } catch {
        alice.crash()
      } finally {
        fault.isArmed = false
      }
    }
    const exchange = (chunksForBob = Infinity): void => {
      doing(() => alice.endTurn())
      bob.read(alice.taken().slice(0, chunksForBob))
      bob.endTurn()
      const replies = bob.taken()
      doing(() => alice.read(replies))
    }
    const send = (id: number, lengthBytes: number, transfer = false): void => {
      const lane = own[id]!
      const count = counts[id]!
      const value: NetworkValue = { type: 'Bytes', value: new Uint8Array(lengthBytes) }
      doing(() => {
        try {
          if (alice.state.trySend(lane, value, transfer)) count.accepted++
          else if (lane.end === null) {
            alice.state.waitToSend(
              lane,
              value,
              () => {},
              (error) => {
                // Rejected by an error at their own step. Values rejected by the end of the epoch have an outcome.
                if (!(error instanceof LinkResetError))
                  [count.accepted, count.threw] = [count.accepted - 1, count.threw + 1]
              },
              transfer,
            )
            count.accepted++
          }
        } catch {
          count.threw++
        }
      })
    }
    doing(() => alice.state.flow())
    bob.state.flow()
    exchange()
    exchange()
    for (let value = 0; value < 5; value++) send(0, 10)
    send(1, 20_000)
    exchange()
    send(0, 40_000, true)
    send(1, 100_000)
    // More than its credit, so these wait.
    for (let value = 0; value < 3; value++) send(1, 30_000, value === 1)
    exchange()
    alice.isFull = true
    doing(() => alice.state.block())
    for (let value = 0; value < 30; value++) send(value % lanes, 3_000)
    alice.isFull = false
    doing(() => alice.state.flow())
    exchange()
    // Pieces of the long value and its Credit.
    exchange()
    // Until arenas and write batches are full.
    for (let value = 0; value < 100; value++) send(value % lanes, 1_500)
    exchange(1)
    for (let value = 0; value < 20; value++) send(value % lanes, 2_500)
    doing(() => alice.endTurn())
    if (!alice.hasCrashed) alice.crash()
    let stray = 0
    const reader = new NativeFrameReader(
      { maxMessageLengthBytes: 1 << 24, linkIndex: 0 },
      { onFrame: (lane, descriptor) => (stray += Number(lane < lanes && descriptor === 0x0c)) >= 0 },
    )
    for (const part of alice.state.takeBatch()) reader.push(part)
    return {
      fault,
      stray,
      lanes: own.map((lane, id) => ({ ...counts[id]!, delivered: bob.received[id]!, end: lane.end })),
    }
  } finally {
    restore()
  }
}

const classes: Record<string, { readonly prototype: object }> = {
  FrameWriter,
  RetransmitBuffer,
  WriteBatch,
  SendRoom,
  SendCredit,
  LinkMemory,
  AckSchedule,
  ControlFrames,
  Deque,
  SpareMemory,
  NativeOutbox,
  SendQueue,
  SendTurns,
  PendingSend,
  NativeLink,
  LinkEpoch,
  LinkUpkeep,
  GoodbyeExchange,
}
/** The end of the epoch itself is not a step of sending. */
const endings = new Set([
  'constructor',
  'crashed',
  'drop',
  'dropPending',
  'invariants',
  'rejectWaiting',
  'reject',
  'clear',
  'forgetControl',
  'forget',
  'end',
  'renew',
  'block',
  'rejectFlushes',
])

function methodsOf({ prototype }: { readonly prototype: object }): string[] {
  return Object.entries(Object.getOwnPropertyDescriptors(prototype))
    .filter(([name, { value }]) => typeof value === 'function' && !endings.has(name))
    .map(([name]) => name)
}

function patch(stepName: string, fault: Fault): () => void {
  const [className, method] = stepName.split('.') as [string, string | undefined]
  const prototype = classes[className]?.prototype as Record<string, (...args: unknown[]) => unknown> | undefined
  if (prototype === undefined || method === undefined) return () => {}
  const original = prototype[method]!
  prototype[method] = function (...args) {
    fault.step()
    return original.apply(this, args)
  }
  return () => void (prototype[method] = original)
}

const steps = [
  ...Object.entries(classes).flatMap(([name, type]) => methodsOf(type).map((method) => `${name}.${method}`)),
  'nowMs',
  'requestFlush',
  'requestTimer',
]
  .map((step) => ({ step, calls: converse(step, Infinity).fault.calls }))
  .filter(({ calls }) => calls > 0)

/** The first calls, the last, and some between. */
function callsToFail(calls: number): number[] {
  return [
    ...new Set([1, 2, 3, ...[0.1, 0.25, 0.5, 0.75, 0.9].map((share) => Math.ceil(calls * share)), calls - 1, calls]),
  ].filter((call) => call >= 1 && call <= calls)
}

describe('true outcomes for every value', () => {
  it('a conversation without errors gives true outcomes, and covers at least 50 steps', () => {
    const { lanes, stray } = converse('none', Infinity)
    expect(lanes.every(({ accepted, threw, delivered }) => threw === 0 && delivered > 15 && accepted > delivered)).toBe(
      true,
    )
    expect(stray).toBe(0)
    expect(steps.length).toBeGreaterThanOrEqual(50)
  })

  it.each(steps)('every value has a true outcome when $step throws', ({ step, calls }) => {
    for (const at of callsToFail(calls)) {
      const { fault, lanes, stray } = converse(step, at)
      expect(fault.hasThrown, `call ${at} of ${calls}`).toBe(true)
      expect(stray, `values of ended sessions in the next epoch, call ${at}`).toBe(0)
      for (const [lane, { accepted, threw, delivered, end }] of lanes.entries()) {
        const where = `session ${lane}, call ${at} of ${calls}`
        expect(end, where).toBeInstanceOf(LinkResetError)
        const { acked, unknown, notSent } = (end as LinkResetError).outcomes
        expect(acked, `${where}: acknowledged, and the peer has them`).toBeLessThanOrEqual(delivered)
        expect(acked + unknown, `${where}: what the peer has is not reported as not sent`).toBeGreaterThanOrEqual(
          delivered,
        )
        const sum = acked + unknown + notSent
        expect(sum, `${where}: every accepted value has an outcome`).toBeGreaterThanOrEqual(accepted)
        expect(sum, `${where}: and only those, or ones whose call threw`).toBeLessThanOrEqual(accepted + threw)
      }
    }
  })
})
