/**
 * Owns: what others hear of a link and its connections: forwarders, the peer above, the application; and when.
 * Refuses to know: why any of it happened, and what the link does next.
 *
 * A peer waits for a hello or a dial, and nobody for the news of one: so where breaks are replayed, news is told when the bytes of
 * this turn are on their way, in the order in which it came about. Where they are not, the order of a break and of what is sent
 * after it is the users' business, and news is told at once.
 */
import type { Cause } from './causes.ts'
import type { ActorPort } from './chart-actor.ts'
import type { LinkSpec } from './link.ts'
import type { LinkPumps } from './link-pumps.ts'
import type { LinkContext } from './link-context.ts'

/** In the first, the ClientHello of a dial leaves, or what was sent behind an answered hello comes. */
const turnsWhileConnecting = 2

export interface LinkNewsOptions {
  readonly services: LinkContext
  readonly peer: string
  readonly spec: LinkSpec
  readonly port: ActorPort
  readonly pumps: LinkPumps
}

export class LinkNews {
  readonly #options: LinkNewsOptions
  #untold: (() => void)[] = []
  /** Until it is told. */
  #turns = 1

  constructor(options: LinkNewsOptions) {
    this.#options = options
  }

  /** A connection is being made. What is told meanwhile waits for what the other side waits for. */
  started(): void {
    this.#turns = turnsWhileConnecting
    this.#soon(() => this.#options.pumps.tell({ type: 'connection.started' }))
  }

  opened(connection: string, remoteAddress: string): void {
    const { services, port, pumps, peer, spec } = this.#options
    this.#soon(() => {
      pumps.tell({ type: 'connection.opened' })
      services.emit({ type: 'connection.opened', peer, link: spec.id, connectionId: spec.connectionId, connection, remoteAddress })
      port.tell({ type: 'link.up', link: spec.id })
    })
  }

  /** It has broken, and is there until its socket is released. */
  errored(): void {
    this.#soon(() => this.#options.pumps.tell({ type: 'connection.errored' }))
  }

  /** Bytes had flowed on it. @param told what the peer above hears as the reason */
  lost(connection: string, reason: Cause, told: Cause): void {
    const { services, port, pumps, peer, spec } = this.#options
    this.#soon(() => {
      pumps.tell({ type: 'connection.closed' })
      services.emit({ type: 'connection.lost', peer, link: spec.id, connectionId: spec.connectionId, connection, cause: reason })
      port.tell({ type: 'link.down', link: spec.id, cause: told })
    })
  }

  /** @param connection null if it never got as far as having an actor; @param wasReady it had been ready, and is not any more */
  failed(connection: string | null, reason: Cause, wasReady: boolean): void {
    const { services, port, pumps, peer, spec } = this.#options
    this.flush()
    pumps.tell({ type: 'connection.closed' })
    if (connection === null) return
    services.emit({ type: 'connection.failed', peer, link: spec.id, connectionId: spec.connectionId, connection, cause: reason })
    if (wasReady) port.tell({ type: 'link.down', link: spec.id, cause: reason })
  }

  ready(): void {
    this.flush()
    this.#options.port.tell({ type: 'link.ready', link: this.#options.spec.id })
  }

  /** The link is over. */
  over(reason: Cause): void {
    this.flush()
    this.#options.port.tell({ type: 'link.failed', link: this.#options.spec.id, cause: reason })
  }

  #soon(news: () => void): void {
    if (!this.#options.spec.state.readsAtOnce) news()
    else if (this.#untold.push(news) === 1) this.#wait()
  }

  #wait(): void {
    this.#options.services.environment.clock.setImmediate(() => {
      if (--this.#turns > 0 && this.#untold.length > 0) this.#wait()
      else this.flush()
    })
  }

  flush(): void {
    const untold = this.#untold
    this.#untold = []
    this.#turns = 1
    for (const news of untold) news()
  }
}
