/**
 * Owns: S9, limits of MessagePack values, each on the scan that enforces it.
 * Independent of: frames and sessions.
 */
import { checkMsgPack, decodeMsgPack } from '../../../../codec/msgpack-decode.ts'
import { encodeMsgPack, keptEncoderLengthBytesMax } from '../../../../codec/msgpack-encode.ts'
import {
  msgpackCostMax,
  msgpackCosts,
  msgpackDepthMax,
  msgpackTextLengthBytesMax,
} from '../../../../codec/msgpack-limits.ts'
import { seconds34Max, timestampLength } from '../../../../codec/msgpack-measure.ts'
import { dateMsMax, nanosecondsMax } from '../../../../codec/msgpack-scan.ts'
import { loopLengthMax, utf8Length } from '../../../../codec/utf8.ts'
import { around } from './case.ts'
import type { LimitCase } from './case.ts'

const fine = 'in order'

/** An array of nil whose cost is at least this, and less than one nil more. */
function nilsThatCost(cost: number): Buffer {
  const count = Math.ceil((cost - msgpackCosts.array) / msgpackCosts.small)
  const nils = Buffer.alloc(5 + count, 0xc0)
  nils[0] = 0xdd
  nils.writeUInt32BE(count, 1)
  return nils
}

/** The timestamp of 8 bytes that ends with these nanoseconds. */
function timestampWith(nanoseconds: number): Buffer {
  const bytes = Buffer.from('d7ff0000000000000000', 'hex')
  bytes.writeBigUInt64BE(BigInt(nanoseconds) << 34n, 2)
  return bytes
}

/** The timestamp of 12 bytes for these milliseconds since 1970. */
function timestampAt(ms: number): Buffer {
  const bytes = Buffer.alloc(15)
  bytes.set([0xc7, 12, 0xff])
  bytes.writeUInt32BE((ms % 1000) * 1_000_000, 3)
  bytes.writeBigInt64BE(BigInt(Math.floor(ms / 1000)), 7)
  return bytes
}

export function msgpackCases(): LimitCase[] {
  return [
    ...around(
      'msgpackDepthMax',
      'kept',
      msgpackDepthMax,
      [fine, fine, 'ERR_MSGPACK_DEPTH'],
      (depth) => void decodeMsgPack(Buffer.from(`${'91'.repeat(depth)}c0`, 'hex'), 0, depth + 1),
    ),
    ...around('msgpackCostMax', 'kept', msgpackCostMax, [fine, fine, 'ERR_MSGPACK_COST'], (cost) => {
      const nils = nilsThatCost(cost)
      checkMsgPack(nils, 0, nils.length)
    }),
    ...around(
      'msgpackTextLengthBytesMax',
      'kept',
      msgpackTextLengthBytesMax,
      [fine, fine, 'ERR_MSGPACK_TEXT'],
      (length) => {
        const text = Buffer.alloc(5 + length, 0x61)
        text[0] = 0xdb
        text.writeUInt32BE(length, 1)
        checkMsgPack(text, 0, text.length)
      },
    ),
    ...around('nanosecondsMax', 'kept', nanosecondsMax, [fine, fine, 'ERR_MSGPACK_TIMESTAMP'], (nanoseconds) =>
      checkMsgPack(timestampWith(nanoseconds), 0, 10),
    ),
    ...around('dateMsMax', 'kept', dateMsMax, [fine, fine, 'ERR_MSGPACK_TIMESTAMP'], (ms) =>
      checkMsgPack(timestampAt(ms), 0, 15),
    ),
    ...around(
      'seconds34Max',
      'a longer form',
      seconds34Max,
      ['8 bytes', '8 bytes', '13 bytes'],
      (seconds) => `${timestampLength(new Date(seconds * 1000))} bytes`,
    ),
    ...around('loopLengthMax', 'a threshold: the length is the same', loopLengthMax, [fine, fine, fine], (length) =>
      utf8Length('é'.repeat(length)) === 2 * length ? undefined : 'another length',
    ),
    ...around(
      'keptEncoderLengthBytesMax',
      'a threshold: the value is the same',
      keptEncoderLengthBytesMax,
      [fine, fine, fine],
      (length) => {
        // A text with a length field of two or four bytes.
        const text = 'a'.repeat(length - (length > 65_538 ? 5 : 3))
        const bytes = encodeMsgPack(text)
        return bytes.length === length && decodeMsgPack(bytes, 0, length) === text ? undefined : 'another value'
      },
    ),
  ]
}
