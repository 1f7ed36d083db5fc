/**
 * Owns: the check of the second argument of `createNetwork`: environment and inspector.
 * Independent of: what they are used for.
 */
import { checkObject, invalid } from '../base/checks.ts'
import { resolveEnvironment } from '../base/environment-checks.ts'
import { checkPlaces, runtimeNames } from './option-places.ts'
import { formatValue } from '../../codec/format-value.ts'

/**
 * Checks the runtime options.
 * @throws StatewireError ERR_INVALID_OPTION
 */
export function checkRuntime(runtime: unknown): void {
  const options = checkObject(runtime, 'the second argument of createNetwork')
  checkPlaces(options, runtimeNames, 'an option of the runtime')
  resolveEnvironment(options['environment'])
  const inspect = options['inspect']
  if (inspect === undefined || typeof inspect === 'function') return
  if (typeof inspect !== 'object' || inspect === null || typeof (inspect as { next?: unknown }).next !== 'function')
    throw invalid(`inspect must be a function, or an observer with next, got ${formatValue(inspect)}`)
}
