/**
 * Owns: what keeps each peer from connecting, in words for whoever waits for it: its dials that failed, the connections that were
 * refused here, or that nobody dials.
 * Refuses to know: who waits, and what is done about it.
 */
import type { Cause } from './causes.ts'
import type { NetworkEvent } from './events.ts'
import { formatUrl } from './options.ts'
import type { ResolvedOptions } from './options.ts'
import type { PeerTable } from './peer-table.ts'

interface Failures {
  count: number
  last: Cause
}

export class Obstacles {
  readonly #options: ResolvedOptions
  readonly #peers: PeerTable
  readonly #dials = new Map<string, Failures>()
  readonly #refusals = new Map<string, Failures>()
  /** Peers that were connected at some time: those know how to get here. */
  readonly #known = new Set<string>()
  /** Of connections that did not get so far as to say whose they are, or are of no peer. */
  #refusalsOfStrangers: Failures | null = null

  constructor(options: ResolvedOptions, peers: PeerTable) {
    this.#options = options
    this.#peers = peers
  }

  note(event: NetworkEvent): void {
    if (event.type === 'connection.failed') this.#dials.set(event.peer, oneMore(this.#dials.get(event.peer), event.cause))
    else if (event.type === 'connection.rejected') this.#noteRefusal(event.peer, event.cause)
    else if (event.type === 'connection.opened') {
      this.#known.add(event.peer)
      this.#dials.delete(event.peer)
      this.#refusals.delete(event.peer)
      // Whose they were is not known: perhaps its own. Whoever is still kept out will be refused again.
      this.#refusalsOfStrangers = null
    }
  }

  #noteRefusal(peer: string | null, reason: Cause): void {
    // It came before it was asked for, which is in nobody's way.
    if (reason.code === 'ERR_NOT_REQUESTED') return
    if (peer !== null && this.#peers.has(peer)) this.#refusals.set(peer, oneMore(this.#refusals.get(peer), reason))
    else this.#refusalsOfStrangers = oneMore(this.#refusalsOfStrangers ?? undefined, reason)
  }

  /** " (4 attempts; the last: connect ECONNREFUSED 127.0.0.1:1)", or nothing. `url`: where this side listens. */
  sentenceFor(peer: string, url: string | null): string {
    const refusals = this.#refusalsIn(peer)
    const dials = this.#dials.get(peer)
    const said = dials === undefined ? this.#nobodyDials(peer, url, refusals !== '') : this.#dialsFailed(dials)
    const parts = [said, refusals].filter((part) => part !== '')
    return parts.length === 0 ? '' : ` (${parts.join('; ')})`
  }

  #dialsFailed({ count, last }: Failures): string {
    // A listener closes such a connection without a byte, so nothing that came can tell.
    const isPerhapsTls = this.#options.security === 'plaintext' && last.code === 'ERR_HANDSHAKE_REFUSED'
    return `${count} ${count === 1 ? 'attempt' : 'attempts'}; the last: ${last.message}${isPerhapsTls ? "; this side dials without TLS (security: 'plaintext'), which a listener with TLS does not take" : ''}`
  }

  #nobodyDials(peer: string, url: string | null, hasCome: boolean): string {
    const { role } = this.#peers.get(peer) ?? {}
    if (role !== 'acceptor') return ''
    const isNative = this.#options.dialect === 'native'
    const here = url ?? (this.#options.listen === null ? 'this side' : formatUrl(this.#options.listen, this.#options.security))
    const dials = `${isNative ? 'it has no url here' : 'it has the greater identity'}, so it has to dial ${here}`
    if (hasCome) return dials
    if (this.#known.has(peer)) return `${dials} again, and did not come yet${isNative ? '' : this.#perhapsFewer()}`
    return `${dials}, and did not come: ${isNative ? 'one of the two sides needs the url of the other' : 'it needs that url'}`
  }

  /** Native peers agree on the lesser number. */
  #perhapsFewer(): string {
    const { connectionParallelism } = this.#options
    return connectionParallelism === 1 ? '' : `: it may be set to fewer connections than connectionParallelism is here, ${connectionParallelism}`
  }

  #refusalsIn(peer: string): string {
    const own = this.#refusals.get(peer)
    if (own !== undefined) return `${own.count} of its connections ${own.count === 1 ? 'was' : 'were'} refused here, the last: ${own.last.message}`
    const others = this.#refusalsOfStrangers
    if (others === null) return ''
    return `${others.count} ${others.count === 1 ? 'connection that may have been its own was' : 'connections that may have been its own were'} refused here, the last: ${others.last.message}`
  }
}

function oneMore(failures: Failures | undefined, last: Cause): Failures {
  return { count: (failures?.count ?? 0) + 1, last }
}
