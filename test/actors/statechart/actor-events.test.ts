/**
 * Owns: the events that an inspector gets of actors and of pool members: what exists, what it does, its figures.
 * Independent of: what networks do, and of XState's own inspection events (test/actors/inspection.test.ts).
 */
import { afterEach, describe, expect, it } from 'vitest'
import { createActor } from 'xstate'
import type { AnyActorRef } from 'xstate'
import { createNetwork, Identity } from '../../../index.ts'
import type { Network } from '../../../index.ts'
import type { ActorEvent } from '../../../actors/index.ts'
import { ChartPool, PoolMember } from '../../../actors/statechart/chart-pool.ts'
import { observePool } from '../../../actors/statechart/inspection.ts'
import { TimerWheel } from '../../../actors/base/timer-wheel.ts'
import { poolMachine } from '../../../machines/index.ts'
import { VirtualClock } from '../../../testing/index.ts'

const stops: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

async function pair(): Promise<{ alice: Network; bob: Network }> {
  const [keyA, keyB] = [Identity.generate(), Identity.generate()]
  const alice = createNetwork({ identity: keyA, listen: 'tls://127.0.0.1:0', peers: [{ id: keyB.id }] })
  stops.push(() => alice.shutdown())
  await alice.ready()
  const bob = createNetwork({ identity: keyB, peers: [{ id: keyA.id, urls: alice.url as string }] })
  stops.push(() => bob.shutdown())
  return { alice, bob }
}

type Of<Type extends ActorEvent['type']> = Extract<ActorEvent, { type: Type }>
const of = <Type extends ActorEvent['type']>(events: readonly ActorEvent[], type: Type): Of<Type>[] =>
  events.filter((event): event is Of<Type> => event.type === type)

describe('observers of a network', () => {
  it('an observer that starts late gets every living actor, parents first, with chart, state and facts', async () => {
    const { alice, bob } = await pair()
    await Promise.all([alice.makeSessions({ count: 1 }), bob.makeSessions({ count: 1 })])
    const events: ActorEvent[] = []
    bob.observe((event) => events.push(event))
    const actors = of(events, 'actor')
    expect(actors).toHaveLength(bob.resources.actors)
    const byId = new Map(actors.map((actor) => [actor.id, actor]))
    const link = byId.get('link:0')
    expect(link).toMatchObject({ state: { up: 'stable' }, facts: { attempt: 1 }, chart: { id: 'link' } })
    expect(byId.get('connection:0.1')?.parent).toBe(link?.session)
    expect(byId.get('supervisor')?.parent).toBe(null)
    const seen = new Set<string | null>([null])
    expect(actors.filter(({ session, parent }) => !seen.add(session) || !seen.has(parent))).toEqual([])
  })

  it('an observer gets the start of actors, each transition with its sender, and their ends', async () => {
    const { alice, bob } = await pair()
    const events: ActorEvent[] = []
    bob.observe((event) => events.push(event))
    await Promise.all([alice.makeSessions({ count: 1 }), bob.makeSessions({ count: 1 })])
    await bob.shutdown()
    const connection = of(events, 'actor').find(({ id }) => id === 'connection:0.1')
    const link = of(events, 'actor').find(({ id }) => id === 'link:0')
    const states = of(events, 'transition').filter(({ session }) => session === connection?.session)
    expect(states.map(({ state }) => state)).toEqual(
      expect.arrayContaining([{ authenticating: 'greeting' }, { authenticating: 'authenticated' }, 'open', 'closed']),
    )
    // Its link ended with it, so it is stopped before it is done.
    expect(states.at(-1)?.status).toBe('stopped')
    expect(of(events, 'transition')).toContainEqual(
      expect.objectContaining({ session: link?.session, event: 'connection.authenticated', from: connection?.session }),
    )
  })

  it('an observer gets samples of the figures of links, and nothing after it has stopped', async () => {
    const { alice, bob } = await pair()
    const [sessions] = await Promise.all([bob.makeSessions({ count: 1 }), alice.makeSessions({ count: 1 })])
    const events: ActorEvent[] = []
    const observation = bob.observe((event) => events.push(event))
    await sessions[0]?.send(alice.identity, { type: 'RingElement16', value: 1 })
    observation.sampleFigures()
    expect(of(events, 'figures')).toContainEqual(
      expect.objectContaining({
        figures: expect.objectContaining({ valuesSent: expect.any(Number) as number }) as object,
      }),
    )
    observation.stop()
    const { length } = events
    await bob.shutdown()
    expect(events).toHaveLength(length)
  })

  it('an observer that throws affects nothing and is not called again', async () => {
    const { alice, bob } = await pair()
    let calls = 0
    bob.observe(() => {
      calls++
      throw new Error('a broken observer')
    })
    await Promise.all([alice.makeSessions({ count: 1 }), bob.makeSessions({ count: 1 })])
    expect(calls).toBe(1)
  })

  it('an observer that is asynchronous and rejects affects nothing and is not called again', async () => {
    const { alice, bob } = await pair()
    let calls = 0
    bob.observe((async () => {
      calls++
      return Promise.reject(new Error('a broken observer'))
    }) as () => void)
    await new Promise(setImmediate)
    const called = calls
    await Promise.all([alice.makeSessions({ count: 1 }), bob.makeSessions({ count: 1 })])
    expect(calls).toBe(called)
  })
})

describe('observers of a chart pool', () => {
  it('an observer of a chart pool gets the same events for its members as for actors', () => {
    class Member extends PoolMember {
      readonly id: string
      constructor(id: string) {
        super()
        this.id = id
      }
      facts(): object {
        return { id: this.id }
      }
      override figures(): object {
        return { bytes: 5 }
      }
      dispose(): void {}
      deadlineMs(): number {
        return 1000
      }
    }
    const actions = Object.keys(poolMachine.implementations.actions)
    for (const name of actions) Object.defineProperty(Member.prototype, name, { value: () => {} })
    const machine = poolMachine as never
    const wheel = new TimerWheel(new VirtualClock())
    const pool = new ChartPool<Member>({ machine, wheel, member: Member, actions: actions as never, onError: () => {} })
    const [early, late] = [new Member('early'), new Member('late')]
    pool.start(early)
    const parent = createActor(poolMachine as never, { input: {} as never }) as unknown as AnyActorRef
    const events: ActorEvent[] = []
    const names = { parentOf: () => parent, idOf: ({ id }: Member) => id }
    const observation = observePool(pool, names, (event) => events.push(event))
    pool.start(late)
    pool.send(early, { type: 'pool.drain' })
    observation.sampleFigures()
    pool.end(late)
    observation.stop()
    pool.send(early, { type: 'pool.empty' })
    const actor = { type: 'actor', parent: parent.sessionId, chart: poolMachine.config, state: 'running' }
    const session = (id: string): string => `${parent.sessionId}/${id}`
    expect(events).toEqual([
      { ...actor, session: session('early'), id: 'early', facts: { id: 'early' } },
      { ...actor, session: session('late'), id: 'late', facts: { id: 'late' } },
      expect.objectContaining({
        type: 'transition',
        session: session('early'),
        event: 'pool.drain',
        state: 'draining',
      }),
      { type: 'figures', session: session('early'), figures: { bytes: 5 } },
      { type: 'figures', session: session('late'), figures: { bytes: 5 } },
      expect.objectContaining({
        type: 'transition',
        session: session('late'),
        status: 'stopped',
        facts: { id: 'late' },
      }),
    ])
  })
})
