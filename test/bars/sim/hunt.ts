/**
 * Owns: whether the simulation finds bugs: it runs seeds with each mutant until one is found.
 * Independent of: what the mutants are.
 */
import { writeBar } from '../bar.ts'
import type { Bar } from '../bar.ts'
import { mutants } from './mutants.ts'
import { Workers } from './workers.ts'

export interface HuntOptions {
  readonly from: number
  /** After this many seeds a mutant counts as not found. */
  readonly seeds: number
  readonly processes: number
  readonly mutant: string | undefined
}

export interface Hunt {
  readonly mutant: string
  /** Number of seeds up to and including the first that finds it; null if none did. */
  readonly seeds: number | null
  readonly sentence: string
}

/** A mutant must be found through a broken guarantee; a crash or hang of the run counts as one. */
export async function hunt(mutant: string, options: HuntOptions): Promise<Hunt> {
  const workers = new Workers({ processes: options.processes, mutant })
  try {
    const { failures } = await workers.run({ from: options.from, seeds: options.seeds, stopAtFailure: true })
    const first = failures.reduce<(typeof failures)[number] | undefined>(
      (least, failure) => (least === undefined || failure.seed < least.seed ? failure : least),
      undefined,
    )
    if (first === undefined) return { mutant, seeds: null, sentence: '' }
    return {
      mutant,
      seeds: first.seed - options.from + 1,
      sentence: `${first.violations[0]?.kind ?? ''}: ${first.violations[0]?.sentence.split('\n')[0] ?? ''}`,
    }
  } finally {
    workers.stop()
  }
}

export async function huntAll(options: HuntOptions): Promise<number> {
  const hunts: Hunt[] = []
  for (const mutant of Object.keys(mutants)) {
    if (options.mutant !== undefined && options.mutant !== mutant) continue
    const found = await hunt(mutant, options)
    hunts.push(found)
    console.log(
      `  ${mutant}: ${found.seeds === null ? `not found in ${options.seeds} seeds` : `found in ${found.seeds}; ${found.sentence.slice(0, 150)}`}`,
    )
  }
  const bar = huntBar(hunts, options)
  console.log(`${writeBar(bar)} from=${options.from}`)
  return bar.passed ? 0 : 1
}

const mutantsMin = 20

function huntBar(hunts: readonly Hunt[], { seeds, mutant }: HuntOptions): Bar {
  const found = hunts.filter((one) => one.seeds !== null)
  const worst = Math.max(0, ...found.map((one) => one.seeds ?? 0))
  const isWhole = mutant !== undefined || hunts.length >= mutantsMin
  return {
    id: 'D6',
    passed: isWhole && found.length === hunts.length,
    figures: { mutants: hunts.length, found: found.length, worst_seeds: worst, seeds_max: seeds },
    notes: [],
  }
}
