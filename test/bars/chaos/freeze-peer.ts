/**
 * A child process that is frozen: one network with one peer and numbered values in both directions.
 * Owns: counting what it receives and how often it declared its connection dead. Independent of: when it is frozen.
 */
import { createNetwork, Identity } from '../../../actors/index.ts'
import type { Limits } from '../../../actors/index.ts'
import type { KeepAliveOptions } from '../../../protocol/native/epoch/keep-alive.ts'
import { countedValue, LaneCount } from './counted-values.ts'
import type { LaneFaults } from './counted-values.ts'
import { useKeepAlive } from './short-keep-alive.ts'

export interface FreezePeerPlan {
  readonly keyPem: string
  readonly peer: { readonly id: string; readonly url: string | null }
  readonly keepAlive: KeepAliveOptions
  readonly limits: Partial<Limits>
  readonly everyMs: number
}

/** `status` carries how many values must have arrived by now. */
export type FreezeAsk = { readonly ask: 'status' | 'finish'; readonly sent: number }

export interface FreezePeerStatus {
  readonly port: number
  readonly sent: number
  readonly received: number
  /** Connections that it lost. */
  readonly losses: readonly string[]
  readonly errors: readonly string[]
  readonly faults: LaneFaults
}

const plan = JSON.parse(process.argv[2] as string) as FreezePeerPlan
useKeepAlive(plan.keepAlive)
const { id, url } = plan.peer
const network = createNetwork({
  identity: Identity.fromPem(plan.keyPem),
  listen: 'tls://127.0.0.1:0',
  peers: [{ id, ...(url === null ? {} : { urls: url }) }],
  limits: plan.limits,
})
const count = new LaneCount()
const losses: string[] = []
const errors: string[] = []
let sent = 0
network.on('connection.lost', ({ cause }) => void losses.push(cause.message))

const tell = (expected: number): void => {
  process.send?.({
    port: Number(new URL(network.url as string).port),
    sent,
    received: count.received,
    losses,
    errors,
    faults: count.faultsOf(expected),
  } satisfies FreezePeerStatus)
}

let ticker: NodeJS.Timeout | undefined
process.on('message', ({ ask, sent: expected }: FreezeAsk) => {
  if (ask === 'finish') clearInterval(ticker)
  tell(expected)
})
process.on('disconnect', () => process.exit(0))

await network.ready()
tell(0)
const [session] = await network.makeSessions({ count: 1, timeoutMs: 60_000 })
session?.handle(id, (value) => count.take(value))
ticker = setInterval(() => {
  session?.send(id, countedValue(sent++)).catch((error: unknown) => errors.push((error as Error).message))
}, plan.everyMs)
