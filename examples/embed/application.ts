/**
 * Owns: the application's own machine, in which two statewire networks are children like any other actor.
 * Independent of: sockets, and of what inspects it. The application of the example is a question, an answer, and
 * goodbye.
 *
 * listening alice was spawned with the machine; she reports where she listens
 *   connected   bob is invoked with that address and lives as long as this state
 *     joining → talking → idle → leaving
 *   parting     bob is done, and alice shuts down too
 *   stopped     both networks are done
 *   failed      one of them could not start, or failed
 */
import { assign, fromPromise, sendTo, setup } from 'xstate'
import type { DoneActorEvent, ErrorActorEvent } from 'xstate'
import { Identity, Network, supervisor } from '../../index.ts'
import type { NetworkConfig, SupervisorInput, SupervisorRef } from '../../index.ts'

export interface ApplicationInput {
  /** Where alice listens; 0 is any free port. */
  readonly port: number
  /** native: keys generated at the start, over mutual TLS. ampc: names, on plain TCP. */
  readonly dialect: 'native' | 'ampc'
}

interface ApplicationContext {
  /** A spawned supervisor: its reference is kept like any other. */
  readonly alice: SupervisorRef
  /** Bob's network waits for alice's address. A context shows an Identity as its id; the key stays inside. */
  readonly bob: (url: string) => NetworkConfig
  readonly url: string | null
  readonly answer: number | null
  readonly error: string | null
}

/** The end of a spawned actor arrives as an event; `invoke` has `onDone` and `onError` for it. */
type ApplicationEvent =
  { readonly type: 'leave' } | DoneActorEvent<unknown, 'alice'> | ErrorActorEvent<unknown, 'alice'>

interface Configs {
  readonly alice: NetworkConfig
  readonly bob: (url: string) => NetworkConfig
}

function configsOf({ port, dialect }: ApplicationInput): Configs {
  if (dialect === 'ampc') {
    return {
      alice: { identity: 'alice', listen: `tcp://127.0.0.1:${port}`, peers: [{ id: 'bob' }], security: 'plaintext' },
      bob: (url) => ({ identity: 'bob', peers: [{ id: 'alice', urls: url }], security: 'plaintext' }),
    }
  }
  const [alice, bob] = [Identity.generate(), Identity.generate()]
  return {
    alice: { identity: alice, listen: `tls://127.0.0.1:${port}`, peers: [{ id: bob.id }] },
    bob: (url) => ({ identity: bob, peers: [{ id: alice.id, urls: url }] }),
  }
}

function bobInput({ bob, url }: ApplicationContext): SupervisorInput {
  return { config: bob(url ?? '') }
}

/** The facade of a reference: the same one for every call. */
const listening = fromPromise<string | null, SupervisorRef>(async ({ input }) => {
  const network = Network.from(input)
  await network.ready()
  return network.url
})

const joined = fromPromise<void>(async ({ system }) => {
  // An invoked actor has no reference in the context; this application named bob in its actor system.
  await Network.from(system.get('bob')).ready()
})

/** Alice asks bob for a product over a session that both sides make. */
const conversation = fromPromise<number, SupervisorRef>(async ({ input, system }) => {
  const [ofAlice, ofBob] = [Network.from(input), Network.from(system.get('bob'))]
  const made = await Promise.all(
    [ofAlice, ofBob].map((network) => network.makeSessions({ count: 1, timeoutMs: 10_000 })),
  )
  const [alice, bob] = made.map(([session]) => session)
  if (alice === undefined || bob === undefined) throw new Error('no session was made')
  await alice.send(ofBob.identity, { type: 'VecRing32', value: Uint32Array.of(6, 7) })
  const question = await bob.receive(ofAlice.identity)
  if (question.type !== 'VecRing32') throw new Error(`bob was asked with ${question.type}`)
  await bob.send(ofAlice.identity, {
    type: 'RingElement32',
    value: question.value.reduce((product, factor) => product * factor, 1),
  })
  const answer = await alice.receive(ofBob.identity)
  if (answer.type !== 'RingElement32') throw new Error(`bob answered with ${answer.type}`)
  return answer.value
})

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

export const application = setup({
  types: {
    context: {} as ApplicationContext,
    events: {} as ApplicationEvent,
    input: {} as ApplicationInput,
    output: {} as { answer: number | null; error: string | null },
  },
  actors: { supervisor, listening, joined, conversation },
  actions: {
    recordError: assign({ error: (_, params: { error: unknown }) => messageOf(params.error) }),
  },
}).createMachine({
  id: 'application',
  context: ({ input, spawn }) => {
    const { alice, bob } = configsOf(input)
    return {
      alice: spawn('supervisor', { id: 'alice', input: { config: alice } }),
      bob,
      url: null,
      answer: null,
      error: null,
    }
  },
  initial: 'listening',
  on: {
    'xstate.error.actor.alice': {
      target: '.failed',
      actions: { type: 'recordError', params: ({ event }) => ({ error: event.error }) },
    },
  },
  states: {
    listening: {
      invoke: {
        src: 'listening',
        input: ({ context }) => context.alice,
        onDone: { target: 'connected', actions: assign({ url: ({ event }) => event.output }) },
        onError: {
          target: 'failed',
          actions: { type: 'recordError', params: ({ event }) => ({ error: event.error }) },
        },
      },
    },
    connected: {
      invoke: {
        id: 'bob',
        systemId: 'bob',
        src: 'supervisor',
        input: ({ context }) => bobInput(context),
        // A network is done when it has shut down in order.
        onDone: 'parting',
        onError: {
          target: 'failed',
          actions: { type: 'recordError', params: ({ event }) => ({ error: event.error }) },
        },
      },
      initial: 'joining',
      states: {
        joining: {
          invoke: {
            src: 'joined',
            onDone: 'talking',
            onError: {
              target: '#application.failed',
              actions: { type: 'recordError', params: ({ event }) => ({ error: event.error }) },
            },
          },
        },
        talking: {
          invoke: {
            src: 'conversation',
            input: ({ context }) => context.alice,
            onDone: { target: 'idle', actions: assign({ answer: ({ event }) => event.output }) },
            onError: {
              target: '#application.failed',
              actions: { type: 'recordError', params: ({ event }) => ({ error: event.error }) },
            },
          },
        },
        idle: { on: { leave: 'leaving' } },
        // The command as an event; `network.shutdown()` is the same.
        leaving: { entry: sendTo('bob', { type: 'network.shutdown' }) },
      },
    },
    parting: {
      entry: sendTo(({ context }) => context.alice, { type: 'network.shutdown' }),
      on: { 'xstate.done.actor.alice': 'stopped' },
    },
    stopped: { type: 'final' },
    failed: { type: 'final' },
  },
  output: ({ context: { answer, error } }) => ({ answer, error }),
})
