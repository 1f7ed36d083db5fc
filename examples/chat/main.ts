/**
 * A chat between peers that know each other's keys: `npm run example:chat -- --help`
 *
 * Owns: the terminal, and what is sent when. Independent of: what was said (history.ts).
 */
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { createNetwork, Identity } from '../../index.ts'
import type { Network } from '../../index.ts'
import { History, parseLine } from './history.ts'
import type { Line } from './history.ts'
import { help, parseOptions, peerOf } from './options.ts'
import type { ChatOptions } from './options.ts'

const isTerminal = process.stdout.isTTY
const dim = (text: string): string => (isTerminal ? `\u001b[2m${text}\u001b[0m` : text)
const bold = (text: string): string => (isTerminal ? `\u001b[1m${text}\u001b[0m` : text)

class Chat {
  readonly #options: ChatOptions
  readonly #network: Network
  readonly #history = new History()
  readonly #names = new Map<string, string>()
  readonly #input = createInterface({
    input: process.stdin,
    output: isTerminal ? process.stdout : undefined,
    prompt: '> ',
  })
  #said = 0
  #isOver = false
  readonly #startedAtMs = Date.now()

  constructor(options: ChatOptions, identity: Identity) {
    this.#options = options
    this.#network = createNetwork({ identity, listen: options.listen, peers: options.peers })
  }

  async run(): Promise<void> {
    const network = this.#network
    network.onMessage('chat.line', ({ bytes }) => this.#heard(bytes))
    network.onRequest('chat.history', () => JSON.stringify(this.#history.all.slice(-200)))
    network.onRequest('chat.name', () => this.#options.name)
    network.on('peer.connected', ({ peer }) => void this.#met(peer))
    network.on('peer.disconnected', ({ peer }) => {
      if (!this.#isOver) this.#print(dim(`${this.#nameOf(peer)} is gone`))
    })
    network.on('connection.failed', ({ peer, cause }) => this.#print(dim(`${this.#nameOf(peer)}: ${cause.message}`)))
    await network.ready()
    this.#print(dim(`you are ${network.identity}${network.url === null ? '' : `@${network.url}`}`))
    this.#input.on('SIGINT', () => this.#input.close())
    process.once('SIGINT', () => this.#input.close())
    process.once('SIGTERM', () => this.#input.close())
    this.#input.prompt()
    for await (const text of this.#input) {
      if (text === '/quit') break
      await this.#typed(text.trim())
      this.#input.prompt()
    }
    this.#isOver = true
    this.#input.close()
    await network.shutdown()
  }

  async #typed(text: string): Promise<void> {
    if (text === '') return
    if (text === '/who') return this.#who()
    if (text.startsWith('/add ')) return this.#add(text.slice(5).trim())
    if (text.startsWith('/')) return this.#print(dim('there are: /who, /add ID[@URL], /quit'))
    const id = `${this.#network.identity.slice(0, 8)}.${this.#startedAtMs}.${++this.#said}`
    const line: Line = { id, name: this.#options.name, text, atMs: Date.now() }
    this.#history.add(line)
    // Nobody waits for a peer that is away: it asks for the history when it comes back.
    const there = this.#network.peers.filter(({ state }) => state === 'connected')
    if (there.length === 0) return this.#print(dim('nobody is here yet; they get it when they come'))
    const results = await this.#network.multicast(there, JSON.stringify(line), { name: 'chat.line', timeoutMs: 5_000 })
    for (const [peer, result] of results)
      if (!result.ok) this.#print(dim(`${this.#nameOf(peer)} did not get it: ${result.error.message}`))
  }

  #add(text: string): void {
    try {
      this.#network.add(peerOf(text))
    } catch (error) {
      this.#print(dim((error as Error).message))
    }
  }

  #who(): void {
    for (const { id, state, rttMs, lastFailure } of this.#network.peers) {
      const how = state === 'connected' ? `${rttMs?.toFixed(1) ?? '?'} ms` : (lastFailure?.message ?? '')
      this.#print(`${this.#nameOf(id).padEnd(12)} ${state} ${dim(how)}`)
    }
  }

  /** A peer is here: its name, and what was said before. */
  async #met(peer: string): Promise<void> {
    try {
      const ask = (name: string): Promise<{ bytes: Buffer }> =>
        this.#network.request(peer, '', { name, timeoutMs: 10_000 })
      this.#names.set(peer, (await ask('chat.name')).bytes.toString().slice(0, 40))
      this.#print(dim(`${this.#nameOf(peer)} is here`))
      const lines: unknown = JSON.parse((await ask('chat.history')).bytes.toString())
      for (const value of Array.isArray(lines) ? (lines as unknown[]) : []) this.#show(parseLine(value), true)
    } catch (error) {
      this.#print(dim(`no history from ${this.#nameOf(peer)}: ${(error as Error).message}`))
    }
  }

  #heard(bytes: Buffer): void {
    try {
      this.#show(parseLine(JSON.parse(bytes.toString())), false)
    } catch {
      // Not JSON: not a line of this chat.
    }
  }

  #show(line: Line | null, isOld: boolean): void {
    if (line === null || !this.#history.add(line)) return
    const time = new Date(line.atMs).toTimeString().slice(0, 5)
    this.#print(`${dim(time)} ${bold(line.name)} ${isOld ? dim(line.text) : line.text}`)
  }

  #nameOf(peer: string): string {
    return this.#names.get(peer) ?? `${peer.slice(0, 8)}…`
  }

  /** Above the line that is being typed. */
  #print(text: string): void {
    if (isTerminal) process.stdout.write(`\r\u001b[K${text}\n`)
    else process.stdout.write(`${text}\n`)
    // After its end it would read on.
    if (isTerminal && !this.#isOver) this.#input.prompt(true)
  }
}

async function keyOf(file: string): Promise<Identity> {
  if (existsSync(file)) return Identity.load(file)
  const identity = Identity.generate()
  await identity.save(file)
  return identity
}

try {
  const options = parseOptions(process.argv.slice(2))
  if (options === 'help') process.stdout.write(help)
  else await new Chat(options, await keyOf(options.keyFile)).run()
} catch (error) {
  process.stderr.write(`chat: ${(error as Error).message}\n\n${help}`)
  process.exitCode = 2
}
