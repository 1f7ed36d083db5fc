/**
 * Owns: valid input of the parsers that take whole inputs: a ClientHello, texts of ids and addresses, a key, a
 * certificate.
 * Independent of: how it is corrupted (mutate.ts) and which parser reads it.
 */
import { X509Certificate } from 'node:crypto'
import { Identity } from '../../../actors/tls/identity.ts'
import { small } from './corpus.ts'
import type { Seed } from './corpus.ts'

export function clientHelloSeeds(): Seed[] {
  const u16 = (value: number): number[] => [value >>> 8, value & 0xff]
  const record = (content: readonly number[]): number[] => [22, 3, 1, ...u16(content.length), ...content]
  const extension = (type: number, content: readonly number[]): number[] => [
    ...u16(type),
    ...u16(content.length),
    ...content,
  ]
  const alpn = (names: readonly string[]): number[] => {
    const list = names.flatMap((name) => [name.length, ...Buffer.from(name)])
    return extension(16, [...u16(list.length), ...list])
  }
  const hello = (extensions: readonly number[]): number[] => {
    const body = [
      3,
      3,
      ...Array.from({ length: 32 }, (_, i) => i),
      0,
      ...u16(4),
      0x13,
      1,
      0x13,
      2,
      1,
      0,
      ...u16(extensions.length),
      ...extensions,
    ]
    return [1, 0, ...u16(body.length), ...body]
  }
  const one = hello([...extension(43, [2, 3, 4]), ...alpn(['statewire/1', 'h2'])])
  const cut = Array.from({ length: Math.ceil(one.length / 7) }, (_, i) => record(one.slice(7 * i, 7 * i + 7))).flat()
  return [record(one), cut, record(hello([])), record(hello(alpn(Array.from({ length: 60 }, (_, i) => `p${i}`))))].map(
    (input) => small(Buffer.from(input)),
  )
}

const identity = Identity.fromPem(
  `-----BEGIN PRIVATE KEY-----\n${Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, 5)]).toString('base64')}\n-----END PRIVATE KEY-----\n`,
)

export function textSeeds(): Seed[] {
  return [
    identity.id,
    'bob',
    'ü€😀',
    'b'.repeat(128),
    'tcp://127.0.0.1:15600',
    'tls://[::1]:1',
    'tcp://host.example:65535/',
  ].map((text) => small(Buffer.from(text)))
}

export function certificateSeeds(): Seed[] {
  return [small(new X509Certificate(identity.certificate).raw)]
}

export function keySeeds(): Seed[] {
  return [small(Buffer.from(identity.toPem()))]
}
