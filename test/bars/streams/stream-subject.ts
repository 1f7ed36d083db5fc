/**
 * Owns: what is measured of streams, for statewire and for the thinnest multiplexer over mutual TLS: both do the same.
 * Independent of: how often, and what follows from the figures.
 */
import { once } from 'node:events'
import type net from 'node:net'
import tls from 'node:tls'
import { createNetwork, Identity } from '../../../index.ts'
import type { Network } from '../../../index.ts'
import { ThinMux } from './thin-mux.ts'
import type { ThinStream } from './thin-mux.ts'

/** The dialling side. */
export interface StreamClient {
  /** Opens a stream, with one byte. Resolves at the first byte of the answer, and ends the stream. */
  ask(): Promise<void>
  /** The same, the byte being written when the stream is there. */
  askLater(): Promise<void>
  /** Opens a stream, and leaves it open. */
  idle(): Promise<void>
  /** Sends so many bytes on one stream. Resolves when the other side has them all. */
  bulk(bytes: number): Promise<void>
  /** A stream on which 64 bytes come back. @returns a function that makes one round trip */
  echo(): Promise<() => Promise<void>>
  close(): Promise<void>
}

export type SubjectName = 'statewire' | 'raw-tls-mux'

const chunk = Buffer.alloc(64 * 1024, 7)
const small = Buffer.alloc(64, 1)
const oneByte = Buffer.from([1])
/** What a stream of the multiplexer is for: its first byte. */
const purposes = { ask: 1, idle: 2, bulk: 3, echo: 4 } as const

/** @returns where it listens */
export async function serve(name: SubjectName, keys: { readonly own: string; readonly peer: string }): Promise<string> {
  if (name === 'statewire') {
    const network = createNetwork({
      identity: Identity.fromPem(keys.own),
      listen: 'tls://127.0.0.1:0',
      peers: [{ id: Identity.fromPem(keys.peer).id }],
    })
    network.onStream('ask', (stream) => {
      stream.on('error', () => {})
      stream.resume()
      if (stream.extra.length > 0) stream.end(oneByte)
      else stream.once('data', () => stream.end(oneByte))
    })
    network.onStream('idle', (stream) => void stream.on('error', () => {}))
    network.onStream('bulk', (stream) => {
      stream.on('error', () => {})
      stream.resume()
      stream.on('end', () => stream.end(oneByte))
    })
    network.onStream('echo', (stream) => {
      stream.on('error', () => {})
      stream.on('data', (bytes: Buffer) => stream.write(bytes))
    })
    await network.ready()
    return network.url as string
  }
  const identity = Identity.fromPem(keys.own)
  const server = tls.createServer(
    {
      key: identity.toPem(),
      cert: identity.certificate,
      requestCert: true,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3',
    },
    (socket) => {
      new ThinMux(socket, false).onOpen = (stream, [purpose]) => {
        if (purpose === purposes.ask) {
          stream.write(oneByte)
          stream.end()
        } else if (purpose === purposes.bulk)
          stream.onEnd = () => {
            stream.write(oneByte)
            stream.end()
          }
        else if (purpose === purposes.echo) stream.onData = (bytes) => stream.write(Buffer.from(bytes))
      }
    },
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `tls://127.0.0.1:${(server.address() as net.AddressInfo).port}`
}

export async function connect(
  name: SubjectName,
  keys: { readonly own: string; readonly peer: string },
  url: string,
): Promise<StreamClient> {
  if (name === 'statewire') {
    const peer = Identity.fromPem(keys.peer).id
    const network = createNetwork({ identity: Identity.fromPem(keys.own), peers: [{ id: peer, urls: url }] })
    await network.ready({ peers: 'all' })
    return new StatewireClient(network, peer)
  }
  const identity = Identity.fromPem(keys.own)
  const socket = tls.connect({
    port: Number(new URL(url).port),
    host: '127.0.0.1',
    key: identity.toPem(),
    cert: identity.certificate,
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    minVersion: 'TLSv1.3',
  })
  await once(socket, 'secureConnect')
  return new ThinClient(socket)
}

class StatewireClient implements StreamClient {
  readonly #network: Network
  readonly #peer: string

  constructor(network: Network, peer: string) {
    this.#network = network
    this.#peer = peer
  }

  async ask(): Promise<void> {
    const stream = await this.#network.getStream(this.#peer, 'ask', { extra: oneByte })
    stream.end()
    await new Promise<void>((resolve) => stream.once('data', () => resolve()))
  }

  async askLater(): Promise<void> {
    const stream = await this.#network.getStream(this.#peer, 'ask')
    stream.end(oneByte)
    await new Promise<void>((resolve) => stream.once('data', () => resolve()))
  }

  async idle(): Promise<void> {
    const stream = await this.#network.getStream(this.#peer, 'idle')
    stream.on('error', () => {})
  }

  async bulk(bytes: number): Promise<void> {
    const stream = await this.#network.getStream(this.#peer, 'bulk')
    const answered = new Promise<void>((resolve) => stream.once('data', () => resolve()))
    let left = bytes
    const more = (): void => {
      while (left > 0) {
        left -= chunk.length
        if (!stream.write(chunk)) return void stream.once('drain', more)
      }
      stream.end()
    }
    more()
    await answered
  }

  async echo(): Promise<() => Promise<void>> {
    const stream = await this.#network.getStream(this.#peer, 'echo')
    return () =>
      new Promise((resolve) => {
        stream.once('data', () => resolve())
        stream.write(small)
      })
  }

  async close(): Promise<void> {
    await this.#network.shutdown()
  }
}

class ThinClient implements StreamClient {
  readonly #socket: tls.TLSSocket
  readonly #mux: ThinMux

  constructor(socket: tls.TLSSocket) {
    this.#socket = socket
    this.#mux = new ThinMux(socket, true)
  }

  #open(purpose: number): ThinStream {
    return this.#mux.open(Buffer.from([purpose]))
  }

  ask(): Promise<void> {
    return new Promise((resolve) => {
      const stream = this.#open(purposes.ask)
      stream.onData = () => resolve()
      stream.end()
    })
  }

  askLater(): Promise<void> {
    return this.ask()
  }

  async idle(): Promise<void> {
    this.#open(purposes.idle)
  }

  bulk(bytes: number): Promise<void> {
    return new Promise((resolve) => {
      const stream = this.#open(purposes.bulk)
      stream.onData = () => resolve()
      let left = bytes
      const more = (): void => {
        if (left <= 0) return stream.end()
        left -= chunk.length
        // The next when the socket has taken this one: no memory is spent on waiting.
        stream.write(chunk, () => setImmediateOnce(more))
      }
      more()
    })
  }

  async echo(): Promise<() => Promise<void>> {
    const stream = this.#open(purposes.echo)
    return () =>
      new Promise((resolve) => {
        stream.onData = () => resolve()
        stream.write(small)
      })
  }

  async close(): Promise<void> {
    this.#socket.destroy()
  }
}

/** The stack does not grow with the bytes, and no turn of the event loop is lost. */
function setImmediateOnce(more: () => void): void {
  process.nextTick(more)
}
