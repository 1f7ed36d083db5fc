/**
 * The child process whose event loop stalls on request. Owns: stalling. Independent of: who notices.
 *
 * Protocol: `{ stallMs }`, answered with what its network has lost so far; `{ stop }`.
 */
import { createNetwork, Identity } from '../../../actors/index.ts'
import { defaultKeepAlive } from '../../../protocol/native/epoch/keep-alive.ts'
import type { KeepAliveOptions } from '../../../protocol/native/epoch/keep-alive.ts'

export interface StallReport {
  /** Connections lost as seen by this side, and why. */
  readonly lost: readonly string[]
  readonly values: number
}

const { pem, peer, url, keepAlive } = JSON.parse(process.argv[2] ?? '{}') as {
  pem: string
  peer: string
  url: string
  keepAlive: KeepAliveOptions
}
Object.assign(defaultKeepAlive, keepAlive)
const lost: string[] = []
let values = 0
const network = createNetwork({
  identity: Identity.fromPem(pem),
  peers: [{ id: peer, urls: url }],
  limits: { backoffMinMs: 1, backoffMaxMs: 50 },
})
network.on('connection.lost', ({ cause }) => void lost.push(cause.message))
process.on('disconnect', () => process.exit(0))
process.on('message', (order: { stallMs?: number; stop?: boolean }) => {
  if (order.stop === true) process.exit(0)
  // In a callback of the event loop, as a long computation would be.
  setImmediate(() => {
    const untilMs = performance.now() + (order.stallMs ?? 0)
    while (performance.now() < untilMs);
    // A little more than two ticks: the watchdog has reacted by then.
    setTimeout(() => process.send?.({ lost: [...lost], values } satisfies StallReport), 20)
  })
})
const [session] = await network.makeSessions({ count: 1 })
session?.handle(peer, () => void values++)
process.send?.({ lost: [], values: 0 } satisfies StallReport)
