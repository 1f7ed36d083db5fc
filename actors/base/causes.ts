/**
 * Owns: causes, the plain form in which a reason travels in events, and their conversion from and to errors.
 * Independent of: any actor, and of who reports a cause.
 */
import { StatewireError } from '../../codec/errors.ts'
import type { ErrorCode } from '../../codec/errors.ts'
import { sanitize } from '../../codec/sanitize.ts'
import type { Cause as ChartCause } from '../../machines/chart.ts'
import { HandshakeRefusedError } from '../../protocol/dialect.ts'

/** Why something ended, as events and logs carry it: a stable code, and a sentence for people. */
export interface Cause extends ChartCause {
  readonly code: ErrorCode
}

/** Makes an error out of a cause that travelled in an event. */
export function errorOf(cause: Cause): StatewireError {
  return new StatewireError(cause.code, cause.message)
}

/** Makes a cause out of anything that was thrown. */
export function causeOf(error: unknown, code: ErrorCode = 'ERR_INTERNAL', prefix = ''): Cause {
  if (error instanceof StatewireError)
    return { code: error.code, message: sanitize(prefix + error.message), ...retryOf(error) }
  const message = error instanceof Error ? error.message : String(error)
  const systemCode =
    error instanceof Error && 'code' in error ? ` (${String((error as NodeJS.ErrnoException).code)})` : ''
  return {
    code,
    message: sanitize(`${prefix}${message}${message.includes(systemCode.slice(2, -1)) ? '' : systemCode}`),
  }
}

/** A cause that does not resolve by itself is retried at the cap of the back-off: somebody may change something, and addresses get reused. */
function retryOf(error: StatewireError): Pick<Cause, 'retry'> {
  if (error instanceof HandshakeRefusedError) return error.retry === null ? {} : { retry: error.retry }
  return error.fatal ? { retry: 'cap' } : {}
}

export function cause(code: ErrorCode, message: string): Cause {
  return { code, message: sanitize(message) }
}
