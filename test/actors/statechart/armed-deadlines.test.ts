/**
 * Owns: that no state of any chart is left without its deadline: as long as an actor is in a state that names one, one
 * is armed, however often it has passed.
 * Independent of: what the bodies of the actors do; every action does nothing here.
 */
import { describe, expect, it } from 'vitest'
import { createActor, createMachine } from 'xstate'
import type { AnyActorRef, AnyMachineSnapshot, AnyStateMachine, AnyStateNode } from 'xstate'
import { chartActor } from '../../../actors/statechart/chart-actor.ts'
import type { ActorHost, Body } from '../../../actors/statechart/chart-actor.ts'
import { TimerWheel } from '../../../actors/base/timer-wheel.ts'
import * as charts from '../../../machines/index.ts'
import type { StateMeta } from '../../../machines/index.ts'
import { VirtualClock } from '../../../testing/index.ts'

interface StateConfig {
  readonly states?: Readonly<Record<string, StateConfig>>
}

const deadlineMs = 1000
const deadlineOf = (node: AnyStateNode): string | undefined => (node.meta as StateMeta | undefined)?.deadline

function nodesBelow(node: AnyStateNode): AnyStateNode[] {
  return Object.values(node.states).flatMap((child) => [child, ...nodesBelow(child)])
}

const machines = Object.entries(charts)
  .filter(([name]) => name.endsWith('Machine'))
  .map(([name, machine]) => ({ name, machine: machine as unknown as AnyStateMachine }))

const waitingStates = machines.flatMap(({ name, machine }) =>
  nodesBelow(machine.root)
    .filter((node) => deadlineOf(node) !== undefined)
    .map((node) => ({ name, state: node.path.join('.'), machine, path: node.path })),
)

/** The same chart, with the state at `path` as its initial one. */
function beginningAt(config: StateConfig, [first, ...rest]: readonly string[]): StateConfig {
  if (first === undefined) return config
  const child = config.states?.[first]
  if (child === undefined) throw new Error(`there is no state ${first}`)
  return { ...config, initial: first, states: { ...config.states, [first]: beginningAt(child, rest) } } as StateConfig
}

function bodyFor(actions: readonly string[]): new () => Body {
  class IdleBody implements Body {
    facts(): object {
      return {}
    }
    dispose(): void {}
    deadlineMs(): number {
      return deadlineMs
    }
  }
  for (const name of actions) Object.defineProperty(IdleBody.prototype, name, { value: () => {} })
  return IdleBody
}

describe('states with a deadline', () => {
  it.each(waitingStates)(
    'the state $state of $name keeps a deadline armed, however often it has passed',
    async ({ machine, path }) => {
      const clock = new VirtualClock()
      const wheel = new TimerWheel(clock)
      const host: ActorHost = { wheel, nowMs: () => clock.nowMs(), actorStarted() {}, actorStopped() {} }
      const chart = createMachine(
        beginningAt(machine.config as StateConfig, path) as never,
        machine.implementations as never,
      )
      const actions = Object.keys(machine.implementations.actions)
      const logic = chartActor<unknown, Body>({
        machine: chart as unknown as AnyStateMachine,
        host: () => host,
        body: bodyFor(actions),
        actions: actions as never,
      })
      const ref = createActor(logic as never, { id: 'waiting', input: {} as never }) as unknown as AnyActorRef
      ref.start()
      const expectedDeadlines = (): number => {
        const snapshot = ref.getSnapshot() as AnyMachineSnapshot
        const metas = Object.values(snapshot.getMeta() as Record<string, StateMeta | undefined>)
        const names = metas.flatMap((meta) => meta?.deadline ?? [])
        return snapshot.status === 'active' ? new Set(names).size : 0
      }
      expect(wheel.size).toBe(1)
      for (let passed = 0; passed < 4; passed++) {
        await clock.advance(deadlineMs)
        expect(wheel.size).toBe(expectedDeadlines())
      }
      ref.stop()
    },
  )
})
