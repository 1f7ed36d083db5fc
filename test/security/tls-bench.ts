/**
 * Owns: what the tests of TLS share: a carrier for the conformance suite that secures each pipe by itself, a listener
 * that keeps the outcome of each handshake, and waiting without sleeping.
 * Independent of: what is expected.
 */
import { Identity } from '../../actors/tls/identity.ts'
import type {
  Address,
  DialOptions,
  ListenerHandlers,
  Pipe,
  PipeHandlers,
  PipeListener,
  Transport,
} from '../../actors/base/pipe.ts'
import type { TlsPipe } from '../../actors/tls/tls-pipe.ts'
import { TlsTransport } from '../../actors/tls/tls-transport.ts'
import type { TlsDialOptions, TlsTransportOptions } from '../../actors/tls/tls-transport.ts'

export const options = { highWaterMarkBytes: 64 * 1024 }
export const loopback: Address = { host: '127.0.0.1', port: 0 }

export function nextTick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

export async function until(what: string, holds: () => boolean, timeLimitMs = 10_000): Promise<void> {
  const deadlineMs = performance.now() + timeLimitMs
  while (!holds()) {
    if (performance.now() > deadlineMs) throw new Error(`${what} did not come about within ${timeLimitMs} ms`)
    await nextTick()
  }
}

/** Records the callbacks of one pipe. */
export class Received implements PipeHandlers {
  readonly chunks: Buffer[] = []
  readonly closedWith: (Error | null)[] = []
  isOpen = false
  ends = 0
  onOpen(): void {
    this.isOpen = true
  }
  onBytes(bytes: Buffer): void {
    this.chunks.push(Buffer.from(bytes))
  }
  onDrain(): void {}
  onEnd(): void {
    this.ends++
  }
  onClose(error: Error | null): void {
    this.closedWith.push(error)
  }
  get text(): string {
    return Buffer.concat(this.chunks).toString()
  }
}

/** How `secure()` ended: the error, or null. */
export async function outcomeOf(pipe: Pipe): Promise<Error | null> {
  try {
    await pipe.secure()
    return null
  } catch (error) {
    return error as Error
  }
}

export interface Accepted {
  readonly pipe: TlsPipe
  readonly received: Received
  /** undefined while the handshake is under way. */
  outcome: Error | null | undefined
}

/** A listener that secures and resumes every connection. */
export class Endpoint {
  readonly transport: TlsTransport
  readonly accepted: Accepted[] = []
  readonly listener: PipeListener

  private constructor(transport: TlsTransport, accepted: Accepted[], listener: PipeListener) {
    this.transport = transport
    this.accepted = accepted
    this.listener = listener
  }

  static async open(transportOptions: TlsTransportOptions): Promise<Endpoint> {
    const transport = new TlsTransport(transportOptions)
    const accepted: Accepted[] = []
    const listener = await transport.listen(loopback, options, {
      onPipe(pipe) {
        const one: Accepted = { pipe: pipe as TlsPipe, received: new Received(), outcome: undefined }
        accepted.push(one)
        pipe.handle(one.received)
        pipe.resume()
        void outcomeOf(pipe).then((outcome) => (one.outcome = outcome))
      },
      onError(error) {
        throw error
      },
    })
    return new Endpoint(transport, accepted, listener)
  }

  get address(): Address {
    return this.listener.address
  }

  /** The next handshake that ends, counted from the first. */
  async outcome(index: number): Promise<Accepted> {
    await until('the handshake has ended', () => this.accepted[index]?.outcome !== undefined)
    return this.accepted[index] as Accepted
  }

  /** Closes all, and asserts that the transport holds nothing. */
  async close(): Promise<void> {
    await this.listener.close()
    for (const { pipe } of this.accepted) pipe.destroy()
    await until('the endpoint holds nothing', () => this.transport.openHandles === 0)
  }
}

/** For `afterEach`: closes all, and asserts that both sides hold nothing. */
export async function closeAll(endpoints: Endpoint[], transports: TlsTransport[]): Promise<void> {
  for (const endpoint of endpoints.splice(0)) await endpoint.close()
  for (const transport of transports.splice(0)) {
    for (const pipe of transport.pipes) pipe.destroy()
    await until('the dialling side holds nothing', () => transport.openHandles === 0)
  }
}

export interface Dialled {
  readonly pipe: TlsPipe
  readonly received: Received
}

export function dial(
  transport: TlsTransport,
  address: Address,
  dialOptions: Omit<TlsDialOptions, 'highWaterMarkBytes'>,
): Dialled {
  const pipe = transport.dial(address, { ...options, ...dialOptions })
  const received = new Received()
  pipe.handle(received)
  return { pipe, received }
}

/**
 * Two identities as one transport: it dials as one and accepts as the other. A pipe counts as open once it is secure,
 * so that the contract of carriers can be tested on it as on any other.
 */
export class SecuringTransport implements Transport {
  readonly #acceptor = Identity.generate()
  readonly #dialling = new TlsTransport({ identity: Identity.generate() })
  readonly #accepting = new TlsTransport({ identity: this.#acceptor })

  get openHandles(): number {
    return this.#dialling.openHandles + this.#accepting.openHandles
  }

  dial(address: Address, dialOptions: DialOptions): Pipe {
    return new SecuredPipe(
      this.#dialling.dial(address, { ...dialOptions, expectedPeerId: this.#acceptor.id }),
      (secured) => secured.opened(),
    )
  }

  listen(address: Address, dialOptions: DialOptions, handlers: ListenerHandlers): Promise<PipeListener> {
    return this.#accepting.listen(address, dialOptions, {
      ...handlers,
      onPipe: (pipe) => void new SecuredPipe(pipe, (secured) => handlers.onPipe(secured)),
    })
  }
}

/** Secures itself, and calls `onOpen` after that. It hides the one thing that distinguishes TLS, the proven id. */
class SecuredPipe implements Pipe {
  readonly peerId = undefined
  readonly #pipe: Pipe
  #handlers: PipeHandlers | null = null

  constructor(pipe: Pipe, onSecured: (pipe: SecuredPipe) => void) {
    this.#pipe = pipe
    pipe.secure().then(
      () => onSecured(this),
      () => {},
    )
  }

  opened(): void {
    this.#handlers?.onOpen()
  }
  get remoteAddress(): string {
    return this.#pipe.remoteAddress
  }
  get remoteHost(): string {
    return this.#pipe.remoteHost
  }
  get bufferedBytes(): number {
    return this.#pipe.bufferedBytes
  }
  get closed(): boolean {
    return this.#pipe.closed
  }
  handle(handlers: PipeHandlers): void {
    this.#handlers = handlers
    this.#pipe.handle({
      onOpen() {},
      onBytes: (bytes) => handlers.onBytes(bytes),
      onDrain: () => handlers.onDrain(),
      onEnd: () => handlers.onEnd(),
      onClose: (error) => handlers.onClose(error),
    })
  }
  secure(): Promise<void> {
    return this.#pipe.secure()
  }
  write(bytes: readonly Buffer[], onFlushed?: (error: Error | null) => void): boolean {
    return this.#pipe.write(bytes, onFlushed)
  }
  pause(): void {
    this.#pipe.pause()
  }
  resume(): void {
    this.#pipe.resume()
  }
  end(): void {
    this.#pipe.end()
  }
  destroy(cause?: Error): void {
    this.#pipe.destroy(cause)
  }
  toJSON(): unknown {
    return (this.#pipe as TlsPipe).toJSON()
  }
}
