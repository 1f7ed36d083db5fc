/**
 * Owns: that each frame rule of the native dialect has its own end on a real socket when a peer breaks it: a Goodbye, a
 * Reset of one session, an answer, or a frame that is counted and dropped.
 * Independent of: how the codec finds it (test/codec), and what a hello may say.
 */
import { describe, expect, it } from 'vitest'
import { decodeResponse } from '../../codec/message-frames.ts'
import { encodeAck, encodePing, nativeDescriptors, resetCodes } from '../../codec/native-frames.ts'
import { decodeSetupFrame, encodeSetupFrame, type SetupFrame } from '../../codec/setup-frames.ts'
import { decodeReset } from '../../protocol/native/frame-bodies.ts'
import { HostilePeer, hostileHello } from '../bars/chaos/hostile-peer.ts'
import { keys, play } from '../support/native-scene.ts'
import type { NativeMember, NativeScene } from '../support/native-scene.ts'
import { setupRows } from './setup-rows.ts'
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
import type { WireRow } from './wire-rows.ts'

const { Pong, Reset, Response, Want } = nativeDescriptors
const victimKey = 1

interface Heard {
  readonly lane: number
  readonly descriptor: number
  readonly body: Buffer
}

class Attack {
  readonly peer: HostilePeer
  readonly heard: Heard[] = []

  constructor(victim: NativeMember, { isLesser, laneWindowBytes = 65_536 }: WireRow, linkIndex: number) {
    const key = keys[isLesser === true ? 0 : 2]!
    this.peer = new HostilePeer(Number(new URL(victim.network.url as string).port), key, {
      isPlain: true,
      hello: hostileHello(key.publicKey, { links: 2, connectionId: linkIndex, laneWindowBytes }),
      onFrame: (lane, descriptor, body) => void this.heard.push({ lane, descriptor, body: Buffer.from(body) }),
    })
  }

  /** Everything said so far was read once its answer is here. */
  async settled(scene: NativeScene): Promise<void> {
    const pongs = this.peer.heard.get(Pong) ?? 0
    await this.peer.say(encodePing(5n))
    await scene.until('the Pong', () => this.peer.isClosed || (this.peer.heard.get(Pong) ?? 0) > pongs)
  }
}

/** Session 0 on both sides; the peer makes it. @returns the frames that this took */
async function openSession(scene: NativeScene, victim: NativeMember, { peer, heard }: Attack): Promise<number> {
  const { id } = keys[2]!
  const making = victim.network.makeSessions({ count: 1, peers: [id] })
  await scene.until('the Want', () => heard.some(({ descriptor }) => descriptor === Want))
  const { body } = heard.find(({ descriptor }) => descriptor === Want)!
  const { k, callId } = decodeSetupFrame(Want, body, 0, body.length) as Extract<SetupFrame, { type: 'Want' }>
  await peer.say(
    Buffer.concat([
      encodeSetupFrame({ type: 'Make', k, callId: 5n, firstId: 0, windowBytes: 65_536 }),
      encodeSetupFrame({ type: 'Agree', k, set: callId ^ 5n }),
    ]),
  )
  await scene.run(making)
  return 2
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
    await made.peer.say(row.bytes)
    if ('protocol' in row.end) await expectProtocolError(scene, victim, made, row.end.protocol)
    else {
      await made.settled(scene)
      expect(made.peer.isUp).toBe(true)
      expect(made.peer.goodbye).toBe(null)
      const link = victim.linkTo(peerId, row.linkIndex)
      if ('dropped' in row.end) {
        expect(link.counters.framesDropped).toBe(row.end.dropped)
        expect(link.epoch.received).toBe(before + row.end.dropped)
        expect(made.heard.filter(({ descriptor }) => descriptor === Response)).toEqual([])
      } else if ('badValue' in row.end) {
        const resets = made.heard.filter(({ descriptor }) => descriptor === Reset)
        expect(resets.map(({ lane, body }) => [lane, decodeReset(body, 0, body.length)])).toEqual([
          [0, { code: resetCodes['bad-value'], reason: row.end.badValue }],
        ])
        expect(link.epoch.received).toBe(before + 1)
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

async function expectProtocolError(
  scene: NativeScene,
  victim: NativeMember,
  { peer }: Attack,
  code: string,
): Promise<void> {
  await scene.until('the connection ends', () => peer.isClosed)
  expect(peer.goodbyeCode).toBe(1)
  await scene.until('the event', () => victim.eventsOf('connection.lost').length > 0)
  expect(victim.eventsOf('connection.lost')[0]).toMatchObject({ cause: { code } })
  expect(victim.eventsOf('link.reset')).toMatchObject([{ reason: 'protocol-error' }])
  expect(victim.eventsOf('child.restarted')).toEqual([])
}

describe.each([
  ['lanes and descriptors', laneRows],
  ['fields', fieldRows],
  ['messages and requests', messageRows],
  ['streams', streamRows],
  ['session set-up', setupRows],
  ['counts', countRows],
  ['values', valueRows],
  ['MessagePack', msgpackRows],
  ['credit', creditRows],
])('the rules of %s', (_, rows) => {
  it.each(rows.map((row): [string, WireRow] => [row.rule, row]))(
    'a peer that breaks a rule on a real socket gets the end of that rule: %s',
    (_rule, row) => attack(row),
  )
})
