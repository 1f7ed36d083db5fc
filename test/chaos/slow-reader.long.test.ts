/** Owns: C13 in small: a session that nobody reads takes its window and no more, and the others go on. Refuses to know: timings. */
import { expect, it } from 'vitest'
import { leaveUnread } from '../bars/chaos/slow-reader.ts'

it('an unread session stands still after its window, and its neighbours carry values', async () => {
  const { taken, blocked } = await leaveUnread(1)
  // 64 KiB of credit in frames of 1,009 bytes; one may go beyond.
  expect(taken).toBe(65)
  expect(blocked.values).toBeGreaterThan(0)
})
