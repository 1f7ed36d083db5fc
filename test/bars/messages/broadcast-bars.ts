/**
 * Owns: B1 and B2: broadcasts in a full mesh arrive exactly once, in one process and in several. P15: what a broadcast
 * costs beside sessions.
 * Independent of: how a broadcast is encoded.
 */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { createNetwork, Identity } from '../../../index.ts'
import type { Network } from '../../../index.ts'
import { eventually, mebibyte, median, type Bar, type BarContext } from '../bar.ts'
import { Seen, startMesh, stopAll } from './mesh.ts'

/** Broadcasts of one peer that are under way at once. */
export const burst = 20

export async function broadcastInOneProcess({ isQuick, progress }: BarContext): Promise<readonly Bar[]> {
  const [peers, each] = isQuick ? [8, 50] : [50, 1_000]
  progress(`connecting ${peers} peers`)
  const networks = await startMesh(peers)
  const seen = networks.map((network) => {
    const own = new Seen(each)
    network.onMessage('n', ({ peer, bytes }) => own.add(peer, bytes.readUInt32LE()))
    return own
  })
  const startedAtMs = performance.now()
  let failed = 0
  await Promise.all(
    networks.map(async (network) => {
      for (let number = 0; number < each; number += burst) {
        const all = await Promise.all(
          Array.from({ length: Math.min(burst, each - number) }, (_, at) => {
            const bytes = Buffer.alloc(64)
            bytes.writeUInt32LE(number + at)
            return network.broadcast(bytes, { name: 'n' })
          }),
        )
        for (const results of all) for (const { ok } of results.values()) if (!ok) failed++
      }
    }),
  )
  const expected = each * (peers - 1)
  await eventually('all broadcasts', () => seen.every(({ total }) => total >= expected), 300_000)
  const tookS = (performance.now() - startedAtMs) / 1000
  const rssMiB = process.memoryUsage().rss / mebibyte
  await stopAll(networks)
  const total = seen.reduce((sum, own) => sum + own.total, 0)
  const doubled = seen.reduce((sum, own) => sum + own.doubled, 0)
  const passed = failed === 0 && doubled === 0 && total === peers * expected
  const figures = { peers, broadcasts: peers * each, delivered: total, expected: peers * expected, doubled, failed }
  return [{ id: 'B1', passed, figures: { ...figures, seconds: tookS, rss_mib: Math.round(rssMiB) }, notes: [] }]
}

interface Report {
  readonly total: number
  readonly doubled: number
  readonly failed: number
  readonly rssMiB: number
}

export async function broadcastInProcesses({ isQuick, progress }: BarContext): Promise<readonly Bar[]> {
  const [peers, each] = isQuick ? [3, 50] : [12, 1_000]
  const keys = Array.from({ length: peers }, () => Identity.generate())
  const script = fileURLToPath(new URL('mesh-process.js', import.meta.url))
  const urls: string[] = []
  const children: ReturnType<typeof fork>[] = []
  const reports: Promise<Report>[] = []
  const startedAtMs = performance.now()
  for (const [index, key] of keys.entries()) {
    const child = fork(script)
    children.push(child)
    const others = keys.flatMap(({ id }, other) =>
      other === index ? [] : [{ id, ...(other < index ? { urls: urls[other] as string } : {}) }],
    )
    child.send({ pem: key.toPem(), peers: others, each })
    urls.push(await new Promise<string>((resolve) => child.once('message', (url) => resolve(url as string))))
    reports.push(new Promise((resolve) => child.once('message', (report) => resolve(report as Report))))
    progress(`${children.length} of ${peers} processes`)
  }
  for (const child of children) child.send('go')
  const all = await Promise.all(reports)
  const tookS = (performance.now() - startedAtMs) / 1000
  for (const child of children) child.send('stop')
  await Promise.all(children.map((child) => new Promise((resolve) => child.once('exit', resolve))))
  const sum = (of: (report: Report) => number): number => all.reduce((total, report) => total + of(report), 0)
  const expected = peers * (peers - 1) * each
  const [delivered, doubled, failed] = [sum(({ total }) => total), sum((it) => it.doubled), sum((it) => it.failed)]
  const passed = delivered === expected && doubled === 0 && failed === 0
  const figures = { peers, broadcasts: peers * each, delivered, expected, doubled, failed, seconds: tookS }
  return [{ id: 'B2', passed, figures: { ...figures, rss_mib: Math.round(sum(({ rssMiB }) => rssMiB)) }, notes: [] }]
}

/** CPU of both ends for each value: broadcasts, and `session.send` to the same peers, in turns, AB BA. */
export async function broadcastCost({ isQuick, progress }: BarContext): Promise<readonly Bar[]> {
  const [peers, each, rounds] = isQuick ? [5, 200, 3] : [50, 1_000, 10]
  progress(`connecting ${peers} peers to one`)
  const { sender, receivers } = await startStar(peers)
  let arrived = 0
  for (const receiver of receivers) receiver.onMessage('n', () => void arrived++)
  const lanes = await Promise.all(
    receivers.map(async (receiver) => {
      const [[mine], [theirs]] = await Promise.all([
        sender.makeSessions({ count: 1, peers: [receiver.identity] }),
        receiver.makeSessions({ count: 1 }),
      ])
      theirs.handle(sender.identity, () => void arrived++)
      return { session: mine, peer: receiver.identity }
    }),
  )
  const bytes = Buffer.alloc(64, 7)
  const value = { type: 'Bytes', value: bytes } as const
  const ways = {
    broadcast: async () => void (await sender.broadcast(bytes, { name: 'n' })),
    session: async () => void (await Promise.all(lanes.map(({ session, peer }) => session.send(peer, value)))),
  }
  const spent: Record<keyof typeof ways, number[]> = { broadcast: [], session: [] }
  for (let round = -2; round < rounds; round++) {
    for (const way of round % 2 === 0 ? (['broadcast', 'session'] as const) : (['session', 'broadcast'] as const)) {
      arrived = 0
      const before = process.cpuUsage()
      for (let number = 0; number < each; number += burst) await Promise.all(Array.from({ length: burst }, ways[way]))
      await eventually('all values', () => arrived === peers * each, 120_000)
      const { user, system } = process.cpuUsage(before)
      // The first rounds are for the compiler.
      if (round >= 0) spent[way].push((user + system) / (peers * each))
    }
    progress(`round ${round + 1} of ${rounds}`)
  }
  await stopAll([sender, ...receivers])
  const [ours, theirs] = [median(spent.broadcast), median(spent.session)]
  const ratio = ours / theirs
  const figures = { against: 'session.send', peers, ratio, limit: costLimit, us: ours, us_of_sessions: theirs }
  return [{ id: 'P15', passed: isQuick || ratio <= costLimit, figures, notes: [] }]
}

/** The bar of the design. */
const costLimit = 1.3

async function startStar(peers: number): Promise<{ sender: Network; receivers: Network[] }> {
  const own = Identity.generate()
  const receivers = await Promise.all(
    Array.from({ length: peers }, async () => {
      const network = createNetwork({
        identity: Identity.generate(),
        listen: 'tls://127.0.0.1:0',
        peers: [{ id: own.id }],
      })
      await network.ready()
      return network
    }),
  )
  const sender = createNetwork({
    identity: own,
    peers: receivers.map(({ identity, url }) => ({ id: identity, urls: url as string })),
  })
  await sender.ready({ peers: 'all', timeoutMs: 60_000 })
  return { sender, receivers }
}
