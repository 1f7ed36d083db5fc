/**
 * Owns: that wrong keys, certificates and roots of the ampc dialect are refused by an error that names them.
 * Independent of: the handshake with right ones (test/security/tls-ampc.test.ts).
 */
import { describe, it } from 'vitest'
import { formatValue } from '../../codec/format-value.ts'
import { ampcTls, network, other, refuses, tls } from './rows.ts'
import type { Row } from './rows.ts'

describe('TLS options of the ampc dialect', () => {
  const withTls = (change: object): (() => unknown) => network({ ...ampcTls, tls: { ...tls, ...change } })
  it.each<Row>([
    ['that are missing', network({ ...ampcTls, tls: undefined }), 'ERR_INVALID_OPTION', 'tls must hold the key'],
    ...[null, 'x', []].map((value): Row => [
      `that are ${formatValue(value)}`,
      network({ ...ampcTls, tls: value }),
      'ERR_INVALID_OPTION',
      `tls must be an object, got ${formatValue(value)}`,
    ]),
    [
      'with an option name close to a known one',
      withTls({ cert: tls.certificate, roots: {} }),
      'ERR_INVALID_OPTION',
      'tls.cert is not an option; there are: key, certificate',
    ],
    ...[undefined, null, Buffer.from(tls.key)].map((key): Row => [
      `whose key is ${formatValue(key)}`,
      withTls({ key }),
      'ERR_KEY_FORMAT',
      `tls.key must be a private key in PEM, got ${formatValue(key)}`,
    ]),
    ['whose key is not a key', withTls({ key: 'x' }), 'ERR_KEY_FORMAT', 'tls.key must be a private key in PEM'],
    [
      'whose key belongs to another certificate',
      withTls({ key: other.toPem() }),
      'ERR_CERTIFICATE_UNUSABLE',
      'belongs to another key',
    ],
    ...[undefined, null, 7].map((certificate): Row => [
      `whose certificate is ${formatValue(certificate)}`,
      withTls({ certificate }),
      'ERR_CERTIFICATE_UNUSABLE',
      `tls.certificate must be a certificate in PEM, got ${formatValue(certificate)}`,
    ]),
    [
      'whose certificate is not a certificate',
      withTls({ certificate: 'x' }),
      'ERR_CERTIFICATE_UNUSABLE',
      'the certificate is not a certificate',
    ],
    ...[undefined, null, 'x', []].map((roots): Row => [
      `whose roots are ${formatValue(roots)}`,
      withTls({ roots }),
      'ERR_INVALID_OPTION',
      `tls.roots must be an object, got ${formatValue(roots)}`,
    ]),
    [
      'with a root that is a number',
      withTls({ roots: { alice: 7 } }),
      'ERR_CERTIFICATE_UNUSABLE',
      'tls.roots["alice"] must be a certificate in PEM, got 7',
    ],
    [
      'with a root that is not a certificate',
      withTls({ roots: { alice: 'x' } }),
      'ERR_CERTIFICATE_UNUSABLE',
      'the root of "alice"',
    ],
    ['with a root that is not an authority', withTls({}), 'ERR_CERTIFICATE_UNUSABLE', 'the root of "alice"'],
    [
      'whose checkHostName is a string',
      withTls({ checkHostName: 'no' }),
      'ERR_INVALID_OPTION',
      'tls.checkHostName must be true or false, got "no"',
    ],
    [
      'whose wallTimeMs is a string',
      withTls({ wallTimeMs: 'now' }),
      'ERR_INVALID_OPTION',
      'tls.wallTimeMs must be a function, got "now"',
    ],
  ])('refuses TLS options of the ampc dialect %s', refuses)
})
