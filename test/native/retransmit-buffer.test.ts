/**
 * Owns: the contract of the retransmit buffer: what is retained, what is sent again, when senders wait; and that it
 * copies nothing. Independent of: links and sockets.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FrameWriter } from '../../codec/frame-writer.ts'
import { heldFramesMax, RetransmitBuffer, retransmitFramesMax } from '../../protocol/native/epoch/retransmit-buffer.ts'
import { expectError, expectProtocolError } from '../codec/harness.ts'

function bytes(length: number, fill = 1): Buffer {
  return Buffer.alloc(length, fill)
}

describe('the retransmit buffer', () => {
  test('the retransmit buffer holds the memory that was written, without a copy', () => {
    const writer = new FrameWriter()
    const window = new RetransmitBuffer()
    const lengths = [
      writer.writeFrame(1, { type: 'Bytes', value: bytes(10) }),
      writer.writeFrame(2, { type: 'Bytes', value: bytes(40_000) }),
    ]
    const parts = writer.take()
    window.push(parts, lengths)
    const replay = window.replayFrom(0)
    expect(replay.map((part) => [part.buffer, part.byteOffset, part.length])).toEqual(
      parts.map((part) => [part.buffer, part.byteOffset, part.length]),
    )
  })

  test('the retransmit buffer joins adjacent slices of one arena into one part', () => {
    const writer = new FrameWriter()
    const window = new RetransmitBuffer()
    for (let index = 0; index < 100; index += 1) {
      const length = writer.writeFrame(1, { type: 'Bytes', value: bytes(8, index) })
      window.push(writer.take(), [length])
    }
    expect(window.replayFrom(0).length).toBe(1)
    expect(window.replayFrom(99)[0]!.at(-1)).toBe(99)
    expect(window.heldBytes).toBe(17)
  })

  test('the retransmit buffer numbers frames and sends again from exactly the first unreceived one', () => {
    const window = new RetransmitBuffer()
    window.push([Buffer.from('aabbb'), Buffer.from('cccc')], [2, 3, 4])
    expect([window.first, window.next, window.heldFrames, window.heldBytes]).toEqual([0, 3, 3, 9])
    expect(window.ack(1)).toBe(1)
    expect(window.ack(1)).toBe(0)
    expect(Buffer.concat(window.replayFrom(1)).toString()).toBe('bbbcccc')
    expect(Buffer.concat(window.replayFrom(2)).toString()).toBe('cccc')
    expect(window.replayFrom(3)).toEqual([])
    expect([window.first, window.next, window.heldBytes]).toEqual([3, 3, 0])
  })

  test('the retransmit buffer rejects an Ack out of range as a protocol error, and changes nothing', () => {
    const window = new RetransmitBuffer()
    window.push([bytes(6)], [2, 2, 2])
    window.ack(2)
    for (const wrong of [1, 4, 2 ** 53, Number.NaN, -1])
      expectProtocolError('ERR_ACK_OUT_OF_RANGE', () => window.ack(wrong))
    expect([window.first, window.next, window.heldBytes]).toEqual([2, 3, 2])
  })

  test('the retransmit buffer admits a frame while it holds less than its size, at 32 bytes extra per frame', () => {
    const window = new RetransmitBuffer(1000)
    expect(window.admits()).toBe(true)
    window.push([bytes(967)], [967])
    expect(window.admits()).toBe(true)
    expect(window.admits(1, 1)).toBe(false)
    window.push([bytes(1)], [1])
    expect(window.admits()).toBe(false)
    window.ack(1)
    expect(window.admits()).toBe(true)
    // A frame larger than the buffer is admitted while there is room, and is never dropped for its size.
    window.push([bytes(5000)], [5000])
    expect([window.admits(), window.heldFrames]).toEqual([false, 2])
  })

  test('the retransmit buffer admits 65,536 frames, and 16 times as many that must not wait', () => {
    const window = new RetransmitBuffer(2 ** 31)
    const lengths = new Uint32Array(retransmitFramesMax - 1).fill(1)
    window.push([bytes(lengths.length)], lengths)
    expect([window.admits(), window.admits(1)]).toEqual([true, false])
    window.push([bytes(1)], [1])
    expect(window.admits()).toBe(false)
    const others = heldFramesMax - retransmitFramesMax
    window.push([bytes(others)], new Uint32Array(others).fill(1))
    expect(window.heldFrames).toBe(heldFramesMax)
    expectProtocolError('ERR_REPLAY_WINDOW_OVERRUN', () => {
      window.push([bytes(1)], [1])
    })
  })

  test('the retransmit buffer rejects lengths that do not add up', () => {
    expectError('ERR_INTERNAL', () => {
      new RetransmitBuffer().push([bytes(3)], [2])
    })
  })

  test('the retransmit buffer is renumbered from 0 when the link is kept, and is otherwise empty', () => {
    const window = new RetransmitBuffer()
    window.push([Buffer.from('aabbb')], [2, 3])
    window.ack(1)
    window.renumber()
    window.invariants()
    expect([window.first, window.next, Buffer.concat(window.replayFrom(0)).toString()]).toEqual([0, 1, 'bbb'])
    window.clear()
    expect([window.first, window.next, window.heldBytes, window.replayFrom(0)]).toEqual([0, 0, 0, []])
  })

  test('the retransmit buffer behaves like a plain list of frames, whatever the parts, Acks and wraps', () => {
    const frame = fc.integer({ min: 5, max: 30 })
    const step = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.record({
          frames: fc.array(frame, { maxLength: 40 }),
          cuts: fc.array(fc.nat(200), { maxLength: 6 }),
        }),
      },
      { weight: 2, arbitrary: fc.record({ ack: fc.nat(100) }) },
      { weight: 1, arbitrary: fc.constant('renumber' as const) },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const window = new RetransmitBuffer()
        const model: Buffer[] = []
        let first = 0
        let made = 0
        for (const one of steps) {
          if (one === 'renumber') {
            window.renumber()
            first = 0
          } else if ('ack' in one) {
            const received = first + Math.floor((model.length * one.ack) / 100)
            expect(window.ack(received)).toBe(received - first)
            model.splice(0, received - first)
            first = received
          } else {
            const frames = one.frames.map((length) => {
              const bytesOfFrame = bytes(length, 0)
              bytesOfFrame.writeUInt32LE((made += 1))
              bytesOfFrame[4] = made % 251
              return bytesOfFrame
            })
            const whole = Buffer.concat(frames)
            const cuts = [0, ...one.cuts.map((cut) => Math.min(cut, whole.length)).sort((a, b) => a - b), whole.length]
            // Some parts are adjacent in memory, some are not.
            const parts = cuts
              .slice(1)
              .map((end, index) =>
                index % 2 === 0 ? whole.subarray(cuts[index], end) : Buffer.from(whole.subarray(cuts[index], end)),
              )
            window.push(parts, Uint32Array.from(one.frames))
            model.push(...frames)
          }
          window.invariants()
          const seen: [number, number, number][] = []
          window.forEachHeld((sequence, lane, descriptor) => seen.push([sequence, lane, descriptor]))
          expect(seen).toEqual(model.map((held, index) => [first + index, held.readUInt32LE(0), held[4]]))
          expect(Buffer.concat(window.replayFrom(first)).equals(Buffer.concat(model))).toBe(true)
          expect([window.first, window.next, window.heldFrames]).toEqual([first, first + model.length, model.length])
        }
      }),
      { numRuns: 300 },
    )
  })

  test('the retransmit buffer costs the same for each of a million frames', () => {
    const window = new RetransmitBuffer()
    const part = bytes(64 * 10)
    const lengths = new Uint32Array(64).fill(10)
    for (let round = 0; round < 16_000; round += 1) {
      window.push([part], lengths)
      if (round >= 100) window.ack(window.first + 64)
    }
    window.invariants()
    expect(window.heldFrames).toBe(100 * 64)
  })
})
