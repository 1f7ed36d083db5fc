/**
 * Owns: why each peer is not connected, in words for the calls that wait for it: dials that failed, connections that were refused
 * here, or that nobody dials.
 * Independent of: who waits, and of what is done about it.
 */
import type { Cause } from '../base/causes.ts'
import type { NetworkEvent } from '../base/events.ts'
import { formatUrl } from '../config/options.ts'
import type { ResolvedOptions } from '../config/options.ts'
import type { PeerTable } from '../config/peer-table.ts'

interface Failures {
  readonly count: number
  readonly last: Cause
}

/** The key of failures that belong to no link of this side. */
const noLink = -1

/** Failures of each link to each peer. A link that opens has no failures any more; those of the other links stay. */
class FailureTable {
  readonly #failures = new Map<string, Map<number, Failures>>()

  add(peer: string, connectionId: number, last: Cause): void {
    const ofPeer = this.#failures.get(peer) ?? new Map<number, Failures>()
    this.#failures.set(peer, ofPeer)
    const count = (ofPeer.get(connectionId)?.count ?? 0) + 1
    // Written anew, so that the last one is at the end.
    ofPeer.delete(connectionId)
    ofPeer.set(connectionId, { count, last })
  }

  opened(peer: string, connectionId: number): void {
    const ofPeer = this.#failures.get(peer)
    ofPeer?.delete(connectionId)
    ofPeer?.delete(noLink)
  }

  /** @param links those that are asked about; all if not given */
  of(peer: string, links?: ReadonlySet<number>): Failures | null {
    const found = [...(this.#failures.get(peer) ?? [])].filter(
      ([id]) => links === undefined || links.has(id) || id === noLink,
    )
    const last = found.at(-1)?.[1].last
    return last === undefined ? null : { count: found.reduce((sum, [, { count }]) => sum + count, 0), last }
  }
}

export class ConnectDiagnostics {
  readonly #options: ResolvedOptions
  readonly #peers: PeerTable
  readonly #dials = new FailureTable()
  readonly #refusals = new FailureTable()
  /** Peers that were connected before, so they know how to reach this side. */
  readonly #known = new Set<string>()
  /** Refusals of connections whose peer is unknown or not one of this network. */
  #refusalsOfStrangers: Failures | null = null

  constructor(options: ResolvedOptions, peers: PeerTable) {
    this.#options = options
    this.#peers = peers
  }

  record(event: NetworkEvent): void {
    if (event.type === 'connection.failed') this.#dials.add(event.peer, event.connectionId, event.cause)
    else if (event.type === 'connection.rejected') this.#recordRefusal(event.peer, event.connectionId, event.cause)
    else if (event.type === 'connection.opened') {
      this.#known.add(event.peer)
      this.#dials.opened(event.peer, event.connectionId)
      this.#refusals.opened(event.peer, event.connectionId)
      // They may have been those of this peer. Any other stranger will be refused again.
      this.#refusalsOfStrangers = null
    }
  }

  #recordRefusal(peer: string | null, connectionId: number | undefined, last: Cause): void {
    const { connectionParallelism } = this.#options
    // A control channel has the number after those of the sessions. A peer may claim any other number.
    const link = connectionId === undefined || connectionId > connectionParallelism ? noLink : connectionId
    if (peer !== null && this.#peers.has(peer)) this.#refusals.add(peer, link, last)
    else this.#refusalsOfStrangers = { count: (this.#refusalsOfStrangers?.count ?? 0) + 1, last }
  }

  /**
   * " (4 attempts; the last: connect ECONNREFUSED 127.0.0.1:1)", or nothing.
   * @param url where this side listens
   * @param links the connection ids that are missing; all if not given
   */
  sentenceFor(peer: string, url: string | null, links?: ReadonlySet<number>): string {
    const refusals = this.#refusalsIn(peer, links)
    const dials = this.#dials.of(peer, links)
    const said = dials === null ? this.#nobodyDials(peer, url, refusals !== '') : this.#dialsFailed(dials)
    const parts = [said, refusals].filter((part) => part !== '')
    return parts.length === 0 ? '' : ` (${parts.join('; ')})`
  }

  #dialsFailed({ count, last }: Failures): string {
    // A listener with TLS closes such a connection without a byte, so nothing that came can tell.
    const isPerhapsTls = this.#options.security === 'plaintext' && last.code === 'ERR_HANDSHAKE_REFUSED'
    return `${count} ${count === 1 ? 'attempt' : 'attempts'}; the last: ${last.message}${isPerhapsTls ? "; this side dials without TLS (security: 'plaintext'), which a listener with TLS does not take" : ''}`
  }

  #nobodyDials(peer: string, url: string | null, hasCome: boolean): string {
    const { role } = this.#peers.get(peer) ?? {}
    if (role !== 'acceptor') return ''
    const isNative = this.#options.dialect === 'native'
    const here =
      url ?? (this.#options.listen === null ? 'this side' : formatUrl(this.#options.listen, this.#options.security))
    const dials = `${isNative ? 'it has no url here' : 'it has the greater identity'}, so it has to dial ${here}`
    if (hasCome) return dials
    if (this.#known.has(peer)) return `${dials} again, and did not come yet${isNative ? '' : this.#perhapsFewer()}`
    return `${dials}, and did not come: ${isNative ? 'one of the two sides needs the url of the other' : 'it needs that url'}`
  }

  /** Native peers agree on the lesser number. */
  #perhapsFewer(): string {
    const { connectionParallelism } = this.#options
    return connectionParallelism === 1
      ? ''
      : `: it may be set to fewer connections than connectionParallelism is here, ${connectionParallelism}`
  }

  #refusalsIn(peer: string, links: ReadonlySet<number> | undefined): string {
    const own = this.#refusals.of(peer, links)
    if (own !== null)
      return `${own.count} of its connections ${own.count === 1 ? 'was' : 'were'} refused here, the last: ${own.last.message}`
    const others = this.#refusalsOfStrangers
    if (others === null) return ''
    return `${others.count} ${others.count === 1 ? 'connection that may have been its own was' : 'connections that may have been its own were'} refused here, the last: ${others.last.message}`
  }
}
