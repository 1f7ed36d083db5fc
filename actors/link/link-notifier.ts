/**
 * Owns: what others hear of a link and its connections: forwarders, the peer above, the application.
 * Independent of: why any of it happened, and what the link does next.
 */
import type { Cause } from '../base/causes.ts'
import type { ActorPort } from '../statechart/chart-actor.ts'
import type { LinkSpec } from './link.ts'
import type { LinkPumps } from './link-pumps.ts'
import type { LinkContext } from './link-context.ts'

export interface LinkNewsOptions {
  readonly services: LinkContext
  readonly peer: string
  readonly spec: LinkSpec
  readonly port: ActorPort
  readonly pumps: LinkPumps
}

export class LinkNotifier {
  readonly #options: LinkNewsOptions

  constructor(options: LinkNewsOptions) {
    this.#options = options
  }

  /** A connection is being made. */
  started(): void {
    this.#options.pumps.tell({ type: 'connection.started' })
  }

  opened(connection: string, remoteAddress: string): void {
    const { services, port, pumps, peer, spec } = this.#options
    pumps.tell({ type: 'connection.opened' })
    services.emit({
      type: 'connection.opened',
      peer,
      link: spec.id,
      connectionId: spec.connectionId,
      connection,
      remoteAddress,
    })
    port.tell({ type: 'link.up', link: spec.id })
  }

  /** It has broken, and is there until its socket is released. */
  errored(): void {
    this.#options.pumps.tell({ type: 'connection.errored' })
  }

  /** Bytes had flowed on it. @param told what the peer above hears as the reason */
  lost(connection: string, reason: Cause, told: Cause): void {
    const { services, port, pumps, peer, spec } = this.#options
    pumps.tell({ type: 'connection.closed' })
    services.emit({
      type: 'connection.lost',
      peer,
      link: spec.id,
      connectionId: spec.connectionId,
      connection,
      cause: reason,
    })
    port.tell({ type: 'link.down', link: spec.id, cause: told })
  }

  /** @param connection null if there was none to dial or to take over. @param wasReady it had been ready */
  failed(connection: string | null, reason: Cause, wasReady: boolean): void {
    const { services, port, pumps, peer, spec } = this.#options
    pumps.tell({ type: 'connection.closed' })
    if (connection === null) return
    services.emit({
      type: 'connection.failed',
      peer,
      link: spec.id,
      connectionId: spec.connectionId,
      connection,
      cause: reason,
    })
    if (wasReady) port.tell({ type: 'link.down', link: spec.id, cause: reason })
  }

  ready(): void {
    this.#options.port.tell({ type: 'link.ready', link: this.#options.spec.id })
  }

  /** The link is over. */
  over(reason: Cause): void {
    this.#options.port.tell({ type: 'link.failed', link: this.#options.spec.id, cause: reason })
  }
}
