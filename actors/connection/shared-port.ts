/**
 * Owns: one port for two networks of one process, one in each dialect: who an accepted connection is for.
 * Refuses to know: links and sessions. To each network it is an ordinary transport.
 *
 * Under TLS the ALPN in the ClientHello tells the dialects apart, before a certificate is shown (tls-transport.ts);
 * on plain TCP the first bytes do: an ampc connection id never looks like "SWIR". Either costs a wait for the other
 * side, so that wait has the caps and the deadline that handshakes have, before the networks' own.
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
  /** Keys of both dialects; without it the port speaks plain TCP. */
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
 * `createNetwork(nativeConfig, { environment: { transport: port.native } })`, and the same with `port.ampc`; both
 * listen on the same address.
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
      // Handles are not told apart by dialect; those that are left when both networks have gone are nobody's.
      get openHandles() {
        return isShared() ? 0 : base.openHandles
      },
      dial: (address, options) => base.dial(address, { ...options, dialect } as DialOptions),
      listen: (address, options, handlers) => this.#listen(dialect, address, options, handlers),
    }
  }

  /** The first to ask binds, the second joins; where port 0 was asked for, both get the same one. */
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
      throw new StatewireError('ERR_LISTEN_FAILED', `a network of the ${dialect} dialect listens on this port already`)
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
    const verdict = this.#admission.ask(id, pipe.remoteHost, this.#clock.nowMs())
    if (!verdict.admitted) {
      pipe.handle(noopHandlers)
      pipe.destroy()
      return
    }
    if ('evict' in verdict) this.#pending.get(verdict.evict)?.()
    let isSettled = false
    const settle = (dialect: DialectName | null, first: Buffer): void => {
      if (isSettled) return
      isSettled = true
      this.#pending.delete(id)
      this.#clock.clearTimeout(deadline)
      // The networks count it from here on, each by its own limits. Which dialect it speaks proves nothing of whom it
      // belongs to.
      this.#admission.settle(id, dialect !== null, false)
      const target = dialect === null ? undefined : handlers[dialect]
      if (target !== undefined) return target.onPipe(new RoutedPipe(pipe, first))
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

/** Plain TCP: as many bytes as tell the dialects apart, which go to the network that gets the pipe. */
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

/** A pipe that is past its first wait: what was read to tell its dialect comes first, and it is secured already. */
class RoutedPipe implements Pipe {
  readonly #pipe: Pipe
  #first: Buffer
  #isPaused = true
  #handlers: PipeHandlers = noopHandlers

  constructor(pipe: Pipe, first: Buffer) {
    this.#pipe = pipe
    this.#first = first
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
    // Whoever read them may have had enough.
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
