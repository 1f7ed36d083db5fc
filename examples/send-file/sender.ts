/**
 * Owns: the sending side: asking for the offset, sending from there, and trying again while there is hope.
 * Independent of: the command line, and how the receiver stores the file.
 */
import type { FileHandle } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Network, Stream } from '../../index.ts'
import { digestOf, hashFirst } from './hash.ts'
import { formatBytes } from './progress.ts'
import type { Meter, Screen } from './progress.ts'
import { fileProtocol, offsetRequest, parseOffset, Refused, refusalOf, sentenceOf } from './wire.ts'
import type { Opening } from './wire.ts'

/** As long as a frame of a stream. */
const chunkBytes = 64 * 1024
/** The receiver may hash a large part before it answers. */
const askTimeoutMs = 600_000
const retryAfterMs = 500
/** Attempts one after the other that bring nothing, although there is a connection. */
const vainAttemptsMax = 10

export interface SenderOptions {
  readonly network: Network
  readonly screen: Screen
  readonly peer: string
  readonly handle: FileHandle
  readonly name: string
  readonly waitMs: number
  readonly bytesPerSecondMax: number
  readonly signal: AbortSignal
}

export class Sender {
  readonly #options: SenderOptions
  readonly #gaveUp = new AbortController()
  readonly #signal: AbortSignal
  #lostAtMs: number | null = Date.now()
  #isLossPrinted = true
  #meter: Meter | null = null
  /** The part at the receiver is of other content. */
  #fromStart = false
  /** What is known to be through, for what to say at the end. */
  #done = 0

  constructor(options: SenderOptions) {
    this.#options = options
    const { network } = options
    this.#signal = AbortSignal.any([options.signal, this.#gaveUp.signal])
    network.on('connection.opened', () => this.#connected())
    network.on('connection.lost', () => (this.#lostAtMs ??= Date.now()))
  }

  #connected(): void {
    if (this.#isLossPrinted && this.#done > 0) this.#options.screen.print('connected again')
    this.#lostAtMs = null
    this.#isLossPrinted = false
    if (this.#meter !== null) this.#meter.note = ''
  }

  /** Now and then: for how long there has been no connection. */
  tick(): void {
    const { waitMs, screen, peer } = this.#options
    if (this.#lostAtMs === null) return
    const lostForMs = Date.now() - this.#lostAtMs
    if (this.#meter !== null) this.#meter.note = 'no connection'
    // Shorter breaks are nothing to speak of: the stream goes on.
    if (lostForMs > 1_000 && !this.#isLossPrinted) {
      this.#isLossPrinted = true
      screen.print(`no connection to ${peer.slice(0, 8)}; waiting`)
    }
    if (lostForMs > waitMs) {
      const why = this.#options.network.peer(peer)?.lastFailure?.message
      this.#gaveUp.abort(
        new Error(`no connection for ${waitMs / 1000} s${why === undefined ? '' : `: ${why}`}. ${this.#howToGoOn()}`),
      )
    }
  }

  #howToGoOn(): string {
    return 'Run the same command again to go on'
  }

  /** @throws Error with a sentence for the terminal, or the reason of `signal` */
  async run(): Promise<void> {
    const { screen, name } = this.#options
    for (let vain = 0; ;) {
      const doneBefore = this.#done
      try {
        return await this.#attempt()
      } catch (error) {
        if (this.#signal.aborted) throw this.#signal.reason
        const refused = refusalOf(error)
        if (refused?.code === 'complete') return screen.print(`${name} is there already, with the same SHA-256`)
        if (!this.#mayRetry(error, refused)) throw new Error(failureOf(error), { cause: error })
        vain = this.#done > doneBefore ? 0 : vain + 1
        if (vain > vainAttemptsMax) throw new Error(`${sentenceOf(error)}. ${this.#howToGoOn()}`, { cause: error })
        if (refused?.code === 'other-content') continue
        screen.print(`interrupted: ${sentenceOf(error)}`)
        await sleep(retryAfterMs, null, { signal: this.#signal }).catch(() => {})
      }
    }
  }

  #mayRetry(error: unknown, refused: Refused | null): boolean {
    if (refused !== null) {
      if (refused.code === 'other-content') {
        this.#options.screen.print('the part at the receiver is of other content: sending from the start')
        this.#fromStart = true
      }
      return ['other-content', 'stale', 'stopping', 'wrong-hash'].includes(refused.code)
    }
    const { code, retryable } = error as { code?: string; retryable?: boolean }
    // The last two: the receiver was stopped, and may be started again.
    return retryable === true || code === 'ERR_STREAM_RESET' || code === 'ERR_PEER_DRAINED'
  }

  async #attempt(): Promise<void> {
    const { network, screen, peer, handle, name } = this.#options
    const signal = this.#signal
    const { size, mtimeMs } = await handle.stat()
    const { bytes } = await network.request(peer, JSON.stringify({ name, size }), {
      name: offsetRequest,
      timeoutMs: askTimeoutMs,
      signal,
    })
    const offset = this.#fromStart ? 0 : parseOffset(bytes, size)
    this.#fromStart = false
    const hash = await hashFirst(handle, offset, signal)
    const opening: Opening = { name, size, offset, prefix: digestOf(hash).toString('hex') }
    const stream = await network.getStream(peer, fileProtocol, { extra: JSON.stringify(opening), signal })
    const to = `${name} to ${peer.slice(0, 8)}`
    const start = offset === 0 ? `sending ${to}` : `resuming ${to} at ${formatBytes(offset)}`
    screen.print(`${start}: ${formatBytes(size)}`)
    const meter = (this.#meter = screen.start(name, size, offset))
    let digest: Buffer = Buffer.alloc(0)
    const body = async function* (sender: Sender): AsyncGenerator<Buffer> {
      for (let position = offset; position < size;) {
        const chunk = await sender.#read(position, size)
        hash.update(chunk)
        position += chunk.length
        yield chunk
        meter.done = position
        sender.#done = Math.max(sender.#done, position)
        await sender.#pace(position - offset, startedAtMs)
      }
      const now = await handle.stat()
      if (now.size !== size || now.mtimeMs !== mtimeMs) throw new Error('the file changed while it was sent')
      digest = digestOf(hash)
      yield digest
      meter.note = 'waiting for the receiver'
    }
    const startedAtMs = Date.now()
    const stop = (): void => void stream.destroy(new Refused('stopping', 'the sender was stopped'))
    signal.addEventListener('abort', stop)
    try {
      await pipeline(body(this), stream, drained)
      screen.print(`sent ${name}: ${screen.stop(meter)}, SHA-256 ${digest.toString('hex')}`)
    } finally {
      signal.removeEventListener('abort', stop)
      screen.stop(meter)
      this.#meter = null
    }
  }

  async #read(position: number, size: number): Promise<Buffer> {
    // Memory of its own for each chunk: a stream may keep it until the peer has it.
    const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, size - position))
    const { bytesRead } = await this.#options.handle.read(chunk, 0, chunk.length, position)
    if (bytesRead === 0) throw new Error('the file became shorter while it was sent')
    return chunk.subarray(0, bytesRead)
  }

  async #pace(sent: number, startedAtMs: number): Promise<void> {
    const aheadMs = (sent * 1000) / this.#options.bytesPerSecondMax - (Date.now() - startedAtMs)
    if (aheadMs > 0) await sleep(aheadMs, null, { signal: this.#signal })
  }

  /** Where it stopped, as far as this side knows. */
  get state(): string {
    return this.#done === 0 ? 'nothing was sent yet' : `${formatBytes(this.#done)} were sent`
  }
}

/** The receiver ends its side when the file has its name: until then, nothing is certain. */
async function drained(source: AsyncIterable<Buffer>): Promise<void> {
  for await (const _ of source as Stream);
}

function failureOf(error: unknown): string {
  const { code } = error as { code?: string }
  const isServed = code !== 'ERR_NO_HANDLER' && code !== 'ERR_NO_PROTOCOL'
  return isServed ? sentenceOf(error) : 'the peer does not receive files: start `receive` there'
}
