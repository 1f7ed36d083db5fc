/**
 * Owns: that an inspector sees what changes during the life of an actor: epoch, attempt, address, phase of TLS.
 * Independent of: how facts are read (statechart/chart-actor.test.ts).
 */
import { expect, it } from 'vitest'
import type { AnyActorRef, InspectionEvent } from 'xstate'
import { createNetwork, Identity } from '../../index.ts'

it('an inspector sees the current epoch, attempt and address of a link, and the phase of TLS', async () => {
  const [keyA, keyB] = [Identity.generate(), Identity.generate()]
  const seen = new Map<string, Record<string, unknown>[]>()
  const inspect = (event: InspectionEvent): void => {
    if (event.type !== '@xstate.snapshot') return
    const { id } = event.actorRef as AnyActorRef
    const { context } = JSON.parse(JSON.stringify(event.snapshot)) as { context: { facts: Record<string, unknown> } }
    seen.set(id, [...(seen.get(id) ?? []), context.facts])
  }
  const alice = createNetwork({ identity: keyA, listen: 'tls://127.0.0.1:0', peers: [{ id: keyB.id }] }, { inspect })
  await alice.ready()
  const url = alice.url as string
  const bob = createNetwork({ identity: keyB, peers: [{ id: keyA.id, urls: url }] }, { inspect })
  await Promise.all([alice.makeSessions({ count: 1 }), bob.makeSessions({ count: 1 })])
  await Promise.all([alice.shutdown(), bob.shutdown()])

  const valuesOf = (id: string, fact: string): unknown[] => [
    ...new Set((seen.get(id) ?? []).map((facts) => facts[fact])),
  ]
  expect(valuesOf('connection:0.1', 'tls')).toEqual(expect.arrayContaining(['pending', 'established']))
  expect(valuesOf('connection:0.1', 'isAuthenticated')).toEqual(expect.arrayContaining([false, true]))
  expect(valuesOf('link:0', 'attempt')).toEqual(expect.arrayContaining([0, 1]))
  expect(valuesOf('link:0', 'remoteAddress')).toContain(new URL(url).host)
  expect(valuesOf('link:0', 'epoch')).toContainEqual(expect.stringMatching(/^[0-9a-f]{1,16}$/))
  expect(valuesOf('listener', 'address')).toContain(url)
  expect(valuesOf('reconnector', 'dialing')).toEqual(expect.arrayContaining([0, 1]))
})
