/**
 * Owns: whether this codec writes and reads the bytes that the second encoder (test/vectors/make-native.py) wrote.
 * Independent of: links, lanes and handshakes.
 */
import { describe, expect, it } from 'vitest'
import { ProtocolError } from '../../codec/errors.ts'
import {
  decodeCancel,
  decodeMessage,
  decodeRequest,
  decodeResponse,
  encodeCancel,
  encodeErrorResponseHeader,
  encodeMessage,
  encodeRequestHeader,
  encodeResponseHeader,
  responseStatuses,
  type ErrorStatus,
  type ResponseStatus,
} from '../../codec/message-frames.ts'
import { NativeFrameReader } from '../../codec/native-frame-reader.ts'
import {
  encodeAccept,
  encodeAck,
  encodeCredit,
  encodeFin,
  encodeGoodbye,
  encodeOpen,
  encodePieceHeader,
  encodePing,
  encodePong,
  encodeReset,
  frameOf,
  nativeDescriptors as descriptors,
} from '../../codec/native-frames.ts'
import { decodeSetupFrame, encodeSetupFrame, type SetupFrame } from '../../codec/setup-frames.ts'
import {
  decodeAccept,
  decodeAck,
  decodeCredit,
  decodeGoodbye,
  decodeOpen,
  decodePiece,
  decodePing,
  decodePong,
  decodeReset,
} from '../../protocol/native/frame-bodies.ts'
import { bytesOfParts, nativeVectors, type NativeFrameVector } from './native-vectors.ts'

type Fields = Readonly<Record<string, never>>
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const statusNames = Object.keys(responseStatuses) as ResponseStatus[]
const refuseReasons = { withdrawn: 1, 'counts-differ': 2, limit: 3 } as const

interface Codec {
  /** From the fields of the vector to the whole frame. */
  readonly write: (is: Fields, lane: number) => Buffer
  /** From the body to the fields of the vector. */
  readonly read: (buffer: Buffer, start: number, end: number, descriptor: number) => Record<string, unknown>
}

const setup: Codec = {
  write: (is) => encodeSetupFrame(is as never as SetupFrame),
  read: (buffer, start, end, descriptor) => setupFields(decodeSetupFrame(descriptor, buffer, start, end)),
}

function setupFields(frame: SetupFrame): Record<string, unknown> {
  switch (frame.type) {
    case 'Want':
      return { k: frame.k, callId: String(frame.callId), count: frame.count, name: frame.name }
    case 'Make':
      return { k: frame.k, callId: String(frame.callId), firstId: frame.firstId, window: frame.windowBytes }
    case 'Made':
      return { k: frame.k, window: frame.windowBytes }
    case 'Refuse':
      return { k: frame.k, reason: refuseReasons[frame.reason], ownCount: frame.ownCount }
    case 'Agree':
      return { k: frame.k, set: String(frame.set) }
  }
}

function setupFrameOf(name: string, is: Record<string, unknown>): SetupFrame {
  const type = name.split(' ')[0] as SetupFrame['type']
  return {
    type,
    ...is,
    ...('callId' in is && { callId: BigInt(is['callId'] as string) }),
    ...('set' in is && { set: BigInt(is['set'] as string) }),
    ...('window' in is && { windowBytes: is['window'] }),
    ...('reason' in is && { reason: Object.entries(refuseReasons).find(([, n]) => n === is['reason'])?.[0] }),
  } as never
}

const codecs: Readonly<Record<number, Codec>> = {
  [descriptors.Ping]: {
    write: ({ echo }) => encodePing(BigInt(echo)),
    read: (buffer, start) => ({ echo: String(decodePing(buffer, start)) }),
  },
  [descriptors.Pong]: {
    write: ({ echo, received }) => encodePong(BigInt(echo), received),
    read: (buffer, start) => {
      const { echo, received } = decodePong(buffer, start)
      return { echo: String(echo), received }
    },
  },
  [descriptors.Ack]: {
    write: ({ received }) => encodeAck(received),
    read: (buffer, start) => ({ received: decodeAck(buffer, start) }),
  },
  [descriptors.Goodbye]: {
    write: (is) => encodeGoodbye(is as never),
    read: (buffer, start, end) => ({ ...decodeGoodbye(buffer, start, end) }),
  },
  [descriptors.Credit]: {
    write: ({ creditBytes }, lane) => encodeCredit(lane, creditBytes),
    read: (buffer, start) => ({ creditBytes: decodeCredit(buffer, start) }),
  },
  [descriptors.Open]: {
    write: ({ window, protocol, extra }, lane) =>
      encodeOpen(lane, { windowBytes: window, protocol, extra: Buffer.from(extra, 'hex') }),
    read: (buffer, start, end) => {
      const { windowBytes, protocol, extra } = decodeOpen(buffer, start, end)
      return { window: windowBytes, protocol, extra: hex(extra) }
    },
  },
  [descriptors.Accept]: {
    write: ({ window }, lane) => encodeAccept(lane, window),
    read: (buffer, start) => ({ window: decodeAccept(buffer, start) }),
  },
  [descriptors.Reset]: {
    write: (is, lane) => encodeReset(lane, is as never),
    read: (buffer, start, end) => ({ ...decodeReset(buffer, start, end) }),
  },
  [descriptors.Fin]: { write: (_, lane) => encodeFin(lane), read: () => ({}) },
  [descriptors.Message]: {
    write: ({ name, headers, bytes }) =>
      encodeMessage({ name, headers: Buffer.from(headers, 'hex'), bytes: Buffer.from(bytes, 'hex') }),
    read: (buffer, start, end) => {
      const { name, headers, bytes } = decodeMessage(buffer, start, end)
      return { name: String(name), headers: hex(headers), bytes: hex(bytes) }
    },
  },
  [descriptors.Request]: {
    write: ({ nonce, timeLeftMs, name, headers, bytes }) => {
      const payload = Buffer.from(bytes, 'hex')
      const fields = { nonce, name, headers: Buffer.from(headers, 'hex'), payloadLengthBytes: payload.length }
      const header = encodeRequestHeader({ ...fields, timeLeftMs: timeLeftMs === 0 ? null : timeLeftMs })
      return Buffer.concat([header, payload])
    },
    read: (buffer, start, end) => {
      const { nonce, timeLeftMs, name, headers, bytes } = decodeRequest(buffer, start, end)
      return { nonce, timeLeftMs: timeLeftMs ?? 0, name: String(name), headers: hex(headers), bytes: hex(bytes) }
    },
  },
  [descriptors.Response]: {
    write: ({ nonce, status, code, message, bytes }) => {
      const payload = Buffer.from(bytes, 'hex')
      const name = statusNames[status] as ResponseStatus
      const head =
        name === 'ok'
          ? encodeResponseHeader(nonce, payload.length)
          : encodeErrorResponseHeader({
              nonce,
              status: name as ErrorStatus,
              code,
              message,
              payloadLengthBytes: payload.length,
            })
      return Buffer.concat([head, payload])
    },
    read: (buffer, start, end) => {
      const { bytes, status, ...rest } = decodeResponse(buffer, start, end)
      return { ...rest, status: responseStatuses[status], bytes: hex(bytes) }
    },
  },
  [descriptors.Cancel]: {
    write: ({ nonce }) => encodeCancel(nonce),
    read: (buffer, start) => ({ nonce: decodeCancel(buffer, start) }),
  },
  [descriptors.Piece]: {
    write: ({ bytes }, lane) => {
      const payload = Buffer.from(bytes, 'hex')
      return Buffer.concat([encodePieceHeader(lane, payload.length), payload])
    },
    read: (buffer, start, end) => ({ bytes: hex(decodePiece(buffer, start, end)) }),
  },
  0x0c: {
    write: ({ bytes }, lane) => {
      const payload = Buffer.from(bytes, 'hex')
      const { frame, body } = frameOf(lane, 0x0c, 4 + payload.length)
      frame.writeUInt32LE(payload.length, body)
      frame.set(payload, body + 4)
      return frame
    },
    read: (buffer, start, end) => ({ bytes: hex(buffer.subarray(start + 4, end)) }),
  },
  ...Object.fromEntries(
    [descriptors.Want, descriptors.Make, descriptors.Made, descriptors.Refuse, descriptors.Agree].map((descriptor) => [
      descriptor,
      setup,
    ]),
  ),
}

interface Read {
  readonly lane: number
  readonly descriptor: number
  readonly fields: Record<string, unknown>
}

/** Reads all frames, decoding each body. */
function read(bytes: Buffer, linkIndex = 0): Read[] {
  const frames: Read[] = []
  const reader = new NativeFrameReader(
    { maxMessageLengthBytes: 64 * 1024 * 1024, linkIndex },
    {
      onFrame(lane, descriptor, buffer, start, end) {
        const fields = codecs[descriptor]?.read(buffer, start, end, descriptor) ?? {}
        frames.push({ lane, descriptor, fields })
        return false
      },
    },
  )
  reader.push(bytes)
  return frames
}

const isValue = ({ descriptor }: NativeFrameVector): boolean => descriptor === descriptors.MsgPack

describe('the frames of the second encoder', () => {
  for (const vector of nativeVectors.frames.filter((vector) => !isValue(vector))) {
    const { name, lane, descriptor, is } = vector
    const bytes = Buffer.from(vector.hex, 'hex')

    it(`are read as they were meant: ${name}`, () => {
      expect(read(bytes)).toEqual([{ lane, descriptor, fields: is }])
    })

    it(`are written with the same bytes: ${name}`, () => {
      const codec = codecs[descriptor] as Codec
      const fields = codec === setup ? setupFrameOf(name, is) : is
      expect(hex(codec.write(fields as never, lane))).toBe(vector.hex)
    })
  }

  it('cover every descriptor of the native dialect', () => {
    const covered = new Set(nativeVectors.frames.map(({ descriptor }) => descriptor))
    expect(Object.entries(descriptors).filter(([, descriptor]) => !covered.has(descriptor))).toEqual([])
  })
})

describe('a frame that is a protocol error by its own bytes', () => {
  for (const { name, parts, link } of nativeVectors.rejected) {
    it(`is refused: ${name}`, () => {
      expect(() => read(bytesOfParts(parts), link)).toThrow(ProtocolError)
    })
  }
})
