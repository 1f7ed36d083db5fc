/**
 * Owns: the checks of the environment parts that an application passes in: clock, random, transport, names, log.
 * Independent of: what the runtime does with them, and whether they work.
 */
import { checkFunction, checkNames, checkObject, invalid } from './checks.ts'
import type { Environment, Log } from './environment.ts'
import { harmlessLog } from './log.ts'
import { formatValue } from '../../codec/format-value.ts'

const methods: { readonly [Part in keyof Environment]: readonly string[] } = {
  clock: ['nowMs', 'wallMs', 'setTimeout', 'clearTimeout', 'nextTick', 'setImmediate'],
  random: ['fraction', 'bytes'],
  transport: ['dial', 'listen'],
  names: ['lookup'],
  log: ['write'],
}
const parts = Object.keys(methods) as (keyof Environment)[]

/**
 * Returns the parts that were given. A part that is `undefined` counts as not given.
 * @throws StatewireError ERR_INVALID_OPTION
 */
export function resolveEnvironment(environment: unknown, path = 'environment'): Partial<Environment> {
  if (environment === undefined) return {}
  const offered = checkObject(environment, path)
  checkNames(offered, parts, 'a part of the environment', `${path}.`)
  const given: [string, unknown][] = []
  for (const part of parts) {
    const value = offered[part]
    if (value === undefined) continue
    checkPart(value, part, `${path}.${part}`)
    given.push([part, part === 'log' ? harmlessLog(value as Log) : value])
  }
  return Object.fromEntries(given) as Partial<Environment>
}

export function checkPart(value: unknown, part: keyof Environment, path: string): void {
  const offered = checkObject(value, path)
  for (const method of methods[part]) checkFunction(offered[method], `${path}.${method}`)
  if (part === 'transport' && typeof offered['openHandles'] !== 'number')
    throw invalid(`${path}.openHandles must be a number, got ${formatValue(offered['openHandles'])}`)
}
