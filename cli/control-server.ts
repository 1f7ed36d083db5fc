/**
 * Owns: the control socket of a running peer: one JSON object a line in, one a line out.
 * Independent of: what the commands do (control-commands.ts).
 *
 * `{"command":"send","peer":"…","text":"hello","id":1}` is answered by `{"id":1,"ok":true,"result":null}` or
 * `{"id":1,"ok":false,"code":"ERR_…","message":"…"}`. After `events` every event of the network is a line. A tunnel that
 * is started here lasts as long as the connection, on which its events are lines.
 */
import net from 'node:net'
import { invalid } from '../actors/base/checks.ts'
import { causeOf } from '../actors/base/causes.ts'
import { listenAtPath } from '../actors/transport/unix-path.ts'
import { StatewireError } from '../codec/errors.ts'
import { runCommand } from './control-commands.ts'
import type { Fields } from './control-commands.ts'
import type { Tunnels } from '../tunnel/index.ts'
import type { TunnelBoard } from './tunnel-board.ts'
import { parseTunnel, startTunnel } from './tunnel-spec.ts'
import type { StartedTunnel } from './tunnel-spec.ts'

/** A message of 1 MiB in base64, and its fields. */
const lineCharactersMost = 1_500_000
/** Commands of one program that run at once; further ones wait. */
const commandsAtOnceMost = 64
/** What a program may leave unread before it misses events. */
const unreadBytesMost = 1024 * 1024
/** Programs that are attached at once. */
const connectionsMost = 32
/** How long the connections of a tunnel may take to end. */
const tunnelDrainMs = 10_000

export class ControlServer {
  readonly #board: TunnelBoard
  readonly #onShutdown: () => void
  readonly #server: net.Server
  readonly #sockets = new Set<net.Socket>()

  private constructor(board: TunnelBoard, onShutdown: () => void) {
    this.#board = board
    this.#onShutdown = onShutdown
    this.#server = net.createServer((socket) => this.#serve(socket))
    this.#server.maxConnections = connectionsMost
  }

  /**
   * Call it before the network starts, because a second process with the same key takes over the connections of the
   * first.
   * @throws StatewireError ERR_LISTEN_FAILED if a running peer answers there
   */
  static async checkFree(path: string): Promise<void> {
    const socket = net.connect({ path })
    const isAnswered = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
    })
    socket.destroy()
    if (isAnswered) throw failedToOpen(path, usedAlready)
  }

  /**
   * Opens the socket, which only its owner may use. One that a dead process has left is replaced.
   * @throws StatewireError ERR_LISTEN_FAILED
   */
  static async open(board: TunnelBoard, path: string, onShutdown: () => void): Promise<ControlServer> {
    const control = new ControlServer(board, onShutdown)
    try {
      await listenAtPath(control.#server, path)
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      throw failedToOpen(path, code === 'EADDRINUSE' ? usedAlready : message)
    }
    return control
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.end()
  }

  #serve(socket: net.Socket): void {
    const client = new AttachedProgram(this.#board, socket, this.#onShutdown)
    this.#sockets.add(socket)
    socket.on('close', () => {
      this.#sockets.delete(socket)
      client.end()
    })
  }
}

/** One program that is attached. */
class AttachedProgram {
  readonly #board: TunnelBoard
  readonly #socket: net.Socket
  readonly #onShutdown: () => void
  #text = ''
  #running = 0
  #stopEvents: (() => void) | null = null
  #tunnel: Tunnels | null = null
  #isGone = false
  #missed = 0

  constructor(board: TunnelBoard, socket: net.Socket, onShutdown: () => void) {
    this.#board = board
    this.#socket = socket
    this.#onShutdown = onShutdown
    socket.setEncoding('utf8')
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: string) => this.#read(chunk))
  }

  end(): void {
    this.#isGone = true
    this.#stopEvents?.()
    this.#stopEvents = null
    void this.#closeTunnel(tunnelDrainMs)
  }

  #read(chunk: string): void {
    this.#text += chunk
    const lines = this.#text.split('\n')
    this.#text = lines.pop() ?? ''
    if (this.#text.length > lineCharactersMost) {
      this.#write({ ok: false, ...failure(invalid(`a command has at most ${lineCharactersMost} characters`)) })
      this.#socket.destroySoon()
      return
    }
    for (const line of lines) if (line.trim() !== '') void this.#answer(line)
  }

  #write(line: object): void {
    if (!this.#socket.destroyed) this.#socket.write(`${JSON.stringify(line)}\n`)
  }

  /** A program that does not read misses events, and is told how many. */
  #writeEvent(event: object): void {
    if (this.#socket.writableLength > unreadBytesMost) {
      this.#missed++
      return
    }
    if (this.#missed > 0) this.#write({ type: 'events.missed', count: this.#missed })
    this.#missed = 0
    this.#write(event)
  }

  async #answer(line: string): Promise<void> {
    let id: unknown
    // What is read already still runs; further commands wait in the socket.
    if (++this.#running >= commandsAtOnceMost) this.#socket.pause()
    try {
      const { id: own, command, ...fields } = parse(line)
      id = own
      if (command === 'events') this.#followEvents(id)
      else if (command === 'shutdown') {
        this.#write({ id, ok: true, result: 'shutting down' })
        this.#onShutdown()
      } else this.#write({ id, ok: true, result: (await this.#run(command, fields)) ?? null })
    } catch (error) {
      this.#write({ id, ok: false, ...failure(error) })
    } finally {
      if (--this.#running < commandsAtOnceMost) this.#socket.resume()
    }
  }

  #run(command: unknown, fields: Fields): unknown {
    if (command === 'tunnel') return this.#startTunnel(fields)
    if (command === 'tunnel-close') return this.#closeTunnel(fields['timeoutMs'])
    return runCommand(this.#board, command as string, fields)
  }

  #followEvents(id: unknown): void {
    if (this.#stopEvents !== null) throw invalid('the events follow on this connection already')
    const subscription = this.#board.network.ref.on('*', (event) => this.#writeEvent(event))
    const stopTunnels = this.#board.onEvent((event) => this.#writeEvent(event))
    this.#stopEvents = () => {
      subscription.unsubscribe()
      stopTunnels()
    }
    this.#write({ id, ok: true, result: 'events follow' })
  }

  async #startTunnel(fields: Fields): Promise<StartedTunnel> {
    const spec = parseTunnel(fields, 'the tunnel')
    if (this.#tunnel !== null) throw invalid('this connection has its tunnel already: open another connection')
    const group = (this.#tunnel = this.#board.createGroup((event) => {
      // All events follow already.
      if (this.#stopEvents === null) this.#writeEvent(event)
    }))
    try {
      const started = await startTunnel(this.#board.network, group, spec)
      if (this.#isGone) await this.#closeTunnel(0)
      return started
    } catch (error) {
      await this.#closeTunnel(0)
      throw error
    }
  }

  /** The events of the tunnel come until its last connection has ended. */
  async #closeTunnel(timeoutMs: unknown = tunnelDrainMs): Promise<void> {
    const group = this.#tunnel
    if (group !== null) await this.#board.closeGroup(group, timeoutMs as number)
    if (this.#tunnel === group) this.#tunnel = null
  }
}

const usedAlready = 'a running peer uses it already'

function failedToOpen(path: string, why: string): StatewireError {
  return new StatewireError('ERR_LISTEN_FAILED', `the control socket ${path}: ${why}`)
}

function parse(line: string): Fields & { readonly id?: unknown; readonly command?: unknown } {
  let parsed: unknown
  try {
    parsed = JSON.parse(line)
  } catch (error) {
    throw invalid(`a command must be JSON: ${(error as Error).message}`)
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw invalid('a command must be a JSON object with the field command')
  return parsed as Fields
}

function failure(error: unknown): { code: string; message: string; outcome?: unknown } {
  const { code, message } = causeOf(error)
  const outcome: unknown = (error as { outcome?: unknown }).outcome
  return { code, message, ...(outcome === undefined ? {} : { outcome }) }
}
