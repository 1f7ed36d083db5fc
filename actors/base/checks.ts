/**
 * Owns: the questions that are asked of everything an application hands in, and the sentences for what is wrong: where,
 * what was expected, what came.
 * Refuses to know: what the options are for.
 */
import { StatewireError } from '../../codec/errors.ts'
import { formatValue, formatName } from '../../codec/format-value.ts'

/** The greatest delay that a Node timer keeps: above it, it fires at once. */
export const timerMsMax = 2 ** 31 - 1

export function invalid(sentence: string): StatewireError {
  return new StatewireError('ERR_INVALID_OPTION', sentence)
}

/** An object, and no list. `what` begins the sentence. @throws StatewireError ERR_INVALID_OPTION */
export function checkObject(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(`${what} must be an object, got ${formatValue(value)}`)
  return value as Readonly<Record<string, unknown>>
}

/**
 * A misspelt option would be a silent default: every name must be known. `kind` ends "…is not"; `path` stands before the name.
 * @throws StatewireError ERR_INVALID_OPTION with the nearest name
 */
export function checkNames(options: object, names: readonly string[], kind: string, path = ''): void {
  for (const name of Object.keys(options)) {
    if (!names.includes(name)) throw unknownName(name, names, kind, path)
  }
}

export function unknownName(name: unknown, names: readonly string[], kind: string, path = ''): StatewireError {
  const nearest = typeof name === 'string' ? nearestOf(name, names) : undefined
  return invalid(
    `${path}${typeof name === 'string' ? formatName(name) : formatValue(name)} is not ${kind}${nearest === undefined ? '' : ` (did you mean ${nearest}?)`}; there are: ${names.join(', ')}`,
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

/** In milliseconds, fractions too: whoever subtracts two times has them. */
export function checkTimeoutMs(timeoutMs: unknown, what: string, isZeroAllowed = true): void {
  if (timeoutMs === undefined) return
  if (typeof timeoutMs === 'number' && timeoutMs <= timerMsMax && (isZeroAllowed ? timeoutMs >= 0 : timeoutMs > 0))
    return
  throw invalid(
    `${what} must be a number ${isZeroAllowed ? 'from 0' : 'above 0,'} to ${timerMsMax}, got ${formatValue(timeoutMs)}`,
  )
}

const callNames = ['signal', 'timeoutMs']

/** The options of one call. Cheap where there are none, for `send`. @throws StatewireError ERR_INVALID_OPTION */
export function checkCall(options: unknown, call: string, names: readonly string[] = callNames): void {
  if (options === undefined) return
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw invalid(`${call} takes an object of options, got ${formatValue(options)}`)
  checkNames(options, names, `an option of ${call}`)
  const { signal, timeoutMs } = options as { signal?: unknown; timeoutMs?: unknown }
  checkSignal(signal, `signal of ${call}`)
  checkTimeoutMs(timeoutMs, `timeoutMs of ${call}`)
}

/** The name that was probably meant, if one is near enough. */
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

/** Letters put in, left out or changed (Levenshtein). */
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
