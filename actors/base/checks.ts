/**
 * Owns: the checks for values that an application passes in, and the messages for wrong ones: where, what was expected,
 * what was given.
 * Independent of: what the options are for.
 */
import { StatewireError } from '../../codec/errors.ts'
import { formatValue, formatName } from '../../codec/format-value.ts'

/** The longest delay of a Node timer. A longer one fires at once. */
export const timerMsMax = 2 ** 31 - 1

export function invalid(sentence: string): StatewireError {
  return new StatewireError('ERR_INVALID_OPTION', sentence)
}

/**
 * Checks that `value` is an object and not an array. `what` begins the message.
 * @throws StatewireError ERR_INVALID_OPTION
 */
export function checkObject(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(`${what} must be an object, got ${formatValue(value)}`)
  return value as Readonly<Record<string, unknown>>
}

/**
 * Checks that every property name is known, because a misspelt option would silently keep its default. `kind` completes
 * the message "… is not"; `path` is prefixed to the name.
 * @throws StatewireError ERR_INVALID_OPTION with the most similar known name
 */
export function checkNames(options: object, names: readonly string[], kind: string, path = ''): void {
  for (const name of Object.keys(options)) {
    if (!names.includes(name)) throw unknownName(name, names, kind, path)
  }
}

export function unknownName(name: unknown, names: readonly string[], kind: string, path = ''): StatewireError {
  const nearest = typeof name === 'string' ? nearestOf(name, names) : undefined
  return invalid(
    `${path}${typeof name === 'string' ? formatName(name) : formatValue(name)} is not ${kind}` +
      `${nearest === undefined ? '' : ` (did you mean ${nearest}?)`}; there are: ${names.join(', ')}`,
  )
}

export function checkFunction(value: unknown, what: string): void {
  if (typeof value !== 'function') throw invalid(`${what} must be a function, got ${formatValue(value)}`)
}

export function checkBoolean(value: unknown, what: string): void {
  if (value !== undefined && typeof value !== 'boolean')
    throw invalid(`${what} must be true or false, got ${formatValue(value)}`)
}

function checkSignal(signal: unknown, what: string): void {
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw invalid(`${what} must be an AbortSignal, got ${formatValue(signal)}`)
}

/** Checks a number of milliseconds. Fractions are allowed, since callers subtract two timestamps. */
export function checkTimeoutMs(timeoutMs: unknown, what: string, isZeroAllowed = true): void {
  if (timeoutMs === undefined) return
  if (typeof timeoutMs === 'number' && timeoutMs <= timerMsMax && (isZeroAllowed ? timeoutMs >= 0 : timeoutMs > 0))
    return
  throw invalid(
    `${what} must be a number ${isZeroAllowed ? 'from 0' : 'above 0,'} to ${timerMsMax}, got ${formatValue(timeoutMs)}`,
  )
}

const callNames = ['signal', 'timeoutMs']

/**
 * Checks the options of one call. Cheap when there are none, because `send` calls it.
 * @throws StatewireError ERR_INVALID_OPTION
 */
export function checkCall(options: unknown, call: string, names: readonly string[] = callNames): void {
  if (options === undefined) return
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw invalid(`${call} takes an object of options, got ${formatValue(options)}`)
  checkNames(options, names, `an option of ${call}`)
  const { signal, timeoutMs } = options as { signal?: unknown; timeoutMs?: unknown }
  checkSignal(signal, `signal of ${call}`)
  checkTimeoutMs(timeoutMs, `timeoutMs of ${call}`)
}

/** Returns the known name most similar to `name`, if one is close enough. */
function nearestOf(name: string, names: readonly string[]): string | undefined {
  if (name.length > 64) return undefined
  const lower = name.toLowerCase()
  let nearest: string | undefined
  let least = Math.max(2, Math.floor(name.length / 3)) + 1
  for (const candidate of names) {
    const distance = editDistance(lower, candidate.toLowerCase())
    if (distance < least && distance < candidate.length) [nearest, least] = [candidate, distance]
  }
  return nearest
}

/** The number of inserted, deleted or replaced letters (Levenshtein distance). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++)
      next.push(
        Math.min(
          (row[j] as number) + 1,
          (next[j - 1] as number) + 1,
          (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1),
        ),
      )
    row = next
  }
  return row[b.length] as number
}
