/**
 * Owns: the command that runs tunnels in this process, with a network of its own, until it is told to stop.
 * Independent of: its arguments (tunnel-options.ts), and how a tunnel works (tunnel/).
 */
import { createNetwork } from '../actors/network/create-network.ts'
import type { NetworkEvent } from '../actors/base/events.ts'
import type { NativeConfig } from '../actors/config/options.ts'
import { Identity } from '../actors/tls/identity.ts'
import { errorOf } from '../actors/base/causes.ts'
import { invalid } from '../actors/base/checks.ts'
import { StatewireError } from '../codec/errors.ts'
import { formatValue } from '../codec/format-value.ts'
import type { Output } from './command.ts'
import { EventLines } from './event-lines.ts'
import { loadPeerConfig } from './peer-config.ts'
import { onSignals, stopSignals } from './signals.ts'
import { standardStreams } from './standard-streams.ts'
import { TunnelBoard } from './tunnel-board.ts'
import { parseTunnelCommand } from './tunnel-options.ts'
import type { LogOptions, NetworkSource, TunnelCommand } from './tunnel-options.ts'
import { parseTunnel, startTunnel } from './tunnel-spec.ts'
import type { TunnelSpec } from './tunnel-spec.ts'

/** How long open connections may take to end after the first Ctrl-C. */
const drainTimeoutMs = 10_000
/** The program at the other end of standard input and output is gone, or is about to be. */
const stdioDrainTimeoutMs = 2_000
/** ssh ends its ProxyCommand with SIGHUP. */
const stdioSignals = [...stopSignals, 'SIGHUP'] as const

/** @throws UsageError, StatewireError */
export async function tunnel(args: readonly string[], output: Output): Promise<void> {
  const command = parseTunnelCommand(args)
  if (command.does === 'stdio') return runStdio(command, output)
  if (command.does === 'start') {
    const spec = parseTunnel(command.entry, 'the tunnel')
    return runTunnels(await configOf(command.source), [spec], command, output)
  }
  const { network, tunnels } = await loadPeerConfig(command.file)
  if (tunnels.length === 0) throw invalid(`${formatValue(command.file)} has no list tunnels: see docs/tunnel.md`)
  return runTunnels(network, tunnels, command, output)
}

async function configOf(source: NetworkSource): Promise<NativeConfig> {
  if (source.from === 'config') return (await loadPeerConfig(source.file)).network
  const { file, listen, peers } = source
  return { identity: await Identity.load(file), listen, peers }
}

async function runTunnels(
  config: NativeConfig,
  specs: readonly TunnelSpec[],
  { json, verbose }: LogOptions,
  { out, err }: Output,
): Promise<void> {
  const network = createNetwork(config)
  const board = new TunnelBoard(network)
  const lines = new EventLines({ json, verbose, isTerminal: process.stdout.isTTY }, out)
  network.ref.on('*', (event) => lines.show(event as NetworkEvent))
  board.onEvent((event) => lines.show(event))
  let stop = (): void => {}
  let fail = (_: Error): void => {}
  const stopped = new Promise<void>((resolve, reject) => ([stop, fail] = [resolve, reject]))
  // A signal or a failure may come before it is waited for.
  stopped.catch(() => {})
  const removeSignals = onSignals(() => {
    const { length } = board.connections
    if (!json && length > 0)
      err(`stopping: ${count(length)} given ${drainTimeoutMs / 1000} s to end; again to stop at once\n`)
    stop()
  })
  network.on('network.failed', ({ cause }) => fail(errorOf(cause)))
  try {
    await network.ready()
    if (!json) out(`${network.identity}\n${network.url ?? 'it does not listen for peers'}\n`)
    const group = board.createGroup()
    for (const spec of specs) {
      const { text, ...started } = await startTunnel(network, group, spec)
      if (json) lines.show({ type: 'tunnel.started', ...started })
      else out(`${text}\n`)
    }
    await stopped
  } finally {
    await board.close(drainTimeoutMs)
    await network.shutdown()
    removeSignals()
  }
}

function count(connections: number): string {
  return connections === 1 ? '1 open connection is' : `${connections} open connections are`
}

/** One connection over standard input and output. Messages go to standard error. */
async function runStdio(
  { peer, name, source, verbose }: Extract<TunnelCommand, { does: 'stdio' }>,
  { err }: Output,
): Promise<void> {
  const network = createNetwork(await configOf(source))
  const board = new TunnelBoard(network)
  const group = board.createGroup()
  const lines = new EventLines({ json: false, verbose, isTerminal: process.stderr.isTTY }, err)
  if (verbose) {
    network.ref.on('*', (event) => lines.show(event as NetworkEvent))
    board.onEvent((event) => lines.show(event))
  } else network.on('peer.duplicate', (event) => lines.show(event))
  const abort = new AbortController()
  const removeSignals = onSignals(() => {
    if (board.connections.length > 0) void group.close({ timeoutMs: stdioDrainTimeoutMs })
    else abort.abort(new StatewireError('ERR_ABORTED', 'it was stopped by a signal'))
  }, stdioSignals)
  const { input, output } = standardStreams()
  try {
    await network.ready()
    const end = await group.pipe({ peer, name, input, output, signal: abort.signal })
    if (end.how !== 'ended') throw new Error(`the connection to ${peer}/${name} ended: ${end.message}`)
  } finally {
    input.destroy()
    output.destroy()
    await network.shutdown()
    removeSignals()
  }
}
