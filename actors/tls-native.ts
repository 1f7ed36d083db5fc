/**
 * Owns: the native dialect's TLS: 1.3, mutual, keys without an authority, and every check of it on both sides.
 * Refuses to know: sockets beyond their handshake, hellos, and where the expected and allowed ids come from.
 *
 * The id comes from the key of the certificate and from nothing else in it. The self-signature is not looked at: TLS
 * proves that the other side holds the key.
 */
import tls from 'node:tls'
import { StatewireError } from '../codec/errors.ts'
import { decodePeerId, encodePeerId } from '../protocol/key-id.ts'
import { publicKeyOf } from './certificate.ts'
import type { Identity } from './identity.ts'
import { handshakeError, refusal, UnexpectedPeerError } from './tls-errors.ts'
import { nativeAlpn } from './tls-parameters.ts'
import type { Proof, TlsAcceptor, TlsDialer } from './tls-side.ts'

/** As TLS writes it, behind its length: a list of names would be converted for every connection. */
const ALPNProtocols = Buffer.concat([Uint8Array.of(nativeAlpn.length), Buffer.from(nativeAlpn, 'latin1')])

export interface NativeAcceptOptions {
  readonly identity: Identity
  readonly remoteAddress: string
  /** The allow-list. Without it any key gets as far as its hello. */
  readonly authorize: ((peerId: string) => boolean) | undefined
}

export interface NativeDialOptions {
  readonly identity: Identity
  readonly remoteAddress: string
  readonly expectedPeerId: string
}

export function nativeDialer({ identity, remoteAddress, expectedPeerId }: NativeDialOptions): TlsDialer {
  const expected = decodePeerId(expectedPeerId, `the id expected at ${remoteAddress}`)
  if (expectedPeerId === identity.id) throw new StatewireError('ERR_INVALID_PEER_ID', `the id expected at ${remoteAddress} is this side's own`)
  return {
    role: 'dialer',
    dial: ({ host, port }, highWaterMark) =>
      tls.connect({
        host,
        port,
        // Never `key` and `cert` here: options stay on the socket, where an inspector prints them.
        secureContext: identity.secureContext,
        ALPNProtocols,
        servername: '',
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
        ...({ highWaterMark } as object),
      }),
    check(socket) {
      const publicKey = provedKey(socket, remoteAddress)
      if (!publicKey.equals(expected)) throw new UnexpectedPeerError(remoteAddress, expectedPeerId, encodePeerId(publicKey))
      return proofOf(expectedPeerId)
    },
    failed: (error) => handshakeError(remoteAddress, error),
  }
}

export function nativeAcceptor({ identity, remoteAddress, authorize }: NativeAcceptOptions): TlsAcceptor {
  return {
    role: 'acceptor',
    begin: (raw, highWaterMark) =>
      new tls.TLSSocket(raw, {
        isServer: true,
        secureContext: identity.secureContext,
        ALPNProtocols,
        requestCert: true,
        rejectUnauthorized: false,
        ...({ highWaterMark } as object),
      }),
    check(socket) {
      const peerId = encodePeerId(provedKey(socket, remoteAddress))
      if (peerId === identity.id) throw new StatewireError('ERR_UNEXPECTED_PEER', `${remoteAddress} has this side's own key`)
      if (authorize !== undefined && !authorize(peerId)) throw new StatewireError('ERR_UNKNOWN_PEER', `${remoteAddress} proved to be ${peerId}, which is not allowed here`)
      return proofOf(peerId)
    },
    failed: (error) => handshakeError(remoteAddress, error),
  }
}

/** Each of these was seen to be needed: TLS itself lets all of it through. */
function provedKey(socket: tls.TLSSocket, remoteAddress: string): Buffer {
  const protocol = socket.getProtocol()
  if (protocol !== 'TLSv1.3') throw refusal(remoteAddress, `it speaks ${protocol ?? 'an unknown version of TLS'}, not TLSv1.3`)
  if (socket.alpnProtocol !== nativeAlpn) throw refusal(remoteAddress, `it did not agree on ${nativeAlpn} by ALPN`)
  // A ticket would stand for a certificate that is not shown. On a client this is null, not false.
  if (socket.isSessionReused() === true) throw refusal(remoteAddress, 'it resumed an old TLS session, which proves no key')
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) throw refusal(remoteAddress, 'it showed no certificate with an Ed25519 key')
  const publicKey = publicKeyOf(certificate)
  if (publicKey === undefined) throw refusal(remoteAddress, 'the key of its certificate is not Ed25519')
  return publicKey
}

function proofOf(peerId: string): Proof {
  return { dialect: 'native', peerId, covers: (identity) => identity === peerId }
}
