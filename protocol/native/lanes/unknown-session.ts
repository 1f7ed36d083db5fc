/**
 * Owns: what a frame means for a session that is not open here: ended, or not made yet (docs/protocol.md).
 * Independent of: sessions that are open, and how frames are sent.
 */
import { ProtocolError } from '../../../codec/errors.ts'
import { nativeDescriptors } from '../../../codec/native-frames.ts'
import type { FloodGuard } from './flood-guard.ts'
import { decodeCredit, decodeReset } from '../frame-bodies.ts'
import type { Announcement, LinkSessions } from './session-numbering.ts'

const nothing: readonly Announcement[] = []

/** Throws ProtocolError ERR_CREDIT_EXCEEDED for a value before any credit. @returns what may be sent now */
export function onUnknownSession(
  sessions: LinkSessions,
  guard: FloodGuard,
  id: number,
  descriptor: number,
  buffer: Buffer,
  bodyStart: number,
  bodyEnd: number,
  nowMs: number,
): readonly Announcement[] {
  const isValue = descriptor !== nativeDescriptors.Credit && descriptor !== nativeDescriptors.Reset
  const isEarly = sessions.placeOf(id) === 'early'
  if (isValue) {
    if (isEarly)
      throw new ProtocolError('ERR_CREDIT_EXCEEDED', `A value arrived on session ${id}, for which no credit was given.`)
    guard.late(bodyEnd - bodyStart + 5, nowMs)
    return nothing
  }
  guard.frame(nowMs)
  // Closed on both sides before it got credit: the peer no longer has to remember it, so others may be announced.
  if (!isEarly) {
    const late = descriptor === nativeDescriptors.Credit ? sessions.creditedLate(id) : nothing
    if (late.length > 0) guard.answer(nowMs)
    return [...sessions.answered(id), ...late]
  }
  if (descriptor === nativeDescriptors.Credit) sessions.rememberCredit(id, decodeCredit(buffer, bodyStart))
  else sessions.rememberReset(id, decodeReset(buffer, bodyStart, bodyEnd))
  return nothing
}

/**
 * A value that spans chunks begins: its bytes are not collected if it could not be accepted. Throws ProtocolError
 * ERR_CREDIT_EXCEEDED.
 */
export function checkUnknownSession(sessions: LinkSessions, guard: FloodGuard, id: number): void {
  if (sessions.placeOf(id) !== 'early' && guard.expectsLate) return
  throw new ProtocolError('ERR_CREDIT_EXCEEDED', `A value began on session ${id}, for which no credit was given.`)
}
