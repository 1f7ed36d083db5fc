/**
 * Owns: the TLS carrier: dialling and accepting TLS pipes, and which dialect a connection gets.
 * Refuses to know: what a dialect asks of TLS (tls-native.ts, tls-ampc.ts), back-off, deadlines, admission: an accepted
 * pipe has cost nothing but its socket until its owner calls `secure()`.
 */
import net from 'node:net'
import { StatewireError } from '../codec/errors.ts'
import { readClientHello } from '../codec/client-hello.ts'
import { show } from '../codec/show.ts'
import { checkFunction, checkNames, checkObject, invalid } from './checks.ts'
import { systemClock } from './environment.ts'
import type { Clock } from './environment.ts'
import { checkPart } from './environment-options.ts'
import { Identity } from './identity.ts'
import { lentReadBytes } from './lent-reads.ts'
import { formatAddress } from './pipe.ts'
import type { Address, DialOptions, ListenerHandlers, PipeListener, Transport } from './pipe.ts'
import { AmpcTls } from './tls-ampc.ts'
import type { AmpcTlsOptions } from './tls-ampc.ts'
import { protocolOf, refusal } from './tls-errors.ts'
import { NativeAcceptor, nativeDialer } from './tls-native.ts'
import type { NativeAcceptOptions } from './tls-native.ts'
import { nativeAlpn } from './tls-parameters.ts'
import { bindServer, socketOptions } from './tcp-pipe.ts'
import { TlsPipe } from './tls-pipe.ts'
import type { TlsPipeOptions } from './tls-pipe.ts'
import { checkTlsRuntime } from './tls-runtime.ts'
import type { TlsAcceptor, TlsChooser, TlsDialect, TlsDialer } from './tls-side.ts'

/** After 30 s of silence the kernel probes the other side: as on the TCP carrier. */
const keepAliveAfterMs = 30_000
const provedHostsMax = 4_096
/** Peers whose dialer is kept. One more, and all are made anew. */
const dialersMax = 1_024

/** The same for every dial of a peer at this address: all that differs is the socket. */
interface KnownDialer {
  readonly remote: Address
  readonly dialer: TlsDialer
}

export interface TlsTransportOptions {
  /** The key of the native dialect. With `ampc` as well, one port speaks both. */
  readonly identity?: Identity
  /** Native: which keys get in. Asked after the key is proved and before any byte; without it every key gets as far as its hello. */
  readonly authorize?: (peerId: string) => boolean
  /** Key, certificates and roots of the ampc dialect. */
  readonly ampc?: AmpcTlsOptions
}

export interface TlsDialOptions extends DialOptions {
  /** Whom the address is to belong to: an id52, or an identity of the ampc dialect. A dial without it is refused. */
  readonly expectedPeerId?: string
  /** Needed where the transport speaks both; native then, if it is left out. */
  readonly dialect?: TlsDialect
}

export class TlsTransport implements Transport {
  /** Undefined: it has no identity. What acceptors of the native dialect have in common. */
  readonly #native: NativeAcceptOptions | undefined
  readonly #ampc: AmpcTls | undefined
  readonly #clock: Clock
  readonly #pipes = new Set<TlsPipe>()
  /** What is read is lent from here, by all of them. */
  readonly #memory = Buffer.allocUnsafeSlow(lentReadBytes)
  /** From where peers have come: their next connection is not looked at before TLS begins. */
  readonly #provedHosts = new Set<string>()
  /** By peer: the dialer of the address that it was last dialled at. */
  readonly #dialers = new Map<string, KnownDialer>()
  #listeners = 0

  /** @throws StatewireError ERR_INVALID_OPTION, ERR_KEY_FORMAT, ERR_CERTIFICATE_UNUSABLE or ERR_UNSUPPORTED_HOST */
  constructor(options: TlsTransportOptions, clock: Clock = systemClock) {
    checkPart(clock, 'clock', 'the clock of a TLS transport')
    checkObject(options, 'the options of a TLS transport')
    checkNames(options, ['identity', 'authorize', 'ampc'], 'an option of a TLS transport')
    const { identity, authorize, ampc } = options
    if (identity === undefined && ampc === undefined) throw new StatewireError('ERR_INVALID_OPTION', 'a TLS transport needs an identity, or the keys of the ampc dialect')
    if (identity !== undefined && !(identity instanceof Identity)) throw invalid(`identity must be an Identity, got ${show(identity)}`)
    if (authorize !== undefined) checkFunction(authorize, 'authorize')
    checkTlsRuntime()
    this.#native = identity === undefined ? undefined : { identity, authorize, onProved: ({ host }) => this.#proved(host) }
    this.#ampc = ampc === undefined ? undefined : new AmpcTls(ampc)
    this.#clock = clock
  }

  get openHandles(): number {
    return this.#pipes.size + this.#listeners
  }

  /** The open pipes, for tools that break them on purpose. */
  get pipes(): ReadonlySet<TlsPipe> {
    return this.#pipes
  }

  /** @throws StatewireError ERR_INVALID_OPTION, ERR_INVALID_PEER_ID or ERR_UNKNOWN_PEER: before anything is opened */
  dial(address: Address, options: TlsDialOptions): TlsPipe {
    const side = this.#dialer(address, options)
    const socket = side.dial(address, options.highWaterMarkBytes)
    socket.setNoDelay(true)
    // Asked for earlier the delay would be forgotten; and by now the ClientHello is on its way.
    socket.once('connect', () => socket.setKeepAlive(true, keepAliveAfterMs))
    return this.#adopt(new TlsPipe({ role: 'dialer', socket, side }, this.#pipeOptions(address, options)))
  }

  async listen(address: Address, options: DialOptions, handlers: ListenerHandlers): Promise<PipeListener> {
    const server = net.createServer({ pauseOnConnect: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveAfterMs, ...socketOptions(options) })
    server.on('connection', (raw) => {
      const remote = { host: raw.remoteAddress ?? 'unknown', port: raw.remotePort ?? 0 }
      handlers.onPipe(this.#adopt(new TlsPipe({ role: 'acceptor', raw, side: this.#acceptor(remote) }, this.#pipeOptions(remote, options))))
    })
    this.#listeners++
    await bindServer(server, address, () => this.#listeners--)
    server.on('error', (error) => handlers.onError(error))
    const bound = server.address() as net.AddressInfo
    return {
      address: { host: bound.address, port: bound.port },
      close: () => {
        // `net.Server.close` waits for accepted sockets; those belong to others here, so the promise does not.
        if (server.listening) server.close()
        return Promise.resolve()
      },
    }
  }

  toJSON(): string {
    return '<tls transport>'
  }

  #dialer(address: Address, { expectedPeerId, dialect, serverName }: TlsDialOptions): TlsDialer {
    if (expectedPeerId === undefined) throw new StatewireError('ERR_INVALID_OPTION', `nobody is expected at ${formatAddress(address)}: a TLS dial must say whose address it is`)
    if ((dialect ?? (this.#native === undefined ? 'ampc' : 'native')) === 'native') {
      if (this.#native === undefined) throw new StatewireError('ERR_DIALECT_UNSUPPORTED', 'this transport has no identity for the native dialect')
      return this.#nativeDialer(this.#native.identity, address, expectedPeerId)
    }
    if (this.#ampc === undefined) throw new StatewireError('ERR_DIALECT_UNSUPPORTED', 'this transport has no keys for the ampc dialect')
    return this.#ampc.dialer(serverName ?? address.host, formatAddress(address), expectedPeerId)
  }

  #nativeDialer(identity: Identity, { host, port }: Address, expectedPeerId: string): TlsDialer {
    const known = this.#dialers.get(expectedPeerId)
    if (known !== undefined && known.remote.host === host && known.remote.port === port) return known.dialer
    const remote = { host, port }
    const dialer = nativeDialer({ identity, remote, expectedPeerId })
    if (this.#dialers.size >= dialersMax) this.#dialers.clear()
    this.#dialers.set(expectedPeerId, { remote, dialer })
    return dialer
  }

  /**
   * Under TLS certificate and version are chosen before the first byte, so where there are two dialects the ClientHello decides.
   * A stranger's is looked at in any case: a wrong protocol costs no cryptography, and is named. From where a peer has come, and
   * where there is nothing to choose, TLS begins at once: that is a twentieth of a connect.
   */
  #acceptor(remote: Address): TlsAcceptor | TlsChooser {
    const native = this.#native
    if (native !== undefined && this.#ampc === undefined && this.#provedHosts.has(remote.host)) return new NativeAcceptor(remote, native)
    return (first) => {
      const verdict = readClientHello(first)
      if (verdict === 'need more') return verdict
      if (verdict === 'not-tls') throw refusal(formatAddress(remote), `it does not speak TLS but ${protocolOf(first)}`)
      const { alpn } = verdict
      if (native !== undefined && alpn.includes(nativeAlpn)) return new NativeAcceptor(remote, native)
      if (this.#ampc !== undefined && alpn.length === 0) return this.#ampc.acceptor(formatAddress(remote))
      const offers = alpn.length === 0 ? 'it offers no protocol by ALPN' : `it offers other protocols by ALPN (${JSON.stringify(alpn.join(', ').slice(0, 100))})`
      throw refusal(formatAddress(remote), offers)
    }
  }

  #proved(host: string): void {
    // Many addresses of few peers: forgetting all of them costs each a look at its next ClientHello.
    if (this.#provedHosts.size >= provedHostsMax) this.#provedHosts.clear()
    this.#provedHosts.add(host)
  }

  #pipeOptions(remote: Address, { highWaterMarkBytes }: DialOptions): TlsPipeOptions {
    return { remote, highWaterMarkBytes, memory: this.#memory, clock: this.#clock, onReleased: (pipe) => this.#pipes.delete(pipe) }
  }

  #adopt(pipe: TlsPipe): TlsPipe {
    this.#pipes.add(pipe)
    return pipe
  }
}
