/** Owns: that a certificate's key is its own, whoever wrote the certificate. Refuses to know: TLS. */
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createCertificate, publicKeyOf, rawPublicKey } from '../../actors/certificate.ts'
import { issue } from '../security/test-authority.ts'

const keyOf = (privateKey: KeyObject): Buffer => createPublicKey(privateKey).export({ type: 'spki', format: 'der' }).subarray(-32)

/** Undefined: it cannot be read. */
function parsed(der: Buffer): X509Certificate | undefined {
  try {
    return new X509Certificate(der)
  } catch {
    return undefined
  }
}

function keyByOpenSsl(certificate: X509Certificate): Buffer | undefined {
  try {
    return rawPublicKey(certificate.publicKey)
  } catch {
    return undefined
  }
}

describe('the key of a certificate', () => {
  test('is its own, among many', () => {
    const shown = Array.from({ length: 100 }, () => generateKeyPairSync('ed25519').privateKey)
    for (const privateKey of shown) expect(publicKeyOf(new X509Certificate(createCertificate(privateKey)))?.equals(keyOf(privateKey))).toBe(true)
  })

  test('is its own in a certificate that another hand wrote', () => {
    const { key, pem } = issue({ name: 'x', kind: 'ed25519' })
    expect(publicKeyOf(new X509Certificate(pem))?.equals(keyOf(key))).toBe(true)
  })

  test('is what TLS takes for it, or nobody\'s, whichever byte of the certificate is another one', () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const whole = new X509Certificate(createCertificate(privateKey)).raw
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole)
      changed[at] = (changed[at] as number) ^ 0x01
      const certificate = parsed(changed)
      if (certificate !== undefined) expect([at, publicKeyOf(certificate)]).toEqual([at, keyByOpenSsl(certificate)])
    }
  })

  test('is a copy: whoever changes it changes nothing for others', () => {
    const certificate = new X509Certificate(createCertificate(generateKeyPairSync('ed25519').privateKey))
    const first = publicKeyOf(certificate) as Buffer
    const untouched = Buffer.from(first)
    first.fill(0)
    expect(publicKeyOf(certificate)).toEqual(untouched)
  })
})
