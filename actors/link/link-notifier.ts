/**
 * Owns: notifications about a link and its connections, to its forwarders, its peer actor and the application.
 * Independent of: why something happened, and what the link does next.
 */
import { cause } from '../base/causes.ts'
import type { Cause } from '../base/causes.ts'
import type { ActorPort } from '../statechart/chart-actor.ts'
import type { LinkSpec } from './link-spec.ts'
import type { LinkPumps } from './link-pumps.ts'
import type { LinkContext } from './link-context.ts'

export interface LinkNotifierOptions {
  readonly context: LinkContext
  readonly peer: string
  readonly spec: LinkSpec
  readonly port: ActorPort
  readonly pumps: LinkPumps
}

export class LinkNotifier {
  readonly #options: LinkNotifierOptions

  constructor(options: LinkNotifierOptions) {
    this.#options = options
  }

  /** A connection is being made. */
  started(): void {
    this.#options.pumps.notify({ type: 'connection.started' })
  }

  opened(connection: string, remoteAddress: string): void {
    const { context, port, pumps, peer, spec } = this.#options
    pumps.notify({ type: 'connection.opened' })
    context.emit({
      type: 'connection.opened',
      peer,
      link: spec.id,
      linkIndex: spec.linkIndex,
      connection,
      remoteAddress,
      ...(spec.state.adoption ?? { resumed: false, replayedFrames: 0, downMs: null }),
    })
    port.tell({ type: 'link.up', link: spec.id })
  }

  /** The connection failed; its socket is not released yet. */
  errored(): void {
    this.#options.pumps.notify({ type: 'connection.errored' })
  }

  /**
   * The connection was lost after it had been up.
   * @param notified the cause for the peer actor
   */
  lost(connection: string, reason: Cause, notified: Cause): void {
    const { context, port, pumps, peer, spec } = this.#options
    pumps.notify({ type: 'connection.closed' })
    context.emit({
      type: 'connection.lost',
      peer,
      link: spec.id,
      linkIndex: spec.linkIndex,
      connection,
      cause: reason,
    })
    port.tell({ type: 'link.down', link: spec.id, cause: notified })
  }

  /**
   * The connection failed before it was up.
   * @param connection null if there was nothing to dial or to take over
   * @param wasReady it had been ready
   */
  failed(connection: string | null, reason: Cause, wasReady: boolean): void {
    const { context, port, pumps, peer, spec } = this.#options
    pumps.notify({ type: 'connection.closed' })
    if (connection === null) return
    context.emit({
      type: 'connection.failed',
      peer,
      link: spec.id,
      linkIndex: spec.linkIndex,
      connection,
      cause: reason,
    })
    if (wasReady) port.tell({ type: 'link.down', link: spec.id, cause: reason })
  }

  ready(): void {
    this.#options.port.tell({ type: 'link.ready', link: this.#options.spec.id })
  }

  handlerFailed(session: string, reason: Cause): void {
    const { context, peer, spec } = this.#options
    context.emit({ type: 'handler.failed', peer, link: spec.id, session, name: null, cause: reason })
  }

  /** The peer has sent nothing for a while. */
  suspect(connection: string): void {
    const { context, peer, spec } = this.#options
    context.emit({
      type: 'peer.suspect',
      peer,
      link: spec.id,
      linkIndex: spec.linkIndex,
      connection,
    })
  }

  /** The hello of an inbound connection was refused. */
  rejected(remoteAddress: string, reason: string): void {
    const { context, peer, spec } = this.#options
    context.emit({
      type: 'connection.rejected',
      remoteAddress,
      peer,
      linkIndex: spec.linkIndex,
      cause: cause('ERR_HANDSHAKE_FAILED', `the hello of ${peer} was refused (${reason})`),
    })
  }

  /** The link has ended. */
  ended(reason: Cause): void {
    this.#options.port.tell({ type: 'link.failed', link: this.#options.spec.id, cause: reason })
  }
}
