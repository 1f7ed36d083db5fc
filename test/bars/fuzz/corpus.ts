/**
 * Owns: valid input to start from, made by the real encoders: every kind of frame and every descriptor of both dialects
 * at the sizes where rules change, hellos and refusals, values, MessagePack. Texts and certificates: corpus-texts.ts.
 * Independent of: how it is corrupted (mutate.ts) and which parser reads it.
 */
import { encodeControlFrame, encodeFrame, encodeValue } from '../../../codec/index.ts'
import type { NetworkValue } from '../../../codec/index.ts'
import { encodeHello, encodeRefusal, refusalCodes } from '../../../codec/hello.ts'
import type { Hello, RefusalName } from '../../../codec/hello.ts'
import {
  controlLane,
  encodeAccept,
  encodeAck,
  encodeCredit,
  encodeFin,
  encodeGoodbye,
  encodeOpen,
  encodePing,
  encodePong,
  encodeReset,
  encodePieceHeader,
  firstStreamLane,
  messagesLane,
  requestsLane,
  responsesLane,
  sessionLanesEnd,
  setupLane,
} from '../../../codec/native-frames.ts'
import { encodeMessage } from '../../../codec/message-frames.ts'
import { inPieces, longFrames, messagesAndRequests, setupConversations } from './corpus-native.ts'
import { encodeMsgPack } from '../../../codec/index.ts'

export const ownKey = new Uint8Array(32).fill(1)
export const peerKey = new Uint8Array(32).fill(2)
/** Long enough for a frame of three Pieces. */
export const maxMessageLengthBytes = 150_000

/** The limits in the hellos of the fuzzed link and its peer. */
export const limits = {
  maxMessageLengthBytes,
  laneWindowBytes: 65_536,
  resumeTimeoutMs: 120_000,
  links: 2,
  replayWindowBytes: 4 * 1024 * 1024,
  streamsMax: 1024,
}

export const peerHello: Hello = {
  ...limits,
  keepsIdle: true,
  connectionId: 0,
  bootId: 200n,
  epoch: 11n,
  nextEpoch: 12n,
  known: 0n,
  received: 0,
  first: 0,
  next: 0,
  publicKey: peerKey,
  helloNumber: 1,
}

/** The lanes that rules refer to; those below 16 are the sessions that the states open. */
export const interestingLanes: readonly number[] = [
  0,
  1,
  2,
  3,
  5,
  7,
  11,
  12,
  15,
  1023,
  1024,
  sessionLanesEnd - 1,
  sessionLanesEnd,
  responsesLane,
  messagesLane,
  setupLane,
  requestsLane,
  firstStreamLane,
  firstStreamLane + 1,
  firstStreamLane + 2,
  controlLane - 1,
  controlLane,
]

const bytes = (lengthBytes: number): NetworkValue => ({ type: 'Bytes', value: Buffer.alloc(lengthBytes, 0x5a) })

/** Every descriptor. */
export const smallValues: readonly NetworkValue[] = [
  { type: 'PrfKey', value: Buffer.alloc(16, 7) },
  { type: 'RingElementBit', value: false },
  { type: 'RingElementBit', value: true },
  { type: 'RingElement16', value: 0xffff },
  { type: 'RingElement32', value: 0xffff_ffff },
  { type: 'RingElement48', value: 0xffff_ffff_ffff },
  { type: 'RingElement64', value: 0xffff_ffff_ffff_ffffn },
  { type: 'StateChecksum', value: { irises: 1n, graph: 2n } },
  { type: 'PrfCheck', value: 3n },
  { type: 'VecRing16', value: Uint16Array.of(1, 2, 3) },
  { type: 'VecRing32', value: Uint32Array.of(1, 2, 3) },
  { type: 'VecRing48', value: Float64Array.of(1, 2 ** 48 - 1) },
  { type: 'VecRing64', value: BigUint64Array.of(1n, 2n ** 64n - 1n) },
  { type: 'VecRingBit', value: { bits: 9, packed: Uint8Array.of(0xff, 1) } },
  { type: 'VecRingBit', value: { bits: 0, packed: new Uint8Array(0) } },
  {
    type: 'NetworkVec',
    value: [
      { type: 'RingElement16', value: 1 },
      { type: 'Bytes', value: Buffer.from('x') },
      { type: 'VecRing32', value: Uint32Array.of(4) },
    ],
  },
  { type: 'NetworkVec', value: [] },
  bytes(0),
  bytes(1),
  bytes(64),
]

/** Around the sizes at which the codec takes another path. */
const largeValues: readonly NetworkValue[] = [
  ...[255, 256, 4095, 16_383, 16_384, 65_535, 65_536].map(bytes),
  { type: 'VecRing16', value: new Uint16Array(33) },
  { type: 'VecRing64', value: new BigUint64Array(8192) },
  { type: 'VecRingBit', value: { bits: 524_288, packed: new Uint8Array(65_536) } },
]

/** A frame and its weight: large frames are expensive. */
export interface Seed {
  readonly bytes: Buffer
  readonly weight: number
}

export const small = (frame: Buffer, weight = 40): Seed => ({ bytes: frame, weight })
const large = (frame: Buffer): Seed => ({ bytes: frame, weight: frame.length > 8192 ? 1 : 10 })

export function nativeSeeds(): Seed[] {
  const lanes = [0, 1, 2]
  const values = lanes.flatMap((lane) => smallValues.map((value) => small(encodeFrame(lane, value))))
  const msgpack = [1, true, null, 'text', { a: [1, 2, { b: 'c' }] }].map((value) =>
    withHeader(0, 0x20, Buffer.from(encodeMsgPack(value))),
  )
  const credits = [0, 1, 2, 3, 20, 1024].flatMap((lane) =>
    [1, 65_536, 0x7fff_ffff].map((credit) => small(encodeCredit(lane, credit))),
  )
  const acks = [0, 1, 2, 3, 4, 5, 6, 8, 12, 2 ** 32, Number.MAX_SAFE_INTEGER].map((received) =>
    small(encodeAck(received)),
  )
  const goodbyes = [0, 1].flatMap((code) =>
    [0, 1, 2, 3, 4].map((next) =>
      small(encodeGoodbye({ code, next, received: next, reason: next === 4 ? 'r'.repeat(256) : 'over' }), 8),
    ),
  )
  const resets = [0, 1, 2, 12].flatMap((lane) =>
    [0, 5, 99].map((code) => small(encodeReset(lane, { code, reason: lane === 2 ? 'r'.repeat(256) : 'closed' }), 15)),
  )
  const withoutHandlers = messagesAndRequests().map((frame) => small(frame))
  const setup = setupConversations().map((frames) => small(Buffer.concat(frames), 6))
  const setupFrames = setupConversations().flatMap((frames) => frames.map((frame) => small(frame, 8)))
  const streams = [firstStreamLane, firstStreamLane + 1].flatMap((lane) =>
    [
      encodeOpen(lane, { windowBytes: 65_536, protocol: 'chat/1', extra: Buffer.alloc(0) }),
      encodeOpen(lane, { windowBytes: 1, protocol: 'p'.repeat(255), extra: Buffer.alloc(300, 1) }),
      encodeAccept(lane, 65_536),
      encodeCredit(lane, 65_536),
      encodeReset(lane, { code: 0, reason: '' }),
      encodeFin(lane),
      encodeFrame(lane, bytes(32)),
    ].map((frame) => small(frame, 15)),
  )
  const control = [encodePing(0n), encodePing(2n ** 64n - 1n), encodePong(1n, 0), encodePong(1n, 3)].map((frame) =>
    small(frame),
  )
  const big = [
    ...largeValues.map((value) => large(encodeFrame(1, value))),
    large(encodeMessage({ name: '', bytes: Buffer.alloc(65_533) })),
    ...longFrames().map((frame) => large(Buffer.concat(inPieces(frame)))),
    ...longFrames().map((frame) => large(inPieces(frame)[0] as Buffer)),
    ...[0, messagesLane, requestsLane, responsesLane].map((lane) =>
      small(Buffer.concat([encodePieceHeader(lane, 9), Buffer.alloc(9, 1)]), 15),
    ),
    large(encodeOpen(firstStreamLane, { windowBytes: 9, protocol: 'x', extra: Buffer.alloc(65_536) })),
  ]
  return [
    ...values,
    ...msgpack.map((frame) => small(frame)),
    ...credits,
    ...acks,
    ...goodbyes,
    ...resets,
    ...withoutHandlers,
    ...setup,
    ...setupFrames,
    ...streams,
    ...control,
    ...big,
  ]
}

/** The frame of a value with a descriptor that the value encoder does not support. */
function withHeader(lane: number, descriptor: number, body: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUInt32LE(lane, 0)
  head[4] = descriptor
  head.writeUInt32LE(body.length, 5)
  return Buffer.concat([head, body])
}

export function ampcSeeds(): Seed[] {
  return [
    ...[0, 1, 2, 12, 40].flatMap((lane) => smallValues.map((value) => small(encodeFrame(lane, value)))),
    ...largeValues.map((value) => large(encodeFrame(1, value))),
  ]
}

export function controlSeeds(): Seed[] {
  return [
    ...smallValues.map((value) => small(encodeControlFrame(value))),
    ...largeValues.map((value) => large(encodeControlFrame(value))),
  ]
}

/** Hellos of a new peer, a resuming one, a restarted one, one that lost its state, and a refusal. */
export function helloSeeds(ownEpochs: { readonly epoch: bigint; readonly nextEpoch: bigint }): Seed[] {
  const hellos: Partial<Hello>[] = [
    {},
    { known: ownEpochs.epoch, helloNumber: 3 },
    { known: ownEpochs.epoch, helloNumber: 3, received: 2, next: 3, first: 1 },
    { known: ownEpochs.nextEpoch, epoch: 12n, nextEpoch: 13n, helloNumber: 4 },
    { bootId: 201n, epoch: 31n, nextEpoch: 32n },
    { connectionId: 1, links: 2 },
    { publicKey: ownKey },
    {
      known: ownEpochs.epoch,
      helloNumber: 9,
      received: Number.MAX_SAFE_INTEGER,
      first: Number.MAX_SAFE_INTEGER,
      next: Number.MAX_SAFE_INTEGER,
    },
  ]
  const names = Object.keys(refusalCodes) as RefusalName[]
  return [
    ...hellos.map((hello) => small(encodeHello({ ...peerHello, ...hello }), 40)),
    ...names.map((name) => small(encodeRefusal(name, name === 'busy' ? 'm'.repeat(256) : name), 6)),
  ]
}

export function ampcHandshakeSeeds(): Seed[] {
  const u32 = (value: number): Buffer =>
    Buffer.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff)
  const identity = (text: string): Buffer => Buffer.concat([u32(0), u32(Buffer.byteLength(text)), Buffer.from(text)])
  return [
    identity('bob'),
    identity('b'.repeat(128)),
    identity('ü€😀'),
    u32(0),
    Buffer.from('2ok'),
    Buffer.concat([u32(0), Buffer.from('2ok')]),
  ].map((input) => small(input))
}

export function valueSeeds(): Seed[] {
  return [...smallValues, ...largeValues].map((value) => Buffer.from(encodeValue(value))).map(large)
}

export function msgpackSeeds(): Seed[] {
  let nested: unknown = 1
  for (let level = 0; level < 32; level++) nested = level % 2 === 0 ? [nested] : { k: nested }
  const values = [
    null,
    true,
    1,
    -1,
    2 ** 40,
    2n ** 63n,
    -(2n ** 63n),
    1.5,
    'text',
    's'.repeat(300),
    Buffer.alloc(40, 9),
    new Date(1),
    new Date(2 ** 40),
    [],
    {},
    { a: 1, b: [2, 'three', { c: null }] },
    nested,
    Array.from({ length: 40 }, (_, i) => ({ i, big: 2n ** 62n })),
  ]
  return values.map((value) => small(Buffer.from(encodeMsgPack(value as never))))
}
