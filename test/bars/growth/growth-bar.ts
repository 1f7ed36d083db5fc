/**
 * Owns: P12 for a process with many peers: what a peer costs at 10, 100 and 1,000 peers in memory and start-up time,
 * and what a thousand idle peers cost.
 * Independent of: how the peers are made (peers.ts).
 *
 * The cost of a peer is the slope between two sizes, so that the fixed cost of a process does not count. Linear means:
 * peers 100 to 1,000 cost no more each than peers 10 to 100, within the tolerance.
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { mebibyte, median, pause } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import type { Dial, GrowthInput, PeerFigures } from './peers.ts'

const tolerance = 1.15
const idleShareMax = 0.02
const settlingMs = 5_000

interface Size {
  readonly peers: number
  readonly startMs: number
  readonly hubBytes: number
  readonly hubHeapBytes: number
  /** Both processes together, from the first dial until all peers are up. */
  readonly cpuMs: number
  readonly idleShare: number
}

/** Node 20 cannot run TypeScript: from sources, the compiled version is started. */
const program = fileURLToPath(
  new URL(import.meta.url.endsWith('.js') ? 'peers.js' : '../../../build/test/bars/growth/peers.js', import.meta.url),
)

function start(input: GrowthInput): ChildProcess {
  return fork(program, [JSON.stringify(input)], {
    execArgv: ['--expose-gc'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}

async function ask(child: ChildProcess, what: 'figures' | 'settled'): Promise<PeerFigures> {
  const answer = once(child, 'message')
  child.send({ ask: what })
  return ((await answer) as [PeerFigures])[0]
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const ended = once(child, 'exit')
  child.send({ ask: 'stop' })
  const killer = setTimeout(() => child.kill('SIGKILL'), 20_000)
  await ended
  clearTimeout(killer)
}

async function measure(peers: number, idleMs: number): Promise<Size> {
  const hub = start({ role: 'hub', peers })
  const crowd = start({ role: 'crowd', peers })
  try {
    const [[dial]] = await Promise.all([once(hub, 'message') as Promise<[Dial]>, once(crowd, 'message')])
    const before = await ask(hub, 'settled')
    const crowdBefore = await ask(crowd, 'settled')
    const startedMs = performance.now()
    const up = once(crowd, 'message')
    crowd.send({ dial })
    await up
    const startMs = performance.now() - startedMs
    const [hubUp, crowdUp] = [await ask(hub, 'figures'), await ask(crowd, 'figures')]
    const after = await ask(hub, 'settled')
    // The first seconds are not idle yet: first Pings are sent, and garbage of the start is collected.
    if (idleMs > 0) await pause(settlingMs)
    const idleBefore = await ask(hub, 'figures')
    const idleSinceMs = performance.now()
    await pause(idleMs)
    const idleAfter = await ask(hub, 'figures')
    const idleShare = (idleAfter.cpuUs - idleBefore.cpuUs) / 1000 / (performance.now() - idleSinceMs)
    if (idleAfter.opened !== peers) throw new Error(`${idleAfter.opened} connections were opened for ${peers} peers`)
    const cpuMs = (hubUp.cpuUs - before.cpuUs + crowdUp.cpuUs - crowdBefore.cpuUs) / 1000
    return {
      peers,
      startMs,
      cpuMs,
      idleShare,
      hubBytes: after.rssBytes - before.rssBytes,
      hubHeapBytes: after.heapBytes - before.heapBytes,
    }
  } finally {
    await Promise.all([stop(crowd), stop(hub)])
  }
}

export async function growthBar({ isQuick, progress }: BarContext): Promise<readonly Bar[]> {
  const sizes = isQuick ? ([5, 20, 50] as const) : ([10, 100, 1000] as const)
  const rounds = isQuick ? 1 : 3
  const measured: Size[][] = sizes.map(() => [])
  for (let round = 1; round <= rounds; round++) {
    for (const [index, peers] of sizes.entries()) {
      const size = await measure(peers, index === 2 && round === rounds ? (isQuick ? 1_000 : 30_000) : 0)
      measured[index]?.push(size)
      progress(
        `P12 round ${round}: ${peers} peers up in ${size.startMs.toFixed(0)} ms (${(size.cpuMs / peers).toFixed(2)} ms CPU a peer), hub +${(size.hubBytes / mebibyte).toFixed(1)} MiB`,
      )
    }
  }
  /** Median cost of one more peer, between two sizes. */
  const slope = (from: number, to: number, of: (size: Size) => number): number => {
    const at = (index: number): number => median((measured[index] as Size[]).map(of))
    return (at(to) - at(from)) / ((sizes[to] as number) - (sizes[from] as number))
  }
  const figuresOf = (of: (size: Size) => number): { few: number; many: number; ratio: number } => {
    const [few, many] = [slope(0, 1, of), slope(1, 2, of)]
    return { few, many, ratio: many / few }
  }
  const memory = figuresOf(({ hubBytes }) => hubBytes / 1024)
  const heap = figuresOf(({ hubHeapBytes }) => hubHeapBytes / 1024)
  const time = figuresOf(({ startMs }) => startMs)
  const cpu = figuresOf(({ cpuMs }) => cpuMs)
  const idle = (measured[2] as Size[]).at(-1) as Size
  return [
    {
      id: 'P12-memory',
      passed: memory.ratio <= tolerance,
      figures: {
        peers: sizes.join('/'),
        kib_a_peer_few: memory.few,
        kib_a_peer_many: memory.many,
        ratio: memory.ratio,
        limit: tolerance,
        heap_ratio: heap.ratio,
      },
      notes: [],
    },
    {
      id: 'P12-start',
      passed: time.ratio <= tolerance,
      figures: {
        peers: sizes.join('/'),
        ms_a_peer_few: time.few,
        ms_a_peer_many: time.many,
        ratio: time.ratio,
        limit: tolerance,
        cpu_ratio: cpu.ratio,
      },
      notes: [],
    },
    {
      id: 'P12-idle',
      passed: idle.idleShare <= idleShareMax,
      figures: { peers: idle.peers, share_of_a_core: idle.idleShare, limit: idleShareMax },
      notes: [],
    },
  ]
}
