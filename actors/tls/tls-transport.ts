/**
 * Owns: the TLS transport: dialling and accepting TLS pipes, and which dialect a connection gets.
 * Independent of: what a dialect requires of TLS (tls-native.ts, tls-ampc.ts), back-off, deadlines, admission: an
 * accepted pipe costs only its socket until its owner calls `secure()`.
 */
import { readClientHello } from '../../codec/client-hello.ts'
import { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import { checkFunction, checkNames, checkObject, invalid } from '../base/checks.ts'
import { Identity } from './identity.ts'
import { checkReadBuffer } from '../transport/borrowed-reads.ts'
import { formatAddress } from '../base/pipe.ts'
import type { Address, DialOptions, ListenerHandlers, PipeListener, Transport } from '../base/pipe.ts'
import { createSocket, listenForSockets, targetOf } from '../transport/tcp-sockets.ts'
import { AmpcTls } from './tls-ampc.ts'
import type { AmpcTlsOptions } from './tls-ampc.ts'
import { protocolOf, refusal } from './tls-errors.ts'
import { nativeAcceptor, nativeDialer } from './tls-native.ts'
import { nativeAlpn } from './tls-parameters.ts'
import { TlsPipe } from './tls-pipe.ts'
import type { TlsPipeOptions } from './tls-pipe.ts'
import { checkTlsRuntime } from './tls-runtime.ts'
import type { TlsChooser, TlsDialect, TlsSide } from './tls-side.ts'

export interface TlsTransportOptions {
  /** The key of the native dialect. With `ampc` as well, one port serves both. */
  readonly identity?: Identity
  /**
   * Native: which keys are admitted. Called after the key is proved and before any byte. If absent, every key may
   * proceed to its hello.
   */
  readonly authorize?: (peerId: string) => boolean
  /** Key, certificates and roots of the ampc dialect. */
  readonly ampc?: AmpcTlsOptions
  /** What is read from a socket at once, in bytes. Default: 64 KiB, as `limits.readBufferBytes`. */
  readonly readBufferBytes?: number | undefined
}

export interface TlsDialOptions extends DialOptions {
  /** The expected owner of the address: an id52, or an identity of the ampc dialect. A dial without it is refused. */
  readonly expectedPeerId?: string
  /** Used if the transport has both dialects. Default: native. */
  readonly dialect?: TlsDialect
}

export class TlsTransport implements Transport {
  readonly #identity: Identity | undefined
  readonly #authorize: TlsTransportOptions['authorize']
  readonly #ampc: AmpcTls | undefined
  readonly #pipes = new Set<TlsPipe>()
  /** The read buffer that all pipes share. */
  readonly #memory: Buffer
  #listeners = 0

  /**
   * Creates a TLS transport.
   * @throws StatewireError ERR_INVALID_OPTION, ERR_KEY_FORMAT, ERR_CERTIFICATE_UNUSABLE or ERR_UNSUPPORTED_HOST
   */
  constructor(options: TlsTransportOptions) {
    checkObject(options, 'the options of a TLS transport')
    checkNames(options, ['identity', 'authorize', 'ampc', 'readBufferBytes'], 'an option of a TLS transport')
    const { identity, authorize, ampc } = options
    if (identity === undefined && ampc === undefined) {
      throw new StatewireError(
        'ERR_INVALID_OPTION',
        'a TLS transport needs an identity, or the keys of the ampc dialect',
      )
    }
    if (identity !== undefined && !(identity instanceof Identity)) {
      throw invalid(`identity must be an Identity, got ${formatValue(identity)}`)
    }
    if (authorize !== undefined) checkFunction(authorize, 'authorize')
    const readBufferBytes = checkReadBuffer(options.readBufferBytes)
    checkTlsRuntime()
    this.#memory = Buffer.allocUnsafeSlow(readBufferBytes)
    this.#identity = identity
    this.#authorize = authorize
    this.#ampc = ampc === undefined ? undefined : new AmpcTls(ampc)
  }

  get openHandles(): number {
    return this.#pipes.size + this.#listeners
  }

  /** The open pipes, for fault injection. */
  get pipes(): ReadonlySet<TlsPipe> {
    return this.#pipes
  }

  /**
   * Dials an address.
   * @throws StatewireError ERR_INVALID_OPTION, ERR_INVALID_PEER_ID or ERR_UNKNOWN_PEER, before anything is opened
   */
  dial(address: Address, options: TlsDialOptions): TlsPipe {
    const side = this.#dialer(address, options)
    const raw = createSocket(options)
    const pipe = this.#adopt(new TlsPipe(raw, side, this.#pipeOptions(address, options)))
    raw.connect(targetOf(address))
    return pipe
  }

  listen(address: Address, options: DialOptions, handlers: ListenerHandlers): Promise<PipeListener> {
    this.#listeners++
    return listenForSockets({
      ...options,
      address,
      onSocket: (raw, remote) => {
        handlers.onPipe(this.#adopt(new TlsPipe(raw, this.#acceptor(remote), this.#pipeOptions(remote, options))))
      },
      onError: (error) => handlers.onError(error),
      onReleased: () => this.#listeners--,
    })
  }

  toJSON(): string {
    return '<tls transport>'
  }

  #dialer(address: Address, { expectedPeerId, identify, dialect, serverName }: TlsDialOptions): TlsSide {
    const remote = formatAddress(address)
    const expected = expectedPeerId ?? identify
    if (expected === undefined) {
      throw invalid(`the dial of ${remote} needs expectedPeerId, the identity of the other side`)
    }
    if ((dialect ?? (this.#identity === undefined ? 'ampc' : 'native')) === 'native') {
      const identity = this.#identity
      if (identity === undefined) throw unsupported('this transport has no identity for the native dialect')
      return nativeDialer({ identity, remote: address, expected })
    }
    if (this.#ampc === undefined) throw unsupported('this transport has no keys for the ampc dialect')
    if (expectedPeerId === undefined) throw unsupported('the ampc dialect dials identities that are known')
    return this.#ampc.dialer(serverName ?? address.host, remote, expectedPeerId)
  }

  /**
   * Certificate and version must be chosen before the first byte of an answer. With two dialects the ClientHello
   * decides; with one, only OpenSSL reads it.
   */
  #acceptor(remote: Address): TlsSide | TlsChooser {
    const [identity, ampc] = [this.#identity, this.#ampc]
    if (identity === undefined) return (ampc as AmpcTls).acceptor(formatAddress(remote))
    const native = nativeAcceptor({ identity, remote, authorize: this.#authorize })
    return ampc === undefined ? native : (first) => chooseDialect(first, remote, native, ampc)
  }

  #pipeOptions(remote: Address, { highWaterMarkBytes }: DialOptions): TlsPipeOptions {
    const onReleased = (pipe: TlsPipe): boolean => this.#pipes.delete(pipe)
    return { remote, highWaterMarkBytes, memory: this.#memory, onReleased }
  }

  #adopt(pipe: TlsPipe): TlsPipe {
    this.#pipes.add(pipe)
    return pipe
  }
}

function chooseDialect(first: Buffer, remote: Address, native: TlsSide, ampc: AmpcTls): TlsSide | 'need more' {
  const hello = readClientHello(first)
  if (hello === 'need more') return hello
  if (hello === 'not-tls') throw refusal(formatAddress(remote), `it does not speak TLS but ${protocolOf(first)}`)
  const { alpn } = hello
  if (alpn.includes(nativeAlpn)) return native
  if (alpn.length === 0) return ampc.acceptor(formatAddress(remote))
  const offers = JSON.stringify(alpn.join(', ').slice(0, 100))
  throw refusal(formatAddress(remote), `it offers only other protocols by ALPN (${offers})`)
}

function unsupported(sentence: string): StatewireError {
  return new StatewireError('ERR_DIALECT_UNSUPPORTED', sentence)
}
