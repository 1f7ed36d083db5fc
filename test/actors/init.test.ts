/**
 * Owns: a network in the shape of RFC 33: init, its workers, and a shutdown with notifiers and tasks.
 * Independent of: what a network does.
 */
import { describe, expect, it } from 'vitest'
import { Identity, init, workersOf } from '../../actors/index.ts'
import type { Initialized, NetworkEventType } from '../../actors/index.ts'

const start = async (listens = true): Promise<Initialized> => {
  const made = init({
    identity: Identity.generate(),
    ...(listens ? { listen: 'tls://127.0.0.1:0' } : {}),
    peers: [],
  })
  await made.network.ready()
  return made
}

describe('init', () => {
  it('init returns the network, its events from the first on, and its shutdown', async () => {
    const { network, events, shutdown } = await start()
    const seen: (NetworkEventType | 'events.missed')[] = []
    const reading = (async () => {
      for await (const { type } of events) seen.push(type)
    })()
    shutdown.addTask(reading)
    expect(await shutdown.execute()).toEqual({ errors: [], unfinishedTasks: 0 })
    expect(seen).toEqual(['network.ready'])
    expect(network.resources).toEqual({ actors: 0, deadlines: 0, handles: 0 })
  })

  it('a shutdown calls the notifiers in order, waits for the tasks, and then ends the network', async () => {
    const { network, shutdown } = await start()
    const order: string[] = []
    let finish = (): void => {}
    const working = new Promise<void>((resolve) => (finish = resolve))
    shutdown.addNotifier(() => void order.push('first'))
    shutdown.addNotifier(() => {
      order.push('second')
      finish()
    })
    shutdown.addTask(working.then(() => network.ready()).then(() => order.push('task, while the network runs')))
    network.on('network.stopped', () => void order.push('network'))
    const executing = shutdown.execute()
    expect(shutdown.execute()).toBe(executing)
    await executing
    expect(order).toEqual(['first', 'second', 'task, while the network runs', 'network'])
  })

  it('a shutdown reports what notifiers threw and tasks rejected with, and ends all the same', async () => {
    const { network, shutdown } = await start()
    shutdown.addNotifier(() => {
      throw new Error('notifier')
    })
    shutdown.addNotifier(() => Promise.reject(new Error('notified')))
    shutdown.addTask(Promise.reject(new Error('task')))
    const { errors } = await shutdown.execute()
    expect(errors.map((error) => (error as Error).message).sort()).toEqual(['notified', 'notifier', 'task'])
    await expect(network.ready()).rejects.toMatchObject({ code: 'ERR_NETWORK_STOPPED' })
  })

  it('a task that does not end is counted when the time is up', async () => {
    const { shutdown } = await start()
    shutdown.addTask(new Promise(() => {}))
    expect(await shutdown.execute({ timeoutMs: 1 })).toEqual({ errors: [], unfinishedTasks: 1 })
  })

  it('a shutdown refuses what is not a function or a promise, and what comes after it has begun', async () => {
    const { shutdown } = await start(false)
    expect(() => shutdown.addNotifier(7 as never)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION' }) as Error,
    )
    expect(() => shutdown.addTask((() => {}) as never)).toThrow(/pass what it returns/)
    expect(() => shutdown.execute({ timeoutMs: -1 })).toThrow(/timeoutMs/)
    const executing = shutdown.execute()
    const begun = expect.objectContaining({ code: 'ERR_NETWORK_STOPPED' }) as Error
    expect(() => shutdown.addNotifier(() => {})).toThrow(begun)
    expect(() => shutdown.addTask(Promise.resolve())).toThrow(begun)
    await executing
  })

  it('the workers are the pool of peers and the listener, if there is one', async () => {
    const [listening, dialling] = [await start(), await start(false)]
    expect(workersOf(listening.network).endpointWorker.id).toBe('peers')
    expect(workersOf(listening.network).tcpWorker?.id).toBe('listener')
    expect(workersOf(dialling.network).tcpWorker).toBe(null)
    await Promise.all([listening.shutdown.execute(), dialling.shutdown.execute()])
    expect(() => workersOf(listening.network)).toThrow(
      expect.objectContaining({ code: 'ERR_NETWORK_STOPPED' }) as Error,
    )
  })
})
