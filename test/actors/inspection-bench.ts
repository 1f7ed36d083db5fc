/**
 * Owns: what the tests of inspection share: two networks with an inspector.
 * Independent of: what the inspector is shown.
 */
import { TcpTransport } from '../../actors/index.ts'
import { createNetwork } from '../../index.ts'
import type { Network, NetworkRuntimeOptions, Session } from '../../index.ts'
import type { AnyActorRef, InspectionEvent } from 'xstate'

/** What a test has to stop at its end. */
export const stops: (() => unknown)[] = []

/** For `afterEach`: stops everything, the newest first. */
export async function stopAll(): Promise<void> {
  for (const stop of stops.splice(0).reverse()) await stop()
}

export interface Pair {
  readonly alice: Network
  readonly bob: Network
  readonly transport: TcpTransport
}

/** Alice, who is inspected and listens, and bob, who dials her. */
export async function startPair(
  options: NetworkRuntimeOptions & { mode?: 'fail' | 'reconnect'; bobInspect?: (event: InspectionEvent) => void } = {},
): Promise<Pair> {
  const { mode = 'fail', bobInspect, ...runtime } = options
  const shared = { security: 'plaintext', onConnectionLost: mode, limits: { backoffMinMs: 1 } } as const
  const alice = createNetwork(
    { ...shared, identity: 'alice', listen: 'tcp://127.0.0.1:0', peers: [{ id: 'bob' }] },
    runtime,
  )
  stops.push(() => alice.shutdown())
  await alice.ready()
  const transport = new TcpTransport()
  const environment = { ...runtime.environment, transport }
  const bob = createNetwork(
    { ...shared, identity: 'bob', peers: [{ id: 'alice', urls: alice.url ?? '' }] },
    bobInspect === undefined ? { environment } : { environment, inspect: bobInspect },
  )
  stops.push(() => bob.shutdown())
  return { alice, bob, transport }
}

export async function makeSessions(
  { alice, bob }: Pair,
  options: { count: number; agreePrfKeys?: boolean } = { count: 1 },
): Promise<[Session[], Session[]]> {
  return Promise.all([alice.makeSessions(options), bob.makeSessions(options)])
}

/** The name of the actor in an inspector. */
export function idOf(event: InspectionEvent): string {
  return (event.actorRef as AnyActorRef).id
}

/** The part of a chart that tests read. */
export interface ChartConfig {
  readonly id?: string
  readonly states?: Record<string, ChartConfig>
}
