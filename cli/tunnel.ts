/**
 * Owns: the command that runs tunnels in this process, with a network of its own, until it is told to stop.
 * Independent of: its arguments (tunnel-options.ts), and how a tunnel works (tunnel/).
 */
import path from 'node:path'
import { createNetwork } from '../actors/network/create-network.ts'
import type { NetworkEvent } from '../actors/base/events.ts'
import type { NativeConfig } from '../actors/config/options.ts'
import { Identity } from '../actors/tls/identity.ts'
import { errorOf } from '../actors/base/causes.ts'
import { invalid } from '../actors/base/checks.ts'
import { StatewireError } from '../codec/errors.ts'
import { formatValue } from '../codec/format-value.ts'
import type { Output } from './command.ts'
import { ControlServer } from './control-server.ts'
import { EventLines } from './event-lines.ts'
import { defaultControl, loadPeerConfig } from './peer-config.ts'
import { announcePeer, findControl, isOurs, runtimeFolder } from './running-peers.ts'
import { onSignals, stopSignals } from './signals.ts'
import { standardStreams } from './standard-streams.ts'
import { TunnelBoard } from './tunnel-board.ts'
import { attachStdio, attachTunnel } from './tunnel-attach.ts'
import { parseTunnelCommand } from './tunnel-options.ts'
import type { AskedPeer, LogOptions, NetworkSource, TunnelCommand } from './tunnel-options.ts'
import { tunnelKill, tunnelPs } from './tunnel-ps.ts'
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
  if (command.does === 'ps') return tunnelPs(controlOf(command.control), command, output)
  if (command.does === 'kill') return tunnelKill(controlOf(command.control), command.id, command.reason, output)
  if (command.does === 'run') {
    const loaded = await loadPeerConfig(command.file)
    if (loaded.tunnels.length === 0)
      throw invalid(`${formatValue(command.file)} has no list tunnels: see docs/tunnel.md`)
    return runTunnels(loaded, loaded.tunnels, command, output)
  }
  const { source } = command
  if (command.does === 'stdio') {
    const { peer, name } = command
    if (source.from === 'attach') return attachStdio(findControl(source.socketOrPid), `${peer}/${name}`)
    return runStdio(await configOf(source), command, output)
  }
  const spec = parseTunnel(command.entry, 'the tunnel')
  if (source.from === 'attach') return attachTunnel(findControl(source.socketOrPid), command.entry, command, output)
  return runTunnels(await configOf(source), [spec], command, output)
}

function controlOf(peer: AskedPeer): string {
  return 'config' in peer ? defaultControl(peer.config) : findControl(peer.socketOrPid)
}

interface Config {
  readonly network: NativeConfig
  /** Null if there is no place for a control socket. */
  readonly control: string | null
}

async function configOf(source: NetworkSource): Promise<Config> {
  if (source.from === 'config') return loadPeerConfig(source.file)
  const { file, listen, peers } = source
  const folder = runtimeFolder()
  return {
    network: { identity: await Identity.load(file), listen, peers },
    control: isOurs(folder) ? path.join(folder, `${process.pid}.sock`) : null,
  }
}

async function runTunnels(
  config: Config,
  specs: readonly TunnelSpec[],
  { json, verbose }: LogOptions,
  { out, err }: Output,
): Promise<void> {
  await checkFree(config.control)
  const network = createNetwork(config.network)
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
  let control: OwnControl | null = null
  try {
    await network.ready()
    control = await openControl(board, config.control, stop)
    if (!json) out(`${network.identity}\n${network.url ?? 'it does not listen for peers'}\n`)
    const group = board.createGroup()
    for (const spec of specs) {
      const { text, ...started } = await startTunnel(network, group, spec)
      if (json) lines.show({ type: 'tunnel.started', ...started })
      else out(`${text}\n`)
    }
    await stopped
  } finally {
    control?.close()
    await board.close(drainTimeoutMs)
    await network.shutdown()
    removeSignals()
  }
}

interface OwnControl {
  close(): void
}

async function checkFree(control: string | null): Promise<void> {
  if (control === null) return
  await ControlServer.checkFree(control).catch((error: StatewireError) => {
    throw new StatewireError(error.code, `${error.message}; to use its network, give --attach ${control}`)
  })
}

/** For `tunnel ps` and `tunnel kill`. */
async function openControl(board: TunnelBoard, control: string | null, stop: () => void): Promise<OwnControl> {
  if (control === null) return { close: () => {} }
  const server = await ControlServer.open(board, control, stop)
  const withdraw = announcePeer(control)
  return {
    close: () => {
      withdraw()
      server.close()
    },
  }
}

function count(connections: number): string {
  return connections === 1 ? '1 open connection is' : `${connections} open connections are`
}

/** One connection over standard input and output. Messages go to standard error. */
async function runStdio(
  config: Config,
  { peer, name, verbose }: Extract<TunnelCommand, { does: 'stdio' }>,
  { err }: Output,
): Promise<void> {
  await checkFree(config.control)
  const network = createNetwork(config.network)
  const board = new TunnelBoard(network)
  const group = board.createGroup()
  const lines = new EventLines({ json: false, verbose, isTerminal: process.stderr.isTTY }, err)
  if (verbose) {
    network.ref.on('*', (event) => lines.show(event as NetworkEvent))
    board.onEvent((event) => lines.show(event))
  }
  const abort = new AbortController()
  network.on('peer.duplicate', () => {
    const what = `another process with this key is connected to ${peer}: give --attach to use it, or another key`
    abort.abort(new StatewireError('ERR_ABORTED', what))
  })
  const stop = (): void => {
    if (board.connections.length > 0) void board.closeGroup(group, stdioDrainTimeoutMs)
    else abort.abort(new StatewireError('ERR_ABORTED', 'it was stopped'))
  }
  const removeSignals = onSignals(stop, stdioSignals)
  const { input, output } = standardStreams()
  let control: OwnControl | null = null
  try {
    await network.ready()
    control = await openControl(board, config.control, stop)
    const end = await group.pipe({ peer, name, input, output, signal: abort.signal })
    if (end.how !== 'ended') throw new Error(`the connection to ${peer}/${name} ended: ${end.message}`)
  } finally {
    control?.close()
    input.destroy()
    output.destroy()
    await network.shutdown()
    removeSignals()
  }
}
