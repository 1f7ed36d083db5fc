/**
 * Owns: the event that says that links wait for memory.
 * Independent of: how the memory is divided.
 */
import { expect, it } from 'vitest'
import { play } from '../support/native-scene.ts'

it('pressure is emitted when links begin to wait for memory, at most once a second', () =>
  play({ on: 'memory' }, async (scene) => {
    const [alice] = await scene.pair()
    const { memory } = alice.services
    const link = memory.open()
    link.takeReplay(1024 * 1024)
    const wait = (): (() => boolean) => link.whenReplay(memory.budgetBytes, () => {})
    for (let index = 0; index < 3; index++) {
      const giveUp = wait()
      await scene.clock.advance(10)
      giveUp()
    }
    expect(alice.eventsOf('pressure')).toMatchObject([{ budgetBytes: memory.budgetBytes, waitingLinks: 1 }])
    await scene.clock.advance(1000)
    const giveUp = wait()
    await scene.clock.advance(10)
    giveUp()
    expect(alice.eventsOf('pressure')).toHaveLength(2)
    link.close()
  }))
