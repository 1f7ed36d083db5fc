/**
 * Owns: C13, a slow reader: a peer leaves one session unread while a sender sends on it as much as it may. Measures the
 * sender's memory and the effect on other sessions of the same link.
 * Independent of: how credit works.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createNetwork, Identity } from '../../../actors/index.ts'
import type { Session } from '../../../actors/index.ts'
import { defaultRetransmitBufferBytes } from '../../../protocol/native/epoch/retransmit-buffer.ts'
import { mebibyte, pause, quantile, settledRssBytes } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { chaosProgram } from './flood-bar.ts'
import { bareLimits } from './tls-pair.ts'

interface Phase {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly values: number
  readonly valuesPerSecond: number
  readonly peakRssBytes: number
}

export interface SlowReaderCounts {
  readonly idle: Phase
  readonly blocked: Phase
  /** Values that the unread session took before it blocked. */
  readonly taken: number
  readonly rssGrowthBytes: number
}

/** Round trips on one session and a paced stream on another, at the same time. */
async function measure(echo: Session, sink: Session, peer: string, seconds: number): Promise<Phase> {
  const untilMs = performance.now() + seconds * 1000
  const startedMs = performance.now()
  const roundTripsMs: number[] = []
  let values = 0
  let peakRssBytes = 0
  const stream = async (): Promise<void> => {
    const value = { type: 'Bytes', value: Buffer.alloc(1_000, 7) } as const
    while (performance.now() < untilMs) {
      for (let count = 0; count < 50; count++, values++) await sink.send(peer, value)
      peakRssBytes = Math.max(peakRssBytes, process.memoryUsage.rss())
      await pause(2)
    }
  }
  const echoes = async (): Promise<void> => {
    while (performance.now() < untilMs) {
      const sentMs = performance.now()
      await echo.send(peer, { type: 'RingElement32', value: 1 })
      await echo.receive(peer)
      roundTripsMs.push(performance.now() - sentMs)
      await pause(1)
    }
  }
  await Promise.all([stream(), echoes()])
  return {
    p50Ms: quantile(roundTripsMs, 0.5),
    p99Ms: quantile(roundTripsMs, 0.99),
    values,
    valuesPerSecond: values / ((performance.now() - startedMs) / 1000),
    peakRssBytes,
  }
}

export async function leaveUnread(seconds: number): Promise<SlowReaderCounts> {
  const [mine, theirs] = [Identity.generate(), Identity.generate()]
  const network = createNetwork({
    identity: mine,
    listen: 'tls://127.0.0.1:0',
    peers: [{ id: theirs.id }],
    limits: { ...bareLimits, sendTimeoutMs: 600_000 },
  })
  await network.ready()
  const child = fork(
    chaosProgram('slow-reader-child'),
    [JSON.stringify({ pem: theirs.toPem(), peer: mine.id, url: network.url })],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  )
  try {
    const [echo, sink, unread] = (await network.makeSessions({ count: 3 })) as [Session, Session, Session]
    // Growth that is normal: compiled code, the young generation.
    await measure(echo, sink, theirs.id, seconds / 4)
    const idle = await measure(echo, sink, theirs.id, seconds)
    const before = await settledRssBytes()
    let taken = 0
    const value = { type: 'Bytes', value: Buffer.alloc(1_000, 7) } as const
    const sending = (async () => {
      for (;;) {
        await unread.send(theirs.id, value)
        taken++
      }
    })().catch(() => {})
    const blocked = await measure(echo, sink, theirs.id, seconds)
    const after = await settledRssBytes()
    unread.close()
    await sending
    return { idle, blocked, taken, rssGrowthBytes: after - before }
  } finally {
    child.send('stop')
    await Promise.all([network.shutdown(), once(child, 'exit')])
  }
}

/**
 * The sender has a process of its own whose young generation has its full size from the start (16 MiB, V8's default
 * maximum). Otherwise V8 doubles it at an unpredictable moment, and the last step alone adds 16 MiB of RSS.
 */
async function leaveUnreadApart(seconds: number): Promise<SlowReaderCounts> {
  const sender = fork(chaosProgram('slow-reader-sender'), [String(seconds)], {
    execArgv: ['--expose-gc', '--min-semi-space-size=16'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  let counts: SlowReaderCounts | undefined
  sender.on('message', (message) => {
    counts = message as SlowReaderCounts
  })
  const [code, signal] = (await once(sender, 'exit')) as [number | null, string | null]
  if (counts === undefined)
    throw new Error(`the sender of C13 ended without figures (${signal ?? `exit code ${code}`})`)
  return counts
}

export async function slowReader({ isQuick, progress }: BarContext): Promise<readonly Bar[]> {
  const seconds = isQuick ? 3 : 60
  progress(`C13 a session that nobody reads for ${seconds} s, and as long without`)
  const { idle, blocked, taken, rssGrowthBytes } = await leaveUnreadApart(seconds)
  const allowedBytes = defaultRetransmitBufferBytes + 2 * mebibyte
  const peakGrowthBytes = blocked.peakRssBytes - idle.peakRssBytes
  const passed =
    taken > 0 &&
    rssGrowthBytes <= allowedBytes &&
    peakGrowthBytes <= allowedBytes &&
    blocked.p99Ms <= 2 * idle.p99Ms &&
    blocked.valuesPerSecond >= 0.95 * idle.valuesPerSecond
  return [
    {
      id: 'C13',
      passed,
      notes: [],
      figures: {
        seconds,
        unread_values: taken,
        rss_growth_mib: rssGrowthBytes / mebibyte,
        peak_growth_mib: peakGrowthBytes / mebibyte,
        allowed_mib: allowedBytes / mebibyte,
        idle_p50_ms: idle.p50Ms,
        blocked_p50_ms: blocked.p50Ms,
        idle_p99_ms: idle.p99Ms,
        blocked_p99_ms: blocked.p99Ms,
        idle_values_per_s: Math.round(idle.valuesPerSecond),
        blocked_values_per_s: Math.round(blocked.valuesPerSecond),
      },
    },
  ]
}
