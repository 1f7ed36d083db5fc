/**
 * Owns: that a link ends when the peer floods it, and holds no data for a peer that does not read. Independent of: how
 * floods are counted.
 */
import { describe, expect, it } from 'vitest'
import type { Session } from '../../actors/index.ts'
import { encodeFrame } from '../../codec/index.ts'
import {
  encodeCredit,
  encodeOpen,
  encodePieceHeader,
  encodePing,
  encodeReset,
  firstStreamLane,
} from '../../codec/native-frames.ts'
import { bytes, play, rejectionOf } from '../support/native-scene.ts'
import type { NativeMember, NativeScene } from '../support/native-scene.ts'

type Frames = Buffer | ((time: number) => Buffer)

/** Passes handmade frames of bob to the reader of alice's link. */
function passFrames(alice: NativeMember, bob: NativeMember, frames: Frames, times: number): void {
  const state = alice.link(bob)
  const reader = state.createReader()
  for (let time = 0; time < times; time++) {
    const chunk = typeof frames === 'function' ? frames(time) : frames
    state.chunkBegins(chunk.length)
    reader.push(chunk)
  }
}

const reset = (lane: number): Buffer => encodeReset(lane, { code: 0, reason: '' })
/** Bob has the greater id. */
const opened = (index: number): Buffer =>
  encodeOpen(firstStreamLane + 1 + 2 * index, { windowBytes: 1, protocol: 'x', extra: Buffer.alloc(0) })

async function connected(scene: NativeScene): Promise<[NativeMember, NativeMember]> {
  const [alice, bob] = await scene.pair()
  await scene.sessions([alice, bob], 1)
  return [alice, bob]
}

describe('a flood', () => {
  it.each<[string, Frames]>([
    ['pings', encodePing(1n)],
    ['credits for a session', encodeCredit(0, 1)],
    ['credits for a closed session', Buffer.concat([reset(0), encodeCredit(0, 1)])],
    ['resets', reset(0)],
    ['streams', opened],
    [
      'values on a session that its sender has closed',
      Buffer.concat([reset(0), encodeFrame(0, { type: 'RingElementBit', value: true })]),
    ],
  ])('a flood of %s is a protocol error', (_, frames) =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      expect(() => passFrames(alice, bob, frames, 20_000)).toThrow('control frames faster')
    }),
  )
})

describe('a long value without a reader', () => {
  it.each([
    ['that was never made', 5, 'ERR_SESSION_UNKNOWN'],
    ['whose credit is used up', 0, 'ERR_CREDIT_EXCEEDED'],
  ])('a long value is not buffered for a session %s', (_, lane, code) =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      passFrames(alice, bob, encodeFrame(0, bytes(65_536)), 1)
      const begun = encodeFrame(lane, bytes(1_000)).subarray(0, 20)
      expect(() => passFrames(alice, bob, begun, 1)).toThrow(expect.objectContaining({ code }))
    }),
  )

  it('of a value for a session that its sender has closed no more than 64 KiB are buffered, and it is dropped', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await connected(scene)
      passFrames(alice, bob, reset(0), 1)
      const before = alice.link(bob).counters.framesDropped
      const value = encodeFrame(0, bytes(65_536))
      const reader = alice.link(bob).createReader()
      for (let at = 0; at < value.length; at += 60_000) reader.push(value.subarray(at, at + 60_000))
      expect(alice.link(bob).counters.framesDropped - before).toBe(1)
      const longer = encodeFrame(0, bytes(65_537)).subarray(0, 9)
      expect(() => reader.push(longer)).toThrow(expect.objectContaining({ code: 'ERR_LONG_FRAME_WHOLE' }))
    }))

  it('a long value in flight when this side closes its session is accepted, and the next is not', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const [[mine]] = (await scene.sessions([alice, bob], 1)) as [[Session]]
      const over = rejectionOf(mine.receive(bob.id))
      mine.close()
      await over
      // The first Piece of a long value: as much as the credit of the session covers.
      const content = encodeFrame(0, bytes(1_000_000)).subarray(4, 4 + 65_536)
      const piece = Buffer.concat([encodePieceHeader(0, content.length), content])
      const reader = alice.link(bob).createReader()
      for (let at = 0; at < piece.length; at += 60_000) reader.push(piece.subarray(at, at + 60_000))
      expect(alice.link(bob).counters.framesDropped).toBe(1)
    }))
})
