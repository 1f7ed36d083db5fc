/**
 * Owns: what a Reset of a session means to its application.
 * Independent of: links and lanes.
 */
import { StatewireError } from '../../../codec/errors.ts'
import { resetCodes } from '../../../codec/native-frames.ts'
import { formatValue } from '../../../codec/format-value.ts'

/** The peer ended the session. */
export class SessionResetError extends StatewireError {
  /** The peer's application closed it, as opposed to an error there. */
  readonly isOrderly: boolean
  constructor(isOrderly: boolean, message: string) {
    super('ERR_SESSION_RESET', message)
    this.isOrderly = isOrderly
  }
}

export function resetError(
  peer: string,
  session: string,
  reset: { readonly code: number; readonly reason: string },
): SessionResetError {
  const name = Object.entries(resetCodes).find(([, code]) => code === reset.code)?.[0] ?? 'application'
  return new SessionResetError(
    name === 'application',
    `${peer} reset session ${session} (${name})${reset.reason === '' ? '' : `: ${formatValue(reset.reason)}`}`,
  )
}
