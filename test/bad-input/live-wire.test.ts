/**
 * Owns: that each frame rule of the native dialect has its own end on a real socket when a peer breaks it: a Goodbye, a
 * Reset of one session, an answer, or a frame that is counted and dropped.
 * Independent of: how the codec finds it (test/codec), and what a hello may say.
 */
import { describe, expect, it } from 'vitest'
import { decodeResponse } from '../../codec/message-frames.ts'
import { NativeFrameReader } from '../../codec/native-frame-reader.ts'
import { controlLane, encodeAck, nativeDescriptors, resetCodes } from '../../codec/native-frames.ts'
import { decodeSetupFrame, encodeSetupFrame } from '../../codec/setup-frames.ts'
import { decodeReset } from '../../protocol/native/frame-bodies.ts'
import { keys, play } from '../support/native-scene.ts'
import type { NativeMember, NativeScene } from '../support/native-scene.ts'
import { Attack, expectProtocolError } from './attack.ts'
import {
  countRows,
  creditRows,
  fieldRows,
  laneRows,
  maxMessageLengthBytes,
  messageRows,
  msgpackRows,
  streamRows,
  valueRows,
} from './wire-rows.ts'
import { pieceRows } from './piece-rows.ts'
import { sessionRows, setupRows } from './setup-rows.ts'
import type { WireRow } from './wire-rows.ts'

const { Refuse, Reset, Response, Want } = nativeDescriptors
const victimKey = 1

function countedFrames(bytes: Buffer): number {
  let frames = 0
  const reader = new NativeFrameReader(
    { maxMessageLengthBytes, linkIndex: 0 },
    { onFrame: (lane) => (frames += lane === controlLane ? 0 : 1) > 0 },
  )
  reader.push(bytes)
  return frames
}

/** This side calls makeSessions. @returns the call, and the Want that the other side got */
async function call(
  scene: NativeScene,
  victim: NativeMember,
  { heard }: Attack,
): Promise<{ making: Promise<unknown>; k: number; callId: bigint }> {
  const making = victim.network.makeSessions({ count: 1, peers: [keys[2]!.id] })
  making.catch(() => {})
  await scene.until('the Want', () => heard.some(({ descriptor }) => descriptor === Want))
  const { body } = heard.find(({ descriptor }) => descriptor === Want)!
  const want = decodeSetupFrame(Want, body, 0, body.length)
  if (want.type !== 'Want') throw new Error('it is no Want')
  return { making, k: want.k, callId: want.callId }
}

/** Session 0 on both sides. @returns the counted frames that this took */
async function openSession(scene: NativeScene, victim: NativeMember, attack: Attack): Promise<number> {
  const { making, k, callId } = await call(scene, victim, attack)
  const frames = [
    encodeSetupFrame({ type: 'Make', k, callId: 9n, firstId: 0, windowBytes: 65_536 }),
    encodeSetupFrame({ type: 'Agree', k, set: callId ^ 9n }),
  ]
  await attack.peer.say(Buffer.concat(frames))
  await scene.run(making)
  return frames.length
}

async function bytesOf(row: WireRow, scene: NativeScene, victim: NativeMember, attack: Attack): Promise<Buffer> {
  if (row.calls === true) victim.network.makeSessions({ count: 1, peers: [keys[0]!.id] }).catch(() => {})
  return typeof row.bytes === 'function' ? row.bytes((await call(scene, victim, attack)).k) : row.bytes
}

async function attack(row: WireRow): Promise<void> {
  await play({ on: 'tcp', links: 2, limits: { maxMessageLengthBytes } }, async (scene) => {
    const victim = await scene.start({ key: victimKey, peers: [0, 2], dials: [] })
    const attacks = [new Attack(victim, row, 0)]
    await attacks[0]!.peer.whenAnswered
    if (row.linkIndex !== undefined) attacks.push(new Attack(victim, row, row.linkIndex))
    const made = attacks.at(-1)!
    await made.peer.whenAnswered
    expect(made.peer.isUp).toBe(true)
    const before = row.session === true ? await openSession(scene, victim, made) : 0
    const peerId = keys[row.isLesser === true ? 0 : 2]!.id
    const bytes = await bytesOf(row, scene, victim, made)
    await made.peer.say(bytes)
    if ('protocol' in row.end) await expectProtocolError(scene, victim, made, row.end.protocol)
    else {
      await made.settled(scene)
      expect(made.peer.isUp).toBe(true)
      expect(made.peer.goodbye).toBe(null)
      const link = victim.linkTo(peerId, row.linkIndex)
      if ('dropped' in row.end) {
        expect(link.counters.framesDropped).toBe(row.end.dropped)
        expect(link.epoch.received).toBe(before + countedFrames(bytes))
        expect(made.heard.filter(({ descriptor }) => descriptor === Response)).toEqual([])
      } else if ('badValue' in row.end) {
        const resets = made.heard.filter(({ descriptor }) => descriptor === Reset)
        expect(resets.map(({ lane, body }) => [lane, decodeReset(body, 0, body.length)])).toEqual([
          [0, { code: resetCodes['bad-value'], reason: row.end.badValue }],
        ])
        expect(link.epoch.received).toBe(before + countedFrames(bytes))
      } else if ('refuse' in row.end) {
        const refusals = made.heard.filter(({ descriptor }) => descriptor === Refuse)
        expect(refusals.map(({ body }) => decodeSetupFrame(Refuse, body, 0, body.length))).toMatchObject([
          { k: 1, reason: row.end.refuse },
        ])
      } else {
        const answers = made.heard.filter(({ descriptor }) => descriptor === Response)
        expect(answers.map(({ body }) => decodeResponse(body, 0, body.length))).toMatchObject([
          { nonce: 1, status: row.end.response },
        ])
        // Or the shutdown waits for it.
        await made.peer.say(encodeAck(made.peer.counted))
        await made.settled(scene)
      }
    }
    for (const { peer } of attacks) peer.end()
  })
}

describe.each([
  ['lanes and descriptors', laneRows],
  ['fields', fieldRows],
  ['messages and requests', messageRows],
  ['streams', streamRows],
  ['counts', countRows],
  ['values', valueRows],
  ['MessagePack', msgpackRows],
  ['credit', creditRows],
  ['Pieces', pieceRows],
  ['set-up', setupRows],
  ['session ids', sessionRows],
])('the rules of %s', (_, rows) => {
  it.each(rows.map((row): [string, WireRow] => [row.rule, row]))(
    'a peer that breaks a rule on a real socket gets the end of that rule: %s',
    (_rule, row) => attack(row),
  )
})
