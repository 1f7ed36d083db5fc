/**
 * Owns: the order of parties in a ring: who is next, who is previous.
 * Independent of: what is sent around it.
 */
import { compareIdentities } from './peer-id.ts'

export interface Ring {
  readonly next: string
  readonly previous: string
}

/**
 * Parties in the order of their identities as bytes: alice, bob, charlie. With two parties, next and previous are the
 * same.
 */
export function ringAround(own: string, peers: readonly string[]): Ring {
  const parties = [...peers, own].sort(compareIdentities)
  const place = parties.indexOf(own)
  const at = (index: number): string => parties[(index + parties.length) % parties.length] as string
  return { next: at(place + 1), previous: at(place - 1) }
}
