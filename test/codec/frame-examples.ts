/**
 * Owns: one example of every frame of the native dialect with its bytes and what it decodes to, and what tests of
 * frames share: a sink, a reader and handmade frames.
 * Independent of: what any test checks.
 */
import type { FrameSink } from '../../codec/frame-assembler.ts'
import * as messages from '../../codec/message-frames.ts'
import { NativeFrameReader } from '../../codec/native-frame-reader.ts'
import * as frames from '../../codec/native-frames.ts'
import { decodeSetupFrame, encodeSetupFrame } from '../../codec/setup-frames.ts'
import type { SetupFrame } from '../../codec/setup-frames.ts'
import * as bodies from '../../protocol/native/frame-bodies.ts'

const { firstStreamLane, messagesLane } = frames
const d = frames.nativeDescriptors

export interface Seen {
  lane: number
  descriptor: number
  body: string
}

export class Sink implements FrameSink {
  readonly seen: Seen[] = []
  decoded: unknown = null
  onFrame(lane: number, descriptor: number, buffer: Buffer, start: number, end: number): boolean {
    this.seen.push({ lane, descriptor, body: buffer.toString('hex', start, end) })
    this.decoded = decode(descriptor, buffer, start, end)
    return true
  }
}

const decoders: Readonly<Record<number, (buffer: Buffer, start: number, end: number) => unknown>> = {
  [d.Piece]: bodies.decodePiece,
  [d.Ping]: bodies.decodePing,
  [d.Pong]: bodies.decodePong,
  [d.Ack]: bodies.decodeAck,
  [d.Goodbye]: bodies.decodeGoodbye,
  [d.Credit]: bodies.decodeCredit,
  [d.Open]: bodies.decodeOpen,
  [d.Accept]: bodies.decodeAccept,
  [d.Reset]: bodies.decodeReset,
  [d.Message]: messages.decodeMessage,
  [d.Request]: messages.decodeRequest,
  [d.Response]: messages.decodeResponse,
  [d.Cancel]: messages.decodeCancel,
}

function decode(descriptor: number, buffer: Buffer, start: number, end: number): unknown {
  if (descriptor >= d.Want && descriptor <= d.Agree) return decodeSetupFrame(descriptor, buffer, start, end)
  return decoders[descriptor]?.(buffer, start, end) ?? null
}

export function createReader(options: { max?: number; linkIndex?: number } = {}): {
  reader: NativeFrameReader
  sink: Sink
} {
  const sink = new Sink()
  const reader = new NativeFrameReader(
    { maxMessageLengthBytes: options.max ?? 100_000, linkIndex: options.linkIndex ?? 0 },
    sink,
  )
  return { reader, sink }
}

/** @returns what the frame decodes to. Throws if the bytes are not one frame. */
export function readOne(bytes: Buffer): unknown {
  const { reader, sink } = createReader()
  reader.push(bytes)
  if (sink.seen.length !== 1 || reader.bufferedBytes > 0)
    throw new Error(`${sink.seen.length} frames were read and ${reader.bufferedBytes} bytes are left`)
  return sink.decoded
}

/** A handmade frame: lane, descriptor, body in hex. */
export function frame(lane: number, descriptor: number, body = ''): Buffer {
  const header = Buffer.alloc(5)
  header.writeUInt32LE(lane)
  header[4] = descriptor
  return Buffer.concat([header, Buffer.from(body.replaceAll(' ', ''), 'hex')])
}

export type Example = [name: string, bytes: Buffer, hex: string, decoded: unknown]

const setupExample = (name: string, hex: string, decoded: SetupFrame): Example => [
  name,
  encodeSetupFrame(decoded),
  `feffff7f ${hex}`,
  decoded,
]

/** One of each. */
export const examples: Example[] = [
  [
    'Piece',
    Buffer.concat([frames.encodePieceHeader(messagesLane, 2), Buffer.from('hi')]),
    'fdffff7f21 02000000 6869',
    Buffer.from('hi'),
  ],
  ['Ping', frames.encodePing(1n), 'ffffffff30 0100000000000000', 1n],
  [
    'Pong',
    frames.encodePong(2n ** 64n - 1n, 5),
    'ffffffff31 ffffffffffffffff 0500000000000000',
    { echo: 2n ** 64n - 1n, received: 5 },
  ],
  ['Ack', frames.encodeAck(2 ** 40), 'ffffffff32 0000000000010000', 2 ** 40],
  [
    'Goodbye',
    frames.encodeGoodbye({ code: 1, next: 2, received: 3, reason: 'ok' }),
    'ffffffff33 0100 0200000000000000 0300000000000000 0200 6f6b',
    { code: 1, next: 2, received: 3, reason: 'ok' },
  ],
  [
    'Goodbye without a reason',
    frames.encodeGoodbye({ code: 0, next: 0, received: 0, reason: '' }),
    `ffffffff33${'00'.repeat(20)}`,
    { code: 0, next: 0, received: 0, reason: '' },
  ],
  ['Credit', frames.encodeCredit(7, 65_536), '0700000034 00000100', 65_536],
  [
    'Open',
    frames.encodeOpen(firstStreamLane, { windowBytes: 9, protocol: 'ab', extra: Buffer.from('xyz') }),
    '0000008035 09000000 0200 6162 03000000 78797a',
    { windowBytes: 9, protocol: 'ab', extra: Buffer.from('xyz') },
  ],
  [
    'Open without extra bytes',
    frames.encodeOpen(0xffff_fffe, { windowBytes: 0, protocol: 'é', extra: Buffer.alloc(0) }),
    'feffffff35 00000000 0200 c3a9 00000000',
    { windowBytes: 0, protocol: 'é', extra: Buffer.alloc(0) },
  ],
  ['Accept', frames.encodeAccept(firstStreamLane + 1, 1), '0100008036 01000000', 1],
  [
    'Reset',
    frames.encodeReset(0x3fff_ffff, { code: 4, reason: 'no' }),
    'ffffff3f37 0400 0200 6e6f',
    { code: 4, reason: 'no' },
  ],
  ['Fin', frames.encodeFin(firstStreamLane), '0000008038', null],
  [
    'Message',
    messages.encodeMessage({ name: 'a', headers: Buffer.of(0x80), bytes: Buffer.from('hi') }),
    'fdffff7f39 07000000 01 61 0100 80 6869',
    { name: Buffer.from('a'), headers: Buffer.of(0x80), bytes: Buffer.from('hi') },
  ],
  [
    'Message without a name, headers and bytes',
    messages.encodeMessageHeader({ name: '', payloadLengthBytes: 0 }),
    'fdffff7f39 03000000 00 0000',
    { name: Buffer.alloc(0), headers: Buffer.alloc(0), bytes: Buffer.alloc(0) },
  ],
  [
    'Request',
    Buffer.concat([
      messages.encodeRequestHeader({
        nonce: 8,
        timeLeftMs: 500,
        name: 'é',
        headers: Buffer.of(0x80),
        payloadLengthBytes: 1,
      }),
      Buffer.from('?'),
    ]),
    'ffffff7f3a 0f000000 08000000 f4010000 02 c3a9 0100 80 3f',
    { nonce: 8, timeLeftMs: 500, name: Buffer.from('é'), headers: Buffer.of(0x80), bytes: Buffer.from('?') },
  ],
  [
    'Request without a limit of time',
    messages.encodeRequestHeader({ nonce: 1, timeLeftMs: null, name: '', payloadLengthBytes: 0 }),
    'ffffff7f3a 0b000000 01000000 00000000 00 0000',
    { nonce: 1, timeLeftMs: null, name: Buffer.alloc(0), headers: Buffer.alloc(0), bytes: Buffer.alloc(0) },
  ],
  [
    'Response',
    Buffer.concat([messages.encodeResponseHeader(8, 1), Buffer.from('!')]),
    'fcffff7f3b 06000000 08000000 00 21',
    { nonce: 8, status: 'ok', bytes: Buffer.from('!') },
  ],
  [
    'Response with an error',
    Buffer.concat([
      messages.encodeErrorResponseHeader({
        nonce: 8,
        status: 'failed',
        code: 'E',
        message: 'no',
        payloadLengthBytes: 1,
      }),
      Buffer.from('!'),
    ]),
    'fcffff7f3b 0c000000 08000000 01 01 45 0200 6e6f 21',
    { nonce: 8, status: 'failed', code: 'E', message: 'no', bytes: Buffer.from('!') },
  ],
  ['Cancel', messages.encodeCancel(8), 'ffffff7f3c 08000000', 8],
  setupExample('Want', '3d 01000000 0200000000000000 0300 01 61', {
    type: 'Want',
    k: 1,
    callId: 2n,
    count: 3,
    name: 'a',
  }),
  setupExample('Want with the empty name', '3d ffffff7f ffffffffffffffff ffff 00', {
    type: 'Want',
    k: 0x7fff_ffff,
    callId: 2n ** 64n - 1n,
    count: 65_535,
    name: '',
  }),
  setupExample('Make', '3e 01000000 0200000000000000 04000000 00000100', {
    type: 'Make',
    k: 1,
    callId: 2n,
    firstId: 4,
    windowBytes: 65_536,
  }),
  setupExample('Made', '3f 01000000 ffffff7f', { type: 'Made', k: 1, windowBytes: 2 ** 31 - 1 }),
  setupExample('Refuse', '40 01000000 02 0300', { type: 'Refuse', k: 1, reason: 'counts-differ', ownCount: 3 }),
  setupExample('Agree', '41 01000000 0500000000000000', { type: 'Agree', k: 1, set: 5n }),
]
