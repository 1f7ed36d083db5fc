/**
 * Owns: that an inspector sees every actor by a readable name, with its chart and its states, and cannot affect the
 * network.
 * Independent of: what sessions carry (inspection-privacy.test.ts).
 */
import { afterEach, describe, expect, it } from 'vitest'
import type { AnyActorRef, InspectionEvent } from 'xstate'
import type { Environment } from '../../actors/index.ts'
import { idOf, makeSessions, startPair, stopAll } from './inspection-bench.ts'
import type { ChartConfig } from './inspection-bench.ts'

afterEach(stopAll)

function chartOf(ref: unknown): ChartConfig {
  return (ref as { logic: { config: ChartConfig } }).logic.config
}

/** Whether every path of a state value exists in the chart: {up: 'stable'} is the state stable of the state up. */
function isIn(chart: ChartConfig, value: unknown): boolean {
  if (typeof value === 'string') return chart.states?.[value] !== undefined
  return Object.entries(value as Record<string, unknown>).every(([key, inner]) => {
    const state = chart.states?.[key]
    return state !== undefined && isIn(state, inner)
  })
}

describe('an inspector', () => {
  it('an inspector sees every actor by a readable id, with its parent', async () => {
    const seen = new Map<string, Set<string>>()
    const inspect = (event: InspectionEvent): void => {
      if (event.type !== '@xstate.event' || event.event.type !== 'xstate.init') return
      const parents = seen.get(idOf(event)) ?? new Set()
      seen.set(idOf(event), parents.add((event.sourceRef as AnyActorRef | undefined)?.id ?? ''))
    }
    const pair = await startPair({ inspect, bobInspect: inspect })
    await makeSessions(pair)
    const channels = await Promise.all([pair.alice.openControlChannel(), pair.bob.openControlChannel()])
    await Promise.all(channels.map((channel) => channel.sync()))

    const tree = [...seen].map(([id, parents]) => [id, [...parents]])
    expect(Object.fromEntries(tree)).toEqual({
      supervisor: [''],
      reconnector: ['supervisor'],
      listener: ['supervisor'],
      'connection:in.1': ['listener'],
      'connection:in.2': ['listener'],
      peers: ['supervisor'],
      'peer:bob': ['peers'],
      'peer:alice': ['peers'],
      groups: ['supervisor'],
      'group:0': ['groups'],
      'control:1': ['groups'],
      'link:group:0.0': expect.toBeOneOf([
        ['peer:alice', 'peer:bob'],
        ['peer:bob', 'peer:alice'],
      ]) as string[],
      'link:control:1.0': expect.toBeOneOf([
        ['peer:alice', 'peer:bob'],
        ['peer:bob', 'peer:alice'],
      ]) as string[],
      'connection:0.1': expect.arrayContaining(['link:group:0.0', 'link:control:1.0']) as string[],
      'forwarder:out': expect.arrayContaining(['link:group:0.0', 'link:control:1.0']) as string[],
      'forwarder:in': expect.arrayContaining(['link:group:0.0', 'link:control:1.0']) as string[],
      // A dial that came before alice waited for the connection was refused, and another one was made.
      ...Object.fromEntries(
        [...seen]
          .filter(([id]) => /^connection:(in\.|0\.)\d+$/.test(id))
          .map(([id]) => [id, expect.anything() as unknown]),
      ),
    })
  })

  it('an inspector gets the statechart of each actor, which contains every state that the actor is in', async () => {
    const wrong: string[] = []
    let snapshots = 0
    const inspect = (event: InspectionEvent): void => {
      const chart = chartOf(event.actorRef)
      if (event.type === '@xstate.actor' && (chart.id === undefined || Object.keys(chart.states ?? {}).length === 0))
        wrong.push(`${idOf(event)} has no chart`)
      if (event.type !== '@xstate.snapshot') return
      snapshots++
      const { value } = event.snapshot as unknown as { value: unknown }
      if (!isIn(chart, value)) wrong.push(`${idOf(event)} is in ${JSON.stringify(value)}`)
    }
    const pair = await startPair({ inspect, bobInspect: inspect })
    await makeSessions(pair)
    await Promise.all([pair.alice.shutdown(), pair.bob.shutdown()])
    expect(wrong).toEqual([])
    expect(snapshots).toBeGreaterThan(50)
  })

  it.each([
    ['throws', false],
    ['is asynchronous and rejects', true],
  ])('an inspector that %s does not affect the network and is logged once', async (_how, isAsync) => {
    const lines: string[] = []
    let calls = 0
    const inspect = (): void => {
      calls++
      const error = new Error('this inspector is broken')
      if (isAsync) return Promise.reject(error) as unknown as undefined
      throw error
    }
    const environment: Partial<Environment> = {
      log: { write: (level, event, fields) => void lines.push(`${level} ${event} ${JSON.stringify(fields)}`) },
    }
    const pair = await startPair({ inspect, environment })
    const [[fromAlice], [fromBob]] = await makeSessions(pair)
    await fromAlice?.send('bob', { type: 'RingElement16', value: 1 })
    expect(await fromBob?.receive('alice')).toEqual({ type: 'RingElement16', value: 1 })
    await pair.alice.shutdown()
    expect(pair.alice.resources).toEqual({ actors: 0, deadlines: 0, handles: 0 })
    expect(calls).toBeGreaterThan(50)
    expect(lines.filter((line) => line.includes('inspector'))).toEqual([
      'error inspector.threw {"cause":{"code":"ERR_INTERNAL","message":"this inspector is broken"}}',
    ])
  })

  it('an inspector may be an object with a next that throws, as XState allows', async () => {
    const pair = await startPair({
      inspect: {
        next: () => {
          throw new Error('broken')
        },
      },
    })
    expect(await makeSessions(pair)).toHaveLength(2)
  })
})
