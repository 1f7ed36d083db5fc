/**
 * Owns: C4 at a small size: both sides close a connection that is silent in one direction.
 * Independent of: the default keep-alive times. More pairs, and frozen processes: silence.long.test.ts.
 */
import { expect, it } from 'vitest'
import { dropMany } from '../bars/chaos/half-open.ts'
import { shortKeepAlive } from '../bars/chaos/short-keep-alive.ts'

it('a link resumes without a loss after its connection went silent in one direction', async () => {
  const counts = await dropMany({ pairs: 1, keepAlive: shortKeepAlive })
  expect(counts).toMatchObject({ lost: 0, duplicated: 0, reordered: 0, corrupted: 0, errors: [] })
  expect(counts.takeoverMs).toHaveLength(1)
  expect(counts.deafCodes).toEqual(['ERR_TIMED_OUT'])
})
