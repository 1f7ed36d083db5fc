/**
 * One end of the tunnels of these checks, as a process: it exposes targets, or opens them. Owns the process.
 * Independent of: what goes through them.
 */
import { createNetwork, Identity } from '../../../index.ts'
import { Tunnels } from '../../../tunnel/index.ts'
import type { TunnelEvent } from '../../../tunnel/index.ts'

export interface TunnelEndPlan {
  readonly pem: string
  readonly peers: readonly { readonly id: string; readonly urls?: string }[]
  readonly expose: readonly { readonly name: string; readonly target: string }[]
  readonly open: readonly string[]
}

export interface TunnelEndReport {
  readonly resets: number
  readonly resumes: number
  readonly served: number
  /** Connections that did not end by themselves. */
  readonly broken: readonly string[]
  readonly rssMiB: number
}

const plan = JSON.parse(process.argv[2] ?? '') as TunnelEndPlan
const listens = plan.expose.length > 0
const network = createNetwork({
  identity: Identity.fromPem(plan.pem),
  peers: [...plan.peers],
  ...(listens ? { listen: 'tls://127.0.0.1:0' } : {}),
  limits: { backoffMinMs: 1, backoffMaxMs: 50, connectBurst: 1_000_000 },
})
let [resets, resumes, served] = [0, 0, 0]
const broken: string[] = []
network.on('link.reset', () => resets++)
network.on('connection.opened', ({ resumed }) => (resumes += Number(resumed)))
const onEvent = (event: TunnelEvent): void => {
  if (event.type === 'tunnel.opened') served++
  else if (event.type === 'tunnel.refused') broken.push(`refused: ${event.code} ${event.message}`)
  else if (event.end.how !== 'ended') broken.push(`${event.end.how} by ${event.end.by}: ${event.end.message}`)
}
const tunnels = new Tunnels(network, { onEvent })

async function start(): Promise<void> {
  await network.ready()
  for (const { name, target } of plan.expose) tunnels.expose({ name, target, allow: 'all' })
  const addresses: Record<string, string> = {}
  for (const name of plan.open)
    addresses[name] = (await tunnels.open({ peer: plan.peers[0]!.id, name, timeoutMs: 120_000 })).address
  process.send?.({ url: network.url, addresses })
}

process.on('message', (message) => {
  if (message === 'report') {
    const report: TunnelEndReport = {
      resets,
      resumes,
      served,
      broken,
      rssMiB: Math.round(process.memoryUsage().rss / 2 ** 20),
    }
    process.send?.(report)
  } else
    void tunnels
      .close({ timeoutMs: 1000 })
      .then(() => network.shutdown())
      .then(() => process.disconnect())
})
void start()
