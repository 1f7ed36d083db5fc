/**
 * Owns: what an application may write where it uses `supervisor` as actor logic, and what the compiler must refuse.
 * Independent of: what the code does when it runs; it never does.
 */
import { createActor, setup, spawnChild } from 'xstate'
import type { ActorRefFrom, InspectionEvent } from 'xstate'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { Network, supervisor } from '../../index.ts'
import type { ErrorCode, NetworkEvent, SupervisorInput, SupervisorLogic, SupervisorRef } from '../../index.ts'

const listening: SupervisorInput = {
  config: { identity: 'alice', listen: 'tcp://127.0.0.1:0', peers: [{ id: 'bob' }], security: 'plaintext' },
}

describe('the types of the supervisor', () => {
  /** Never run: only the compiler reads it, and each `@ts-expect-error` is an error that must be there. */
  const checked = (ref: SupervisorRef): void => {
    createActor(supervisor, { input: listening })
    createActor(supervisor, {
      input: listening,
      inspect: (event) => expectTypeOf(event).toEqualTypeOf<InspectionEvent>(),
    })
    // @ts-expect-error -- the input is missing
    createActor(supervisor)
    // @ts-expect-error -- the input is missing
    createActor(supervisor, {})
    const [withoutId, security] = [{ url: 'tcp://localhost:1' }, 'plaintext' as const]
    // @ts-expect-error -- a peer without an id
    createActor(supervisor, { input: { config: { identity: 'alice', peers: [withoutId], security } } })
    // @ts-expect-error -- plain TCP has to be asked for by name
    createActor(supervisor, { input: { config: { identity: 'alice', peers: [] } } })

    const application = setup({ types: { context: {} as { network: SupervisorRef | null } }, actors: { supervisor } })
    application.createMachine({ context: { network: null }, invoke: { src: 'supervisor', input: listening } })
    // @ts-expect-error -- invoke without an input
    application.createMachine({ context: { network: null }, invoke: { src: 'supervisor' } })
    // @ts-expect-error -- invoke with a wrong input
    application.createMachine({ context: { network: null }, invoke: { src: 'supervisor', input: { config: 'alice' } } })
    // @ts-expect-error -- no such actor
    application.createMachine({ context: { network: null }, invoke: { src: 'network', input: listening } })
    // @ts-expect-error -- spawn with a wrong input
    application.createMachine({ context: ({ spawn }) => ({ network: spawn('supervisor', { input: { config: 7 } }) }) })
    // @ts-expect-error -- spawnChild without an input
    application.createMachine({ context: { network: null }, entry: spawnChild('supervisor') })
    application.createMachine({ context: ({ spawn }) => ({ network: spawn('supervisor', { input: listening }) }) })

    ref.on('network.ready', (event) => expectTypeOf(event.url).toEqualTypeOf<string | null>())
    ref.on('connection.lost', (event) => expectTypeOf(event.cause.code).toEqualTypeOf<ErrorCode>())
    ref.on('*', (event) => expectTypeOf(event.type).toEqualTypeOf<NetworkEvent['type']>())
    // @ts-expect-error -- no such event
    ref.on('network.readdy', () => {})
    ref.send({ type: 'network.shutdown' })
    // @ts-expect-error -- no such command
    ref.send({ type: 'network.explode' })
    const network = Network.from(ref)
    network.on('sessions.made', (event) => expectTypeOf(event.count).toEqualTypeOf<number>())
    // @ts-expect-error -- no such event
    network.on('sessions.mad', () => {})
  }

  it('the types of the supervisor as actor logic are checked by the compiler', () => {
    expect(checked).toBeTypeOf('function')
    expectTypeOf<ActorRefFrom<SupervisorLogic>>().toEqualTypeOf<SupervisorRef>()
  })
})
