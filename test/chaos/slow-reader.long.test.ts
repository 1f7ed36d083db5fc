/**
 * Owns: C13 at a small size: an unread session uses its window and no more, and other sessions continue. Independent
 * of: timings.
 */
import { expect, it } from 'vitest'
import { leaveUnread } from '../bars/chaos/slow-reader.ts'

it('an unread session stops at its window, and other sessions keep carrying values', async () => {
  const { taken, blocked } = await leaveUnread(1)
  // 64 KiB of credit in frames of 1,009 bytes. One frame may exceed the credit.
  expect(taken).toBe(65)
  expect(blocked.values).toBeGreaterThan(0)
})
