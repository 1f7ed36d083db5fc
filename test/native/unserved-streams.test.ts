/**
 * Owns: what a side answers to streams, which it does not serve.
 * Independent of: sockets and sessions.
 */
import { describe, expect, it } from 'vitest'
import * as frames from '../../codec/native-frames.ts'
import { FloodGuard } from '../../protocol/native/lanes/flood-guard.ts'
import { UnservedStreams } from '../../protocol/native/lanes/unserved-streams.ts'
import { createReader, readOne } from '../codec/frame-examples.ts'

const { firstStreamLane } = frames

class Side {
  readonly written: Buffer[] = []
  readonly counters = { valuesSent: 0, bytesSent: 0, valuesReceived: 0, bytesReceived: 0, framesDropped: 0 }
  readonly lanes: UnservedStreams
  #nowMs = 0

  constructor() {
    const guard = new FloodGuard({ carriedFrames: () => 0 }, 0)
    const options = { guard, counters: this.counters, isPeerGreater: true }
    this.lanes = new UnservedStreams((frame) => void this.written.push(frame), options)
  }

  /** A second passes before each frame, so that none of this is a flood. */
  push(...all: Buffer[]): void {
    for (const frame of all) {
      this.#nowMs += 1_000
      this.lanes.onFrame(frame.readUInt32LE(0), frame[4]!, frame, 5, frame.length, this.#nowMs)
    }
  }

  /** What was written since the last call. */
  take(): unknown[] {
    return this.written.splice(0).map((frame) => readOne(frame))
  }
}

const open = (step: number): Buffer =>
  frames.encodeOpen(firstStreamLane + step, { windowBytes: 1, protocol: 'x', extra: Buffer.alloc(0) })

describe('streams', () => {
  it('a stream is reset as an unknown protocol, and a Reset that crosses it is dropped', () => {
    const side = new Side()
    side.push(open(1), frames.encodeReset(firstStreamLane + 1, { code: 0, reason: '' }))
    const { reader, sink } = createReader({ linkIndex: 1 })
    for (const frame of side.written) reader.push(frame)
    expect(sink.seen.map(({ lane, descriptor }) => [lane, descriptor])).toEqual([[firstStreamLane + 1, 0x37]])
    expect(side.take()).toEqual([expect.objectContaining({ code: 2 })])
    expect(side.counters.framesDropped).toBe(2)
  })

  it('an id of this side, an id again, and a frame for a stream that was never opened are refused', () => {
    const refused = expect.objectContaining({ code: 'ERR_STREAM_ID' }) as Error
    expect(() => new Side().push(open(2))).toThrow(refused)
    expect(() => new Side().push(open(1), open(1))).toThrow(refused)
    expect(() => new Side().push(open(1), frames.encodeFin(firstStreamLane + 3))).toThrow(refused)
    expect(() => new Side().push(frames.encodeFin(firstStreamLane + 2))).toThrow(refused)
  })

  it('the end of an epoch forgets stream ids', () => {
    const side = new Side()
    side.push(open(9))
    side.take()
    side.lanes.epochEnded({ reason: 'expired', held: new Map() }, new Map(), null)
    side.push(open(1))
    expect(side.take()).toEqual([expect.objectContaining({ code: 2 })])
  })
})
