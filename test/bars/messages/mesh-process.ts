/**
 * One peer of B2: told whom to know, it broadcasts and counts. Owns the process. Independent of the verdict.
 */
import { createNetwork, Identity } from '../../../index.ts'
import type { Network, PeerRef } from '../../../index.ts'
import { eventually, mebibyte } from '../bar.ts'
import { meshLimits, Seen } from './mesh.ts'

interface Plan {
  readonly pem: string
  readonly peers: readonly { readonly id: string; readonly urls?: string }[]
  readonly each: number
}

const burst = 20
let network: Network | null = null
let plan: Plan | null = null
let seen: Seen | null = null

async function start(given: Plan): Promise<void> {
  plan = given
  seen = new Seen(given.each)
  network = createNetwork({
    identity: Identity.fromPem(given.pem),
    listen: 'tls://127.0.0.1:0',
    peers: given.peers,
    limits: meshLimits,
  })
  network.onMessage('n', ({ peer, bytes }) => seen?.add(peer, bytes.readUInt32LE()))
  await network.ready()
  process.send?.(network.url)
}

async function go(): Promise<void> {
  if (network === null || plan === null || seen === null) throw new Error('not started')
  const { each, peers } = plan
  await network.ready({ peers: 'all', timeoutMs: 120_000 })
  let failed = 0
  for (let number = 0; number < each; number += burst) {
    const all = await Promise.all(
      Array.from({ length: Math.min(burst, each - number) }, (_, at) => {
        const bytes = Buffer.alloc(64)
        bytes.writeUInt32LE(number + at)
        return (network as Network).broadcast(bytes, { name: 'n', except: [] as PeerRef[] })
      }),
    )
    for (const results of all) for (const { ok } of results.values()) if (!ok) failed++
  }
  const own = seen
  await eventually('all broadcasts', () => own.total >= each * peers.length, 300_000)
  process.send?.({ total: own.total, doubled: own.doubled, failed, rssMiB: process.memoryUsage().rss / mebibyte })
}

process.on('message', (message: Plan | 'go' | 'stop') => {
  if (message === 'go') void go()
  else if (message === 'stop') void network?.shutdown().then(() => process.disconnect())
  else void start(message)
})
