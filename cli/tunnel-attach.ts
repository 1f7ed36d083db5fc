/**
 * Owns: tunnels in the network of a running peer, which last as long as this process is attached to it.
 * Independent of: how a tunnel works, and of networks.
 */
import { randomBytes } from 'node:crypto'
import net from 'node:net'
import path from 'node:path'
import { finished } from 'node:stream/promises'
import { StatewireError } from '../codec/errors.ts'
import type { Output } from './command.ts'
import { ControlClient } from './control-client.ts'
import { ControlError } from './ctl.ts'
import { EventLines } from './event-lines.ts'
import { isOurs, runtimeFolder } from './running-peers.ts'
import { onSignals, stopSignals } from './signals.ts'
import { standardStreams } from './standard-streams.ts'
import type { TunnelLogEvent } from './tunnel-board.ts'
import type { LogOptions } from './tunnel-options.ts'
import type { StartedTunnel } from './tunnel-spec.ts'

/** Runs until a signal. @throws ControlError */
export async function attachTunnel(
  control: string,
  entry: object,
  { json, verbose }: LogOptions,
  { out, err }: Output,
): Promise<void> {
  const client = await ControlClient.connect<TunnelLogEvent>(control)
  const lines = new EventLines({ json, verbose, isTerminal: process.stdout.isTTY }, out)
  client.onEvent = (event) => lines.show(event)
  let isStopping = false
  let stop = (): void => {}
  const stopped = new Promise<void>((resolve) => (stop = resolve))
  const removeSignals = onSignals(() => {
    isStopping = true
    if (!json) err('stopping: open connections are given 10 s to end; again to stop at once\n')
    stop()
  })
  try {
    const { text, ...started } = (await client.request('tunnel', entry)) as StartedTunnel
    if (json) lines.show({ type: 'tunnel.started', ...started })
    else out(`${text}\n`)
    await Promise.race([stopped, client.closed])
    if (!isStopping) throw new ControlError('the running peer has ended, and the tunnel with it')
    await client.request('tunnel-close')
  } finally {
    removeSignals()
    client.close()
  }
}

/** The other side ends its half as well, when this side is gone. */
const stdioDrainTimeoutMs = 2_000

/**
 * One connection over standard input and output. The running peer listens at a unix socket for it.
 * @throws ControlError, Error with how it ended
 */
export async function attachStdio(control: string, address: string): Promise<void> {
  const folder = runtimeFolder()
  if (!isOurs(folder))
    throw new StatewireError('ERR_LISTEN_FAILED', `${folder} must be a folder that only this user may use`)
  const own = path.join(folder, `${process.pid}-${randomBytes(4).toString('hex')}.sock`)
  const client = await ControlClient.connect<TunnelLogEvent>(control)
  let ended = (_: Error | null): void => {}
  const end = new Promise<Error | null>((resolve) => (ended = resolve))
  client.onEvent = (event) => {
    if (event.type === 'tunnel.refused') ended(new Error(`${event.reason} (${event.code})`))
    if (event.type === 'tunnel.closed')
      ended(event.how === 'ended' ? null : new Error(`the connection to ${address} ended: ${event.reason}`))
  }
  void client.closed.then(() => ended(new Error('the running peer has ended, and the connection with it')))
  const removeSignals = onSignals(() => {
    client.request('tunnel-close', { timeoutMs: stdioDrainTimeoutMs }).catch(() => {})
  }, [...stopSignals, 'SIGHUP'])
  const { input, output } = standardStreams()
  let socket: net.Socket | null = null
  try {
    await client.request('tunnel', { open: address, listen: `unix:${own}` })
    socket = net.connect({ path: own, allowHalfOpen: true })
    // How it ended comes from the running peer.
    for (const each of [input, output, socket]) each.on('error', () => socket?.destroy())
    input.pipe(socket)
    socket.pipe(output)
    const written = finished(output)
    written.catch(() => {})
    const failure = await end
    if (failure !== null) throw failure
    await written
  } finally {
    socket?.destroy()
    input.destroy()
    output.destroy()
    removeSignals()
    client.close()
  }
}
