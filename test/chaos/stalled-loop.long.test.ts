/** Owns: C9 in small: a loop that stands still is not taken for a dead peer. Refuses to know: how silence is judged. */
import { expect, it } from 'vitest'
import { scaledKeepAlive, stallLoop } from '../bars/chaos/stalled-loop.ts'

it('stalls of up to two fifths of the dead limit disconnect nobody', async () => {
  const keepAlive = scaledKeepAlive(20)
  const { lost, values } = await stallLoop([100, 250, 400, 400], keepAlive, keepAlive, () => 0.5)
  expect([lost, values]).toEqual([[], 2])
})
