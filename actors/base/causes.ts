/**
 * Owns: causes, the plain-data form of a reason in events, and their conversion from and to errors.
 * Independent of: all actors, and who reports a cause.
 */
import { StatewireError } from '../../codec/errors.ts'
import type { ErrorCode } from '../../codec/errors.ts'
import { messageOf } from '../../codec/format-value.ts'
import { sanitize } from '../../codec/sanitize.ts'
import type { Cause as ChartCause } from '../../machines/chart.ts'
import { HandshakeRefusedError } from '../../protocol/dialect.ts'

/** Why something ended, as events and logs carry it: a stable code, and a sentence for people. */
export interface Cause extends ChartCause {
  readonly code: ErrorCode
}

/** Converts a cause from an event into an error. */
export function errorOf(cause: Cause): StatewireError {
  return new StatewireError(cause.code, cause.message)
}

/** Converts anything that was thrown into a cause. */
export function causeOf(error: unknown, code: ErrorCode = 'ERR_INTERNAL', prefix = ''): Cause {
  if (error instanceof StatewireError)
    return { code: error.code, message: sanitize(prefix + messageOf(error)), ...retryOf(error) }
  const message = messageOf(error)
  const systemCode = systemCodeOf(error)
  return {
    code,
    message: sanitize(`${prefix}${message}${message.includes(systemCode.slice(2, -1)) ? '' : systemCode}`),
  }
}

/** In parentheses; '' if there is none. An application may throw an error whose getters throw. */
function systemCodeOf(error: unknown): string {
  try {
    return error instanceof Error && 'code' in error ? ` (${messageOf(error.code)})` : ''
  } catch {
    return ''
  }
}

/**
 * Returns how to redial after `error`. A fatal error is retried at the back-off cap: configuration may change, and
 * addresses are reused.
 */
function retryOf(error: StatewireError): Pick<Cause, 'retry'> {
  if (error instanceof HandshakeRefusedError) return error.retry === null ? {} : { retry: error.retry }
  return error.fatal ? { retry: 'cap' } : {}
}

export function cause(code: ErrorCode, message: string): Cause {
  return { code, message: sanitize(message) }
}
