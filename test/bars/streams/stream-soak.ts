/**
 * Owns: S1: two peers that saturate each other on 1,000 streams: every byte arrives, memory stays flat. S2: a million
 * streams that open and end: the heap stays flat, and nothing is left.
 * Independent of: speed.
 */
import { createNetwork, Identity } from '../../../index.ts'
import type { Network, Stream } from '../../../index.ts'
import { eventually, mebibyte, settledRssBytes } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'

async function twoPeers(): Promise<{ readonly near: Network; readonly far: Network; readonly farId: string }> {
  const [nearKey, farKey] = [Identity.generate(), Identity.generate()]
  const far = createNetwork({ identity: farKey, listen: 'tls://127.0.0.1:0', peers: [{ id: nearKey.id }] })
  await far.ready()
  const near = createNetwork({ identity: nearKey, peers: [{ id: farKey.id, urls: far.url as string }] })
  await near.ready({ peers: 'all' })
  return { near, far, farId: farKey.id }
}

/** What stream `number` carries in one direction: its bytes follow from their places. */
const pattern = Buffer.alloc(256 * 1024 + 251)
for (let at = 0; at < pattern.length; at++) pattern[at] = at % 251

/** Writes as much as is taken, at once, without a look at the other direction. */
function fill(stream: Stream, bytes: number): void {
  let at = 0
  const more = (): void => {
    while (at < bytes) {
      const start = at % 251
      const part = pattern.subarray(start, start + Math.min(64 * 1024, bytes - at))
      at += part.length
      if (!stream.write(part)) return void stream.once('drain', more)
    }
    stream.end()
  }
  more()
}

interface Tally {
  bytes: number
  ended: number
  wrong: number
  failed: number
}

function drain(stream: Stream, tally: Tally): void {
  let at = 0
  stream.on('error', () => tally.failed++)
  stream.on('data', (part: Buffer) => {
    const start = at % 251
    for (let from = 0; from < part.length; from += 65_536) {
      const piece = part.subarray(from, from + 65_536)
      const place = (start + from) % 251
      if (piece.compare(pattern, place, place + piece.length) !== 0) tally.wrong++
    }
    at += part.length
    tally.bytes += part.length
  })
  stream.on('end', () => tally.ended++)
}

export async function saturation({ isQuick, progress }: BarContext): Promise<readonly Bar[]> {
  const streams = isQuick ? 100 : 1_000
  const bytes = (isQuick ? 0.125 : 2) * mebibyte
  const { near, far, farId } = await twoPeers()
  const tally: Tally = { bytes: 0, ended: 0, wrong: 0, failed: 0 }
  const each = (stream: Stream): void => {
    drain(stream, tally)
    fill(stream, bytes)
  }
  far.onStream('both', each)
  const startedAtMs = performance.now()
  const opened: Stream[] = await Promise.all(
    Array.from({ length: streams }, () => near.getStream(farId, 'both', { timeoutMs: 60_000 })),
  )
  for (const stream of opened) each(stream)
  const total = 2 * streams * bytes
  const rssMiB: number[] = []
  for (const share of [0.25, 0.5, 0.75, 1]) {
    await eventually(`${share} of the bytes`, () => tally.bytes >= share * total, 240_000)
    rssMiB.push(Math.round(process.memoryUsage().rss / mebibyte))
    progress(`${share * 100} %: ${Math.round(tally.bytes / mebibyte)} MiB, rss ${rssMiB.at(-1)} MiB`)
  }
  await eventually('all ends', () => tally.ended === 2 * streams, 30_000)
  const seconds = (performance.now() - startedAtMs) / 1000
  await Promise.all([near.shutdown(), far.shutdown()])
  const growth = (rssMiB[3] as number) / (rssMiB[0] as number)
  return [
    {
      id: 'S1',
      passed: tally.wrong + tally.failed === 0 && tally.bytes === total && growth <= 1.3,
      figures: {
        streams,
        mebibytes: total / mebibyte,
        wrong: tally.wrong,
        failed: tally.failed,
        mib_per_second: total / mebibyte / seconds,
        rss_mib: rssMiB.join('/'),
        growth,
      },
      notes: [],
    },
  ]
}

export async function manyStreams({ isQuick, progress }: BarContext): Promise<readonly Bar[]> {
  const count = isQuick ? 4_000 : 1_000_000
  const handlesBefore = process.getActiveResourcesInfo().length
  const { near, far, farId } = await twoPeers()
  let served = 0
  far.onStream('one', (stream) => {
    served++
    stream.resume()
    stream.end('y')
  })
  let opened = 0
  let failed = 0
  const worker = async (until: number): Promise<void> => {
    while (opened < until) {
      opened++
      try {
        const stream = await near.getStream(farId, 'one', { extra: 'x' })
        stream.end()
        stream.resume()
        const { how } = await stream.closed
        if (how !== 'finished') failed++
      } catch {
        failed++
      }
    }
  }
  const heapMiB: number[] = []
  const startedAtMs = performance.now()
  for (const share of [0.25, 0.5, 0.75, 1]) {
    await Promise.all(Array.from({ length: 64 }, () => worker(count * share)))
    await settledRssBytes(3, 50)
    heapMiB.push(process.memoryUsage().heapUsed / mebibyte)
    progress(`${opened} streams, heap ${heapMiB.at(-1)?.toFixed(1)} MiB`)
  }
  const seconds = (performance.now() - startedAtMs) / 1000
  await Promise.all([near.shutdown(), far.shutdown()])
  await settledRssBytes(2, 50)
  const handles = process.getActiveResourcesInfo().length - handlesBefore
  const growth = (heapMiB[3] as number) / (heapMiB[0] as number)
  return [
    {
      id: 'S2',
      passed: served === count && failed === 0 && growth <= 1.1 && handles <= 0,
      figures: {
        streams: count,
        served,
        failed,
        per_second: count / seconds,
        heap_mib: heapMiB.map((mib) => mib.toFixed(1)).join('/'),
        growth,
        handles,
      },
      notes: [],
    },
  ]
}
