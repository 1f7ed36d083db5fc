/**
 * Owns: the arguments of `statewire tunnel`: which there are, which go together, and what they mean.
 * Independent of: networks and tunnels.
 */
import { parseArgs } from 'node:util'
import type { ParseArgsConfig } from 'node:util'
import type { PeerOption } from '../actors/config/options.ts'
import { escapeControls } from '../codec/sanitize.ts'
import { UsageError } from './command.ts'
import { parseAddress } from './tunnel-spec.ts'

/** Where the network of a tunnel comes from. */
export type NetworkSource =
  | { readonly from: 'config'; readonly file: string }
  | {
      readonly from: 'key'
      readonly file: string
      readonly listen: string | undefined
      readonly peers: readonly PeerOption[]
    }

/** The network of a running peer. */
export interface AttachedSource {
  readonly from: 'attach'
  readonly socketOrPid: string
}

type Source = NetworkSource | AttachedSource

/** A running peer, by its configuration file, its control socket or its process id; the only one if none is given. */
export type AskedPeer = { readonly config: string } | { readonly socketOrPid: string | undefined }

/** How events are shown. */
export interface LogOptions {
  readonly json: boolean
  readonly verbose: boolean
}

export type TunnelCommand =
  /** `entry` is as in the list `tunnels` of a configuration file. */
  | ({ readonly does: 'start'; readonly entry: object; readonly source: Source } & LogOptions)
  | {
      readonly does: 'stdio'
      readonly peer: string
      readonly name: string
      readonly source: Source
      readonly verbose: boolean
    }
  | ({ readonly does: 'run'; readonly file: string } & LogOptions)
  | { readonly does: 'ps'; readonly control: AskedPeer; readonly watch: boolean; readonly json: boolean }
  | { readonly does: 'kill'; readonly control: AskedPeer; readonly id: number; readonly reason: string | undefined }

type Values = Readonly<Record<string, string | boolean | readonly string[] | undefined>>

const text = { type: 'string' } as const
const flag = { type: 'boolean' } as const
const texts = { type: 'string', multiple: true } as const

const networkOptions = {
  attach: text,
  config: text,
  key: text,
  'listen-peer': text,
  peer: texts,
}
const logOptions = { json: flag, verbose: flag }

const options: Readonly<Record<string, NonNullable<ParseArgsConfig['options']>>> = {
  expose: { ...networkOptions, ...logOptions, name: text, allow: texts, 'proxy-protocol': flag },
  open: { ...networkOptions, ...logOptions, listen: text, stdio: flag },
  run: { ...logOptions, config: text },
  ps: { attach: text, config: text, watch: flag, json: flag },
  kill: { attach: text, config: text, reason: text },
}

/** @throws UsageError; StatewireError for PEER/NAME */
export function parseTunnelCommand(args: readonly string[]): TunnelCommand {
  const [command, ...rest] = args
  const names = Object.keys(options).join(', ')
  if (command === undefined) throw new UsageError(`tunnel needs a command: ${names}`)
  if (!Object.hasOwn(options, command))
    throw new UsageError(`there is no command tunnel ${JSON.stringify(command)}; there are: ${names}`)
  const { values, positionals } = parse(rest, options[command]!)
  for (const [name, value] of Object.entries(values)) if (value === '') throw new UsageError(`--${name} needs a value`)
  if (command === 'expose') return parseExpose(values, positionals)
  if (command === 'open') return parseOpen(values, positionals)
  if (command === 'kill') return parseKill(values, positionals)
  takeNoArgument(positionals, command)
  if (command === 'ps')
    return { does: 'ps', control: askedPeerOf(values), watch: values['watch'] === true, json: values['json'] === true }
  const file = textOf(values, 'config')
  if (file === undefined) throw new UsageError('tunnel run needs --config FILE, with the list tunnels in it')
  return { does: 'run', file, ...logOf(values) }
}

function parseExpose(values: Values, positionals: readonly string[]): TunnelCommand {
  const target = oneArgument(positionals, 'tunnel expose', 'TARGET, such as 127.0.0.1:5432 or unix:/run/app.sock')
  const name = textOf(values, 'name')
  if (name === undefined) throw new UsageError('tunnel expose needs --name NAME: what openers call the tunnel')
  const ids = listOf(values, 'allow')
  if (ids.length === 0)
    throw new UsageError('tunnel expose needs --allow ID for each peer that may connect, or --allow all')
  const isAll = ids.includes('all')
  const allow = isAll ? 'all' : ids
  const proxyProtocol = values['proxy-protocol'] === true
  const entry = { expose: target, name, allow, ...(proxyProtocol ? { proxyProtocol } : {}) }
  return { does: 'start', entry, source: sourceOf(values, isAll ? [] : ids), ...logOf(values) }
}

function parseOpen(values: Values, positionals: readonly string[]): TunnelCommand {
  const address = oneArgument(positionals, 'tunnel open', 'PEER/NAME: the id of a peer and the name of its tunnel')
  const source = sourceOf(values, [])
  const { json, verbose } = logOf(values)
  const listen = textOf(values, 'listen')
  if (values['stdio'] !== true)
    return {
      does: 'start',
      entry: { open: address, ...(listen === undefined ? {} : { listen }) },
      source,
      json,
      verbose,
    }
  if (listen !== undefined) throw new UsageError('--stdio is one connection: it does not go with --listen')
  if (json) throw new UsageError('with --stdio, standard output has the bytes of the connection: leave --json out')
  return { does: 'stdio', ...parseAddress(address, 'the argument'), source, verbose }
}

function parseKill(values: Values, positionals: readonly string[]): TunnelCommand {
  const id = oneArgument(positionals, 'tunnel kill', 'the ID of a connection, from statewire tunnel ps')
  if (!/^\d{1,15}$/.test(id)) throw new UsageError(`${JSON.stringify(id)} is not the ID of a connection`)
  return { does: 'kill', control: askedPeerOf(values), id: Number(id), reason: textOf(values, 'reason') }
}

function askedPeerOf(values: Values): AskedPeer {
  const [config, socketOrPid] = [textOf(values, 'config'), textOf(values, 'attach')]
  if (config === undefined) return { socketOrPid }
  if (socketOrPid !== undefined) throw new UsageError('--config and --attach both name the running peer: give one')
  return { config }
}

/** @param allowed they become peers of a network that has no configuration file */
function sourceOf(values: Values, allowed: readonly string[]): Source {
  const [config, key] = [textOf(values, 'config'), textOf(values, 'key')]
  const attach = textOf(values, 'attach')
  if ([config, key, attach].filter((given) => given !== undefined).length !== 1)
    throw new UsageError(
      'a tunnel needs one network: --config FILE, --key FILE with --peer or --listen-peer, or --attach SOCKET|PID',
    )
  const [listen, peers] = [textOf(values, 'listen-peer'), listOf(values, 'peer').map(peerOf)]
  if (key === undefined && (listen !== undefined || peers.length > 0))
    throw new UsageError('--peer and --listen-peer go with --key: other networks have their peers already')
  if (attach !== undefined) return { from: 'attach', socketOrPid: attach }
  if (config !== undefined) return { from: 'config', file: config }
  const known = new Set(peers.map(({ id }) => id))
  const all: readonly PeerOption[] = [
    ...peers,
    ...[...new Set(allowed)].filter((id) => !known.has(id)).map((id) => ({ id })),
  ]
  const unreachable = listen === undefined ? all.find(({ urls }) => urls === undefined) : undefined
  if (unreachable !== undefined)
    throw new UsageError(
      `${JSON.stringify(unreachable.id)} has no address: give --peer ID@URL to dial it, or --listen-peer URL to be dialled`,
    )
  if (all.length === 0) throw new UsageError('the network has no peer: give --peer ID@URL')
  return { from: 'key', file: key!, listen, peers: all }
}

/** `ID`, `ID@URL` or `ID@URL,URL`. */
function peerOf(value: string): PeerOption {
  const at = value.indexOf('@')
  return at < 0 ? { id: value } : { id: value.slice(0, at), urls: value.slice(at + 1).split(',') }
}

function parse(
  args: readonly string[],
  known: NonNullable<ParseArgsConfig['options']>,
): { values: Values; positionals: readonly string[] } {
  try {
    return parseArgs({ args: [...args], options: known, allowPositionals: true, strict: true }) as {
      values: Values
      positionals: readonly string[]
    }
  } catch (error) {
    throw new UsageError(escapeControls((error as Error).message))
  }
}

function oneArgument([value, ...more]: readonly string[], command: string, what: string): string {
  if (value === undefined || value === '') throw new UsageError(`${command} needs ${what}`)
  takeNoArgument(more, command)
  return value
}

function takeNoArgument([more]: readonly string[], command: string): void {
  if (more !== undefined) throw new UsageError(`${command}: ${JSON.stringify(more)} is one argument too many`)
}

function textOf(values: Values, name: string): string | undefined {
  return values[name] as string | undefined
}

function listOf(values: Values, name: string): readonly string[] {
  return ((values[name] ?? []) as readonly string[]).filter((value) => value !== '')
}

function logOf(values: Values): LogOptions {
  return { json: values['json'] === true, verbose: values['verbose'] === true }
}
