/**
 * Owns: what the tests of `supervisor` as actor logic share: two networks that know each other, and their end.
 * Independent of: how they are created.
 */
import { createNetwork } from '../../index.ts'
import type { AmpcConfig, Network, SupervisorInput } from '../../index.ts'

/** The network of alice, which listens and has bob as its peer. */
export const listening: SupervisorInput & { config: AmpcConfig } = {
  config: {
    identity: 'alice',
    listen: 'tcp://127.0.0.1:0',
    peers: [{ id: 'bob' }],
    security: 'plaintext',
    limits: { backoffMinMs: 1 },
  },
}

/** What a test has to stop at its end. */
export const stops: (() => unknown)[] = []

/** For `afterEach`: stops everything, the newest first. */
export async function stopAll(): Promise<void> {
  for (const stop of stops.splice(0).reverse()) await stop()
}

/** The network of bob, which dials alice. */
export function dial(url: string | null): Network {
  const network = createNetwork({
    identity: 'bob',
    peers: [{ id: 'alice', urls: url ?? '' }],
    security: 'plaintext',
    limits: { backoffMinMs: 1 },
  })
  stops.push(() => network.shutdown())
  return network
}

/** Until the condition holds; the test's own time limit is the bound. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve))
}

/** The resources of a network that was shut down. */
export const nothing = { actors: 0, deadlines: 0, handles: 0 }
