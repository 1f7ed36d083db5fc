/**
 * Owns: S9, limits of MessagePack values, each on the scan that enforces it.
 * Independent of: frames and sessions.
 */
import { checkMsgPack, decodeMsgPack } from '../../../../codec/msgpack-decode.ts'
import {
  msgpackCostMax,
  msgpackCosts,
  msgpackDepthMax,
  msgpackTextLengthBytesMax,
} from '../../../../codec/msgpack-limits.ts'
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
  ]
}
