/**
 * Owns: that a network is not restored from a persisted snapshot, and that the snapshot holds nothing secret.
 * Independent of: how a network is created (embedding.test.ts).
 */
import { assign, createActor, setup, toPromise, waitFor } from 'xstate'
import { afterEach, describe, expect, it } from 'vitest'
import { Network, supervisor } from '../../index.ts'
import { listening, stopAll, stops } from './embedding-bench.ts'

afterEach(stopAll)

describe('a restored network', () => {
  const persisted: [string, (snapshot: unknown) => unknown][] = [
    ['as JSON', (snapshot) => JSON.parse(JSON.stringify(snapshot))],
    ['in memory', (snapshot) => snapshot],
  ]
  const failure = expect.objectContaining({ code: 'ERR_NOT_RESTORABLE' }) as unknown

  const offline = setup({
    types: { context: {} as { starts: number; error: unknown } },
    actors: { supervisor },
  }).createMachine({
    context: { starts: 0, error: null },
    initial: 'online',
    states: {
      online: {
        entry: assign({ starts: ({ context }) => context.starts + 1 }),
        invoke: {
          id: 'network',
          src: 'supervisor',
          input: listening,
          onError: { target: 'online', reenter: true, actions: assign({ error: ({ event }) => event.error }) },
        },
      },
    },
  })
  const plain = setup({ actors: { supervisor } }).createMachine({
    invoke: { id: 'network', src: 'supervisor', input: listening },
  })

  it.each(persisted)(
    'a network that is restored from a snapshot %s fails its application with ERR_NOT_RESTORABLE',
    async (_, persist) => {
      const first = createActor(plain).start()
      await Network.from(first.getSnapshot().children['network']).ready()
      const snapshot = persist(first.getPersistedSnapshot())
      first.stop()
      const second = createActor(plain, { snapshot: snapshot as never })
      const failed = new Promise((resolve) => void second.subscribe({ error: resolve }))
      expect(() => Network.from(second.getSnapshot().children['network'])).toThrow(failure as Error)
      second.start()
      expect(await failed).toEqual(failure)
      expect(second.getSnapshot().status).toBe('error')
    },
  )

  it.each(persisted)(
    'a network that is restored from a snapshot %s can be started again by the onError of its invoke',
    async (_, persist) => {
      const first = createActor(offline).start()
      await Network.from(first.getSnapshot().children['network']).ready()
      const snapshot = persist(first.getPersistedSnapshot())
      first.stop()
      const second = createActor(offline, { snapshot: snapshot as never }).start()
      stops.push(() => second.stop())
      await waitFor(second, ({ context }) => context.starts === 2)
      expect(second.getSnapshot().context.error).toEqual(failure)
      const network = Network.from(second.getSnapshot().children['network'])
      await network.ready()
      await network.shutdown()
    },
  )

  it('the persisted snapshot of a network holds no key, no address and no live object', async () => {
    const ref = createActor(supervisor, { input: listening }).start()
    stops.push(() => ref.stop())
    await Network.from(ref).ready()
    expect(ref.getPersistedSnapshot()).toEqual({
      status: 'active',
      output: undefined,
      error: undefined,
      value: 'running',
    })
  })

  it('a network that had shut down before its snapshot was persisted stays done', async () => {
    const ref = createActor(supervisor, { input: listening }).start()
    await Network.from(ref).shutdown()
    const again = createActor(supervisor, { input: listening, snapshot: ref.getPersistedSnapshot() as never })
    const done = toPromise(again)
    again.start()
    await done
    expect(again.getSnapshot().status).toBe('done')
  })
})
