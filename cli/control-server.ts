/**
 * Owns: the control socket of a running peer: one JSON object a line in, one a line out.
 * Independent of: what the commands do (control-commands.ts).
 *
 * `{"command":"send","peer":"…","text":"hello","id":1}` is answered by `{"id":1,"ok":true,"result":null}` or
 * `{"id":1,"ok":false,"code":"ERR_…","message":"…"}`. After `events` every event of the network is a line.
 */
import { chmod, unlink } from 'node:fs/promises'
import net from 'node:net'
import { invalid } from '../actors/base/checks.ts'
import { causeOf } from '../actors/base/causes.ts'
import type { Network } from '../actors/network/network.ts'
import { StatewireError } from '../codec/errors.ts'
import { runCommand } from './control-commands.ts'
import type { Fields } from './control-commands.ts'

/** A message of 1 MiB in base64, and its fields. */
const lineCharactersMost = 1_500_000
/** Programs that are attached at once. */
const connectionsMost = 32

export class ControlServer {
  readonly #network: Network
  readonly #onShutdown: () => void
  readonly #server: net.Server
  readonly #sockets = new Set<net.Socket>()
  readonly #path: string

  private constructor(network: Network, path: string, onShutdown: () => void) {
    this.#network = network
    this.#path = path
    this.#onShutdown = onShutdown
    this.#server = net.createServer((socket) => this.#serve(socket))
    this.#server.maxConnections = connectionsMost
  }

  /**
   * Opens the socket, which only its owner may use. One that a dead process has left is replaced.
   * @throws StatewireError ERR_LISTEN_FAILED
   */
  static async open(network: Network, path: string, onShutdown: () => void): Promise<ControlServer> {
    const control = new ControlServer(network, path, onShutdown)
    try {
      await control.#listen()
    } catch (error) {
      throw new StatewireError('ERR_LISTEN_FAILED', `the control socket ${path}: ${(error as Error).message}`)
    }
    return control
  }

  async #listen(): Promise<void> {
    const isPipe = process.platform === 'win32'
    try {
      await this.#bind()
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || isPipe) throw error
      if (await isAnswered(this.#path)) throw new Error('a running peer uses it already', { cause: error })
      await unlink(this.#path)
      await this.#bind()
    }
    if (!isPipe) await chmod(this.#path, 0o600)
  }

  #bind(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(this.#path, () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.end()
  }

  #serve(socket: net.Socket): void {
    this.#sockets.add(socket)
    socket.setEncoding('utf8')
    let text = ''
    let stopEvents = (): void => {}
    const write = (line: object): void => void socket.write(`${JSON.stringify(line)}\n`)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.#sockets.delete(socket)
      stopEvents()
    })
    socket.on('data', (chunk: string) => {
      text += chunk
      const lines = text.split('\n')
      text = lines.pop() ?? ''
      if (text.length > lineCharactersMost) {
        write({ ok: false, ...failure(invalid(`a command has at most ${lineCharactersMost} characters`)) })
        socket.destroySoon()
        return
      }
      for (const line of lines) if (line.trim() !== '') void this.#answer(line, write, (stop) => (stopEvents = stop))
    })
  }

  async #answer(line: string, write: (line: object) => void, follow: (stop: () => void) => void): Promise<void> {
    let id: unknown
    try {
      const { id: own, command, ...fields } = parse(line)
      id = own
      if (command === 'events') {
        const subscription = this.#network.ref.on('*', (event) => write(event))
        follow(() => subscription.unsubscribe())
        return write({ id, ok: true, result: 'events follow' })
      }
      if (command === 'shutdown') {
        write({ id, ok: true, result: 'shutting down' })
        return this.#onShutdown()
      }
      write({ id, ok: true, result: (await runCommand(this.#network, command as string, fields)) ?? null })
    } catch (error) {
      write({ id, ok: false, ...failure(error) })
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

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'ECONNREFUSED'))
  })
}
