/**
 * Owns: C14 at a small size: a value that takes many times as long as a connection lives.
 * Independent of: measured times.
 */
import { expect, it } from 'vitest'
import { sendLongValue } from '../bars/chaos/long-value.ts'

const seed = Math.floor(Math.random() * 2 ** 31)

it(`a value of 4 MiB arrives intact although each connection is killed before it is whole (seed ${seed})`, async () => {
  const counts = await sendLongValue({
    lengthBytes: 4 * 1024 * 1024,
    killEveryMs: 150,
    bytesPerSecond: 4 * 1024 * 1024,
    timeoutMs: 60_000,
    seed,
  })
  expect(counts).toMatchObject({ isIntact: true, isBesideIntact: true })
  expect(counts.kills).toBeGreaterThan(2)
})
