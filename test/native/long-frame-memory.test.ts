/**
 * Owns: who gets memory for a long frame next, and that a link that delivers too little of its long frames while others
 * wait loses its oldest one.
 * Independent of: how Pieces are put together (pieces.test.ts).
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NodeMemory } from '../../protocol/native/memory/node-memory.ts'
import { LongFrameMemory } from '../../protocol/native/memory/long-frame-memory.ts'
import { longPieces, PiecesBench } from './pieces-bench.ts'

class Asking {
  readonly memory: LongFrameMemory
  readonly served: string[] = []
  readonly changes: number[] = []

  constructor(totalBytes: number) {
    this.memory = new LongFrameMemory(totalBytes, () => this.changes.push(this.memory.waiting))
  }

  ask(peer: string, bytes: number): () => boolean {
    return this.memory.ask(peer, bytes, () => this.served.push(`${peer} ${bytes}`))
  }
}

describe('the order in which long frames get memory', () => {
  it('long frames of peers within their shares are served in the order in which they asked, and a small one waits its turn', () => {
    const all = new Asking(100)
    all.ask('a', 40)
    all.ask('b', 40)
    all.ask('c', 30)
    all.ask('d', 5)
    expect(all.served).toEqual(['a 40', 'b 40'])
    all.memory.release('a', 40)
    expect(all.served).toEqual(['a 40', 'b 40', 'c 30', 'd 5'])
  })

  it('a peer that holds less than its share goes before a peer that holds more than its share', () => {
    const all = new Asking(100)
    all.ask('hog', 30)
    all.ask('hog', 50)
    all.ask('hog', 60)
    all.ask('hog', 10)
    all.ask('modest', 15)
    expect(all.served).toEqual(['hog 30', 'hog 50', 'modest 15'])
    // Its share is 50: with 30 left it is within it again, and its own frames keep their order.
    all.memory.release('hog', 50)
    expect(all.served).toEqual(['hog 30', 'hog 50', 'modest 15'])
    all.memory.release('modest', 15)
    expect(all.served.slice(3)).toEqual(['hog 60', 'hog 10'])
  })

  it('a peer that holds exactly its share neither goes before another nor gives way', () => {
    const all = new Asking(100)
    all.ask('exact', 50)
    all.ask('other', 40)
    all.ask('exact', 20)
    all.ask('other', 20)
    all.memory.release('exact', 50)
    expect(all.served).toEqual(['exact 50', 'other 40', 'exact 20', 'other 20'])
  })

  it('the share counts peers that only wait, and grows again when they give up', () => {
    const all = new Asking(90)
    all.ask('hog', 40)
    const giveUps = ['x', 'y'].map((peer) => all.ask(peer, 90))
    all.ask('hog', 10)
    // Three peers: the share is 30, which the hog exceeds.
    expect(all.served).toEqual(['hog 40'])
    for (const giveUp of giveUps) expect(giveUp()).toBe(true)
    expect(all.served).toEqual(['hog 40', 'hog 10'])
    expect(giveUps.map((giveUp) => giveUp())).toEqual([false, false])
  })

  it('a frame longer than the part for long frames is served once no other is held', () => {
    const all = new Asking(100)
    all.ask('a', 10)
    all.ask('b', 105)
    expect(all.served).toEqual(['a 10'])
    all.memory.release('a', 10)
    expect([all.served, all.memory.usedBytes]).toEqual([['a 10', 'b 105'], 105])
  })

  it('links learn when long frames begin to wait and when none waits any more', () => {
    const all = new Asking(100)
    all.ask('a', 100)
    all.changes.length = 0
    all.ask('b', 10)
    all.ask('c', 10)
    expect(all.changes).toEqual([1])
    all.memory.release('a', 100)
    expect(all.changes).toEqual([1, 0])
  })

  it('memory that is given back twice is reported as a bug', () => {
    const all = new Asking(100)
    all.ask('a', 10)
    all.memory.release('a', 10)
    expect(() => all.memory.release('a', 10)).toThrow(expect.objectContaining({ code: 'ERR_INTERNAL' }))
  })

  it('no long frame waits while the one that is next fits, and the count is right, after any sequence', () => {
    const step = fc.record({
      peer: fc.constantFrom('a', 'b', 'c'),
      bytes: fc.integer({ min: 1, max: 60 }),
      what: fc.constantFrom('ask', 'ask', 'release', 'giveUp'),
      pick: fc.nat(30),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const memory = new LongFrameMemory(100)
        const held: [string, number][] = []
        const waiting: { peer: string; bytes: number; giveUp: () => boolean }[] = []
        for (const { peer, bytes, what, pick } of steps) {
          if (what === 'ask') {
            const entry = { peer, bytes, giveUp: () => false }
            waiting.push(entry)
            entry.giveUp = memory.ask(peer, bytes, () => {
              waiting.splice(waiting.indexOf(entry), 1)
              held.push([peer, bytes])
            })
          } else if (what === 'release' && held.length > 0) memory.release(...held.splice(pick % held.length, 1)[0]!)
          else if (what === 'giveUp' && waiting.length > 0) waiting.splice(pick % waiting.length, 1)[0]!.giveUp()
          const of = (name: string): number => held.reduce((sum, [one, size]) => sum + (one === name ? size : 0), 0)
          expect(memory.usedBytes).toBe(of('a') + of('b') + of('c'))
          expect(memory.usedBytes).toBeLessThanOrEqual(100)
          expect(memory.waiting).toBe(waiting.length)
          // Written anew from the rule.
          const peers = new Set([...held.map(([one]) => one), ...waiting.map((one) => one.peer)])
          const share = 100 / peers.size
          const first = waiting[0]
          const next =
            first === undefined || of(first.peer) <= share
              ? first
              : (waiting.find((one) => of(one.peer) < share) ?? first)
          if (next !== undefined) expect(memory.usedBytes + next.bytes).toBeGreaterThan(100)
        }
      }),
    )
  })
})

const kib = 1024

/** Two links of different peers; together they may hold 1 MiB of long frames. */
function pair(): { node: NodeMemory; slow: PiecesBench; other: PiecesBench; pollAll(atMs: number): void } {
  const node = new NodeMemory(2048 * kib, 2)
  const slow = new PiecesBench(node, 'slow', 3)
  const other = new PiecesBench(node, 'other', 1)
  const pollAll = (atMs: number): void => {
    for (const bench of [slow, other]) {
      bench.nowMs = atMs
      const dueAtMs = bench.link.nextDueAtMs
      if (dueAtMs !== null && dueAtMs <= atMs && bench.isUp) bench.link.poll(atMs, dueAtMs)
    }
  }
  return { node, slow, other, pollAll }
}

/** Begins a long frame: its first Piece arrives. */
function begin(bench: PiecesBench, lane: number, length: number): Buffer[] {
  const [first, ...rest] = longPieces(lane, Buffer.alloc(length))
  bench.pay(first!)
  bench.deliver()
  bench.readCredits()
  return rest
}

describe('a link that delivers too little while others wait for memory', () => {
  it('the oldest long frame of the link is dropped with Reset time-out after 5 s, and the one that waited gets its memory', () => {
    const { node, slow, other, pollAll } = pair()
    begin(slow, 0, 500 * kib)
    begin(slow, 1, 400 * kib)
    begin(other, 0, 500 * kib)
    expect([node.longFrames.waiting, other.credit[0]!.canSend]).toEqual([1, false])
    pollAll(4_999)
    expect(slow.lanes[0]!.end).toBe(null)
    pollAll(5_000)
    slow.readCredits()
    other.readCredits()
    expect(slow.lanes.map(({ end }) => (end as { code?: string } | null)?.code)).toEqual([
      'ERR_LONG_VALUE_TOO_SLOW',
      undefined,
      undefined,
    ])
    expect(slow.resets).toEqual([{ lane: 0, code: 7 }])
    expect([node.longFrames.waiting, node.held.largeFramesBytes, other.credit[0]!.canSend]).toEqual([
      0,
      900 * kib,
      true,
    ])
    // Nothing waits any more, so the other frame of the slow link may take its time.
    pollAll(60_000)
    expect(slow.lanes[1]!.end).toBe(null)
  })

  it.each([
    ['64 KiB over all its lanes in 5 s keeps its frames', 2, false],
    ['nothing in 5 s loses one', 0, true],
  ])('while another link waits, a link that delivers %s', (_, pieces, isDropped) => {
    const { slow, other, pollAll } = pair()
    const rests = [begin(slow, 0, 500 * kib), begin(slow, 1, 400 * kib)]
    begin(other, 0, 500 * kib)
    for (let index = 0; index < pieces; index++) slow.pay(rests[index]!.shift()!)
    slow.nowMs = 4_000
    slow.deliver()
    pollAll(5_000)
    expect(slow.lanes[0]!.end !== null).toBe(isDropped)
    // What was delivered counts once.
    pollAll(10_000)
    expect(slow.lanes[0]!.end).not.toBe(null)
  })

  it.each<[string, (slow: PiecesBench, rest: Buffer[]) => void]>([
    ['whose connection is down', (slow) => slow.cut()],
    [
      'whose long frame is whole and unread',
      (slow, rest) => {
        for (const one of rest) slow.pay(one)
        slow.deliver()
      },
    ],
  ])('a link %s loses no frame however long others wait', (_, act) => {
    const { slow, other, pollAll } = pair()
    const rest = begin(slow, 0, 900 * kib)
    begin(other, 0, 500 * kib)
    act(slow, rest)
    for (const atMs of [5_000, 10_000, 15_000]) pollAll(atMs)
    expect(slow.lanes[0]!.end).toBe(null)
  })

  it('a link has 5 s again after each of its connections', () => {
    const { slow, other, pollAll } = pair()
    begin(slow, 0, 900 * kib)
    begin(other, 0, 500 * kib)
    pollAll(4_000)
    slow.cut()
    pollAll(9_000)
    slow.connect()
    pollAll(13_999)
    expect(slow.lanes[0]!.end).toBe(null)
    pollAll(14_000)
    expect(slow.lanes[0]!.end).toMatchObject({ code: 'ERR_LONG_VALUE_TOO_SLOW' })
  })

  it('a timer that comes more than 1 s late drops nothing: this side stood still', () => {
    const { slow, other, pollAll } = pair()
    begin(slow, 0, 900 * kib)
    begin(other, 0, 500 * kib)
    pollAll(6_001)
    expect(slow.lanes[0]!.end).toBe(null)
    pollAll(11_001)
    expect(slow.lanes[0]!.end).not.toBe(null)
  })

  it('without a long frame that waits, a link may be as slow as it likes', () => {
    const { slow, pollAll } = pair()
    begin(slow, 0, 900 * kib)
    for (const atMs of [5_000, 50_000, 500_000]) pollAll(atMs)
    expect(slow.lanes[0]!.end).toBe(null)
  })

  it('five peers that trickle long values do not keep a sixth waiting for ever', () => {
    const node = new NodeMemory(8 * 1024 * kib, 6)
    const slow = [1, 2, 3, 4, 5].map((index) => new PiecesBench(node, `slow ${index}`, 1))
    for (const bench of slow) begin(bench, 0, 1900 * kib)
    const sixth = new PiecesBench(node, 'sixth', 1)
    const rest = begin(sixth, 0, 1900 * kib)
    let atMs = 0
    for (; !sixth.credit[0]!.canSend; atMs += 5_000) {
      expect(atMs).toBeLessThan(60_000)
      for (const bench of [...slow, sixth]) {
        bench.nowMs = atMs
        const dueAtMs = bench.link.nextDueAtMs
        if (dueAtMs !== null && dueAtMs <= atMs) bench.link.poll(atMs, dueAtMs)
        bench.readCredits()
      }
    }
    for (const one of rest) sixth.pay(one)
    sixth.deliver()
    expect(sixth.lanes[0]!.unreadValues).toBe(1)
  })
})
