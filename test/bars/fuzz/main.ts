/**
 * `npm run fuzz`. Owns: S5 as a command: its options, its progress, its BAR line, and how to reproduce a finding.
 * Independent of: how streams are made and checked.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { isMainThread, workerData } from 'node:worker_threads'
import { mebibyte, settledRssBytes, writeBar } from '../bar.ts'
import { ampcTargets } from './ampc-states.ts'
import { Fuzzer, replay } from './fuzzer.ts'
import type { Finding } from './fuzzer.ts'
import { nativeTargets } from './native-states.ts'
import { parserTargets } from './parser-targets.ts'
import { startWatching, watch } from './watchdog.ts'
import { leave } from '../leave.ts'

const help = `npm run fuzz -- [options]

Corrupted frames through the real readers and the real links, in every state. Prints one BAR line.

  --frames N     frames that are to reach a reader (default 10000000)
  --seed N       all chance comes from it (default: drawn, and printed)
  --state TEXT   only states whose name holds it
  --replay HEX   runs one input again, in the state that --state names exactly, with --dice N; @FILE for the hex in a file
  --help

Exits 0 only if nothing was found, 1 if something was, 2 for wrong options.`

const rssGrowthMibMax = 32
/** By then, machine code, corpus and heap have reached their size. */
const warmUpShare = 0.1
const warmUpFramesMin = 300_000

/** Longer inputs do not fit on a command line. */
const hexLengthBytesMax = 2000

class UsageError extends Error {}

function whole(text: string, name: string): number {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 0)
    throw new UsageError(`--${name} must be a whole number, not '${text}'`)
  return number
}

function describe({ kind, target, stream, dice, input, what }: Finding, seed: number): string {
  let hex = input.toString('hex')
  if (input.length > hexLengthBytesMax) {
    const file = path.join(tmpdir(), `statewire-fuzz-${seed}-${stream}.hex`)
    writeFileSync(file, hex)
    hex = `@${file}`
  }
  return `${kind} in state '${target}', seed ${seed}, stream ${stream}: ${what}\n  again: npm run fuzz -- --state '${target}' --dice ${dice} --replay ${hex}`
}

async function run(): Promise<number> {
  let values
  try {
    values = parseArgs({
      options: {
        frames: { type: 'string', default: '10000000' },
        seed: { type: 'string' },
        state: { type: 'string' },
        replay: { type: 'string' },
        dice: { type: 'string', default: '0' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
  if (values.help) {
    console.log(help)
    return 0
  }
  const all = [...nativeTargets(), ...ampcTargets(), ...parserTargets()]
  if (values.replay !== undefined) {
    const trace = replay(
      all,
      values.state ?? '',
      Buffer.from(
        values.replay.startsWith('@') ? readFileSync(values.replay.slice(1), 'latin1') : values.replay,
        'hex',
      ),
      whole(values.dice, 'dice'),
    )
    console.log(`nothing wrong: ${[...trace.outcomes.keys()].join(', ')}`)
    return 0
  }
  const frames = whole(values.frames, 'frames')
  const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : whole(values.seed, 'seed')
  const targets = all.filter(({ name }) => name.includes(values.state ?? ''))
  if (targets.length === 0)
    throw new UsageError(
      `no state's name holds '${values.state}'; there are:\n${all.map(({ name }) => name).join('\n')}`,
    )
  const fuzzer = new Fuzzer(targets, seed)
  startWatching(fuzzer.progress, import.meta.url)
  const startedMs = performance.now()
  let tenths = 0
  let warmRssBytes: number | null = null
  let pausedMs = 0
  while (fuzzer.frames < frames && !fuzzer.isFull) {
    fuzzer.batch()
    // Promises of ended lanes settle between two batches.
    await Promise.resolve()
    if (fuzzer.frames < ((tenths + 1) * frames) / 10) continue
    tenths = Math.floor((10 * fuzzer.frames) / frames)
    process.stderr.write(
      `${fuzzer.frames} frames, ${fuzzer.result().behaviours} behaviours, ${fuzzer.result().keptStreams} streams kept, ${Math.round(process.memoryUsage().rss / mebibyte)} MiB\n`,
    )
    if (warmRssBytes !== null || fuzzer.frames < Math.max(warmUpFramesMin, warmUpShare * frames)) continue
    const pausedAtMs = performance.now()
    warmRssBytes = await settledRssBytes()
    pausedMs = performance.now() - pausedAtMs
  }
  const elapsedSeconds = (performance.now() - startedMs - pausedMs) / 1000
  // A short run gives no meaningful figure.
  const rssGrowthMib = warmRssBytes === null ? null : Math.max(0, (await settledRssBytes()) - warmRssBytes) / mebibyte
  const { streams, findings, outcomes, behaviours, states } = fuzzer.result()
  const crashes = findings.filter(({ kind }) => kind === 'crash').length
  const hangs = findings.length - crashes
  for (const finding of findings) console.log(`  ${describe(finding, seed)}`)
  const passed = findings.length === 0 && fuzzer.frames >= frames && (rssGrowthMib ?? 0) <= rssGrowthMibMax
  const figures = {
    frames: fuzzer.frames,
    streams,
    crashes,
    hangs,
    rss_growth_mib: rssGrowthMib ?? 'unmeasured',
    frames_per_second: Math.round(fuzzer.frames / elapsedSeconds),
    states,
    outcomes: outcomes.size,
    behaviours,
    seed,
  }
  console.log(writeBar({ id: 'S5', passed, figures, notes: [] }))
  return passed ? 0 : 1
}

if (!isMainThread) watch(workerData as Parameters<typeof watch>[0])
else {
  run().then(leave, (error: unknown) => {
    console.error(error instanceof UsageError ? `${error.message}\n(--help tells the options)` : error)
    leave(error instanceof UsageError ? 2 : 1)
  })
}
