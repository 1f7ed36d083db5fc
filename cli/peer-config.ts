/**
 * Owns: the configuration file of `statewire peer` and `statewire tunnel`: which fields it has, and what they mean.
 * Independent of: the network that it describes (createNetwork checks the values) and of the process.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { NativeConfig } from '../actors/config/options.ts'
import { checkNames, checkObject, invalid } from '../actors/base/checks.ts'
import { Identity } from '../actors/tls/identity.ts'
import { StatewireError } from '../codec/errors.ts'
import { formatValue } from '../codec/format-value.ts'
import { parseTunnels } from './tunnel-spec.ts'
import type { TunnelSpec } from './tunnel-spec.ts'

const fields = [
  'key',
  'listen',
  'peers',
  'control',
  'connectionParallelism',
  'limits',
  'memoryBudgetBytes',
  'allowAddresses',
  'tunnels',
]

export interface PeerConfig {
  readonly network: NativeConfig
  /** Where the control socket is. */
  readonly control: string
  readonly tunnels: readonly TunnelSpec[]
}

/**
 * Reads a configuration file. `key` and `control` are relative to its folder.
 * @throws StatewireError ERR_INVALID_OPTION with what is wrong; as Identity.load for the key
 */
export async function loadPeerConfig(file: string, control?: string): Promise<PeerConfig> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new StatewireError('ERR_INVALID_OPTION', `${formatValue(file)} cannot be read: ${(error as Error).message}`)
  }
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    throw invalid(`${formatValue(file)} is not JSON: ${(error as Error).message}`)
  }
  const { key, control: own, tunnels, ...rest } = checkObject(parsed, formatValue(file))
  checkNames(checkObject(parsed, 'the file'), fields, `a field of ${formatValue(file)}`)
  if (typeof key !== 'string')
    throw invalid(`key of ${formatValue(file)} must be the path of a key file (statewire keygen --out FILE)`)
  if (own !== undefined && typeof own !== 'string') throw invalid(`control of ${formatValue(file)} must be a path`)
  const folder = path.dirname(path.resolve(file))
  const identity = await Identity.load(path.resolve(folder, key))
  return {
    network: { peers: [], ...rest, identity } as NativeConfig,
    control: control ?? (own === undefined ? defaultControl(file) : path.resolve(folder, own)),
    tunnels: parseTunnels(tunnels, `tunnels of ${formatValue(file)}`),
  }
}

/** The longest path of a unix socket. */
const socketPathBytesMost = 100

/** The control socket of the peer with this configuration: beside it, or named after it. */
export function defaultControl(file: string): string {
  const absolute = path.resolve(file)
  const hash = createHash('sha256').update(absolute).digest('hex').slice(0, 16)
  if (process.platform === 'win32') return `\\\\.\\pipe\\statewire-${hash}`
  const beside = `${absolute.replace(/\.json$/, '')}.sock`
  return Buffer.byteLength(beside) <= socketPathBytesMost ? beside : path.join(tmpdir(), `statewire-${hash}.sock`)
}
