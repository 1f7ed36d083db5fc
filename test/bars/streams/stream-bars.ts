/**
 * Owns: the figures of streams, as ratios to the thinnest multiplexer over TLS in the same run: opening (P7, P8), bulk
 * (P13), a small echo beside a saturating stream (MIX); and their memory (P10). Two processes each, one a core.
 * Independent of: how streams work.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Identity } from '../../../index.ts'
import { median, mebibyte } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { canPin, forkBehind, pinnedTo } from '../pinning.ts'
import type { Measure, StreamPlan } from './stream-process.ts'
import type { SubjectName } from './stream-subject.ts'

const subjects = ['raw-tls-mux', 'statewire'] as const
const cores = { server: 0, client: 1 } as const

export class Pair {
  readonly #ends: Readonly<Record<keyof typeof cores, ChildProcess>>

  private constructor(ends: Pair['ends']) {
    this.#ends = ends
  }

  get ends(): Readonly<Record<keyof typeof cores, ChildProcess>> {
    return this.#ends
  }

  static async start(subject: SubjectName): Promise<Pair> {
    const [server, client] = [Identity.generate().toPem(), Identity.generate().toPem()]
    const isPinned = canPin(cores)
    const fork = async (end: keyof typeof cores, plan: StreamPlan): Promise<[ChildProcess, unknown]> => {
      const path = fileURLToPath(new URL('stream-process.js', import.meta.url))
      const child = forkBehind(isPinned ? pinnedTo(cores[end]) : [], path, plan, ['--expose-gc'])
      return [child, await answer(child)]
    }
    const [serving, url] = await fork('server', { subject, own: server, peer: client, url: null })
    const [dialling] = await fork('client', { subject, own: client, peer: server, url: url as string })
    return new Pair({ server: serving, client: dialling })
  }

  async measure<T>(task: Measure, end: keyof typeof cores = 'client'): Promise<T> {
    this.#ends[end].send(task)
    return (await answer(this.#ends[end])) as T
  }

  stop(): void {
    for (const end of Object.values(this.#ends)) end.kill('SIGKILL')
  }
}

async function answer(child: ChildProcess): Promise<unknown> {
  const gone = once(child, 'exit').then(([code]) => {
    throw new Error(`an end of the pair has exited with ${code}`)
  })
  const [{ told }] = (await Promise.race([once(child, 'message'), gone])) as [{ told: unknown }]
  gone.catch(() => {})
  return told
}

/** One task at both subjects in turns. @returns what each round gave, after one that does not count */
async function rounds<T>(count: number, task: Measure): Promise<Record<SubjectName, T[]>> {
  const results: Record<SubjectName, T[]> = { 'raw-tls-mux': [], statewire: [] }
  const pairs = { 'raw-tls-mux': await Pair.start('raw-tls-mux'), statewire: await Pair.start('statewire') }
  try {
    for (let round = -1; round < count; round++)
      for (const subject of round % 2 === 0 ? subjects : subjects.toReversed()) {
        const result = await pairs[subject].measure<T>(task)
        if (round >= 0) results[subject].push(result)
      }
  } finally {
    for (const pair of Object.values(pairs)) pair.stop()
  }
  return results
}

function ratios(own: readonly number[], other: readonly number[]): number {
  return median(own.map((value, round) => value / (other[round] as number)))
}

async function rateBar(
  id: string,
  { isQuick, progress }: BarContext,
  task: Measure,
  least: number | null,
): Promise<Bar> {
  const { statewire, 'raw-tls-mux': raw } = await rounds<number>(isQuick ? 1 : 7, task)
  const ratio = ratios(statewire, raw)
  progress(
    `${id}: ${statewire.map((rate) => rate.toFixed(0)).join(' ')} of ${raw.map((rate) => rate.toFixed(0)).join(' ')}`,
  )
  return {
    id,
    // The short form shows that it works.
    passed: isQuick || least === null || ratio >= least,
    figures: { ratio, ...(least === null ? {} : { least }), statewire: median(statewire), raw_tls_mux: median(raw) },
    notes: [],
  }
}

export async function opening(context: BarContext): Promise<readonly Bar[]> {
  const forMs = context.isQuick ? 200 : 1_500
  return [
    await rateBar('P7', context, { what: 'asks', atOnce: 1, forMs }, 0.7),
    await rateBar('P7b', context, { what: 'askLaters', atOnce: 1, forMs }, null),
    await rateBar('P8', context, { what: 'asks', atOnce: 32, forMs }, 0.18),
  ]
}

export async function bulk(context: BarContext): Promise<readonly Bar[]> {
  const bytes = (context.isQuick ? 8 : 512) * mebibyte
  return [await rateBar('P13', context, { what: 'bulk', bytes }, 0.9)]
}

interface Used {
  readonly used: number
  readonly rss: number
}

export async function idleMemory({ isQuick }: BarContext): Promise<readonly Bar[]> {
  const count = isQuick ? 200 : 1_000
  const mostKiB = 9
  const pair = await Pair.start('statewire')
  const both = async (): Promise<Used> => {
    const ends = [await pair.measure<Used>({ what: 'memory' }), await pair.measure<Used>({ what: 'memory' }, 'server')]
    return { used: ends[0]!.used + ends[1]!.used, rss: ends[0]!.rss + ends[1]!.rss }
  }
  try {
    await pair.measure({ what: 'count', atOnce: 8, count: isQuick ? 200 : 2_000 })
    const before = await both()
    await pair.measure({ what: 'idle', count })
    const after = await both()
    const kib = (after.used - before.used) / 1024 / count
    const rssKib = (after.rss - before.rss) / 1024 / count
    return [
      {
        id: 'P10',
        passed: isQuick || kib <= mostKiB,
        figures: { kib, most: mostKiB, rss_kib: rssKib, streams: count },
        notes: [],
      },
    ]
  } finally {
    pair.stop()
  }
}

interface Times {
  readonly p50: number
  readonly p99: number
  readonly count: number
}

export async function mix({ isQuick }: BarContext): Promise<readonly Bar[]> {
  const most = 1.5
  const { statewire, 'raw-tls-mux': raw } = await rounds<Times>(isQuick ? 1 : 7, {
    what: 'echo',
    forMs: isQuick ? 300 : 2_000,
    besides: true,
  })
  const ratioOf = (which: 'p50' | 'p99'): number =>
    ratios(
      statewire.map((times) => times[which]),
      raw.map((times) => times[which]),
    )
  const [p50, p99] = [ratioOf('p50'), ratioOf('p99')]
  return [
    {
      id: 'MIX',
      passed: isQuick || Math.max(p50, p99) <= most,
      figures: {
        p50_ratio: p50,
        p99_ratio: p99,
        most,
        p50_ms: median(statewire.map((times) => times.p50)),
        p99_ms: median(statewire.map((times) => times.p99)),
        raw_p50_ms: median(raw.map((times) => times.p50)),
        raw_p99_ms: median(raw.map((times) => times.p99)),
      },
      notes: [],
    },
  ]
}
