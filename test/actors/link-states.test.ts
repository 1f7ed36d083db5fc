/**
 * Owns: what links of one node share.
 * Independent of: what a link does with it.
 */
import { expect, it } from 'vitest'
import { spareArenasLengthBytes } from '../../actors/link/link-states.ts'

const mebibyte = 1024 * 1024

it.each([
  [1, 4],
  [32, 4],
  [33, 4.125],
  [64, 8],
  [100_000, 8],
])('%i links share up to %d MiB of free batch buffers', (links, mebibytes) => {
  expect(spareArenasLengthBytes(links)).toBe(mebibytes * mebibyte)
})
