/**
 * Owns: that the arenas of a writer are reused once everything in them has been received, and never earlier.
 * Independent of: who decides what has been received (the retransmit buffer).
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { FrameWriter, maxArenaLengthBytes, SpareMemory } from '../../codec/index.ts'

/** A counted frame, or a control frame, which is never acknowledged. */
interface Piece {
  readonly isCounted: boolean
  readonly text: string
  readonly part: Buffer
}

class Wire {
  readonly spares = new SpareMemory(1 << 20)
  readonly writer = new FrameWriter(this.spares)
  readonly memories = new Set<ArrayBufferLike>()
  readonly #queue: Piece[] = []
  #written = 0

  write(lengthBytes: number, isCounted: boolean): void {
    this.writer.writeRaw(Buffer.alloc(lengthBytes, ++this.#written))
    const [part] = this.writer.take() as [Buffer]
    this.memories.add(part.buffer)
    this.#queue.push({ isCounted, text: part.toString('latin1'), part })
  }

  /** The other side reads this many pieces and acknowledges the counted ones. */
  read(pieces: number): void {
    for (const { isCounted, part } of this.#queue.splice(0, pieces))
      if (isCounted) this.writer.receivedFrom(part.buffer)
  }

  /** The socket sends what was written. */
  check(): void {
    for (const { part, text } of this.#queue) expect(part.toString('latin1') === text).toBe(true)
  }
}

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ write: fc.integer({ min: 1, max: 16_000 }), isCounted: fc.boolean() }) },
  // About as many as are written, so that some always wait.
  { weight: 1, arbitrary: fc.record({ read: fc.integer({ min: 1, max: 5 }) }) },
)

it('data that waits for the socket is never overwritten, whatever is written, counted and read', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 50, maxLength: 300 }), (steps) => {
      const wire = new Wire()
      for (const each of steps) {
        if ('write' in each) wire.write(each.write, each.isCounted)
        else wire.read(each.read)
        wire.check()
      }
    }),
    { numRuns: 60 },
  )
})

it('a stream whose frames are received as they come needs few arenas, however long it is', () => {
  const wire = new Wire()
  for (let count = 0; count < 2_000; count++) {
    wire.write(1_000, true)
    wire.read(1)
  }
  // 4, 8, 16 and 32 KiB at first, then two of 64 KiB that alternate.
  expect(wire.memories.size).toBeLessThanOrEqual(6)
})

it('control frames alone release no arena: what was received last may lie before them', () => {
  const wire = new Wire()
  for (let count = 0; count < 500; count++) {
    wire.write(1_000, false)
    wire.read(1)
  }
  expect(wire.spares.heldBytes).toBe(0)
})

it('after forgetArenas() no earlier memory is reused', () => {
  const wire = new Wire()
  for (let count = 0; count < 300; count++) wire.write(1_000, true)
  wire.writer.forgetArenas()
  wire.read(300)
  expect(wire.spares.heldBytes).toBe(0)
  for (let count = 0; count < 300; count++) wire.write(1_000, true)
  wire.read(300)
  expect(wire.spares.heldBytes).toBeGreaterThan(maxArenaLengthBytes)
})

it("writers that share spare memory reuse each other's arenas", () => {
  const first = new Wire()
  for (let count = 0; count < 300; count++) first.write(1_000, true)
  first.read(300)
  const held = first.spares.heldBytes
  const second = new FrameWriter(first.spares)
  for (let count = 0; count < 300; count++) second.writeRaw(Buffer.alloc(1_000))
  expect(first.spares.heldBytes).toBeLessThan(held)
})
