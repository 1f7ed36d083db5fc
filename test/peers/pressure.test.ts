/**
 * Owns: the event that says that links wait for memory.
 * Independent of: how the memory is divided.
 */
import { expect, it } from 'vitest'
import { play } from '../support/native-scene.ts'

it('pressure is emitted when links begin to wait for memory, and each second for as long as they wait', () =>
  play({ on: 'memory' }, async (scene) => {
    const [alice] = await scene.pair()
    const { memory } = alice.services
    const link = memory.open()
    link.takeReplay(1024 * 1024)
    const wait = (): (() => boolean) => link.whenReplay(memory.budgetBytes, () => {})
    const told = (): number => alice.eventsOf('pressure').length
    // Over before anybody could see it.
    wait()()
    await scene.clock.advance(10)
    expect(told()).toBe(0)
    const giveUp = wait()
    await scene.clock.advance(10)
    expect(alice.eventsOf('pressure')).toMatchObject([{ budgetBytes: memory.budgetBytes, waitingLinks: 1 }])
    await scene.clock.advance(3_100)
    expect(told()).toBe(4)
    giveUp()
    const again = wait()
    await scene.clock.advance(100)
    expect(told()).toBe(4)
    await scene.clock.advance(1_000)
    expect(told()).toBe(5)
    again()
    await scene.clock.advance(10_000)
    expect(told()).toBe(5)
    link.close()
  }))
