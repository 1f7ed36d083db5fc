/**
 * Owns: the native dialect's TLS: 1.3, mutual, keys without an authority, and all checks of it on both sides.
 * Independent of: sockets after their handshake, hellos, and where the expected and allowed ids come from.
 *
 * The id is derived from the certificate's key and nothing else. The self-signature is not checked: TLS proves that the
 * other side holds the key.
 */
import tls from 'node:tls'
import { StatewireError } from '../../codec/errors.ts'
import { decodePeerId, encodePeerId } from '../../protocol/key-id.ts'
import { publicKeyOf } from './certificate.ts'
import type { Identity } from './identity.ts'
import { formatAddress } from '../base/pipe.ts'
import type { Address } from '../base/pipe.ts'
import { dialError, handshakeError, refusal, UnexpectedPeerError } from './tls-errors.ts'
import { nativeAlpn } from './tls-parameters.ts'
import type { Proof, TlsSide } from './tls-side.ts'

export interface NativeAcceptOptions {
  readonly identity: Identity
  readonly remote: Address
  /** The allow-list. If absent, any key may proceed to its hello. */
  readonly authorize: ((peerId: string) => boolean) | undefined
}

export interface NativeDialOptions {
  readonly identity: Identity
  readonly remote: Address
  /** The id, or what judges the one that was proved, and throws. */
  readonly expected: string | ((peerId: string) => void)
}

/** Never pass `key` and `cert` in a socket's options: they stay on it, where an inspector prints them. */
const ALPNProtocols = [nativeAlpn]

export function nativeDialer({ identity, remote, expected }: NativeDialOptions): TlsSide {
  const address = formatAddress(remote)
  const judge = typeof expected === 'function' ? expected : expecting(expected, identity, address)
  return {
    role: 'dialer',
    begin: (socket, highWaterMark) => {
      const { secureContext } = identity
      const options = { socket, secureContext, ALPNProtocols, rejectUnauthorized: false, highWaterMark }
      return tls.connect(options)
    },
    check(socket) {
      const peerId = encodePeerId(provedKey(socket, remote))
      judge(peerId)
      return proofOf(peerId)
    },
    failed: (error) => dialError(address, error),
  }
}

/** Throws StatewireError ERR_INVALID_PEER_ID before anything is dialled. */
function expecting(id: string, { id: ownId }: Identity, address: string): (peerId: string) => void {
  decodePeerId(id, `the id expected at ${address}`)
  if (id === ownId) throw new StatewireError('ERR_INVALID_PEER_ID', `the id expected at ${address} is this side's own`)
  // Each key has exactly one text.
  return (peerId) => {
    if (peerId !== id) throw new UnexpectedPeerError(address, id, peerId)
  }
}

export function nativeAcceptor({ identity, remote, authorize }: NativeAcceptOptions): TlsSide {
  const address = formatAddress(remote)
  return {
    role: 'acceptor',
    begin(raw, highWaterMark) {
      const { secureContext } = identity
      const asked = { isServer: true, requestCert: true, rejectUnauthorized: false }
      const options = { ...asked, secureContext, ALPNProtocols, highWaterMark }
      return new tls.TLSSocket(raw, options)
    },
    check(socket) {
      const peerId = encodePeerId(provedKey(socket, remote))
      if (peerId === identity.id) {
        throw new StatewireError('ERR_UNEXPECTED_PEER', `${address} has this side's own key`)
      }
      if (authorize !== undefined && !authorize(peerId)) {
        throw new StatewireError('ERR_UNKNOWN_PEER', `${address} proved to be ${peerId}, which is not allowed here`)
      }
      return proofOf(peerId)
    },
    failed: (error) => handshakeError(address, error),
  }
}

/** Each check is necessary: TLS itself accepts all of these. */
function provedKey(socket: tls.TLSSocket, remote: Address): Buffer {
  const protocol = socket.getProtocol()
  if (protocol !== 'TLSv1.3')
    throw refusedBecause(remote, `it speaks ${protocol ?? 'an unknown version of TLS'}, not TLSv1.3`)
  if (socket.alpnProtocol !== nativeAlpn) throw refusedBecause(remote, `it did not agree on ${nativeAlpn} by ALPN`)
  // A resumed session would stand for a certificate that was not shown. On a client the value is null, not false.
  if (socket.isSessionReused() === true)
    throw refusedBecause(remote, 'it resumed an old TLS session, which proves no key')
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) throw refusedBecause(remote, 'it sent no certificate with an Ed25519 key')
  const publicKey = publicKeyOf(certificate)
  if (publicKey === undefined) throw refusedBecause(remote, 'the key of its certificate is not Ed25519')
  return publicKey
}

function refusedBecause(remote: Address, reason: string): StatewireError {
  return refusal(formatAddress(remote), reason)
}

function proofOf(peerId: string): Proof {
  return { dialect: 'native', peerId, covers: (identity) => identity === peerId }
}
