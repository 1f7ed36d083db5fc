/**
 * Owns: the control socket of a running peer: one JSON object a line in, one a line out.
 * Independent of: what the commands do (control-commands.ts).
 *
 * `{"command":"send","peer":"…","text":"hello","id":1}` is answered by `{"id":1,"ok":true,"result":null}` or
 * `{"id":1,"ok":false,"code":"ERR_…","message":"…"}`. After `events` every event of the network is a line.
 */
import net from 'node:net'
import { invalid } from '../actors/base/checks.ts'
import { causeOf } from '../actors/base/causes.ts'
import type { Network } from '../actors/network/network.ts'
import { listenAtPath } from '../actors/transport/unix-path.ts'
import { StatewireError } from '../codec/errors.ts'
import { runCommand } from './control-commands.ts'
import type { Fields } from './control-commands.ts'

/** A message of 1 MiB in base64, and its fields. */
const lineCharactersMost = 1_500_000
/** Commands of one program that run at once; further ones wait. */
const commandsAtOnceMost = 64
/** What a program may leave unread before it misses events. */
const unreadBytesMost = 1024 * 1024
/** Programs that are attached at once. */
const connectionsMost = 32

export class ControlServer {
  readonly #network: Network
  readonly #onShutdown: () => void
  readonly #server: net.Server
  readonly #sockets = new Set<net.Socket>()

  private constructor(network: Network, onShutdown: () => void) {
    this.#network = network
    this.#onShutdown = onShutdown
    this.#server = net.createServer((socket) => this.#serve(socket))
    this.#server.maxConnections = connectionsMost
  }

  /**
   * Opens the socket, which only its owner may use. One that a dead process has left is replaced.
   * @throws StatewireError ERR_LISTEN_FAILED
   */
  static async open(network: Network, path: string, onShutdown: () => void): Promise<ControlServer> {
    const control = new ControlServer(network, onShutdown)
    try {
      await listenAtPath(control.#server, path)
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      const why = code === 'EADDRINUSE' ? 'a running peer uses it already' : message
      throw new StatewireError('ERR_LISTEN_FAILED', `the control socket ${path}: ${why}`)
    }
    return control
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.end()
  }

  #serve(socket: net.Socket): void {
    const client = new ControlClient(this.#network, socket, this.#onShutdown)
    this.#sockets.add(socket)
    socket.on('close', () => {
      this.#sockets.delete(socket)
      client.end()
    })
  }
}

/** One program that is attached. */
class ControlClient {
  readonly #network: Network
  readonly #socket: net.Socket
  readonly #onShutdown: () => void
  #text = ''
  #running = 0
  #stopEvents: (() => void) | null = null
  #missed = 0

  constructor(network: Network, socket: net.Socket, onShutdown: () => void) {
    this.#network = network
    this.#socket = socket
    this.#onShutdown = onShutdown
    socket.setEncoding('utf8')
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: string) => this.#read(chunk))
  }

  end(): void {
    this.#stopEvents?.()
    this.#stopEvents = null
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
      if (command === 'events') {
        if (this.#stopEvents !== null) throw invalid('the events follow on this connection already')
        const subscription = this.#network.ref.on('*', (event) => this.#writeEvent(event))
        this.#stopEvents = () => subscription.unsubscribe()
        this.#write({ id, ok: true, result: 'events follow' })
      } else if (command === 'shutdown') {
        this.#write({ id, ok: true, result: 'shutting down' })
        this.#onShutdown()
      } else this.#write({ id, ok: true, result: (await runCommand(this.#network, command as string, fields)) ?? null })
    } catch (error) {
      this.#write({ id, ok: false, ...failure(error) })
    } finally {
      if (--this.#running < commandsAtOnceMost) this.#socket.resume()
    }
  }
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
