/**
 * Owns: two networks of one process that know each other's keys, over TLS on 127.0.0.1, and their shutdown.
 * Independent of: what is measured on them.
 */
import { createNetwork, Identity } from '../../../actors/index.ts'
import type { Limits, Network, Session } from '../../../actors/index.ts'
import { supervisorServices } from '../../../actors/network/supervisor.ts'
import type { Services } from '../../../actors/network/services.ts'
import type { NativeLink } from '../../../protocol/native/link/native-link.ts'

/** Many fast connects from one address: the limits for strangers have checks of their own. */
export const bareLimits: Partial<Limits> = {
  backoffMinMs: 1,
  backoffMaxMs: 50,
  connectBurst: 1_000_000,
  connectRatePerSecond: 1_000_000,
  pendingInboundPerAddressMax: 64,
}

/** The acceptor listens, the dialer dials it. */
export interface TlsPair {
  readonly acceptor: Network
  readonly dialer: Network
}

export async function startTlsPair(limits: Partial<Limits> = {}): Promise<TlsPair> {
  const [first, second] = [Identity.generate(), Identity.generate()]
  const all = { ...bareLimits, ...limits }
  const acceptor = createNetwork({
    identity: first,
    listen: 'tls://127.0.0.1:0',
    peers: [{ id: second.id }],
    limits: all,
  })
  await acceptor.ready()
  const dialer = createNetwork({
    identity: second,
    peers: [{ id: first.id, urls: acceptor.url as string }],
    limits: all,
  })
  await dialer.ready()
  return { acceptor, dialer }
}

/** Both sides make them; by session, first the acceptor's end, then the dialer's. */
export async function makeSessionPairs({ acceptor, dialer }: TlsPair, count: number): Promise<[Session, Session][]> {
  const [ofAcceptor, ofDialer] = await Promise.all([acceptor.makeSessions({ count }), dialer.makeSessions({ count })])
  return ofAcceptor.map((session, index) => [session, ofDialer[index] as Session])
}

export async function stopTlsPair({ acceptor, dialer }: TlsPair): Promise<void> {
  await Promise.all([acceptor.shutdown(), dialer.shutdown()])
}

/** The state of the first link to a peer. */
export function linkStateOf(network: Network, peer: string): NativeLink {
  const services = supervisorServices(network.ref) as Services
  return services.baseLinks.of(peer)[0]?.state as NativeLink
}
