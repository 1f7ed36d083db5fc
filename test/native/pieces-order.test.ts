/**
 * Owns: the property that an outbox writes the values of each lane once and in order, whatever the order of sends,
 * credit, acknowledgements and breaks.
 * Independent of: how Pieces are received, sockets, clocks.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { valueFrames } from '../../protocol/native/lanes/sending-lane.ts'
import { bytesOf, framesIn, open, piece } from './pieces-scene.ts'

/** The other end: counts whole frames, puts Pieces together, and knows what came on each lane. */
class Receiver {
  received = 0
  readonly values: Buffer[][]
  readonly #begun: Buffer[][]
  #rest: Buffer = Buffer.alloc(0)

  constructor(lanes: number) {
    this.values = Array.from({ length: lanes }, () => [])
    this.#begun = Array.from({ length: lanes }, () => [])
  }

  push(bytes: Buffer): void {
    const all = Buffer.concat([this.#rest, bytes])
    const found = framesIn(all)
    this.#rest = all.subarray(found.at(-1)?.end ?? 0)
    for (const { lane, descriptor, body } of found) {
      this.received++
      const begun = this.#begun[lane]!
      if (descriptor !== 0x21) {
        expect(begun, `a frame between Pieces on lane ${lane}`).toEqual([])
        this.values[lane]!.push(Buffer.from(body))
        continue
      }
      begun.push(Buffer.from(body))
      const whole = 5 + begun[0]!.readUInt32LE(1)
      const length = begun.reduce((sum, part) => sum + part.length, 0)
      if (length < whole) continue
      expect(length).toBe(whole)
      this.values[lane]!.push(Buffer.concat(begun.splice(0)).subarray(5))
    }
  }

  broken(): void {
    this.#rest = Buffer.alloc(0)
  }
}

const steps = fc.oneof(
  fc.record({
    do: fc.constant('send' as const),
    lane: fc.nat(2),
    length: fc.constantFrom(1, 100, 20_000, piece, piece + 1, 2 * piece - 5, 150_000, 700_000),
    how: fc.constantFrom('try', 'wait', 'transfer'),
  }),
  fc.record({ do: fc.constant('grant' as const), lane: fc.nat(2), bytes: fc.integer({ min: 1, max: 200_000 }) }),
  fc.record({ do: fc.constant('carry' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({ do: fc.constant('break' as const) }),
  fc.record({ do: fc.constant('ack' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
)

test('values on lanes in Pieces arrive once and in order through any order of sends, credit, acks and breaks', () => {
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 60 }), (run) => {
      const scene = open({ lanes: 3, creditBytes: 65_536, replayWindowBytes: 300_000 })
      const { outbox, epoch, lanes } = scene
      const receiver = new Receiver(lanes.length)
      const expected: Buffer[][] = lanes.map(() => [])
      let wire: Buffer = Buffer.alloc(0)
      const carry = (length: number): void => {
        wire = Buffer.concat([wire, scene.take()])
        receiver.push(wire.subarray(0, length))
        wire = wire.subarray(length)
      }
      const ack = (share: number): void => {
        const { first } = epoch.retransmit
        epoch.retransmit.ack(first + Math.floor(share * (receiver.received - first)))
        outbox.acknowledged()
        epoch.retransmit.invariants()
      }
      for (const [place, step] of run.entries()) {
        const lane = lanes['lane' in step ? step.lane : 0]!
        if (step.do === 'send') {
          const value = bytesOf(step.length, place)
          const copy = Buffer.from(value.value)
          if (step.how !== 'try') {
            outbox.waitToSend(
              lane,
              valueFrames,
              value,
              () => {},
              () => expect.unreachable(),
              step.how === 'transfer',
            )
          } else if (!outbox.trySendFrame(lane, valueFrames, value)) continue
          // The caller may reuse its memory.
          if (step.how !== 'transfer') value.value.fill(0)
          expected[step.lane]!.push(copy)
        } else if (step.do === 'grant') {
          lane.credit.grant(step.bytes)
          outbox.sendWaiting()
        } else if (step.do === 'carry') carry(Math.floor(step.share * 400_000))
        else if (step.do === 'ack') ack(step.share)
        else {
          scene.take()
          outbox.block()
          receiver.broken()
          wire = Buffer.concat(epoch.retransmit.replayFrom(receiver.received))
          outbox.acknowledged()
          outbox.flow()
        }
      }
      for (const lane of lanes) lane.credit.grant(1 << 30)
      outbox.sendWaiting()
      for (let before = -1; before !== receiver.received || outbox.hasPending;) {
        before = receiver.received
        carry(Infinity)
        ack(1)
      }
      expect(receiver.values.map((of) => of.length)).toEqual(expected.map((of) => of.length))
      for (const [id, of] of expected.entries())
        for (const [place, value] of of.entries())
          expect(value.equals(receiver.values[id]![place]!), `value ${place} of lane ${id}`).toBe(true)
      expect([epoch.retransmit.heldFrames, outbox.pendingValues, outbox.waitingValues]).toEqual([0, 0, 0])
    }),
    { numRuns: 300 },
  )
})
