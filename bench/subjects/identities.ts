/**
 * Owns: the keys of the two ends of a benchmark, derived from their names, so that both processes know both ids.
 * Independent of: anything worth protecting. These keys are public.
 */
import { createHash } from 'node:crypto'
import { Identity } from '../../index.ts'

/** PKCS#8 of an Ed25519 key is this prefix and the 32 bytes of the seed. */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')

export function identityOf(name: 'server' | 'client'): Identity {
  const seed = createHash('sha256').update(`statewire benchmark ${name}`).digest()
  const der = Buffer.concat([pkcs8Prefix, seed])
  return Identity.fromPem(`-----BEGIN PRIVATE KEY-----\n${der.toString('base64')}\n-----END PRIVATE KEY-----\n`)
}
