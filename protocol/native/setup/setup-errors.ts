/**
 * Owns: the errors of session set-up.
 * Independent of: when they are thrown.
 */
import { formatValue } from '../../../codec/format-value.ts'
import { ProtocolError, StatewireError } from '../../../codec/errors.ts'
import type { SetupFrame } from '../../../codec/setup-frames.ts'
import type { RefuseFrame } from './setup-port.ts'

const named = (name: string): string => (name === '' ? 'without a name' : `named ${formatValue(name)}`)

export function countsError(name: string, peer: string, ownCount: number, peerCount: number): StatewireError {
  const theirs = peerCount === 0 ? 'another number' : String(peerCount)
  return new StatewireError(
    'ERR_SESSION_COUNTS',
    `this side asks for ${ownCount} sessions and ${peer} for ${theirs} in their calls of makeSessions ${named(name)}: ` +
      'use one count for each name',
  )
}

export function refusedError(name: string, peer: string, ownCount: number, frame: RefuseFrame): StatewireError {
  if (frame.reason === 'counts-differ') return countsError(name, peer, ownCount, frame.ownCount)
  return new StatewireError(
    'ERR_SESSION_LIMIT',
    `${peer} refuses ${ownCount} sessions of the call of makeSessions ${named(name)}: a limit or the memory budget ` +
      'there has no room for them; close sessions, or raise the limits of that side',
  )
}

export function misplaced(frame: SetupFrame, peer: string, link: number, why: string): ProtocolError {
  return new ProtocolError('ERR_SETUP_FRAME', `${peer} sent ${frame.type} number ${frame.k} on link ${link}: ${why}.`)
}
