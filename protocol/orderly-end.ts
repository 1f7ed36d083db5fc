/**
 * Owns: which ends of a lane lose nothing: one side closed the session, drained the peer or shut its network down.
 * Independent of: who ends the lane, and how.
 */
import { StatewireError } from '../codec/errors.ts'

/** An error that knows from its details whether anything was lost. */
export interface LaneEndError extends StatewireError {
  readonly isOrderly: boolean
}

const orderlyCodes: ReadonlySet<string> = new Set(['ERR_SESSION_CLOSED', 'ERR_NETWORK_STOPPED', 'ERR_PEER_DRAINED'])

/** Iterators end normally after such an end; after any other they throw it. */
export function isOrderlyEnd(error: unknown): boolean {
  if (!(error instanceof StatewireError)) return false
  return 'isOrderly' in error ? (error as LaneEndError).isOrderly : orderlyCodes.has(error.code)
}
