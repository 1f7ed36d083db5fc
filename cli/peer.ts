/**
 * Owns: the command that runs one peer until it is told to stop, and shows what happens to it.
 * Independent of: the control socket's commands.
 */
import { parseArgs } from 'node:util'
import { defaultLimits } from '../actors/config/limits.ts'
import { createNetwork } from '../actors/network/create-network.ts'
import type { NetworkEvent } from '../actors/base/events.ts'
import { escapeControls } from '../codec/sanitize.ts'
import { UsageError } from './command.ts'
import type { Output } from './command.ts'
import { ControlServer } from './control-server.ts'
import { loadPeerConfig } from './peer-config.ts'

/** Events that are not shown without --verbose. */
const details = new Set(['dial.scheduled', 'connection.opened', 'connection.lost', 'peer.suspect', 'message.unhandled'])

/** Runs until SIGINT, SIGTERM or the command `shutdown`. @throws UsageError, StatewireError */
export async function peer(args: readonly string[], { out, err }: Output): Promise<void> {
  const { config, control, json, verbose } = parse(args)
  const loaded = await loadPeerConfig(config, control)
  const network = createNetwork(loaded.network)
  const repeats = new Repeats()
  const show = (event: NetworkEvent): void => {
    if (json) return out(`${JSON.stringify(event)}\n`)
    if (!verbose && details.has(event.type)) return
    const before = repeats.next(event)
    if (before === 'again') return
    if (before > 0) out(`         the last one ${before} times more\n`)
    out(`${line(event, process.stdout.isTTY)}\n`)
  }
  network.ref.on('*', (event) => show(event as NetworkEvent))
  let stop = (): void => {}
  const stopped = new Promise<void>((resolve) => (stop = resolve))
  const seconds = Math.round((loaded.network.limits?.shutdownTimeoutMs ?? defaultLimits.shutdownTimeoutMs) / 1000)
  // From the start on, so that an early Ctrl-C drains, too.
  const removeSignals = onSignals(() => {
    if (!json) err(`stopping: what was sent is given ${seconds} s to be acknowledged; again to stop at once\n`)
    stop()
  })
  let server: ControlServer | null = null
  try {
    await network.ready()
    server = await ControlServer.open(network, loaded.control, stop)
    if (!json) out(`${network.identity}\n${network.url ?? 'it does not listen'}\ncontrol socket: ${loaded.control}\n`)
    network.on('network.failed', stop)
    await stopped
  } finally {
    server?.close()
    await network.shutdown()
    removeSignals()
  }
}

/** The second signal ends the process at once. */
function onSignals(first: () => void): () => void {
  let count = 0
  const listener = (): void => {
    if (++count === 1) first()
    else process.exit(130)
  }
  process.on('SIGINT', listener)
  process.on('SIGTERM', listener)
  return () => {
    process.off('SIGINT', listener)
    process.off('SIGTERM', listener)
  }
}

/** A peer that is not there fails several times a second: equal failures in a row are shown once, with their number. */
class Repeats {
  #last = ''
  #count = 0

  /** @returns `again`, or how often the last one has come again without being shown */
  next(event: NetworkEvent): 'again' | number {
    const { type } = event
    const isFailure = type === 'connection.failed' || type === 'connection.rejected'
    const key = isFailure ? `${type} ${event.peer ?? ''} ${event.cause.message.replace(/:\d+/g, '')}` : ''
    if (key !== '' && key === this.#last) {
      this.#count++
      return 'again'
    }
    const count = this.#count
    this.#last = key
    this.#count = 0
    return count
  }
}

const colours: Readonly<Record<string, number>> = {
  'peer.connected': 32,
  'peer.disconnected': 33,
  'connection.failed': 31,
  'connection.rejected': 31,
  'network.failed': 31,
  'link.reset': 31,
}

function line({ type, ...fields }: NetworkEvent, isTerminal: boolean): string {
  const time = new Date().toISOString().slice(11, 19)
  const text = Object.entries(fields)
    .map(([name, value]) => `${name}=${shown(value)}`)
    .join(' ')
  const colour = colours[type]
  const name = isTerminal && colour !== undefined ? `\u001b[${colour}m${type}\u001b[0m` : type
  return `${time} ${name} ${escapeControls(text)}`
}

function shown(value: unknown): string {
  if (typeof value === 'string') return value
  const { message } = (value ?? {}) as { message?: unknown }
  return typeof message === 'string' ? JSON.stringify(message) : JSON.stringify(value)
}

function parse(args: readonly string[]): {
  config: string
  control: string | undefined
  json: boolean
  verbose: boolean
} {
  let values: { config?: string; control?: string; json?: boolean; verbose?: boolean }
  try {
    values = parseArgs({
      args: [...args],
      options: {
        config: { type: 'string' },
        control: { type: 'string' },
        json: { type: 'boolean' },
        verbose: { type: 'boolean' },
      },
      strict: true,
    }).values
  } catch (error) {
    throw new UsageError(escapeControls((error as Error).message))
  }
  const { config, control, json = false, verbose = false } = values
  if (config === undefined || config === '') throw new UsageError('peer needs --config FILE')
  return { config, control, json, verbose }
}
