/**
 * Owns: a peer that breaks a rule on a real socket, and how a protocol error looks from both sides.
 * Independent of: which rule is broken.
 */
import { expect } from 'vitest'
import { encodePing, nativeDescriptors } from '../../codec/native-frames.ts'
import { HostilePeer, hostileHello } from '../bars/chaos/hostile-peer.ts'
import { keys } from '../support/native-scene.ts'
import type { NativeMember, NativeScene } from '../support/native-scene.ts'
import type { WireRow } from './wire-rows.ts'

const { Pong } = nativeDescriptors

/** A counted frame of the victim. */
export interface Heard {
  readonly lane: number
  readonly descriptor: number
  readonly body: Buffer
}

/** A peer whose frames are made by hand, connected to the victim. */
export class Attack {
  readonly peer: HostilePeer
  readonly heard: Heard[] = []

  constructor(
    victim: NativeMember,
    { isLesser, laneWindowBytes = 65_536 }: Pick<WireRow, 'isLesser' | 'laneWindowBytes'> = {},
    linkIndex = 0,
  ) {
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

/** The victim said Goodbye `protocol`, and reports the same cause. */
export async function expectProtocolError(
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
