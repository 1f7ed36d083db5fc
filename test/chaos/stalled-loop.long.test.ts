/**
 * Owns: C9 at a larger size: a stalled event loop is not taken for a dead peer. Independent of: how silence is judged.
 */
import { expect, it } from 'vitest'
import { scaledKeepAlive, stallLoop } from '../bars/chaos/stalled-loop.ts'

it('event-loop stalls of up to two fifths of the dead limit disconnect no peer', async () => {
  const keepAlive = scaledKeepAlive(20)
  const { lost, values } = await stallLoop([100, 250, 400, 400], keepAlive, keepAlive, () => 0.5)
  expect([lost, values]).toEqual([[], 2])
})
