/** Owns: that a certificate's key is its own, however many were seen before. Refuses to know: TLS. */
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createCertificate, publicKeyOf } from '../../actors/certificate.ts'

/** More than are remembered. */
const many = 300

describe('the key of a certificate', () => {
  test('is its own, among more certificates than are remembered, and when they come again', () => {
    const shown = Array.from({ length: many }, () => {
      const { privateKey } = generateKeyPairSync('ed25519')
      return { certificate: new X509Certificate(createCertificate(privateKey)), key: createPublicKey(privateKey).export({ type: 'spki', format: 'der' }).subarray(-32) }
    })
    for (let round = 0; round < 2; round++) for (const { certificate, key } of shown) expect(publicKeyOf(certificate)?.equals(key)).toBe(true)
  })

  test('is a copy: whoever changes it changes nothing for others', () => {
    const certificate = new X509Certificate(createCertificate(generateKeyPairSync('ed25519').privateKey))
    const first = publicKeyOf(certificate) as Buffer
    const untouched = Buffer.from(first)
    first.fill(0)
    expect(publicKeyOf(certificate)).toEqual(untouched)
  })
})
