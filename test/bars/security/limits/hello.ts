/**
 * Owns: S9, the fields of a hello: sizes, windows, durations, counts, at and next to every bound.
 * Independent of: what follows from a valid hello.
 */
import {
  cutUtf8,
  encodeHello,
  encodeRefusal,
  HelloReader,
  helloMaxMessageLengthBytesMax,
  helloMaxMessageLengthBytesMin,
  linksMax,
  refusalMessageLengthBytesMax,
  windowBytesMax,
} from '../../../../codec/hello.ts'
import { helloOf } from '../identity-bar.ts'
import { around } from './case.ts'
import type { LimitCase } from './case.ts'

const fine = 'in order'
const refused = 'bad-hello'
const maxUint32 = 0xffff_ffff
const publicKey = new Uint8Array(32).fill(1)

/** Offset and width of each field. */
const fields = {
  maxMessageLength: [12, 4],
  laneWindow: [16, 4],
  resumeTimeout: [20, 4],
  bootId: [24, 8],
  epoch: [32, 8],
  nextEpoch: [40, 8],
  received: [56, 8],
  first: [64, 8],
  next: [72, 8],
  helloNumber: [112, 8],
  links: [120, 2],
  replayWindow: [122, 4],
  streamsMax: [126, 4],
} as const

/** A hello that is valid except for one field. */
function says(field: keyof typeof fields, value: number | bigint): string {
  const bytes = encodeHello(helloOf(publicKey))
  const [offset, lengthBytes] = fields[field]
  if (lengthBytes === 8) bytes.writeBigUInt64LE(BigInt(value), offset)
  else bytes.writeUIntLE(Number(value), offset, lengthBytes)
  const step = new HelloReader('acceptor').feed(bytes)
  return step.kind === 'fault' ? step.fault.name : step.kind === 'hello' ? fine : step.kind
}

const one = (limit: string, at: string, expected: string, run: () => unknown): LimitCase => ({
  limit,
  at,
  expected,
  run,
})

/** A refusal with this length field and this much text. */
function refusal(lengthBytes: number): string {
  const bytes = Buffer.concat([encodeRefusal('busy', ''), Buffer.alloc(lengthBytes, 97)])
  bytes.writeUInt16LE(lengthBytes, 8)
  const step = new HelloReader('dialer').feed(bytes)
  return step.kind === 'fault' ? step.fault.name : step.kind === 'refusal' ? fine : step.kind
}

export function helloCases(): LimitCase[] {
  const nonZero = (
    [
      ...(['laneWindow', 'resumeTimeout', 'bootId', 'epoch', 'nextEpoch', 'helloNumber', 'links'] as const),
      ...(['replayWindow', 'streamsMax'] as const),
    ] as const
  ).map((field) => one('hello fields', `${field}, 0`, refused, () => says(field, 0)))
  const counters = (['bootId', 'received', 'first', 'next', 'helloNumber'] as const).flatMap((field) => [
    one('hello fields', `${field}, 2^53-1`, fine, () => says(field, Number.MAX_SAFE_INTEGER)),
    one('hello fields', `${field}, 2^53`, refused, () => says(field, 2n ** 53n)),
    one('hello fields', `${field}, the most of a u64`, refused, () => says(field, 2n ** 64n - 1n)),
  ])
  const message = refusalMessageLengthBytesMax
  return [
    ...nonZero,
    ...counters,
    ...around('windowBytesMax', 'in a hello', windowBytesMax, [fine, fine, refused], (window) =>
      says('laneWindow', window),
    ),
    one('windowBytesMax', 'in a hello, the most of a u32', refused, () => says('laneWindow', maxUint32)),
    ...around(
      'helloMaxMessageLengthBytesMin',
      'in a hello',
      helloMaxMessageLengthBytesMin,
      [refused, fine, fine],
      (length) => says('maxMessageLength', length),
    ),
    ...around(
      'helloMaxMessageLengthBytesMax',
      'in a hello',
      helloMaxMessageLengthBytesMax,
      [fine, fine, refused],
      (length) => says('maxMessageLength', length),
    ),
    one('streamsMax', 'in a hello, the most of a u32', fine, () => says('streamsMax', maxUint32)),
    one('hello fields', 'resumeTimeout, the most of a u32: the lesser of both sides counts', fine, () =>
      says('resumeTimeout', maxUint32),
    ),
    one('hello fields', 'replayWindow, the most of a u32', fine, () => says('replayWindow', maxUint32)),
    one('linksMax', 'in a hello, n', fine, () => says('links', linksMax)),
    one(
      'linksMax',
      'in an own hello, n+1',
      'ERR_INTERNAL',
      () => void encodeHello(helloOf(publicKey, { links: linksMax + 1 })),
    ),
    ...around('refusalMessageLengthBytesMax', 'receiving', message, [fine, fine, refused], refusal),
    ...around(
      'refusalMessageLengthBytesMax',
      'cut, sending',
      message,
      ['255 bytes', '256 bytes', '256 bytes'],
      (length) => `${encodeRefusal('busy', 'a'.repeat(length)).length - 10} bytes`,
    ),
    one(
      'refusalMessageLengthBytesMax',
      'cut between two characters',
      '254 bytes',
      () => `${cutUtf8('é'.repeat(200), 255).length} bytes`,
    ),
  ]
}
