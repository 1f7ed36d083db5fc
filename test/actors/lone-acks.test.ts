/** Owns: how long an Ack waits that has nothing to go along with: a few turns, less in a crowd, and no longer than it is due. Refuses to know: links. */
import { describe, expect, it } from 'vitest'
import type { Clock } from '../../actors/environment.ts'
import { LoneAcks } from '../../actors/lone-acks.ts'
import type { LoneAck } from '../../actors/lone-acks.ts'

class TestAck implements LoneAck {
  isAckDue = true
  /** In which turns it was told to leave. */
  readonly leftIn: number[] = []
  readonly #bench: Bench
  /** What the write brings about. */
  onLeft = (): void => {}

  constructor(bench: Bench) {
    this.#bench = bench
  }
  acknowledge(): void {
    this.leftIn.push(this.#bench.turn)
    this.onLeft()
  }
}

class Bench {
  turn = 0
  #immediates: (() => void)[] = []
  readonly acks = new LoneAcks({ setImmediate: (call: () => void) => void this.#immediates.push(call) } as Partial<Clock> as Clock)

  request(count: number): TestAck[] {
    const made = Array.from({ length: count }, () => new TestAck(this))
    for (const ack of made) this.acks.request(ack)
    return made
  }
  nextTurn(): void {
    this.turn++
    const calls = this.#immediates
    this.#immediates = []
    for (const call of calls) call()
  }
  turns(count: number): this {
    for (let left = count; left > 0; left--) this.nextTurn()
    return this
  }
  get looksDue(): number {
    return this.#immediates.length
  }
}

describe('an Ack alone', () => {
  it('leaves in the third turn, and nothing is due after it', () => {
    const bench = new Bench()
    const [ack] = bench.request(1)
    bench.turns(10)
    expect([ack!.leftIn, bench.looksDue]).toEqual([[3], 0])
  })

  it('that has left along with something is asked no more', () => {
    const bench = new Bench()
    const [ack] = bench.request(1)
    bench.nextTurn()
    ack!.isAckDue = false
    bench.turns(5)
    expect([ack!.leftIn, bench.looksDue]).toEqual([[2], 0])
  })

  it('counts its own turns, whoever else waits', () => {
    const bench = new Bench()
    const [first] = bench.request(1)
    bench.nextTurn()
    const [second] = bench.request(1)
    bench.turns(5)
    expect([first!.leftIn, second!.leftIn]).toEqual([[3], [4]])
  })

  it('that is due again by its own write waits anew, with one look a turn', () => {
    const bench = new Bench()
    const [ack, other] = bench.request(2)
    ack!.onLeft = () => void (ack!.leftIn.length < 3 && bench.acks.request(ack!))
    for (let turn = 0; turn < 12; turn++) {
      bench.nextTurn()
      expect(bench.looksDue).toBeLessThanOrEqual(1)
    }
    expect([ack!.leftIn, other!.leftIn]).toEqual([[3, 6, 9], [3]])
  })

  it.each([[15, 3], [16, 1], [64, 1]])('among %d leaves in turn %d', (count, turn) => {
    const bench = new Bench()
    const all = bench.request(count)
    bench.turns(5)
    expect(all.map(({ leftIn }) => leftIn)).toEqual(all.map(() => [turn]))
  })
})
