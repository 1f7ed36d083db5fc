/**
 * Owns: explanations of why a peer is not connected, for error messages: dials that failed, connections that were
 * refused here, or a missing dialer.
 * Independent of: who waits, and what is done about it.
 */
import type { Cause } from '../base/causes.ts'
import type { NetworkEvent } from '../base/events.ts'
import { formatUrl } from '../config/urls.ts'
import type { ResolvedOptions } from '../config/options.ts'
import type { PeerTable } from '../config/peer-table.ts'

interface Failures {
  readonly count: number
  readonly last: Cause
}

/** The key of failures that belong to no link of this side. */
const noLink = -1

/** The failures of each link to each peer. They are cleared for each link when it opens. */
class FailureTable {
  readonly #failures = new Map<string, Map<number, Failures>>()

  add(peer: string, linkIndex: number, last: Cause): void {
    const ofPeer = this.#failures.get(peer) ?? new Map<number, Failures>()
    this.#failures.set(peer, ofPeer)
    const count = (ofPeer.get(linkIndex)?.count ?? 0) + 1
    // Inserted again, so that the latest one is last.
    ofPeer.delete(linkIndex)
    ofPeer.set(linkIndex, { count, last })
  }

  opened(peer: string, linkIndex: number): void {
    const ofPeer = this.#failures.get(peer)
    ofPeer?.delete(linkIndex)
    ofPeer?.delete(noLink)
  }

  /** @param links the links to include; all by default */
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
  /** Refusals of connections from unknown peers, or from peers that did not identify themselves. */
  #unknownRefusals: Failures | null = null

  constructor(options: ResolvedOptions, peers: PeerTable) {
    this.#options = options
    this.#peers = peers
  }

  record(event: NetworkEvent): void {
    if (event.type === 'connection.failed') this.#dials.add(event.peer, event.linkIndex, event.cause)
    else if (event.type === 'connection.rejected') this.#recordRefusal(event.peer, event.linkIndex, event.cause)
    else if (event.type === 'connection.opened') {
      this.#known.add(event.peer)
      this.#dials.opened(event.peer, event.linkIndex)
      this.#refusals.opened(event.peer, event.linkIndex)
      // They may have come from this peer. Another unknown peer will be refused again.
      this.#unknownRefusals = null
    }
  }

  #recordRefusal(peer: string | null, linkIndex: number | undefined, last: Cause): void {
    const { connectionParallelism } = this.#options
    // A control channel uses the id after those of the sessions. A peer may claim any other id.
    const link = linkIndex === undefined || linkIndex > connectionParallelism ? noLink : linkIndex
    if (peer !== null && this.#peers.has(peer)) this.#refusals.add(peer, link, last)
    else this.#unknownRefusals = { count: (this.#unknownRefusals?.count ?? 0) + 1, last }
  }

  /**
   * For example " (4 attempts; the last: connect ECONNREFUSED 127.0.0.1:1)", or ''.
   * @param url where this side listens
   * @param links the connection ids that are missing; all by default
   */
  sentenceFor(peer: string, url: string | null, links?: ReadonlySet<number>): string {
    const refusals = this.#refusalsIn(peer, links)
    const dials = this.#dials.of(peer, links)
    const said = dials === null ? this.#missingDial(peer, url, refusals !== '') : this.#failedDials(dials)
    const parts = [said, refusals].filter((part) => part !== '')
    return parts.length === 0 ? '' : ` (${parts.join('; ')})`
  }

  #failedDials({ count, last }: Failures): string {
    // A TLS listener closes a plain TCP connection without an answer, so this side can only guess.
    const mayNeedTls = this.#options.security === 'plaintext' && last.code === 'ERR_HANDSHAKE_REFUSED'
    return `${count} ${count === 1 ? 'attempt' : 'attempts'}; the last: ${last.message}${mayNeedTls ? "; this side dials without TLS (security: 'plaintext'), which a TLS listener does not accept" : ''}`
  }

  #missingDial(peer: string, url: string | null, wasRefused: boolean): string {
    const { role } = this.#peers.get(peer) ?? {}
    if (role !== 'acceptor') return ''
    const isNative = this.#options.dialect === 'native'
    const here =
      url ?? (this.#options.listen === null ? 'this side' : formatUrl(this.#options.listen, this.#options.security))
    const dials = `${isNative ? 'it has no url here' : 'it has the greater identity'}, so it must dial ${here}`
    if (wasRefused) return dials
    if (this.#known.has(peer))
      return `${dials} again, but has not connected yet${isNative ? '' : this.#parallelismHint()}`
    return `${dials}, but has not connected: ${isNative ? 'one of the two sides needs the url of the other' : 'it needs that url'}`
  }

  /** Native peers use the lower of both numbers. */
  #parallelismHint(): string {
    const { connectionParallelism } = this.#options
    return connectionParallelism === 1
      ? ''
      : `: its connectionParallelism may be lower than ${connectionParallelism}, which is set here`
  }

  #refusalsIn(peer: string, links: ReadonlySet<number> | undefined): string {
    const own = this.#refusals.of(peer, links)
    if (own !== null)
      return `${own.count} of its connections ${own.count === 1 ? 'was' : 'were'} refused here, the last: ${own.last.message}`
    const others = this.#unknownRefusals
    if (others === null) return ''
    return `${others.count} ${others.count === 1 ? 'connection from an unknown peer, possibly this one, was' : 'connections from unknown peers, possibly this one, were'} refused here, the last: ${others.last.message}`
  }
}
