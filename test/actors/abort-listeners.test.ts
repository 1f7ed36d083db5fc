/**
 * Owns: that many calls that share an AbortSignal put one listener on it, and that each of them is aborted or released.
 * Independent of: what the calls do.
 */
import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import type { Session } from '../../index.ts'
import { onAbort } from '../../actors/base/abort-listeners.ts'
import { number, play, rejectionOf } from '../support/native-scene.ts'

const listenersOf = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length

describe('a shared AbortSignal', () => {
  it('a shared AbortSignal has one listener while any call waits on it, and none afterwards', () => {
    const { signal } = new AbortController()
    const removals = Array.from({ length: 20 }, () => onAbort(signal, () => {}))
    expect(listenersOf(signal)).toBe(1)
    for (const remove of removals.slice(1)) remove()
    removals[1]?.()
    expect(listenersOf(signal)).toBe(1)
    removals[0]?.()
    expect(listenersOf(signal)).toBe(0)
    onAbort(signal, () => {})()
    expect(listenersOf(signal)).toBe(0)
  })

  it('a shared AbortSignal does not call a callback that an earlier callback has removed', () => {
    const controller = new AbortController()
    const calls: string[] = []
    const removals: (() => void)[] = []
    removals.push(
      onAbort(controller.signal, () => {
        calls.push('first')
        removals[1]?.()
      }),
    )
    removals.push(onAbort(controller.signal, () => calls.push('second')))
    controller.abort()
    expect(calls).toEqual(['first'])
    expect(listenersOf(controller.signal)).toBe(0)
  })

  it('a shared AbortSignal has one listener for all kinds of calls on a network, and aborts all of them', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const [[mine]] = (await scene.sessions([alice, bob], 1)) as [[Session]]
      await bob.faults.die()
      await scene.until('the loss is noticed', () => alice.eventsOf('connection.lost').length === 1)
      const controller = new AbortController()
      const { signal } = controller
      const waits: Promise<unknown>[] = []
      for (let count = 0; count < 5; count++) {
        waits.push(
          mine.receive(bob.id, { signal }),
          mine.send(bob.id, number(1), { signal }),
          mine.flush({ signal }),
          mine.values(bob.id, { signal }).next(),
          alice.network.makeSessions({ count: 1, signal }),
        )
      }
      const ends = waits.map((wait) => rejectionOf(wait))
      const events = alice.network.events({ signal })
      expect(listenersOf(signal)).toBe(1)
      controller.abort()
      for (const end of ends) expect(await scene.run(end)).toMatchObject({ code: 'ERR_ABORTED' })
      const missed: string[] = []
      for await (const event of events) missed.push(event.type)
      expect(missed).not.toContain('network.stopped')
      expect(listenersOf(signal)).toBe(0)
      await scene.run(bob.network.shutdown())
    }))
})
