/**
 * Owns: the content of a generated certificate, and how the key of any certificate is read.
 * Independent of: TLS.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { createCertificate, publicKeyOf, rawPublicKey } from '../../actors/tls/certificate.ts'
import { Identity } from '../../actors/tls/identity.ts'
import { issue } from '../security/test-authority.ts'

const keyOf = (privateKey: KeyObject): Buffer =>
  createPublicKey(privateKey).export({ type: 'spki', format: 'der' }).subarray(-32)

/** Undefined if it cannot be read. */
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
  test('each of many certificates yields its own key', () => {
    const shown = Array.from({ length: 100 }, () => generateKeyPairSync('ed25519').privateKey)
    for (const privateKey of shown)
      expect(publicKeyOf(new X509Certificate(createCertificate(privateKey)))?.equals(keyOf(privateKey))).toBe(true)
  })

  test('the key of a certificate that another program wrote is read', () => {
    const { key, pem } = issue({ name: 'x', kind: 'ed25519' })
    expect(publicKeyOf(new X509Certificate(pem))?.equals(keyOf(key))).toBe(true)
  })

  test('the key of a certificate with a changed byte is the key that TLS uses, or none', () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const whole = new X509Certificate(createCertificate(privateKey)).raw
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole)
      changed[at] = (changed[at] as number) ^ 0x01
      const certificate = parsed(changed)
      if (certificate !== undefined) expect([at, publicKeyOf(certificate)]).toEqual([at, keyByOpenSsl(certificate)])
    }
  })

  test('the key of a certificate is a copy, so changing it does not affect others', () => {
    const certificate = new X509Certificate(createCertificate(generateKeyPairSync('ed25519').privateKey))
    const first = publicKeyOf(certificate) as Buffer
    const untouched = Buffer.from(first)
    first.fill(0)
    expect(publicKeyOf(certificate)).toEqual(untouched)
  })
})

describe('a generated certificate', () => {
  const alice = Identity.generate()

  test('a generated certificate depends only on its key, names it, and has a valid signature of its own', () => {
    const certificate = new X509Certificate(alice.certificate)
    expect(Identity.fromPem(alice.toPem()).certificate).toBe(alice.certificate)
    expect([certificate.verify(certificate.publicKey), certificate.ca, certificate.checkIssued(certificate)]).toEqual([
      true,
      false,
      true,
    ])
    expect(publicKeyOf(certificate)?.equals(alice.publicKey)).toBe(true)
    expect(certificate.raw.length).toBeLessThan(300)
    expect([certificate.validFrom, certificate.validTo]).toEqual([
      'Jan  1 00:00:00 1970 GMT',
      'Dec 31 23:59:59 9999 GMT',
    ])
  })

  test('a certificate with another kind of key yields no key', () => {
    for (const kind of ['rsa', 'ec'] as const)
      expect(publicKeyOf(new X509Certificate(issue({ name: 'x', kind }).pem))).toBeUndefined()
  })

  test.runIf(spawnSync('openssl', ['version']).status === 0)('is one to openssl as well', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'statewire-certificate-'))
    const file = path.join(folder, 'certificate.pem')
    writeFileSync(file, alice.certificate)
    expect(execFileSync('openssl', ['verify', '-check_ss_sig', '-CAfile', file, file], { encoding: 'utf8' })).toMatch(
      /: OK\n$/,
    )
    expect(execFileSync('openssl', ['x509', '-in', file, '-noout', '-text'], { encoding: 'utf8' })).toMatch(
      /ED25519[^]*CA:FALSE/,
    )
    rmSync(folder, { recursive: true })
  })
})
