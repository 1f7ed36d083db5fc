/**
 * Owns: the options that every set of checks takes, their defaults and the help text.
 * Independent of: what is done with them.
 */
import { parseArgs } from 'node:util'

export interface Options {
  readonly only: readonly string[]
  readonly isQuick: boolean
  readonly json: string | undefined
  readonly seed: number
}

export class UsageError extends Error {}

/** The name of the set on the command line, and one sentence about it. */
export interface About {
  readonly command: string
  readonly summary: string
}

export function helpFor({ command, summary }: About, ids: readonly string[]): string {
  return `${command} -- [options]

${summary} Prints one BAR line a figure.

  --only a,b     of: ${ids.join(', ')} (default all)
  --quick        less of everything: does it hold at all
  --seed N       where there is chance (default: drawn, and printed)
  --json FILE    the bars, with their notes
  --help

Exits 0 only if every bar passes, 1 if one fails or breaks, 2 for wrong options.`
}

/** @returns null if help was requested. @throws UsageError */
export function parseOptions(argv: readonly string[], ids: readonly string[]): Options | null {
  let values
  try {
    values = parseArgs({
      args: [...argv],
      options: {
        only: { type: 'string' },
        quick: { type: 'boolean', default: false },
        seed: { type: 'string' },
        json: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
  if (values.help) return null
  const only =
    values.only === undefined
      ? ids
      : values.only
          .split(',')
          .map((id) => id.trim())
          .filter((id) => id !== '')
  for (const id of only)
    if (!ids.includes(id)) throw new UsageError(`there is no bar ${id}; there are: ${ids.join(', ')}`)
  const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed)
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new UsageError(`--seed must be a whole number, not '${values.seed}'`)
  return { only, isQuick: values.quick, json: values.json, seed }
}
