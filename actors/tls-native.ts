/**
 * Owns: the native dialect's TLS: 1.3, mutual, keys without an authority, and every check of it on both sides.
 * Refuses to know: sockets beyond their handshake, hellos, and where the expected and allowed ids come from.
 *
 * The id comes from the key of the certificate and from nothing else in it. The self-signature is not looked at: TLS
 * proves that the other side holds the key.
 */
import type net from 'node:net'
import tls from 'node:tls'
import { StatewireError } from '../codec/errors.ts'
import { decodePeerId, encodePeerId } from '../protocol/key-id.ts'
import { publicKeyOf } from './certificate.ts'
import type { Identity } from './identity.ts'
import { formatAddress } from './pipe.ts'
import type { Address } from './pipe.ts'
import { handshakeError, refusal, UnexpectedPeerError } from './tls-errors.ts'
import { nativeAlpn } from './tls-parameters.ts'
import type { Proof, TlsAcceptor, TlsDialer } from './tls-side.ts'

/** As TLS writes it, behind its length: a list of names would be converted for every connection. */
const ALPNProtocols = Buffer.concat([Uint8Array.of(nativeAlpn.length), Buffer.from(nativeAlpn, 'latin1')])

export interface NativeAcceptOptions {
  readonly identity: Identity
  /** The allow-list. Without it any key gets as far as its hello. */
  readonly authorize: ((peerId: string) => boolean) | undefined
  /** The key is proved and allowed. */
  readonly onProved: (remote: Address) => void
}

export interface NativeDialOptions {
  readonly identity: Identity
  readonly remote: Address
  readonly expectedPeerId: string
}

/** Sockets take the options of a Duplex; their types do not say so. */
interface DuplexOptions {
  readonly highWaterMark: number
}

export function nativeDialer({ identity, remote, expectedPeerId }: NativeDialOptions): TlsDialer {
  const expected = decodePeerId(expectedPeerId, `the id expected at ${formatAddress(remote)}`)
  if (expectedPeerId === identity.id) throw new StatewireError('ERR_INVALID_PEER_ID', `the id expected at ${formatAddress(remote)} is this side's own`)
  return {
    role: 'dialer',
    secured: 'secure',
    dial({ host, port }, highWaterMark) {
      const options: tls.TLSSocketOptions & DuplexOptions = {
        isServer: false,
        // Never `key` and `cert` here: options stay on the socket, where an inspector prints them.
        secureContext: identity.secureContext,
        ALPNProtocols,
        rejectUnauthorized: false,
        highWaterMark,
      }
      // As `tls.connect` makes it, but for what that does between the handshake and its Finished: a look at names and roots, of which there are none here.
      const socket = new tls.TLSSocket(undefined as never, options)
      socket.connect({ host, port })
      socket.once('connect', () => beginTls(socket))
      return socket
    },
    check(socket) {
      const publicKey = provedKey(socket, remote)
      if (!publicKey.equals(expected)) throw new UnexpectedPeerError(formatAddress(remote), expectedPeerId, encodePeerId(publicKey))
      return proofOf(expectedPeerId)
    },
    failed: (error) => handshakeError(formatAddress(remote), error),
  }
}

/** A class and not an object of closures as the dialer is: that one is kept, this one is made for every connection. */
export class NativeAcceptor implements TlsAcceptor {
  readonly role = 'acceptor'
  readonly #remote: Address
  readonly #options: NativeAcceptOptions

  constructor(remote: Address, options: NativeAcceptOptions) {
    this.#remote = remote
    this.#options = options
  }

  begin(raw: net.Socket, highWaterMark: number): tls.TLSSocket {
    const options: tls.TLSSocketOptions & DuplexOptions = {
      isServer: true,
      secureContext: this.#options.identity.secureContext,
      ALPNProtocols,
      requestCert: true,
      rejectUnauthorized: false,
      highWaterMark,
    }
    return new tls.TLSSocket(raw, options)
  }

  check(socket: tls.TLSSocket): Proof {
    const { identity, authorize, onProved } = this.#options
    const remote = this.#remote
    const peerId = encodePeerId(provedKey(socket, remote))
    if (peerId === identity.id) throw new StatewireError('ERR_UNEXPECTED_PEER', `${formatAddress(remote)} has this side's own key`)
    if (authorize !== undefined && !authorize(peerId)) throw new StatewireError('ERR_UNKNOWN_PEER', `${formatAddress(remote)} proved to be ${peerId}, which is not allowed here`)
    onProved(remote)
    return proofOf(peerId)
  }

  failed(error: unknown): StatewireError {
    return handshakeError(formatAddress(this.#remote), error)
  }
}

/** Each of these was seen to be needed: TLS itself lets all of it through. */
function provedKey(socket: tls.TLSSocket, remote: Address): Buffer {
  const protocol = socket.getProtocol()
  if (protocol !== 'TLSv1.3') throw refusedBecause(remote, `it speaks ${protocol ?? 'an unknown version of TLS'}, not TLSv1.3`)
  if (socket.alpnProtocol !== nativeAlpn) throw refusedBecause(remote, `it did not agree on ${nativeAlpn} by ALPN`)
  // A ticket would stand for a certificate that is not shown. On a client this is null, not false.
  if (socket.isSessionReused() === true) throw refusedBecause(remote, 'it resumed an old TLS session, which proves no key')
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) throw refusedBecause(remote, 'it showed no certificate with an Ed25519 key')
  const publicKey = publicKeyOf(certificate)
  if (publicKey === undefined) throw refusedBecause(remote, 'the key of its certificate is not Ed25519')
  return publicKey
}

/** Not in the documentation. An empty write begins it as well, by a longer way. */
function beginTls(socket: tls.TLSSocket): void {
  const { _start: start } = socket as { _start?: unknown }
  if (typeof start === 'function') start.call(socket)
  else socket.write('')
}

function refusedBecause(remote: Address, reason: string): StatewireError {
  return refusal(formatAddress(remote), reason)
}

function proofOf(peerId: string): Proof {
  return { dialect: 'native', peerId, covers: (identity) => identity === peerId }
}
