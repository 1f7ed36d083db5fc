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
import { EventLines } from './event-lines.ts'
import { loadPeerConfig } from './peer-config.ts'
import { announcePeer } from './running-peers.ts'
import { onSignals } from './signals.ts'
import { TunnelBoard } from './tunnel-board.ts'
import { startTunnel } from './tunnel-spec.ts'

/** Runs until SIGINT, SIGTERM or the command `shutdown`. @throws UsageError, StatewireError */
export async function peer(args: readonly string[], { out, err }: Output): Promise<void> {
  const { config, control, json, verbose } = parse(args)
  const loaded = await loadPeerConfig(config, control)
  await ControlServer.checkFree(loaded.control)
  const network = createNetwork(loaded.network)
  const board = new TunnelBoard(network)
  const lines = new EventLines({ json, verbose, isTerminal: process.stdout.isTTY }, out)
  network.ref.on('*', (event) => lines.show(event as NetworkEvent))
  board.onEvent((event) => lines.show(event))
  let stop = (): void => {}
  const stopped = new Promise<void>((resolve) => (stop = resolve))
  const shutdownTimeoutMs = loaded.network.limits?.shutdownTimeoutMs ?? defaultLimits.shutdownTimeoutMs
  const seconds = Math.round(shutdownTimeoutMs / 1000)
  // From the start on, so that an early Ctrl-C drains, too.
  const removeSignals = onSignals(() => {
    if (!json) err(`stopping: what was sent is given ${seconds} s to be acknowledged; again to stop at once\n`)
    stop()
  })
  let server: ControlServer | null = null
  let withdraw = (): void => {}
  try {
    await network.ready()
    server = await ControlServer.open(board, loaded.control, stop)
    withdraw = announcePeer(loaded.control)
    if (!json) out(`${network.identity}\n${network.url ?? 'it does not listen'}\ncontrol socket: ${loaded.control}\n`)
    const group = board.createGroup()
    for (const tunnel of loaded.tunnels) {
      const { text, ...started } = await startTunnel(network, group, tunnel)
      if (json) lines.show({ type: 'tunnel.started', ...started })
      else out(`${text}\n`)
    }
    network.on('network.failed', stop)
    await stopped
  } finally {
    withdraw()
    server?.close()
    await board.close(shutdownTimeoutMs)
    await network.shutdown()
    removeSignals()
  }
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
