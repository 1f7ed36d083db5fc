/** Owns: C1-churn at a size for every commit: sessions come and go while sockets die, and both sides stay in step. Refuses to know: figures of time. */
import { expect, it } from 'vitest'
import { churn } from '../bars/chaos/session-churn.ts'

const seed = Math.floor(Math.random() * 2 ** 31)

it.each([
  [1, false],
  [3, true],
])(
  `sessions on %i link(s), both dialling: %s, are made and closed in step while sockets are killed (seed ${seed})`,
  async (links, bothDial) => {
    const counts = await churn({ rounds: 12, links, bothDial, seed })
    expect(counts).toMatchObject({ rounds: 12, idsApart: 0, wrongValues: 0, errors: [] })
    expect(counts.kills).toBeGreaterThan(0)
  },
)
