/**
 * Owns: C1-churn at a small size: sessions open and close while sockets are killed, and both sides stay in step.
 * Independent of: measured times.
 */
import { expect, it } from 'vitest'
import { churn } from '../bars/chaos/session-churn.ts'

const seed = Math.floor(Math.random() * 2 ** 31)

it.each([
  [1, false],
  [3, true],
])(
  `sessions on %i link(s), both sides dialing: %s, stay in step while sockets are killed (seed ${seed})`,
  async (links, bothDial) => {
    const counts = await churn({ rounds: 12, links, bothDial, seed })
    expect(counts).toMatchObject({ rounds: 12, idsApart: 0, wrongValues: 0, errors: [] })
    expect(counts.kills).toBeGreaterThan(0)
  },
)
