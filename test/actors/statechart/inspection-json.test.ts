/**
 * Owns: that every event and every snapshot that an inspector gets can be written as JSON by the plain
 * `JSON.stringify`, in each dialect and with each carrier: hellos hold BigInts, inputs hold keys and sockets.
 * Independent of: what is in them (inspection.test.ts).
 */
import { expect, it } from 'vitest'
import type { AnyActorRef, InspectionEvent } from 'xstate'
import { createNetwork, Identity } from '../../../index.ts'
import type { NetworkConfig } from '../../../index.ts'

const keys = [Identity.generate(), Identity.generate()] as const

it.each<[string, Pick<NetworkConfig, 'dialect' | 'security'>, 'tls' | 'tcp', readonly (Identity | string)[]]>([
  ['native over TLS', { dialect: 'native', security: 'tls' }, 'tls', keys],
  ['native over plain TCP', { dialect: 'native', security: 'plaintext' }, 'tcp', keys],
  ['ampc over plain TCP', { dialect: 'ampc', security: 'plaintext' }, 'tcp', ['alice', 'bob']],
])('inspectors get only events that JSON.stringify can write: %s', async (_what, shared, scheme, [keyA, keyB]) => {
  const failures: string[] = []
  const kinds = new Set<string>()
  const inspect = ({ actorRef, ...event }: InspectionEvent): void => {
    const { id } = actorRef as AnyActorRef
    kinds.add(id.replace(/:.*/, ''))
    try {
      JSON.stringify(event)
    } catch (error) {
      failures.push(`${event.type} of ${id}: ${String(error)}`)
    }
  }
  const idOf = (key: Identity | string | undefined): string => (key instanceof Identity ? key.id : (key as string))
  const listens = { identity: keyA, listen: `${scheme}://127.0.0.1:0`, peers: [{ id: idOf(keyB) }] }
  const alice = createNetwork({ ...shared, ...listens } as NetworkConfig, { inspect })
  await alice.ready()
  const peers = [{ id: idOf(keyA), urls: alice.url ?? '' }]
  const bob = createNetwork({ ...shared, identity: keyB, peers } as NetworkConfig, { inspect })
  await Promise.all([alice.makeSessions({ count: 2 }), bob.makeSessions({ count: 2 })])
  await Promise.all([alice.shutdown(), bob.shutdown()])
  expect(failures).toEqual([])
  expect([...kinds].sort()).toEqual(
    expect.arrayContaining(['connection', 'forwarder', 'group', 'link', 'listener', 'peer']),
  )
})
