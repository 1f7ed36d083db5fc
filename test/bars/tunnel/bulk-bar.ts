/**
 * Owns: P16: one bulk TCP connection through a tunnel, and the same through the thinnest possible TLS proxy pair, in
 * turns. Four processes each, on the same cores: source and far end on one, near end and sink on the other.
 * Independent of: faults.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Identity } from '../../../index.ts'
import { median, mebibyte } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { canPin, forkBehind, pinnedTo } from '../pinning.ts'
import type { BulkPlan } from './bulk-process.ts'
import type { TunnelEndPlan } from './tunnel-process.ts'
import { programPath } from './tunnel-scene.ts'

const leastRatio = 0.6
const cores = { source: 0, far: 0, near: 1, sink: 1 } as const

type Place = keyof typeof cores

/** The way from a port to the sink. */
interface Way {
  readonly port: number
  readonly ends: readonly ChildProcess[]
}

export async function tunnelBulk({ isQuick, progress }: BarContext): Promise<readonly Bar[]> {
  const bytes = (isQuick ? 32 : 512) * mebibyte
  const rounds = isQuick ? 1 : 5
  const isPinned = canPin(cores)
  const children: ChildProcess[] = []
  const start = async <Told>(
    place: Place,
    name: string,
    plan: BulkPlan | TunnelEndPlan,
  ): Promise<readonly [ChildProcess, Told]> => {
    const child = forkBehind(isPinned ? pinnedTo(cores[place]) : [], programPath(name), plan)
    children.push(child)
    const [told] = (await once(child, 'message')) as [Told]
    return [child, told]
  }
  const throughTls = async (sink: number): Promise<Way> => {
    const [near, far] = [Identity.generate(), Identity.generate()]
    const keysOf = (identity: Identity): { cert: string; key: string } => ({
      cert: identity.certificate,
      key: identity.toPem(),
    })
    const [farEnd, farPort] = await start<number>('far', 'bulk-process', { role: 'far', port: sink, ...keysOf(far) })
    const [nearEnd, port] = await start<number>('near', 'bulk-process', {
      role: 'near',
      port: farPort,
      ...keysOf(near),
    })
    return { port, ends: [farEnd, nearEnd] }
  }
  const throughTunnel = async (sink: number): Promise<Way> => {
    const [near, far] = [Identity.generate(), Identity.generate()]
    const [farEnd, { url }] = await start<{ url: string }>('far', 'tunnel-process', {
      pem: far.toPem(),
      peers: [{ id: near.id }],
      expose: [{ name: 'bulk', target: `127.0.0.1:${sink}` }],
      open: [],
    })
    const [nearEnd, { addresses }] = await start<{ addresses: Record<string, string> }>('near', 'tunnel-process', {
      pem: near.toPem(),
      peers: [{ id: far.id, urls: url }],
      expose: [],
      open: ['bulk'],
    })
    return { port: Number(addresses['bulk']?.split(':')[1]), ends: [farEnd, nearEnd] }
  }
  const ratesOf = { tunnel: [] as number[], tls: [] as number[] }
  let wrong = 0
  try {
    const [, sink] = await start<number>('sink', 'bulk-process', { role: 'sink' })
    const ways = { tls: await throughTls(sink), tunnel: await throughTunnel(sink) }
    const measure = async (name: keyof typeof ways, sent: number): Promise<number> => {
      const [source] = await start<number>('source', 'bulk-process', {
        role: 'source',
        port: ways[name].port,
        bytes: sent,
      })
      source.send('go')
      const [told] = (await once(source, 'message')) as [{ ms: number; bytes: number }]
      source.kill()
      if (told.bytes !== sent) wrong++
      return sent / mebibyte / (told.ms / 1000)
    }
    for (const name of ['tls', 'tunnel'] as const) await measure(name, bytes / 4)
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 === 0 ? (['tls', 'tunnel'] as const) : (['tunnel', 'tls'] as const)
      for (const name of order) ratesOf[name].push(await measure(name, bytes))
      progress(
        `round ${round + 1}: tls ${ratesOf.tls.at(-1)?.toFixed(0)}, tunnel ${ratesOf.tunnel.at(-1)?.toFixed(0)} MiB/s`,
      )
    }
  } finally {
    for (const child of children) child.kill('SIGKILL')
  }
  const ratio = median(ratesOf.tunnel.map((rate, round) => rate / (ratesOf.tls[round] as number)))
  return [
    {
      id: 'P16',
      // The short form shows that it works.
      passed: wrong === 0 && (isQuick || ratio >= leastRatio),
      figures: {
        ratio,
        least: leastRatio,
        tunnel_mib_per_second: median(ratesOf.tunnel),
        tls_mib_per_second: median(ratesOf.tls),
        rounds,
        wrong,
        pinned: Number(isPinned),
      },
      notes: [],
    },
  ]
}
