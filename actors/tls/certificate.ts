/**
 * Owns: the self-signed certificate that carries an Ed25519 key through TLS, encoded in DER by hand, and reading that
 * key back.
 * Independent of: who is trusted, and everything in a certificate except its public key.
 *
 * By hand because the certificate libraries are much slower or silently use RSA. The certificate is a function of the
 * key: Ed25519 signatures are deterministic, and the serial number is derived from the key.
 */
import { createHash, createPublicKey, sign } from 'node:crypto'
import type { KeyObject, X509Certificate } from 'node:crypto'
import { publicKeyLengthBytes } from '../../protocol/key-id.ts'

/** Tags of DER. */
const integer = 0x02
const bitString = 0x03
const octetString = 0x04
const objectId = 0x06
const utf8String = 0x0c
const utcTime = 0x17
const generalizedTime = 0x18
const sequence = 0x30
const set = 0x31

/** Prefixes the content, at most 65,535 bytes, with its tag and length. */
function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const head =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >>> 8, length & 0xff]
  return Buffer.concat([Uint8Array.from(head), content])
}

const text = (tag: number, value: string): Buffer => der(tag, Buffer.from(value, 'utf8'))

const ed25519 = der(sequence, der(objectId, Uint8Array.of(0x2b, 0x65, 0x70)))
const commonName = der(objectId, Uint8Array.of(0x55, 0x04, 0x03))
const subject = der(sequence, der(set, der(sequence, commonName, text(utf8String, 'statewire'))))
/** "Does not expire" (RFC 5280 4.1.2.5). Trust is in the key, so a wrong clock excludes no peer. */
const validity = der(sequence, text(utcTime, '700101000000Z'), text(generalizedTime, '99991231235959Z'))
const version3 = der(0xa0, der(integer, Uint8Array.of(2)))
/** basicConstraints, critical: this key signs no other certificate. */
const extensions = der(
  0xa3,
  der(
    sequence,
    der(
      sequence,
      der(objectId, Uint8Array.of(0x55, 0x1d, 0x13)),
      der(0x01, Uint8Array.of(0xff)),
      der(octetString, der(sequence)),
    ),
  ),
)

const serialLengthBytes = 16

/** Creates the certificate in PEM. The caller has checked that the key is Ed25519. */
export function createCertificate(privateKey: KeyObject): string {
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
  const serial = createHash('sha256').update(spki).digest().subarray(0, serialLengthBytes)
  // Positive, without a leading zero.
  serial[0] = ((serial[0] as number) & 0x7f) | 0x40
  const content = der(sequence, version3, der(integer, serial), ed25519, subject, validity, subject, spki, extensions)
  const certificate = der(sequence, content, ed25519, der(bitString, Uint8Array.of(0), sign(null, content, privateKey)))
  return `-----BEGIN CERTIFICATE-----\n${(certificate.toString('base64').match(/.{1,64}/g) as string[]).join('\n')}\n-----END CERTIFICATE-----\n`
}

/** Returns the 32 bytes of an Ed25519 key, or undefined for another kind of key or an unreadable one. Never throws. */
export function publicKeyOf(certificate: X509Certificate): Buffer | undefined {
  try {
    return rawPublicKey(certificate.publicKey)
  } catch {
    return undefined
  }
}

/**
 * Returns the 32 bytes of an Ed25519 public key, or undefined for another kind. Via JWK, which is cheaper than DER.
 */
export function rawPublicKey(publicKey: KeyObject): Buffer | undefined {
  if (publicKey.asymmetricKeyType !== 'ed25519') return undefined
  const bytes = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url')
  return bytes.length === publicKeyLengthBytes ? bytes : undefined
}
