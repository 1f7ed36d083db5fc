/**
 * The child process under attack: a real network with one known peer, which reports figures on request.
 * Owns: counting what its network accepts and holds. Independent of: who attacks it, and how.
 *
 * Protocol with the parent: `{ ask: 'stats' | 'settled' | 'stop' }`, each answered with VictimStats.
 */
import { createNetwork, Identity } from '../../../actors/index.ts'
import type { Limits } from '../../../actors/index.ts'
import { Admission } from '../../../protocol/admission.ts'
import { settledRssBytes } from '../bar.ts'

export interface VictimStats {
  readonly rssBytes: number
  /** Pending inbound handshakes: now and the maximum, as admission counts them. */
  readonly pending: number
  readonly peakPending: number
  /** Sockets and listeners of the transport. */
  readonly handles: number
  readonly opened: number
  readonly rejected: number
  readonly crashes: number
}

export interface VictimReady {
  readonly url: string
  readonly id: string
}

const counts = { pending: 0, peakPending: 0, opened: 0, rejected: 0, crashes: 0 }
process.on('uncaughtException', () => void counts.crashes++)
process.on('unhandledRejection', () => void counts.crashes++)

/** Counted where it is decided, so that no moment between two samples is missed. */
const { ask, settle } = Admission.prototype
Admission.prototype.ask = function (...args) {
  const verdict = ask.apply(this, args)
  counts.pending = this.pending
  counts.peakPending = Math.max(counts.peakPending, this.pending)
  return verdict
}
Admission.prototype.settle = function (...args) {
  settle.apply(this, args)
  counts.pending = this.pending
}

const { peer, limits } = JSON.parse(process.argv[2] ?? '{}') as { peer: string; limits: Partial<Limits> }
const identity = Identity.generate()
const network = createNetwork({ identity, listen: 'tls://127.0.0.1:0', peers: [{ id: peer }], limits })
network.on('connection.opened', () => void counts.opened++)
network.on('connection.rejected', () => void counts.rejected++)

const stats = (rssBytes: number): VictimStats => ({ rssBytes, handles: network.resources.handles, ...counts })

process.on('message', ({ ask: what }: { ask: 'stats' | 'settled' | 'stop' }) => {
  if (what === 'stats') process.send?.(stats(process.memoryUsage().rss))
  else if (what === 'settled') void settledRssBytes().then((rssBytes) => process.send?.(stats(rssBytes)))
  else void network.shutdown().then(() => process.exit(0))
})
// The attack is over.
process.on('disconnect', () => process.exit(0))

await network.ready()
process.send?.({ url: network.url as string, id: identity.id } satisfies VictimReady)
