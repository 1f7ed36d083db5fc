/**
 * Owns: that each rule of streams has its own end on a real socket when a peer breaks it on a stream that is open or
 * being opened, that both sides can read the cause, and that names, extra bytes and codes keep their limits.
 * Independent of: rules that one frame breaks without a handler (wire-rows.ts).
 */
import { describe, expect, it } from 'vitest'
import type { Stream } from '../../actors/index.ts'
import type { ErrorCode } from '../../codec/errors.ts'
import { encodeFrame } from '../../codec/index.ts'
import * as frames from '../../codec/native-frames.ts'
import { decodeAccept, decodeOpen, decodeReset } from '../../protocol/native/frame-bodies.ts'
import { frame } from '../codec/frame-examples.ts'
import { keys, play, rejectionOf } from '../support/native-scene.ts'
import type { NativeMember, NativeScene } from '../support/native-scene.ts'
import { Attack, expectProtocolError } from './attack.ts'

const { Accept, Bytes, Credit, Open, Reset } = { ...frames.nativeDescriptors, Bytes: 0x0c }
const { encodeAccept, encodeCredit, encodeFin } = frames
const windowBytes = 65_536
const streamsMax = 3
const streamOpensPerSecond = 50
/** The first stream of the other side, which has the greater id. */
const id = frames.firstStreamLane + 1

const none = Buffer.alloc(0)
const open = (lane: number, protocol = 'open', extra = none): Buffer =>
  frames.encodeOpen(lane, { windowBytes, protocol, extra })
const bytes = (lane: number, lengthBytes = 1): Buffer =>
  encodeFrame(lane, { type: 'Bytes', value: Buffer.alloc(lengthBytes) })
const reset = (lane: number, code = 0, reason = ''): Buffer => frames.encodeReset(lane, { code, reason })
const u16 = (value: number): string => Buffer.from(Uint16Array.of(value).buffer).toString('hex')
const u32 = (value: number): string => Buffer.from(Uint32Array.of(value).buffer).toString('hex')
/** How a stream ends with its connection, and one that the peer reset before. */
const lost = { how: 'lost', by: 'network' }
const resetByPeer = { how: 'reset', by: 'peer' }
/** Frames of which each leaves once the victim has read the one before. */
type Steps = readonly Buffer[]

/** A victim that serves "open" and reads nothing of it, and never decides about "undecided". */
class Scene {
  readonly scene: NativeScene
  readonly victim: NativeMember
  readonly attack: Attack
  readonly accepted: Stream[] = []

  private constructor(scene: NativeScene, victim: NativeMember) {
    this.scene = scene
    this.victim = victim
    this.attack = new Attack(victim)
    victim.network.onStream('open', (stream) => {
      stream.on('error', () => {})
      this.accepted.push(stream)
    })
    victim.network.onStream('undecided', () => {}, { permit: () => new Promise(() => {}) })
    victim.network.onStream('forbidden', () => {}, { permit: () => false })
    victim.network.onStream('single', (stream) => void stream.on('error', () => {}), { concurrency: 1 })
    victim.network.onStream('broken', () => {}, {
      permit: () => {
        throw Object.assign(new Error('the disk is full'), { streamErrorCode: 300 })
      },
    })
  }

  static play(body: (scene: Scene) => Promise<void>): Promise<void> {
    return play(
      { on: 'tcp', limits: { laneWindowBytes: windowBytes, streamsMax, streamOpensPerSecond } },
      async (all) => {
        const scene = new Scene(all, await all.start({ key: 1, peers: [2], dials: [] }))
        await scene.attack.peer.whenAnswered
        expect(scene.attack.peer.isUp).toBe(true)
        await body(scene)
        scene.attack.peer.end()
      },
    )
  }

  /** Sends the frames, each after the one before was read. */
  async say(steps: Steps): Promise<void> {
    for (const step of steps) {
      await this.attack.peer.say(step)
      await this.attack.settled(this.scene)
    }
  }

  /** The victim opens a stream to this side. @returns the id, and the call */
  async asks(protocol = 'p', extra = none): Promise<{ lane: number; stream: Promise<Stream> }> {
    const stream = this.victim.network.getStream(keys[2]!.id, protocol, { extra })
    stream.then(
      (opened) => opened.on('error', () => {}),
      () => {},
    )
    const heard = this.attack.heard.length
    const isOpen = ({ descriptor }: { descriptor: number }): boolean => descriptor === Open
    await this.scene.until('the Open', () => this.attack.heard.slice(heard).some(isOpen))
    return { lane: this.attack.heard.findLast(isOpen)!.lane, stream }
  }

  bodiesOf(wanted: number): { lane: number; body: Buffer }[] {
    return this.attack.heard.filter(({ descriptor }) => descriptor === wanted)
  }

  get resets(): [number, number, string][] {
    return this.bodiesOf(Reset).map(({ lane, body }) => {
      const { code, reason } = decodeReset(body, 0, body.length)
      return [lane, code, reason]
    })
  }

  /** The connection ended with this cause: the victim reports it, and its Goodbye says it in the same words. */
  async endsWith(code: ErrorCode, end: object = lost): Promise<void> {
    await expectProtocolError(this.scene, this.victim, this.attack, code)
    const { cause } = this.victim.eventsOf('connection.lost')[0]!
    expect([this.attack.peer.goodbye]).toEqual([cause!.message])
    for (const stream of this.accepted) expect(await this.scene.run(stream.closed)).toMatchObject(end)
  }

  /** The connection is up, and the next stream is served. */
  async goesOn(lane = id + 100): Promise<void> {
    const before = this.accepted.length
    await this.say([open(lane)])
    expect(this.attack.peer.isUp).toBe(true)
    expect(this.attack.peer.goodbye).toBe(null)
    expect(this.accepted.length).toBe(before + 1)
  }
}

const order = 'ERR_STREAM_ORDER'

describe('a rule of streams that a peer breaks on a real socket', () => {
  it.each<[rule: string, code: ErrorCode, steps: Steps, end?: object]>([
    ['no Bytes arrive before Accept', order, [open(id, 'undecided'), bytes(id)]],
    ['no Credit arrives before Accept', order, [open(id, 'undecided'), encodeCredit(id, 1)]],
    ['no Fin arrives before Accept', order, [open(id, 'undecided'), encodeFin(id)]],
    ['the opener sends no Accept while it waits', order, [open(id, 'undecided'), encodeAccept(id, 1)]],
    ['the opener sends no Accept once it is open', order, [open(id), encodeAccept(id, 1)]],
    ['no Bytes follow a Fin', order, [open(id), encodeFin(id), bytes(id)]],
    ['no second Fin follows', order, [open(id), encodeFin(id), encodeFin(id)]],
    ['no Open has an id in use', 'ERR_STREAM_ID', [open(id), open(id)]],
    ['no Open has the id of a stream that is over', 'ERR_STREAM_ID', [open(id), reset(id), open(id)], resetByPeer],
    ['no Open goes back', 'ERR_STREAM_ID', [open(id + 2), open(id)]],
    ['no Open has the parity of the other side', 'ERR_STREAM_ID', [open(id - 1)]],
    ['no Fin arrives for a stream ahead of the last', 'ERR_STREAM_ID', [open(id), encodeFin(id + 2)]],
    ['no Bytes arrive for a stream ahead of the last', 'ERR_STREAM_ID', [open(id), bytes(id + 2)]],
    ['no Credit arrives for a stream ahead of the last', 'ERR_STREAM_ID', [open(id), encodeCredit(id + 2, 1)]],
    ['no Accept arrives for a stream ahead of the last', 'ERR_STREAM_ID', [open(id), encodeAccept(id + 2, 1)]],
    ['no Bytes arrive without credit', 'ERR_CREDIT_EXCEEDED', [open(id), bytes(id, 65_536), bytes(id)]],
    ['no Credit is 0', 'ERR_CREDIT_ZERO', [open(id), frame(id, Credit, u32(0))]],
    ['no balance is above 2^31 - 1', 'ERR_CREDIT_OVERFLOW', [open(id), encodeCredit(id, 2 ** 31 - windowBytes)]],
    ['Bytes are not empty', 'ERR_VALUE_TRUNCATED', [open(id), frame(id, Bytes, u32(0))]],
    ['Bytes have at most 64 KiB', 'ERR_MESSAGE_TOO_LONG', [open(id), frame(id, Bytes, u32(65_537))]],
    ['an open stream carries no other value', 'ERR_UNKNOWN_DESCRIPTOR', [open(id), frame(id, 0x01)]],
    ['a reason has at most 256 bytes', 'ERR_MESSAGE_TOO_LONG', [open(id), frame(id, Reset, u16(0) + u16(257))]],
    [
      'no more streams are open than the limit allows',
      'ERR_STREAM_LIMIT_EXCEEDED',
      [0, 1, 2, 3].map((index) => open(id + 2 * index, index === 1 ? 'undecided' : 'open')),
    ],
    [
      'no more streams are opened and reset in a second than the limit allows',
      'ERR_FLOOD',
      [Buffer.concat(Array.from({ length: 60 }, (_, index) => [open(id + 2 * index), reset(id + 2 * index)]).flat())],
      // The last of them may be open still.
      { by: expect.stringMatching(/^(peer|network)$/) as string },
    ],
    [
      'no more Resets for a stream that is over arrive in a second than the limit allows',
      'ERR_FLOOD',
      [open(id), Buffer.concat(Array.from({ length: 60 }, () => reset(id)))],
      resetByPeer,
    ],
  ])('%s: the connection ends with %s', (_, code, steps, end) =>
    Scene.play(async (scene) => {
      await scene.say(steps)
      await scene.endsWith(code, end)
    }),
  )

  it.each<[rule: string, code: ErrorCode, isAccepted: boolean, bytes: (lane: number) => Buffer]>([
    ['the acceptor sends no Bytes before Accept', order, false, bytes],
    ['the acceptor sends no Credit before Accept', order, false, (lane) => encodeCredit(lane, 1)],
    ['the acceptor sends no Fin before Accept', order, false, encodeFin],
    ['the acceptor accepts once', order, true, (lane) => encodeAccept(lane, 1)],
    ['no Bytes follow the Fin of the acceptor', order, true, (lane) => Buffer.concat([encodeFin(lane), bytes(lane)])],
    [
      'no Fin follows the Fin of the acceptor',
      order,
      true,
      (lane) => Buffer.concat([encodeFin(lane), encodeFin(lane)]),
    ],
    [
      'no window of an Accept is above 2^31 - 1',
      'ERR_CREDIT_OVERFLOW',
      false,
      (lane) => frame(lane, Accept, u32(2 ** 31)),
    ],
    ['no balance is above 2^31 - 1', 'ERR_CREDIT_OVERFLOW', true, (lane) => encodeCredit(lane, 2 ** 31 - windowBytes)],
    ['no Open uses its id', 'ERR_STREAM_ID', true, open],
    ['no Reset arrives for the stream after it', 'ERR_STREAM_ID', true, (lane) => reset(lane + 2)],
    [
      'no Bytes arrive without credit',
      'ERR_CREDIT_EXCEEDED',
      true,
      (lane) => Buffer.concat([bytes(lane, 65_536), bytes(lane)]),
    ],
  ])('on a stream that the victim opened, %s: the connection ends with %s', (_, code, isAccepted, broken) =>
    Scene.play(async (scene) => {
      const { lane, stream } = await scene.asks()
      if (isAccepted) {
        await scene.say([encodeAccept(lane, windowBytes)])
        scene.accepted.push(await scene.scene.run(stream))
      }
      await scene.say([broken(lane)])
      await scene.endsWith(code)
      if (!isAccepted)
        expect(await scene.scene.run(rejectionOf(stream))).toMatchObject({
          code: 'ERR_LINK_RESET',
          by: 'network',
          bytes: { acked: 0, unknown: 0, notSent: 0 },
        })
    }),
  )

  it('every kind of late frame for a stream that is over is counted and dropped', () =>
    Scene.play(async (scene) => {
      const late = [bytes(id), encodeCredit(id, 1), encodeFin(id), reset(id), encodeAccept(id, 1)]
      await scene.say([open(id), reset(id), ...late])
      const { counters, epoch } = scene.victim.linkTo(keys[2]!.id)
      expect(counters.framesDropped).toBe(late.length)
      expect(epoch.received).toBe(2 + late.length)
      await scene.goesOn()
    }))

  it('Credit for a direction that is finished is ignored, however much it is', () =>
    Scene.play(async (scene) => {
      await scene.say([open(id)])
      scene.accepted[0]!.end()
      await scene.say([encodeCredit(id, 2 ** 31 - 1), encodeCredit(id, 2 ** 31 - 1)])
      await scene.goesOn()
    }))
})

describe('a stream that a peer opens on a real socket', () => {
  it.each<[why: string, protocol: string, code: number, reason: string]>([
    ['its protocol is not served', 'unheard-of', 2, ''],
    ['its protocol is one of the runtime that is off', 'statewire/ping', 2, ''],
    ['it is not permitted', 'forbidden', 3, 'not permitted'],
    ['permit throws', 'broken', 300, 'the disk is full'],
    ['as many as allowed are open', 'single', 4, '1 streams of this protocol are open'],
  ])('is reset with the reason if %s, and the next one is served', (_, protocol, code, reason) =>
    Scene.play(async (scene) => {
      if (protocol === 'single') await scene.say([open(id, protocol)])
      await scene.say([open(id + 2, protocol)])
      expect(scene.resets).toEqual([[id + 2, code, reason]])
      await scene.goesOn()
    }),
  )

  it.each<[what: string, name: Buffer, seen: string]>([
    ['1 byte', Buffer.from('n'), 'n'],
    ['254 bytes', Buffer.alloc(254, 'n'), 'n'.repeat(254)],
    ['255 bytes', Buffer.alloc(255, 'n'), 'n'.repeat(255)],
    ['255 bytes in 85 characters', Buffer.from('€'.repeat(85)), '€'.repeat(85)],
    ['bytes that are not UTF-8', Buffer.from('ff6e', 'hex'), '\ufffdn'],
  ])('is served under a name of %s', (_, name, seen) =>
    Scene.play(async (scene) => {
      let served = ''
      scene.victim.network.onStream(seen, (stream) => {
        stream.on('error', () => {})
        served = stream.protocol
      })
      const hex = u32(windowBytes) + u16(name.length) + name.toString('hex') + u32(0)
      await scene.say([frame(id, Open, hex)])
      expect(served).toBe(seen)
      expect(scene.bodiesOf(Accept)).toHaveLength(1)
    }),
  )

  it.each([
    ['ERR_VALUE_TRUNCATED', 'a name of 0 bytes', u32(1) + u16(0)],
    ['ERR_MESSAGE_TOO_LONG', 'a name of 256 bytes', u32(1) + u16(256)],
    ['ERR_MESSAGE_TOO_LONG', 'extra bytes above 64 KiB', `${u32(1)}${u16(1)}61${u32(65_537)}`],
  ] as [ErrorCode, string, string][])('ends the connection with %s if it has %s', (code, _, hex) =>
    Scene.play(async (scene) => {
      await scene.say([frame(id, Open, hex)])
      await scene.endsWith(code)
    }),
  )

  it.each([0, 1, 65_535, 65_536])('arrives with %i extra bytes', (lengthBytes) =>
    Scene.play(async (scene) => {
      await scene.say([open(id, 'open', Buffer.alloc(lengthBytes, 7))])
      expect(scene.accepted[0]!.extra.equals(Buffer.alloc(lengthBytes, 7))).toBe(true)
    }),
  )

  it.each([
    [0, 0],
    [5, 5],
    [7, 7],
    [8, 0],
    [0xff, 0],
    [0x100, 0x100],
    [0x101, 0x101],
    [0xfffe, 0xfffe],
    [0xffff, 0xffff],
  ])('that is reset with the code %i fails with the code %i', (sent, seen) =>
    Scene.play(async (scene) => {
      await scene.say([open(id)])
      const stream = scene.accepted[0]!
      const failed = new Promise<Error>((resolve) => stream.once('error', resolve))
      await scene.say([reset(id, sent, 'because')])
      expect(await scene.scene.run(failed)).toMatchObject({
        code: 'ERR_STREAM_RESET',
        by: 'peer',
        streamErrorCode: seen,
        reason: 'because',
      })
      expect(await scene.scene.run(stream.closed)).toMatchObject({ how: 'reset', by: 'peer', code: seen })
    }),
  )

  it.each([255, 256])('that is reset with a reason of %i bytes has all of it', (lengthBytes) =>
    Scene.play(async (scene) => {
      await scene.say([open(id), frame(id, Reset, u16(256) + u16(lengthBytes) + '61'.repeat(lengthBytes))])
      expect((await scene.scene.run(scene.accepted[0]!.closed)).reason).toBe('a'.repeat(lengthBytes))
    }),
  )

  it('that is reset with a reason that is not UTF-8 has it with replacements', () =>
    Scene.play(async (scene) => {
      await scene.say([open(id), frame(id, Reset, `${u16(256)}${u16(2)}ff61`)])
      expect((await scene.scene.run(scene.accepted[0]!.closed)).reason).toBe('\ufffda')
    }))
})

describe('what this side sends for a stream on a real socket', () => {
  it.each(['n', 'n'.repeat(254), 'n'.repeat(255), '€'.repeat(85)])('is the name %s as it was given', (name) =>
    Scene.play(async (scene) => {
      const { lane, stream } = await scene.asks(name, Buffer.alloc(65_536, 1))
      const { body } = scene.bodiesOf(Open)[0]!
      const { protocol, extra } = decodeOpen(body, 0, body.length)
      expect([lane % 2, protocol, Buffer.from(extra).equals(Buffer.alloc(65_536, 1))]).toEqual([0, name, true])
      await scene.say([reset(lane, 2)])
      expect(await scene.scene.run(rejectionOf(stream))).toMatchObject({ code: 'ERR_NO_PROTOCOL' })
    }),
  )

  it.each(['', 'n'.repeat(256), '€'.repeat(85) + 'n', '\udc00'])(
    'is no name that is too short, too long or no text',
    (name) =>
      Scene.play(async (scene) => {
        const { network } = scene.victim
        expect(await rejectionOf(network.getStream(keys[2]!.id, name))).toMatchObject({ code: 'ERR_INVALID_OPTION' })
        expect(() => network.onStream(name, () => {})).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }))
        expect(scene.bodiesOf(Open)).toEqual([])
      }),
  )

  it.each([256, 257, 65_534, 65_535])('is the code %i of reset, with at most 256 bytes of its reason', (code) =>
    Scene.play(async (scene) => {
      await scene.say([open(id)])
      scene.accepted[0]!.reset(code, `${'a'.repeat(255)}€`)
      await scene.attack.settled(scene.scene)
      expect(scene.resets).toEqual([[id, code, 'a'.repeat(255)]])
    }),
  )

  it.each([255, 65_536, -1, 256.5, NaN, '256', undefined])('is no code %s of reset', (code) =>
    Scene.play(async (scene) => {
      await scene.say([open(id)])
      const stream = scene.accepted[0]!
      expect(() => stream.reset(code as number)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }))
      await scene.attack.settled(scene.scene)
      expect([stream.destroyed, scene.resets]).toEqual([false, []])
    }),
  )

  it('is the window of its limits in Open and Accept', () =>
    Scene.play(async (scene) => {
      await scene.asks()
      await scene.say([open(id)])
      const [opened, accepted] = [scene.bodiesOf(Open)[0]!.body, scene.bodiesOf(Accept)[0]!.body]
      expect(decodeOpen(opened, 0, opened.length).windowBytes).toBe(windowBytes)
      expect(decodeAccept(accepted, 0)).toBe(windowBytes)
    }))
})
