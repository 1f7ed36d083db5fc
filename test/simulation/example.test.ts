/**
 * Owns: that the example in docs/testing.md is the one that runs, and that it works. Independent of: what it does.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { sumOverBreaks } from '../../examples/simulated/main.ts'

const textOf = (path: string): string => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8')

test.each([1, 2, 3])('the example gives the right sum, with seed %i', async (seed) => {
  expect(await sumOverBreaks(seed)).toBe(5050)
})

test('docs/testing.md shows the example exactly as it runs, without its header comment', () => {
  const shown = /```ts\n([^]*?)```/.exec(textOf('docs/testing.md'))?.[1]
  expect(shown).toBe(
    textOf('examples/simulated/main.ts')
      .replace(/^\/\*\*[^]*?\*\/\n/, '')
      .replaceAll("'../../index.ts'", "'statewire'")
      .replace("'../../testing/index.ts'", "'statewire/testing'"),
  )
})
