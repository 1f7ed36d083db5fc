/**
 * Owns: how long frames arrive in Pieces: each rule that a sender may break, the Credit of each frame, order, and that
 * nothing is lost or counted twice over any sequence of Pieces, reads and breaks.
 * Independent of: who gets memory first when it is short (long-frame-memory.test.ts).
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeCredit, encodeReset } from '../../codec/native-frames.ts'
import { NodeMemory } from '../../protocol/native/memory/node-memory.ts'
import { bytesFrame, frame, longPieces, pieceBytes, PiecesBench, piecesOf } from './pieces-bench.ts'

const mib = 1 << 20
const long = (length: number, fill = 7): Buffer => Buffer.alloc(length, fill)
const bench = (lanes = 1, budget = 64 * mib): PiecesBench => new PiecesBench(new NodeMemory(budget, 1), 'bob', lanes)

function bytesOf(value: unknown): Buffer {
  return Buffer.from((value as { value: Uint8Array }).value)
}

describe('rules for Pieces', () => {
  const first = longPieces(0, long(200_000))
  const piece = (bytes: Uint8Array): Buffer => frame(0, 0x21, bytes)
  const begins = (descriptor: number, declared: number, length = pieceBytes): Buffer => {
    const bytes = Buffer.alloc(length)
    bytes[0] = descriptor
    bytes.writeUInt32LE(declared, 1)
    return piece(bytes)
  }
  const cases: [what: string, code: string, frames: Buffer[]][] = [
    ['a Piece of 65,537 bytes', 'ERR_MESSAGE_TOO_LONG', [piece(Buffer.alloc(pieceBytes + 1))]],
    ['an empty Piece', 'ERR_VALUE_TRUNCATED', [piece(Buffer.alloc(0))]],
    ['a first Piece that begins with a Piece', 'ERR_PIECE_BEGINS', [begins(0x21, 100_000)]],
    ['a first Piece that begins with a Credit', 'ERR_PIECE_BEGINS', [begins(0x34, 100_000)]],
    ['a first Piece that begins with a PrfKey', 'ERR_PIECE_BEGINS', [begins(0x01, 100_000)]],
    ['a first Piece that begins with a Message on a session', 'ERR_PIECE_BEGINS', [begins(0x39, 100_000)]],
    ['a first Piece with an unknown descriptor', 'ERR_PIECE_BEGINS', [begins(0x77, 100_000)]],
    ['a first Piece of 4 bytes', 'ERR_PIECE_SIZE', [piece(Buffer.of(0x0c, 0, 0, 2))]],
    ['a first Piece of 65,535 bytes', 'ERR_PIECE_SIZE', [begins(0x0c, 200_000, pieceBytes - 1)]],
    ['a frame of 65,536 bytes in Pieces', 'ERR_PIECE_SHORT_FRAME', [begins(0x0c, 65_536)]],
    ['a frame of 10 bytes in one Piece', 'ERR_PIECE_SHORT_FRAME', [begins(0x0c, 10, 15)]],
    ['a bit vector of 8 × 65,536 bits in Pieces', 'ERR_PIECE_SHORT_FRAME', [begins(0x0f, 8 * 65_536)]],
    ['a frame over maxMessageLength', 'ERR_MESSAGE_TOO_LONG', [begins(0x0c, (1 << 24) + 1)]],
    ['a second Piece of 65,535 bytes', 'ERR_PIECE_SIZE', [first[0]!, piece(Buffer.alloc(pieceBytes - 1))]],
    [
      'a last Piece one byte short',
      'ERR_PIECE_SIZE',
      [...first.slice(0, 3), piece(Buffer.alloc(200_005 - 3 * pieceBytes - 1))],
    ],
    [
      'a last Piece one byte beyond the frame',
      'ERR_PIECE_SIZE',
      [...first.slice(0, 3), piece(Buffer.alloc(200_005 - 3 * pieceBytes + 1))],
    ],
    ['a value between two Pieces', 'ERR_PIECE_INTERRUPTED', [first[0]!, bytesFrame(0, Buffer.alloc(3))]],
    [
      'a value without a length field between two Pieces',
      'ERR_PIECE_INTERRUPTED',
      [first[0]!, Buffer.of(0, 0, 0, 0, 2)],
    ],
  ]

  it.each(cases)('%s is a protocol error %s', (_, code, frames) => {
    for (const chunkBytes of [Infinity, 40_000, 9]) {
      const b = bench()
      for (const whole of frames) b.send(whole)
      const read = (): void => {
        while (b.bytesInFlight > 0) b.deliver(chunkBytes)
      }
      expect(read).toThrow(expect.objectContaining({ code }))
    }
  })

  it('a Piece beyond the credit of its lane is a protocol error', () => {
    const b = bench(1, mib)
    // Another frame holds the reservation of the lane, so nothing is granted for the second one.
    for (const one of longPieces(0, long(100_000))) b.send(one)
    b.deliver()
    const next = longPieces(0, long(400_000))
    b.send(next[0]!)
    b.deliver()
    b.send(next[1]!)
    expect(() => b.deliver()).toThrow(expect.objectContaining({ code: 'ERR_CREDIT_EXCEEDED' }))
  })

  it('Credit may come between two Pieces, and a Reset drops the frame and gives its memory back', () => {
    const node = new NodeMemory(64 * mib, 1)
    const b = new PiecesBench(node, 'bob', 2)
    b.pay(first[0]!)
    b.send(encodeCredit(0, 5))
    b.deliver()
    expect(node.held.largeFramesBytes).toBe(200_000)
    b.send(encodeReset(0, { code: 0, reason: '' }))
    b.deliver()
    expect([node.held.largeFramesBytes, b.lanes[0]!.unreadValues, b.lanes[0]!.end]).toMatchObject([
      0,
      0,
      { code: 'ERR_SESSION_RESET' },
    ])
    expect(() => b.lanes[0]!.take()).toThrow(expect.objectContaining({ code: 'ERR_SESSION_RESET' }))
    // The other lane goes on.
    b.pay(bytesFrame(1, long(3)))
    b.deliver()
    expect(bytesOf(b.lanes[1]!.take())).toEqual(long(3))
  })

  it('Pieces of a session that this side has closed are counted and dropped', () => {
    const b = bench()
    b.pay(first[0]!)
    b.deliver()
    b.readCredits()
    b.link.closeLane(b.lanes[0]!, new Error('closed'), true)
    for (const one of first.slice(1)) b.pay(one)
    b.deliver(30_000)
    b.deliver()
    expect([b.link.counters.framesDropped, b.link.epoch.received]).toEqual([3, 4])
  })

  it('a Piece is not written into the memory of a frame that was dropped meanwhile', () => {
    const b = bench(2)
    b.send(first[0]!)
    b.send(first[1]!)
    // Half of the second Piece is in the block of the frame.
    b.deliver(first[0]!.length + 30_000)
    b.link.closeLane(b.lanes[0]!, new Error('closed'), true)
    b.deliver()
    for (const one of longPieces(1, long(200_000, 9))) b.send(one)
    b.deliver()
    expect(bytesOf(b.lanes[1]!.take()).equals(long(200_000, 9))).toBe(true)
  })

  it.each([['with bad content', piecesOf(frame(0, 0x08, Buffer.alloc(100_001))), 'ERR_VECTOR_LENGTH_NOT_MULTIPLE']])(
    'a long value %s ends its session with a Reset, and the link stays',
    (_, pieces, code) => {
      const node = new NodeMemory(64 * mib, 1)
      const b = new PiecesBench(node, 'bob', 2)
      for (const one of pieces) b.pass(one)
      expect(b.resets).toEqual([{ lane: 0, code: 5 }])
      expect([b.lanes[0]!.end, node.held.largeFramesBytes]).toMatchObject([{ code }, 0])
      expect(b.link.epoch.received).toBe(2)
    },
  )
})

describe('Credit for long frames', () => {
  it('all Pieces are granted with the first one, and nothing when the frame is taken', () => {
    const b = bench()
    const pieces = longPieces(0, long(1_000_000))
    const wireBytes = pieces.reduce((sum, { length }) => sum + length, 0)
    b.pay(pieces[0]!)
    b.deliver()
    b.readCredits()
    expect(b.credit[0]!.balanceBytes).toBe(pieceBytes + wireBytes - pieces[0]!.length)
    for (const one of pieces.slice(1)) b.pay(one)
    b.deliver()
    expect(b.lanes[0]!.window.unreadBytes).toBe(wireBytes)
    expect(bytesOf(b.lanes[0]!.take()).equals(long(1_000_000))).toBe(true)
    b.readCredits()
    expect([b.credit[0]!.balanceBytes, b.lanes[0]!.window.ownCountBytes, b.lanes[0]!.window.unreadBytes]).toEqual([
      pieceBytes,
      pieceBytes,
      0,
    ])
  })

  it('the next long frame of a lane gets its reservation when the one before is taken, in the order of values', () => {
    const node = new NodeMemory(64 * mib, 1)
    const b = new PiecesBench(node, 'bob', 1)
    const values = [long(300_000, 1), long(5, 2), long(400_000, 3)]
    for (const one of longPieces(0, values[0]!)) b.pass(one)
    b.pay(bytesFrame(0, values[1]!))
    const [begun, ...rest] = longPieces(0, values[2]!)
    b.pay(begun!)
    b.deliver()
    b.readCredits()
    expect([node.held.largeFramesBytes, b.credit[0]!.canSend]).toEqual([300_000, false])
    expect(bytesOf(b.lanes[0]!.take()).equals(values[0]!)).toBe(true)
    expect(node.held.largeFramesBytes).toBe(400_000)
    b.readCredits()
    for (const one of rest) b.pay(one)
    b.deliver()
    expect(bytesOf(b.lanes[0]!.take())).toEqual(values[1]!)
    expect(node.held.largeFramesBytes).toBe(400_000)
    expect(bytesOf(b.lanes[0]!.take()).equals(values[2]!)).toBe(true)
    expect(node.held.largeFramesBytes).toBe(0)
  })

  it('a frame that is whole before there is room for it is read like any other, and paid by its window', () => {
    const node = new NodeMemory(mib, 2)
    const hog = node.open('carol')
    hog.whenLongFrame(512 << 10, () => {})
    const b = new PiecesBench(node, 'bob', 1, pieceBytes + 100)
    const pieces = longPieces(0, long(65_540))
    b.pay(pieces[0]!)
    b.deliver()
    b.readCredits()
    expect(node.longFrames.waiting).toBe(1)
    b.pay(pieces[1]!)
    b.deliver()
    expect([node.longFrames.waiting, node.held.largeFramesBytes]).toEqual([0, 512 << 10])
    expect(bytesOf(b.lanes[0]!.take()).equals(long(65_540))).toBe(true)
    b.readCredits()
    expect(b.credit[0]!.balanceBytes).toBe(b.lanes[0]!.window.ownCountBytes)
    expect(b.credit[0]!.balanceBytes).toBe(pieceBytes + 100)
  })

  it('a reader that keeps up with long frames gets a larger window, up to 4 MiB', () => {
    const b = bench()
    b.lanes[0]!.setHandler(() => {})
    b.link.takeBatch()
    for (let round = 0; round < 12; round++) {
      for (const one of longPieces(0, long(200_000))) b.pass(one)
      if (round === 0) {
        // The first round trip is measured: 1 ms.
        b.nowMs += 1
        b.pong()
      }
    }
    expect(b.lanes[0]!.window.windowBytes).toBe(4 * mib)
    expect(b.credit[0]!.balanceBytes).toBe(4 * mib)
  })
})

describe('the value that long frames carry', () => {
  it.each([65_537, 65_536 * 2 - 5, 65_536 * 2 - 4, 65_536 * 2 - 6, 1_000_000])(
    'a value of %i bytes arrives as it was sent, however its Pieces are cut into chunks',
    (length) => {
      for (const chunkBytes of [Infinity, 65_545, 65_536, 16_384, 4_099]) {
        const b = bench()
        const content = Buffer.from(Uint8Array.from({ length }, (_, at) => at * 31 + (at >> 8)))
        for (const one of longPieces(0, content)) b.send(one)
        while (b.bytesInFlight > 0) b.deliver(chunkBytes)
        expect(bytesOf(b.lanes[0]!.take()).equals(content), String(chunkBytes)).toBe(true)
      }
    },
  )

  it('what has arrived of a value survives a break, even in the middle of a Piece', () => {
    const b = bench()
    const content = Buffer.from(Uint8Array.from({ length: 900_000 }, (_, at) => at * 7 + (at >> 9)))
    for (const one of longPieces(0, content)) b.send(one)
    const [countBefore, whole] = [b.link.epoch.received, b.bytesInFlight]
    let readBytes = 0
    // Each connection delivers a Piece and a half.
    for (let breaks = 0; b.bytesInFlight > 98_000; breaks++) {
      b.deliver(98_000)
      readBytes += 98_000
      b.cut()
      b.connect()
    }
    b.deliver()
    expect(bytesOf(b.lanes[0]!.take()).equals(content)).toBe(true)
    expect(b.link.epoch.received - countBefore).toBe(14)
    expect(readBytes).toBeGreaterThan(whole)
  })
})

describe('any sequence of Pieces, values, reads and breaks', () => {
  const lanes = 2
  const peers = ['bob', 'carol']
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        what: fc.constant('send' as const),
        peer: fc.nat(1),
        lane: fc.nat(lanes - 1),
        length: fc.oneof(fc.integer({ min: 0, max: 70_000 }), fc.integer({ min: 65_537, max: 520_000 })),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        what: fc.constant('deliver' as const),
        peer: fc.nat(1),
        lane: fc.nat(),
        length: fc.integer({ min: 1, max: 200_000 }),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        what: fc.constantFrom('take', 'credits', 'cut', 'handle', 'unhandle'),
        peer: fc.nat(1),
        lane: fc.nat(lanes - 1),
        length: fc.constant(0),
      }),
    },
  )

  it('every value arrives whole and in order, balances are equal at both ends, and memory stays within the budget', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const node = new NodeMemory(2 * mib, 2)
        const benches = peers.map((peer) => new PiecesBench(node, peer, lanes))
        /** By peer and lane: what is still to be sent, what was sent, and how many of those were read. */
        const sides = benches.map((b) =>
          b.lanes.map(() => ({ rest: [] as Buffer[], sent: [] as [number, number][], read: 0 })),
        )
        let nextFill = 1
        const check = (peer: number, lane: number, value: unknown): void => {
          const side = sides[peer]![lane]!
          const [length, fill] = side.sent[side.read++]!
          const content = bytesOf(value)
          expect([content.length, content.equals(long(length, fill))]).toEqual([length, true])
        }
        const send = (peer: number, lane: number): void => {
          const { rest } = sides[peer]![lane]!
          while (rest.length > 0 && benches[peer]!.isUp && benches[peer]!.credit[lane]!.canSend)
            benches[peer]!.pay(rest.shift()!)
        }
        const invariants = (): void => {
          node.invariants()
          expect(node.held.largeFramesBytes).toBeLessThanOrEqual(mib)
          expect(node.held.windowsBytes).toBeLessThanOrEqual(mib)
        }
        for (const { what, peer, lane, length } of steps) {
          const b = benches[peer]!
          if (what === 'send') {
            const fill = (nextFill = (nextFill % 250) + 1)
            sides[peer]![lane]!.sent.push([length, fill])
            const whole = bytesFrame(lane, long(length, fill))
            sides[peer]![lane]!.rest.push(...(length > pieceBytes ? piecesOf(whole) : [whole]))
            send(peer, lane)
          } else if (what === 'deliver') b.deliver(length)
          else if (what === 'take') {
            const value = b.lanes[lane]!.handler === null ? b.lanes[lane]!.take() : undefined
            if (value !== undefined) check(peer, lane, value)
          } else if (what === 'credits') {
            b.readCredits()
            for (const id of b.lanes.keys()) send(peer, id)
          } else if (what === 'handle') b.lanes[lane]!.setHandler((value) => check(peer, lane, value))
          else if (what === 'unhandle') b.lanes[lane]!.setHandler(null)
          else b.breakOnce()
          invariants()
        }
        const isDone = (): boolean => sides.every((all) => all.every(({ sent, read }) => read === sent.length))
        for (let round = 0; round < 400 && !(round > 2 && isDone()); round++) {
          for (const [peer, b] of benches.entries()) {
            b.deliver()
            for (const [id, lane] of b.lanes.entries())
              for (
                let value = lane.handler === null ? lane.take() : undefined;
                value !== undefined;
                value = lane.take()
              )
                check(peer, id, value)
            b.readCredits()
            for (const id of b.lanes.keys()) send(peer, id)
            invariants()
          }
        }
        for (const [peer, b] of benches.entries())
          for (const [id, lane] of b.lanes.entries()) {
            expect(sides[peer]![id]!.read).toBe(sides[peer]![id]!.sent.length)
            expect(b.credit[id]!.balanceBytes).toBe(lane.window.ownCountBytes)
            expect(lane.window.unreadBytes).toBe(0)
          }
        expect([node.held.largeFramesBytes, node.longFrames.waiting]).toEqual([0, 0])
      }),
      { numRuns: 100 },
    )
  })
})
