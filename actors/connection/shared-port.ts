/**
 * Owns: one port shared by two networks of a process, one per dialect: which network an accepted connection belongs to.
 * Independent of: links and sessions. Each network uses it as an ordinary transport.
 *
 * Under TLS the ALPN in the ClientHello selects the dialect, before a certificate is sent (tls-transport.ts). On plain
 * TCP the first bytes do: an ampc connection id never looks like "SWIR". Either way the port waits for the peer, so
 * that wait has its own caps and deadline, equal to those of handshakes.
 */
import { StatewireError } from '../../codec/errors.ts'
import { Admission } from '../../protocol/admission.ts'
import { checkNames, checkObject } from '../base/checks.ts'
import { systemClock } from '../config/system-environment.ts'
import type { Clock } from '../base/environment.ts'
import { checkPart } from '../base/environment-checks.ts'
import { resolveLimits } from '../config/limits.ts'
import type { Limits } from '../config/limits.ts'
import { noopHandlers } from '../base/pipe.ts'
import type {
  Address,
  DialOptions,
  ListenerHandlers,
  Pipe,
  PipeHandlers,
  PipeListener,
  Transport,
} from '../base/pipe.ts'
import { TcpTransport } from '../transport/tcp-pipe.ts'
import { TlsTransport } from '../tls/tls-transport.ts'
import type { TlsTransportOptions } from '../tls/tls-transport.ts'
import { TlsPipe } from '../tls/tls-pipe.ts'

type DialectName = 'native' | 'ampc'

export interface SharedPortOptions {
  /** Keys of both dialects. Without them the port uses plain TCP. */
  readonly tls?: Required<Pick<TlsTransportOptions, 'identity' | 'ampc'>> & Pick<TlsTransportOptions, 'authorize'>
  readonly clock?: Clock
  readonly limits?: Partial<Limits>
}

interface Bound {
  readonly listener: PipeListener
  readonly handlers: Partial<Record<DialectName, ListenerHandlers>>
  users: number
}

const magic = Buffer.from('SWIR', 'latin1')

/**
 * Lets a native and an ampc network listen on the same address.
 *
 * ```ts
 * const port = new SharedPort()
 * createNetwork(nativeConfig, { environment: { transport: port.native } })
 * createNetwork(ampcConfig, { environment: { transport: port.ampc } })
 * ```
 */
export class SharedPort {
  readonly native: Transport
  readonly ampc: Transport
  readonly #base: TcpTransport | TlsTransport
  readonly #clock: Clock
  readonly #limits: Limits
  readonly #admission: Admission
  readonly #bound = new Map<string, Promise<Bound>>()
  /** Closes a connection that is not routed yet. */
  readonly #pending = new Map<string, () => void>()
  #number = 0

  constructor(options: SharedPortOptions = {}) {
    checkObject(options, 'the options of a SharedPort')
    checkNames(options, ['tls', 'clock', 'limits'], 'an option of a SharedPort')
    if (options.clock !== undefined) checkPart(options.clock, 'clock', 'clock')
    this.#clock = options.clock ?? systemClock
    this.#base = options.tls === undefined ? new TcpTransport() : new TlsTransport(options.tls)
    this.#limits = resolveLimits(options.limits)
    this.#admission = new Admission(this.#limits)
    this.native = this.#view('native')
    this.ampc = this.#view('ampc')
  }

  #view(dialect: DialectName): Transport {
    const base = this.#base
    const isShared = (): boolean => this.#bound.size > 0
    return {
      // Handles are not counted per dialect. Each network counts none while the port is shared.
      get openHandles() {
        return isShared() ? 0 : base.openHandles
      },
      dial: (address, options) => base.dial(address, { ...options, dialect } as DialOptions),
      listen: (address, options, handlers) => this.#listen(dialect, address, options, handlers),
    }
  }

  /** The first network binds the port, the second one joins. With port 0 both get the same port. */
  async #listen(
    dialect: DialectName,
    address: Address,
    options: DialOptions,
    handlers: ListenerHandlers,
  ): Promise<PipeListener> {
    const key = `${address.host} ${address.port}`
    let binding = this.#bound.get(key)
    if (binding === undefined) {
      binding = this.#bind(address, options)
      this.#bound.set(key, binding)
      binding.catch(() => this.#bound.delete(key))
    }
    const bound = await binding
    if (bound.handlers[dialect] !== undefined)
      throw new StatewireError('ERR_LISTEN_FAILED', `another ${dialect} network already listens on this port`)
    bound.handlers[dialect] = handlers
    bound.users++
    return {
      address: bound.listener.address,
      close: async () => {
        if (bound.handlers[dialect] !== handlers) return
        delete bound.handlers[dialect]
        bound.users--
        if (bound.users > 0) return
        this.#bound.delete(key)
        await bound.listener.close()
      },
    }
  }

  async #bind(address: Address, options: DialOptions): Promise<Bound> {
    const handlers: Bound['handlers'] = {}
    const listener = await this.#base.listen(address, options, {
      onPipe: (pipe) => this.#onPipe(pipe, handlers),
      onError: (error) => {
        for (const each of Object.values(handlers)) each.onError(error)
      },
    })
    return { listener, handlers, users: 0 }
  }

  #onPipe(pipe: Pipe, handlers: Bound['handlers']): void {
    const id = `shared.${++this.#number}`
    const acceptedAtMs = this.#clock.nowMs()
    const decision = this.#admission.ask(id, pipe.remoteHost, acceptedAtMs)
    if (!decision.admitted) {
      pipe.handle(noopHandlers)
      pipe.destroy()
      return
    }
    if ('evict' in decision) this.#pending.get(decision.evict)?.()
    let isSettled = false
    const settle = (dialect: DialectName | null, first: Buffer): void => {
      if (isSettled) return
      isSettled = true
      this.#pending.delete(id)
      this.#clock.clearTimeout(deadline)
      // From here on each network counts it against its own limits. The dialect does not prove an identity.
      this.#admission.settle(id, dialect !== null, false)
      const target = dialect === null ? undefined : handlers[dialect]
      if (target !== undefined) return target.onPipe(new RoutedPipe(pipe, first, this.#clock.nowMs() - acceptedAtMs))
      pipe.handle(noopHandlers)
      pipe.destroy()
    }
    const deadline = this.#clock.setTimeout(() => settle(null, Buffer.alloc(0)), this.#limits.handshakeTimeoutMs)
    this.#pending.set(id, () => settle(null, Buffer.alloc(0)))
    if (pipe instanceof TlsPipe) {
      pipe.handle({ ...noopHandlers, onClose: () => settle(null, Buffer.alloc(0)) })
      pipe.secure().then(
        () => settle(pipe.dialect ?? null, Buffer.alloc(0)),
        () => settle(null, Buffer.alloc(0)),
      )
    } else sniff(pipe, settle)
  }
}

/** Plain TCP: reads enough bytes to tell the dialects apart. The network that gets the pipe gets them too. */
function sniff(pipe: Pipe, settle: (dialect: DialectName | null, first: Buffer) => void): void {
  let first = Buffer.alloc(0)
  pipe.handle({
    ...noopHandlers,
    onBytes: (bytes) => {
      first = Buffer.concat([first, bytes])
      const known = Math.min(first.length, magic.length)
      const isNative = first.subarray(0, known).equals(magic.subarray(0, known))
      if (isNative && first.length < magic.length) return
      pipe.pause()
      settle(isNative ? 'native' : 'ampc', first)
    },
    onEnd: () => settle(null, first),
    onClose: () => settle(null, first),
  })
  pipe.resume()
}

/** A pipe whose dialect is known. It delivers the bytes that were read for that first, and is already secured. */
class RoutedPipe implements Pipe {
  readonly #pipe: Pipe
  readonly waitedMs: number
  #first: Buffer
  #isPaused = true
  #handlers: PipeHandlers = noopHandlers

  constructor(pipe: Pipe, first: Buffer, waitedMs: number) {
    this.#pipe = pipe
    this.#first = first
    this.waitedMs = waitedMs
  }

  get remoteAddress(): string {
    return this.#pipe.remoteAddress
  }
  get remoteHost(): string {
    return this.#pipe.remoteHost
  }
  get peerId(): string | undefined {
    return this.#pipe.peerId
  }
  get bufferedBytes(): number {
    return this.#pipe.bufferedBytes
  }
  get closed(): boolean {
    return this.#pipe.closed
  }
  isAnchoredIn(identity: string): boolean {
    return this.#pipe.isAnchoredIn?.(identity) ?? true
  }
  handle(handlers: PipeHandlers): void {
    this.#handlers = handlers
    this.#pipe.handle(handlers)
  }
  secure(): Promise<void> {
    return Promise.resolve()
  }
  write(bytes: readonly Buffer[], onFlushed?: (error: Error | null) => void): boolean {
    return this.#pipe.write(bytes, onFlushed)
  }
  pause(): void {
    this.#isPaused = true
    this.#pipe.pause()
  }
  resume(): void {
    this.#isPaused = false
    const first = this.#first
    this.#first = Buffer.alloc(0)
    if (first.length > 0) this.#handlers.onBytes(first)
    // The reader may have paused it again.
    if (!this.#isPaused) this.#pipe.resume()
  }
  end(): void {
    this.#pipe.end()
  }
  destroy(cause?: Error): void {
    this.#pipe.destroy(cause)
  }
  toJSON(): string {
    return `<routed ${this.remoteAddress}>`
  }
}
