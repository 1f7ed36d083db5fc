/**
 * Owns: S4, that a certificate without its key gives no access.
 * Independent of: how TLS is made (tls13-client.ts).
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Identity } from '../../actors/tls/identity.ts'
import { attempt } from './tls13-client.ts'
import type { Presented } from './tls13-client.ts'
import { Endpoint } from './tls-bench.ts'

const server = Identity.generate()
const bob = Identity.generate()
const mallory = Identity.generate()
const keyOf = (identity: Identity) => createPrivateKey(identity.toPem())
const certificateOf = (identity: Identity): Buffer => new X509Certificate(identity.certificate).raw

let endpoint: Endpoint
beforeEach(async () => {
  endpoint = await Endpoint.open({ identity: server, authorize: (id) => id === bob.id })
})
afterEach(() => endpoint.close())

describe('a hand-made TLS 1.3 client', () => {
  it('a hand-made TLS 1.3 client with the certificate and the key of Bob is accepted as Bob', async () => {
    const presented: Presented = { certificates: [certificateOf(bob)], signer: keyOf(bob), say: 'hello, it is me' }
    const attempted = attempt(endpoint.address.port, presented, (client) => client.received === 'welcome')
    const { pipe, received } = await endpoint.outcome(0)
    pipe.write([Buffer.from('welcome')])
    const ending = await attempted
    expect([ending.received, received.text, pipe.peerId]).toEqual(['welcome', 'hello, it is me', bob.id])
    expect(ending.finished).toBe(true)
  })

  it('a hand-made TLS 1.3 client with the certificate of Bob and another key is refused 100 times of 100', async () => {
    let refused = 0
    for (let i = 0; i < 100; i++) {
      const ending = await attempt(endpoint.address.port, {
        certificates: [certificateOf(bob)],
        signer: keyOf(Identity.generate()),
        say: 'let me in',
      })
      const { outcome, pipe, received } = await endpoint.outcome(i)
      expect([ending.finished, ending.received, received.text, pipe.peerId]).toEqual([true, '', '', undefined])
      expect(outcome?.message).toMatch(/does not hold the key of its certificate/)
      if (outcome !== null) refused++
    }
    expect(refused).toBe(100)
  })

  it.each<[string, Presented]>([
    ['without a CertificateVerify', { certificates: [certificateOf(bob)], signer: null }],
    ['without a certificate', { certificates: [], signer: null }],
    [
      'with a signature of Bob that is changed by one bit',
      {
        certificates: [certificateOf(bob)],
        signer: keyOf(bob),
        tamper: (name, bytes) => (name === 'verify' ? flipped(bytes, 20) : bytes),
      },
    ],
    [
      'with a Finished that is changed by one bit',
      {
        certificates: [certificateOf(bob)],
        signer: keyOf(bob),
        tamper: (name, bytes) => (name === 'finished' ? flipped(bytes, 10) : bytes),
      },
    ],
    [
      'with its own certificate before that of Bob',
      { certificates: [certificateOf(mallory), certificateOf(bob)], signer: keyOf(mallory) },
    ],
    [
      'with its own certificate after that of Bob',
      { certificates: [certificateOf(bob), certificateOf(mallory)], signer: keyOf(mallory) },
    ],
  ])('a hand-made TLS 1.3 client %s is refused', async (_name, presented) => {
    const ending = await attempt(endpoint.address.port, { ...presented, say: 'let me in' })
    const { outcome, received } = await endpoint.outcome(0)
    expect(outcome).toBeInstanceOf(Error)
    expect([ending.received, received.text]).toEqual(['', ''])
  })
})

function flipped(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes)
  changed[at] = (changed[at] as number) ^ 1
  return changed
}
