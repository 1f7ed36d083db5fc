/**
 * Owns: E2, leaks: connections and sessions are made and closed repeatedly, and the heap is compared afterwards.
 * Independent of: what holds the memory.
 */
import { createNetwork, Identity } from '../../../actors/index.ts'
import { mebibyte, pause } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { bareLimits, linkStateOf, makeSessionPairs, startTlsPair, stopTlsPair } from './tls-pair.ts'
import type { TlsPair } from './tls-pair.ts'

export interface CycleCounts {
  readonly cycles: number
  /** Heap and array buffers, after compared with before. */
  readonly retainedBytes: number
  readonly listenersGrown: number
  readonly handlesGrown: number
  /** Kinds of resources that grew, with their number, to find a leak. */
  readonly grown: readonly string[]
  readonly seconds: number
}

interface Held {
  readonly heapBytes: number
  readonly listeners: number
  /** Node's active resources by kind. */
  readonly handles: ReadonlyMap<string, number>
}

/** Longer than any deadline of a closed connection. */
const lingerMaxMs = 15_000

function activeHandles(): Map<string, number> {
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  return counts
}

const sum = (counts: ReadonlyMap<string, number>): number =>
  [...counts.values()].reduce((total, count) => total + count, 0)

/** The minimum of a few samples: some garbage is only found by the second collection, after finalizers have run. */
async function held(): Promise<Held> {
  let heapBytes = Infinity
  for (let look = 0; look < 8; look++) {
    globalThis.gc?.()
    await pause(20)
    const { heapUsed, external } = process.memoryUsage()
    heapBytes = Math.min(heapBytes, heapUsed + external)
  }
  const listeners = process.eventNames().reduce((total, name) => total + process.listenerCount(name), 0)
  return { heapBytes, listeners, handles: activeHandles() }
}

/**
 * A network has one timer for all its deadlines. After the last deadline was cancelled, the timer stays for up to a
 * second. So an apparent growth is sampled until it is gone; a leak stays.
 */
async function whatStays(before: Held['handles'], seen: Held['handles']): Promise<Held['handles']> {
  let after = seen
  for (
    const endMs = performance.now() + lingerMaxMs;
    sum(after) > sum(before) && performance.now() < endMs;
    after = activeHandles()
  )
    await pause(20)
  return after
}

/** The warm-up creates what stays by design: compiled code, pools, caches of the TLS library. */
async function cycle(cycles: number, warmUp: number, once: (number: number) => Promise<void>): Promise<CycleCounts> {
  for (let number = 0; number < warmUp; number++) await once(number)
  const before = await held()
  const startedMs = performance.now()
  for (let number = 0; number < cycles; number++) await once(number)
  const seconds = (performance.now() - startedMs) / 1000
  const after = await held()
  const handles = await whatStays(before.handles, after.handles)
  const grown = [...handles]
    .map(([kind, count]) => [kind, count - (before.handles.get(kind) ?? 0)] as const)
    .filter(([, more]) => more > 0)
  return {
    cycles,
    retainedBytes: after.heapBytes - before.heapBytes,
    listenersGrown: after.listeners - before.listeners,
    handlesGrown: sum(handles) - sum(before.handles),
    grown: grown.map(([kind, more]) => `${more} ${kind}`),
    seconds,
  }
}

/** A network of the peer starts, connects and stops, as a new process each time; the acceptor stays. */
export async function connectCycles(cycles: number, warmUp: number): Promise<CycleCounts> {
  const [here, there] = [Identity.generate(), Identity.generate()]
  const acceptor = createNetwork({
    identity: here,
    listen: 'tls://127.0.0.1:0',
    peers: [{ id: there.id }],
    limits: bareLimits,
  })
  await acceptor.ready()
  let isUp: (() => void) | null = null
  let isDown: (() => void) | null = null
  acceptor.on('connection.opened', () => isUp?.())
  acceptor.on('connection.lost', () => isDown?.())
  try {
    return await cycle(cycles, warmUp, async () => {
      const up = new Promise<void>((resolve) => (isUp = resolve))
      const down = new Promise<void>((resolve) => (isDown = resolve))
      const dialer = createNetwork({
        identity: there,
        peers: [{ id: here.id, urls: acceptor.url as string }],
        limits: bareLimits,
      })
      await up
      await dialer.shutdown()
      await down
    })
  } finally {
    await acceptor.shutdown()
  }
}

const sessionsPerBatch = 100

/** Each session carries a value in each direction and is closed by one side, the other, or both. */
export async function sessionCycles(sessions: number, warmUp: number): Promise<CycleCounts & { lanesLeft: number }> {
  const pair = await startTlsPair()
  const { acceptor, dialer } = pair
  try {
    const counts = await cycle(Math.ceil(sessions / sessionsPerBatch), Math.ceil(warmUp / sessionsPerBatch), (number) =>
      useBatch(pair, number),
    )
    await pause(100)
    const lanesLeft =
      linkStateOf(acceptor, dialer.identity).laneCount + linkStateOf(dialer, acceptor.identity).laneCount
    return { ...counts, cycles: counts.cycles * sessionsPerBatch, lanesLeft }
  } finally {
    await stopTlsPair(pair)
  }
}

async function useBatch(pair: TlsPair, number: number): Promise<void> {
  const { acceptor, dialer } = pair
  const made = await makeSessionPairs(pair, sessionsPerBatch)
  for (const [ofAcceptor, ofDialer] of made) {
    await ofAcceptor.send(dialer.identity, { type: 'RingElement32', value: number })
    await ofDialer.send(acceptor.identity, { type: 'RingElement32', value: number })
  }
  for (const [index, [ofAcceptor, ofDialer]] of made.entries()) {
    if (index % 2 === 0) await ofAcceptor.receive(dialer.identity)
    await ofDialer.receive(acceptor.identity)
  }
  for (const [index, [ofAcceptor, ofDialer]] of made.entries()) {
    const order = index % 3 === 0 ? [ofAcceptor, ofDialer] : [ofDialer, ofAcceptor]
    for (const session of order) session.close()
  }
}

function barOf(id: string, counts: CycleCounts, extra: Record<string, number>): Bar {
  const passed =
    counts.retainedBytes <= mebibyte &&
    counts.listenersGrown === 0 &&
    counts.handlesGrown <= 0 &&
    Object.values(extra).every((value) => value === 0)
  const figures = {
    cycles: counts.cycles,
    retained_kib: counts.retainedBytes / 1024,
    listeners_grown: counts.listenersGrown,
    handles_grown: counts.handlesGrown,
    ...extra,
    seconds: counts.seconds,
  }
  const notes = counts.handlesGrown > 0 ? [`grown: ${counts.grown.join(', ')}`] : []
  if (globalThis.gc === undefined) notes.push('without --expose-gc the heap cannot be judged')
  return { id, passed, figures, notes }
}

export async function leakCycle({ isQuick, progress }: BarContext): Promise<readonly Bar[]> {
  progress('E2 connect and close')
  const connects = await connectCycles(isQuick ? 500 : 10_000, isQuick ? 200 : 3_000)
  progress('E2 sessions opened and closed')
  const { lanesLeft, ...sessions } = await sessionCycles(isQuick ? 10_000 : 100_000, isQuick ? 5_000 : 20_000)
  return [barOf('E2-connects', connects, {}), barOf('E2-sessions', sessions, { lanes_left: lanesLeft })]
}
