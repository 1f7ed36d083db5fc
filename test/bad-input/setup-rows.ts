/**
 * Owns: the rules of session set-up that a peer can break with a frame or a few, each broken once.
 * Independent of: sockets, and who sends the bytes (live-wire.test.ts).
 */
import { encodeCredit, encodeReset, sessionLanesEnd } from '../../codec/native-frames.ts'
import { encodeSetupFrame } from '../../codec/setup-frames.ts'
import { frame } from '../codec/frame-examples.ts'
import { breaks, type WireRow } from './wire-rows.ts'

const make = (changes: { k: number; firstId: number }): Buffer =>
  encodeSetupFrame({ type: 'Make', callId: 5n, windowBytes: 1, ...changes })
const want = (k: number, name: string): Buffer => encodeSetupFrame({ type: 'Want', k, callId: 5n, count: 1, name })
const lesser = { isLesser: true } as const
const never = 'ERR_SESSION_UNKNOWN'
const misplaced = 'ERR_SETUP_FRAME'

/** The other side gives the session ids, unless it has the lesser id. */
export const setupRows: readonly WireRow[] = [
  breaks(never, 'no value arrives on a session that was never made', frame(5, 0x02)),
  breaks(never, 'no Credit arrives for a session that was never made', encodeCredit(5, 1)),
  breaks(
    never,
    'no Reset arrives for the last session id of all',
    encodeReset(sessionLanesEnd - 1, { code: 0, reason: '' }),
  ),
  breaks(misplaced, 'the side with the greater id sends no Want', want(1, '')),
  breaks(
    misplaced,
    'the side with the greater id sends no Made',
    encodeSetupFrame({ type: 'Made', k: 1, windowBytes: 1 }),
  ),
  breaks(misplaced, 'the side with the lesser id sends no Make', make({ k: 1, firstId: 0 }), lesser),
  breaks('ERR_MAKE_IDS', 'the ids of a Make are below 0x40000000', make({ k: 1, firstId: sessionLanesEnd })),
  breaks(
    'ERR_MAKE_IDS',
    'the ids of a Make are above those before',
    Buffer.concat([make({ k: 1, firstId: 5 }), make({ k: 2, firstId: 5 })]),
  ),
  breaks('ERR_WANT_REPEATED', 'a name has one open Want', Buffer.concat([want(1, 'x'), want(2, 'x')]), lesser),
  breaks('ERR_WANT_REPEATED', 'a number has one open Want', Buffer.concat([want(1, 'x'), want(1, 'y')]), lesser),
  breaks(
    'ERR_WANT_LIMIT',
    'at most 64 Wants are open',
    Buffer.concat(Array.from({ length: 65 }, (_, k) => want(k, `name ${k}`))),
    lesser,
  ),
]
