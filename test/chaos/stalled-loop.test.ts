/**
 * Owns: C9 at a small size: a stalled event loop is not taken for a dead peer. Independent of: how silence is judged.
 * Longer: stalled-loop.long.test.ts.
 */
import { expect, it } from 'vitest'
import { scaledKeepAlive, stallLoop } from '../bars/chaos/stalled-loop.ts'

it('an event-loop stall of a quarter of the dead limit disconnects no peer', async () => {
  const keepAlive = scaledKeepAlive(20)
  const { lost, values } = await stallLoop([250], keepAlive, keepAlive, () => 0.5)
  expect([lost, values]).toEqual([[], 1])
})
