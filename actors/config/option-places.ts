/**
 * Owns: where each option of `createNetwork` belongs, and the message for a misplaced one.
 * Independent of: what the options are for, and whether their values are right.
 */
import { checkNames, invalid } from '../base/checks.ts'
import { isLimit } from './limits.ts'

const optionNames = [
  'identity',
  'listen',
  'peers',
  'dialect',
  'security',
  'onConnectionLost',
  'connectionParallelism',
  'limits',
  'memoryBudgetBytes',
  'permit',
  'allowAddresses',
  'admit',
  'tls',
]
export const peerNames: readonly string[] = ['id', 'urls', 'connect']
export const runtimeNames: readonly string[] = ['environment', 'inspect']
const environmentNames = ['clock', 'random', 'transport', 'log']
const tlsNames = ['key', 'certificate', 'roots', 'checkHostName', 'wallTimeMs']
const callNames = ['timeoutMs', 'signal', 'count', 'agreePrfKeys']

/**
 * Describes an option that is unknown at this place, and says where it belongs. Undefined if no place has such an
 * option.
 */
function placeOf(name: string): string | undefined {
  if (optionNames.includes(name))
    return `is an option of the network: pass it in the first argument, as createNetwork({ ${name}: … })`
  if (isLimit(name)) return `is a limit: set it as limits: { ${name}: … }`
  if (runtimeNames.includes(name)) return `must be in the second argument: createNetwork(config, { ${name}: … })`
  if (environmentNames.includes(name))
    return (
      'is a part of the environment: pass it in the second argument, ' +
      `as createNetwork(config, { environment: { ${name}: … } })`
    )
  if (tlsNames.includes(name)) return `is an option of tls, of the ampc dialect: set it as tls: { ${name}: … }`
  if (peerNames.includes(name))
    return (
      `is an option of a peer: set it in the list, as peers: [{ ${name}: … }]; ` +
      'for this side use identity and listen'
    )
  return callNames.includes(name)
    ? `is an option of a call: pass it there, as in makeSessions({ ${name}: … })`
    : undefined
}

/**
 * Like `checkNames`, and says where a misplaced option belongs.
 * @throws StatewireError ERR_INVALID_OPTION
 */
export function checkPlaces(options: object, names: readonly string[], kind: string, path = ''): void {
  if (names === peerNames && 'url' in options) throw invalid(`${path}url is called urls: one URL, or a list of them`)
  for (const name of Object.keys(options)) {
    const place = names.includes(name) ? undefined : placeOf(name)
    if (place !== undefined) throw invalid(`${path}${name} ${place}`)
  }
  checkNames(options, names, kind, path)
}

/**
 * Checks the names of the options and of the limits.
 * @throws StatewireError ERR_INVALID_OPTION
 */
export function checkPlacesOf(config: Readonly<Record<string, unknown>>): void {
  checkPlaces(config, optionNames, 'an option')
  const { limits } = config
  if (typeof limits !== 'object' || limits === null) return
  const stray = Object.keys(limits).find((name) => !isLimit(name) && placeOf(name) !== undefined)
  if (stray !== undefined) throw invalid(`limits.${stray} ${placeOf(stray)}`)
}
