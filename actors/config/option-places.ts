/**
 * Owns: where each option of `createNetwork` belongs, and the sentence for one that stands elsewhere.
 * Refuses to know: what the options are for, and whether their values are right.
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
  'allowAddresses',
  'admit',
  'tls',
]
export const peerNames: readonly string[] = ['id', 'url']
export const runtimeNames: readonly string[] = ['environment', 'inspect']
const environmentNames = ['clock', 'random', 'transport', 'log']
const tlsNames = ['key', 'certificate', 'roots', 'checkHostName', 'wallTimeMs']
const callNames = ['timeoutMs', 'signal', 'count', 'agreePrfKeys']

/** What a name is that is no option where it stands, and where it belongs; undefined if there is no such name anywhere. */
function placeOf(name: string): string | undefined {
  if (optionNames.includes(name))
    return `is an option of the network: it belongs into the first argument, as createNetwork({ ${name}: … })`
  if (isLimit(name)) return `is a limit: it belongs into limits, as limits: { ${name}: … }`
  if (runtimeNames.includes(name)) return `belongs into the second argument, as createNetwork(config, { ${name}: … })`
  if (environmentNames.includes(name))
    return `is a part of the environment: it belongs into the second argument, as createNetwork(config, { environment: { ${name}: … } })`
  if (tlsNames.includes(name))
    return `is an option of tls, in the ampc dialect: it belongs into tls, as tls: { ${name}: … }`
  if (peerNames.includes(name))
    return `is an option of a peer: it belongs into the list, as peers: [{ ${name}: … }]; this side itself has identity and listen`
  return callNames.includes(name) ? `is an option of calls, as makeSessions({ ${name}: … })` : undefined
}

/** As `checkNames`; a name that belongs elsewhere is told where. @throws StatewireError ERR_INVALID_OPTION */
export function checkPlaces(options: object, names: readonly string[], kind: string, path = ''): void {
  for (const name of Object.keys(options)) {
    const place = names.includes(name) ? undefined : placeOf(name)
    if (place !== undefined) throw invalid(`${path}${name} ${place}`)
  }
  checkNames(options, names, kind, path)
}

/** The options, and what stands among the limits. @throws StatewireError ERR_INVALID_OPTION */
export function checkPlacesOf(config: Readonly<Record<string, unknown>>): void {
  checkPlaces(config, optionNames, 'an option')
  const { limits } = config
  if (typeof limits !== 'object' || limits === null) return
  const stray = Object.keys(limits).find((name) => !isLimit(name) && placeOf(name) !== undefined)
  if (stray !== undefined) throw invalid(`limits.${stray} ${placeOf(stray)}`)
}
