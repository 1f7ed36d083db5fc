/**
 * Owns: the rules of the set-up of sessions, and of session ids, that a peer can break, each broken once.
 * Independent of: sockets, and who sends the bytes (live-wire.test.ts). Sequences of set-up: test/native.
 */
import type { ErrorCode } from '../../codec/errors.ts'
import { encodeCredit, encodeReset, nativeDescriptors, sessionLanesEnd, setupLane } from '../../codec/native-frames.ts'
import { encodeSetupFrame } from '../../codec/setup-frames.ts'
import { frame } from '../codec/frame-examples.ts'
import type { WireRow } from './wire-rows.ts'

const d = nativeDescriptors
const id = '01000000 0200000000000000'

const want = (k: number, name = '', count = 1): Buffer =>
  encodeSetupFrame({ type: 'Want', k, callId: BigInt(k), count, name })
const make = (k: number, firstId: number): Buffer =>
  encodeSetupFrame({ type: 'Make', k, callId: 9n, firstId, windowBytes: 65_536 })
const made = (k: number): Buffer => encodeSetupFrame({ type: 'Made', k, windowBytes: 65_536 })
const agree = (k: number): Buffer => encodeSetupFrame({ type: 'Agree', k, set: 1n })
const refuse = (k: number): Buffer => encodeSetupFrame({ type: 'Refuse', k, reason: 'withdrawn', ownCount: 0 })
const bit = (lane: number): Buffer => frame(lane, 0x02)

/** What the side with the greater id does wrong. `k` is that of the Want that it got. */
const greater = (code: ErrorCode, rule: string, bytes: Buffer | ((k: number) => Buffer)): WireRow => ({
  rule,
  bytes,
  end: { protocol: code },
})
const lesser = (code: ErrorCode, rule: string, bytes: Buffer): WireRow => ({
  rule,
  bytes,
  end: { protocol: code },
  isLesser: true,
})

export const setupRows: readonly WireRow[] = [
  greater('ERR_SETUP_FRAME', 'the side with the greater id sends no Want', want(1)),
  greater('ERR_SETUP_FRAME', 'the side with the greater id sends no Made', made(1)),
  lesser('ERR_SETUP_FRAME', 'the side with the lesser id sends no Make', make(1, 0)),
  lesser('ERR_SETUP_FIELD', 'a Want is for at least one session', frame(setupLane, d.Want, `${id} 0000 00`)),
  lesser('ERR_SETUP_FIELD', 'the name of a Want is UTF-8', frame(setupLane, d.Want, `${id} 0100 01 ff`)),
  lesser('ERR_CREDIT_ZERO', 'the window of a Made is not 0', frame(setupLane, d.Made, '01000000 00000000')),
  lesser(
    'ERR_CREDIT_OVERFLOW',
    'the window of a Made is at most 2^31 - 1',
    frame(setupLane, d.Made, '01000000 00000080'),
  ),
  greater('ERR_CREDIT_ZERO', 'the window of a Make is not 0', frame(setupLane, d.Make, `${id} 00000000 00000000`)),
  greater(
    'ERR_CREDIT_OVERFLOW',
    'the window of a Make is at most 2^31 - 1',
    frame(setupLane, d.Make, `${id} 00000000 00000080`),
  ),
  lesser('ERR_WANT_REPEATED', 'one Want of a name is open at a time', Buffer.concat([want(1, 'a'), want(2, 'a')])),
  lesser('ERR_WANT_REPEATED', 'one Want of a number is open at a time', Buffer.concat([want(1, 'a'), want(1, 'b')])),
  lesser(
    'ERR_WANT_LIMIT',
    'at most 64 Wants are open',
    Buffer.concat(Array.from({ length: 65 }, (_, index) => want(index, `name ${index}`))),
  ),
  greater('ERR_MAKE_IDS', 'session ids end at 0x3fff_ffff', make(1, 0x4000_0000)),
  greater('ERR_MAKE_IDS', 'the ids of a Make are above those before it', Buffer.concat([make(1, 5), make(2, 5)])),
  greater('ERR_MAKE_IDS', 'all ids of a Make are below 0x4000_0000', (k) => make(k, 0x4000_0000)),
  greater('ERR_MAKE_REPEATED', 'one Make comes for one Want on one link', (k) =>
    Buffer.concat([make(k, 0), make(k, 2)]),
  ),
  { rule: 'a Make for a Want that was never sent is refused', bytes: make(1, 0), end: { refuse: 'withdrawn' } },
  {
    rule: 'a Want whose count differs from that of the call here is refused',
    bytes: want(1, '', 2),
    end: { refuse: 'counts-differ' },
    isLesser: true,
    calls: true,
  },
  { rule: 'an Agree of no attempt is ignored', bytes: agree(7), end: { dropped: 0 } },
  { rule: 'a Refuse of nothing is ignored', bytes: refuse(7), end: { dropped: 0 } },
  { rule: 'a Made of nothing is ignored', bytes: made(7), end: { dropped: 0 }, isLesser: true },
]

export const sessionRows: readonly WireRow[] = [
  greater('ERR_SESSION_UNKNOWN', 'no value arrives on a session that was never made', bit(5)),
  greater('ERR_SESSION_UNKNOWN', 'no Credit arrives on a session that was never made', encodeCredit(5, 1)),
  greater('ERR_SESSION_UNKNOWN', 'no Reset arrives on a session that was never made', reset(5)),
  greater('ERR_SESSION_UNKNOWN', 'no Reset arrives on the last session id of all', reset(sessionLanesEnd - 1)),
  greater('ERR_SESSION_UNKNOWN', 'no frame arrives above the last Make', (k) =>
    Buffer.concat([make(k, 0), bit(0), bit(1)]),
  ),
  {
    rule: 'a value on a session that its sender has closed is counted and dropped',
    bytes: Buffer.concat([reset(0), bit(0)]),
    end: { dropped: 1 },
    session: true,
  },
  {
    rule: 'a Credit on a session that its sender has closed is counted and dropped',
    bytes: Buffer.concat([reset(0), encodeCredit(0, 1)]),
    end: { dropped: 1 },
    session: true,
  },
  {
    rule: 'a value on an id that a Make skipped is counted and dropped',
    bytes: (k) => Buffer.concat([make(k, 3), bit(1)]),
    end: { dropped: 1 },
  },
]

function reset(lane: number): Buffer {
  return encodeReset(lane, { code: 0, reason: '' })
}
