/**
 * Owns: what an identity of the ampc dialect is, and the order of identities.
 * Independent of: keys and certificates.
 */
import { StatewireError } from '../../codec/errors.ts'
import { maxIdentityLengthBytes } from '../../codec/limits.ts'
import { formatValue } from '../../codec/format-value.ts'

// `ignoreBOM` keeps a byte order mark like any other character. Otherwise two identities would read the same.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** UTF-8, 1 to 128 bytes (docs/protocol.md). @throws StatewireError ERR_INVALID_PEER_ID naming `what` */
export function checkIdentity(identity: unknown, what: string): string {
  if (typeof identity !== 'string')
    throw new StatewireError('ERR_INVALID_PEER_ID', `${what} must be a string, got ${formatValue(identity)}`)
  const lengthBytes = Buffer.byteLength(identity, 'utf8')
  if (lengthBytes === 0) throw new StatewireError('ERR_INVALID_PEER_ID', `${what} must not be empty`)
  if (lengthBytes > maxIdentityLengthBytes)
    throw new StatewireError(
      'ERR_INVALID_PEER_ID',
      `${what} has ${lengthBytes} bytes, more than ${maxIdentityLengthBytes}: ${formatValue(identity)}`,
    )
  if (Buffer.from(identity, 'utf8').toString('utf8') !== identity)
    throw new StatewireError('ERR_INVALID_PEER_ID', `${what} holds half of a surrogate pair: ${formatValue(identity)}`)
  // It would be sent in the clear, as the name of this side.
  if (identity.includes('-----BEGIN'))
    throw new StatewireError(
      'ERR_INVALID_PEER_ID',
      `${what} must be a name, got ${formatValue(identity)}: pass a key to Identity.fromPem`,
    )
  return identity
}

/** @returns undefined for bytes that are not UTF-8 */
export function decodeIdentity(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}

/** In the order of the wire: byte by byte. JavaScript orders strings differently beyond the basic plane. */
export function compareIdentities(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'))
}

/** The greater identity dials, the other listens. */
export function roleTowards(own: string, peer: string): 'dialer' | 'acceptor' {
  return compareIdentities(own, peer) > 0 ? 'dialer' : 'acceptor'
}
