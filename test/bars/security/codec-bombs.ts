/**
 * Owns: S7, values that crash, slow down or pollute decoders, each limited to 5 ms and 8 MiB and to its typed error:
 * MessagePack, and the binary values and frames of both dialects.
 * Independent of: the rules of the codecs; test/native/msgpack.test.ts and test/codec check those.
 */
import { ControlFrameReader, decodeValue, FrameReader, ProtocolError } from '../../../codec/index.ts'
import { NativeFrameReader } from '../../../codec/native-frame-reader.ts'
import { decodeMsgPack } from '../../../codec/index.ts'
import { mebibyte } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'

interface Bomb {
  readonly name: string
  readonly run: () => unknown
  /** Null: the value is valid, and must still be cheap. */
  readonly code: string | null
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')
const str = (text: string): string => Buffer.concat([Buffer.of(0xa0 + text.length), Buffer.from(text)]).toString('hex')
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

const msgpack = (name: string, bytes: Buffer, code: string | null): Bomb => ({
  name: `msgpack ${name}`,
  code,
  run: () => decodeMsgPack(bytes, 0, bytes.length),
})

function msgpackBombs(): Bomb[] {
  const proto = Buffer.from('__proto__').toString('hex')
  return [
    msgpack('20 nested array32 of 16 million', hex('dd00f42400'.repeat(20)), 'ERR_MSGPACK_LENGTH'),
    msgpack('60 nested array32 of 32 million', hex('dd01e84800'.repeat(60)), 'ERR_MSGPACK_LENGTH'),
    msgpack('array32 of 2^32-1', hex('ddffffffff'), 'ERR_MSGPACK_LENGTH'),
    msgpack('map32 of 2^32-1', hex('dfffffffff'), 'ERR_MSGPACK_LENGTH'),
    msgpack('array16 of 65535 in 3 bytes', hex('dcffff'), 'ERR_MSGPACK_LENGTH'),
    msgpack('64 KiB of arrays that each claim the rest', claimTheRest(65_536), 'ERR_MSGPACK_LENGTH'),
    msgpack('1 MiB of arrays that each claim the rest', claimTheRest(mebibyte), 'ERR_MSGPACK_LENGTH'),
    msgpack('33 levels', hex(`${'91'.repeat(33)}c0`), 'ERR_MSGPACK_DEPTH'),
    msgpack('5,000 levels', hex(`${'91'.repeat(5000)}c0`), 'ERR_MSGPACK_DEPTH'),
    msgpack('100,000 levels', hex(`${'91'.repeat(100_000)}c0`), 'ERR_MSGPACK_DEPTH'),
    msgpack('a million levels of map32', hex(`${'df00000001'.repeat(1_000_000)}c0`), 'ERR_MSGPACK_KEY_TYPE'),
    msgpack('__proto__', hex(`81${str('__proto__')}81${str('polluted')}c3`), 'ERR_MSGPACK_KEY_FORBIDDEN'),
    msgpack('__proto__ as str8', hex(`81d909${proto}81${str('polluted')}c3`), 'ERR_MSGPACK_KEY_FORBIDDEN'),
    msgpack('__proto__ as str16', hex(`81da0009${proto}80`), 'ERR_MSGPACK_KEY_FORBIDDEN'),
    msgpack('__proto__ as str32', hex(`81db00000009${proto}80`), 'ERR_MSGPACK_KEY_FORBIDDEN'),
    msgpack(
      '__proto__ deep inside',
      hex(`9181${str('a')}9181${str('__proto__')}81${str('polluted')}c3`),
      'ERR_MSGPACK_KEY_FORBIDDEN',
    ),
    msgpack(
      'constructor.prototype',
      hex(`81${str('constructor')}81${str('prototype')}81${str('polluted')}c3`),
      'ERR_MSGPACK_KEY_FORBIDDEN',
    ),
    msgpack('prototype', hex(`81${str('prototype')}c0`), 'ERR_MSGPACK_KEY_FORBIDDEN'),
    msgpack(
      'constructor in over-long UTF-8',
      hex(`81ac c1a3 ${Buffer.from('onstructor').toString('hex')} c0`),
      'ERR_MSGPACK_TEXT',
    ),
    msgpack('c1', hex('c1'), 'ERR_MSGPACK_RESERVED'),
    msgpack('c1 inside', hex('92c0c1'), 'ERR_MSGPACK_RESERVED'),
    msgpack('a number as a key', hex('8101c0'), 'ERR_MSGPACK_KEY_TYPE'),
    msgpack('ext type 1', hex('d40100'), 'ERR_MSGPACK_EXT'),
    msgpack('ext 0x72, a record that the peer defines', hex('d47240'), 'ERR_MSGPACK_EXT'),
    msgpack('ext32 of 4 GiB', hex('c9ffffffff01'), 'ERR_MSGPACK_EXT'),
    msgpack('a timestamp of 2 bytes', hex('d5ff0000'), 'ERR_MSGPACK_EXT'),
    msgpack('a timestamp of 16 bytes', hex(`d8ff${'00'.repeat(16)}`), 'ERR_MSGPACK_EXT'),
    msgpack('bin32 of 4 GiB', hex('c6ffffffff'), 'ERR_MSGPACK_TRUNCATED'),
    msgpack('str32 of 4 GiB', hex('dbffffffff61'), 'ERR_MSGPACK_TRUNCATED'),
    msgpack('nothing', hex(''), 'ERR_MSGPACK_TRUNCATED'),
    msgpack('trailing bytes', hex('c0c0'), 'ERR_MSGPACK_TRAILING_BYTES'),
    msgpack('64 KiB of nil', Buffer.concat([hex('dd0000ffff'), Buffer.alloc(65_535, 0xc0)]), null),
    msgpack('16 Ki empty maps', Buffer.concat([hex('dc4000'), Buffer.alloc(16_384, 0x80)]), null),
    msgpack('1 MiB of binary', Buffer.concat([hex('c600100000'), Buffer.alloc(mebibyte)]), null),
    msgpack('2^64-1', hex('cfffffffffffffffff'), null),
    msgpack('text that is no UTF-8', hex('a3ff fe80'), 'ERR_MSGPACK_TEXT'),
  ]
}

/** Nested arrays that each declare as many elements as bytes remain: a check of each one alone accepts them. */
function claimTheRest(lengthBytes: number): Buffer {
  const bytes = Buffer.alloc(lengthBytes, 0xa0)
  for (let level = 0; level < 31; level++) {
    bytes[5 * level] = 0xdd
    bytes.writeUInt32BE(lengthBytes - 5 * (level + 1), 5 * level + 1)
  }
  return bytes
}

const ignore = { onFrame: (): boolean => true }

function binaryBombs(): Bomb[] {
  const value = (name: string, bytes: Buffer, code: string | null): Bomb => ({
    name: `value ${name}`,
    code,
    run: () => decodeValue(bytes),
  })
  const session = (name: string, bytes: Buffer, code: string | null): Bomb => ({
    name: `session frame ${name}`,
    code,
    run: () => new FrameReader({ maxMessageLengthBytes: 64 * mebibyte }, ignore).push(bytes),
  })
  const native = (name: string, bytes: Buffer, code: string | null): Bomb => ({
    name: `native frame ${name}`,
    code,
    run: () => new NativeFrameReader({ maxMessageLengthBytes: 16 * mebibyte, linkIndex: 0 }, ignore).push(bytes),
  })
  const control = (name: string, bytes: Buffer, code: string | null): Bomb => ({
    name: `control frame ${name}`,
    code,
    run: () => new ControlFrameReader(ignore).push(bytes),
  })
  const lane = u32(0)
  const nested = (levels: number): Buffer => {
    let bytes: Buffer = Buffer.alloc(0)
    for (let level = 0; level < levels; level++) bytes = Buffer.concat([Buffer.of(0x0a), u32(bytes.length), bytes])
    return bytes
  }
  return [
    value('NetworkVec in itself, 1,000 levels', nested(1000), 'ERR_NETWORK_VEC_ELEMENT_NOT_ALLOWED'),
    value('NetworkVec of 4 GiB', Buffer.concat([Buffer.of(0x0a), u32(0xffff_ffff)]), 'ERR_VALUE_TRUNCATED'),
    value('Bytes of 4 GiB', Buffer.concat([Buffer.of(0x0c), u32(0xffff_ffff)]), 'ERR_VALUE_TRUNCATED'),
    value('VecRingBit of 2^32-1 bits', Buffer.concat([Buffer.of(0x0f), u32(0xffff_ffff)]), 'ERR_VALUE_TRUNCATED'),
    value(
      'VecRing64 of 7 bytes',
      Buffer.concat([Buffer.of(0x08), u32(7), Buffer.alloc(7)]),
      'ERR_VECTOR_LENGTH_NOT_MULTIPLE',
    ),
    value('an unknown descriptor', Buffer.of(0xee), 'ERR_UNKNOWN_DESCRIPTOR'),
    value(
      '64 Ki elements in a NetworkVec',
      Buffer.concat([Buffer.of(0x0a), u32(65_536 * 3), Buffer.alloc(65_536 * 3, Buffer.of(0x03, 1, 0))]),
      null,
    ),
    session('of 4 GiB', Buffer.concat([lane, Buffer.of(0x0c), u32(0xffff_ffff)]), 'ERR_MESSAGE_TOO_LONG'),
    session('of 64 MiB that never comes', Buffer.concat([lane, Buffer.of(0x0c), u32(64 * mebibyte)]), null),
    session(
      '"404 " of HTTP as a length',
      Buffer.concat([lane, Buffer.of(0x0c), Buffer.from('404 ')]),
      'ERR_MESSAGE_TOO_LONG',
    ),
    native('of 4 GiB', Buffer.concat([lane, Buffer.of(0x0c), u32(0xffff_ffff)]), 'ERR_MESSAGE_TOO_LONG'),
    native(
      'MsgPack of 16 MiB that is not in Pieces',
      Buffer.concat([lane, Buffer.of(0x20), u32(16 * mebibyte)]),
      'ERR_LONG_FRAME_WHOLE',
    ),
    native(
      "on a lane that is nobody's",
      Buffer.concat([u32(0x5000_0000), Buffer.of(0x34), u32(1)]),
      'ERR_UNKNOWN_DESCRIPTOR',
    ),
    control('of 4 GiB', u32(0xffff_ffff), 'ERR_CONTROL_FRAME_LENGTH'),
    control('of nothing', u32(0), 'ERR_CONTROL_FRAME_LENGTH'),
    control(
      'of 1 MiB whose value has 2',
      Buffer.concat([u32(mebibyte), Buffer.of(0x0c), u32(2 * mebibyte)]),
      'ERR_CONTROL_FRAME_NOT_FILLED',
    ),
  ]
}

export interface BombCounts {
  cases: number
  /** An outcome other than the expected one. */
  wrong: number
  slow: number
  large: number
  polluted: number
  worstMs: number
  worstBytes: number
  readonly notes: string[]
}

function usedBytes(): number {
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  return heapUsed + external + arrayBuffers
}

function outcome({ run }: Bomb): string | null {
  try {
    run()
    return null
  } catch (error) {
    return error instanceof ProtocolError ? error.code : `not a ProtocolError: ${String(error)}`
  }
}

/** The minimum of five: other load is not the decoder's fault. */
export function detonate(): BombCounts {
  const counts: BombCounts = {
    cases: 0,
    wrong: 0,
    slow: 0,
    large: 0,
    polluted: 0,
    worstMs: 0,
    worstBytes: 0,
    notes: [],
  }
  for (const bomb of [...msgpackBombs(), ...binaryBombs()]) {
    counts.cases++
    let leastMs = Infinity
    let leastBytes = Infinity
    for (let round = 0; round < 5; round++) {
      const before = usedBytes()
      const startedMs = performance.now()
      const code = outcome(bomb)
      leastMs = Math.min(leastMs, performance.now() - startedMs)
      leastBytes = Math.min(leastBytes, usedBytes() - before)
      if (code === bomb.code || round > 0) continue
      counts.wrong++
      counts.notes.push(`${bomb.name}: ${String(code)} instead of ${String(bomb.code)}`)
    }
    if (leastMs > 5) counts.slow++
    if (leastBytes > 8 * mebibyte) counts.large++
    if (leastMs > 5 || leastBytes > 8 * mebibyte)
      counts.notes.push(`${bomb.name}: ${leastMs.toFixed(2)} ms, ${leastBytes} bytes`)
    if (({} as { polluted?: unknown }).polluted !== undefined) counts.polluted++
    counts.worstMs = Math.max(counts.worstMs, leastMs)
    counts.worstBytes = Math.max(counts.worstBytes, leastBytes)
  }
  return counts
}

export function codecBombs(_context: BarContext): Promise<readonly Bar[]> {
  const { cases, wrong, slow, large, polluted, worstMs, worstBytes, notes } = detonate()
  const passed = cases >= 30 && wrong + slow + large + polluted === 0
  return Promise.resolve([
    {
      id: 'S7',
      passed,
      figures: {
        cases,
        wrong_outcome: wrong,
        above_5_ms: slow,
        above_8_mib: large,
        polluted,
        worst_ms: worstMs,
        worst_mib: worstBytes / mebibyte,
      },
      notes,
    },
  ])
}
