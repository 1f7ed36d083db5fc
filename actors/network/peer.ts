/**
 * Owns: the links to one peer and their supervision. Failures of this peer's actors stop here.
 * Independent of: sockets, frames, sessions; other peers. The chart is machines/peer.ts.
 */
import { peerActions, peerMachine } from '../../machines/peer.ts'
import type { PeerEvent, PeerFacts } from '../../machines/peer.ts'
import type { ChildEvent, DeadlineName } from '../../machines/chart.ts'
import type { AnyActorRef, AnyEventObject } from '../../machines/xstate.ts'
import { chartActor } from '../statechart/chart-actor.ts'
import type { ActorPort, Body, ChartLogic } from '../statechart/chart-actor.ts'
import { link } from '../link/link.ts'
import type { LinkSpec } from '../link/link-spec.ts'
import type { ResolvedPeer } from '../config/options.ts'
import { cause, causeOf, errorOf } from '../base/causes.ts'
import type { Cause } from '../base/causes.ts'
import type { Services } from './services.ts'
import type { Deadline } from '../base/timer-wheel.ts'
import { send } from '../statechart/send.ts'
import { streamManager } from '../streams/stream-manager.ts'
import type { PeerOpenings } from '../streams/stream-manager.ts'

/** The actor that opens streams to the peer. */
const streamsId = 'streams'

/** Requests a link from a peer. `replyTo` gets `link.ready`, `link.up`, `link.down` and `link.failed`, with `peer`. */
export interface LinkRequest {
  readonly spec: LinkSpec
  readonly replyTo: AnyActorRef
}

export interface PeerInput {
  readonly services: Services
  readonly peer: ResolvedPeer
}

class PeerBody implements Body {
  readonly #services: Services
  readonly #peer: ResolvedPeer
  readonly #port: ActorPort<PeerEvent<LinkRequest>>
  readonly #requests = new Map<string, LinkRequest>()
  readonly #up = new Set<string>()
  #cause: Cause = { code: 'ERR_INTERNAL', message: 'unknown' }

  constructor(input: PeerInput, port: ActorPort<PeerEvent<LinkRequest>>) {
    this.#services = input.services
    this.#peer = input.peer
    this.#port = port
  }

  facts(): PeerFacts {
    return { peer: this.#peer.id, links: this.#port.children.size }
  }

  deadlineMs(deadline: DeadlineName): number {
    const { limits } = this.#services.options
    if (deadline === 'shutdownTimeoutMs' && this.#closeWithinMs !== null) return this.#closeWithinMs
    if (deadline === 'backoffMaxMs' || deadline === 'shutdownTimeoutMs') return limits[deadline]
    throw new Error(`a peer has no deadline ${deadline}`)
  }

  /** After a crash the links of session groups fail. Permanent links are down until they are requested again. */
  dispose(): void {
    for (const { spec, replyTo } of this.#requests.values()) {
      const reason =
        this.#services.failure ?? cause('ERR_NETWORK_STOPPED', `the network closed its links to ${this.#peer.id}`)
      if (spec.onConnectionLost === 'fail') spec.state.close(errorOf(reason))
      else spec.state.connectionLost(reason.message, errorOf(reason))
      if (!this.#closing)
        send(replyTo, {
          type: spec.onConnectionLost === 'fail' ? 'link.failed' : 'link.down',
          link: spec.id,
          peer: this.#peer.id,
          cause: reason,
        })
    }
    this.#requests.clear()
    this.#lastDeadline?.cancel()
  }

  openLink(event: { request: LinkRequest }): void {
    const { request } = event
    this.#requests.set(request.spec.id, request)
    this.#spawn(request)
    // Calls of getStream that came before this actor was there.
    const openings = this.#services.streams.stranded(this.#peer.id)
    if (openings !== null) this.startStreams({ openings })
  }

  #spawn(request: LinkRequest): void {
    this.#port.children.spawn({
      id: request.spec.id,
      kind: 'link',
      logic: link,
      input: { context: this.#services, peer: this.#peer, spec: request.spec },
      // A link of a session group is not restarted after a crash: its group ends. Permanent links are restarted.
      restart: request.spec.onConnectionLost === 'fail' ? 'temporary' : 'transient',
    })
  }

  releaseLink(event: { link: string; cause: Cause }): void {
    const ref = this.#port.children.get(event.link)
    if (ref !== undefined) send(ref, { type: 'link.close', cause: event.cause })
    else this.#forget(event.link)
  }

  /** The manager ends when no connection can be made; the next call for a stream starts another. */
  startStreams(event: { openings: unknown }): void {
    if (this.#port.children.get(streamsId) !== undefined) return
    this.#port.children.spawn({
      id: streamsId,
      kind: streamsId,
      logic: streamManager,
      input: { context: this.#services, openings: event.openings as PeerOpenings },
      restart: 'temporary',
    })
  }

  /** Drops the connection of a link and makes a new one. The link and its lanes stay. */
  breakLink(event: { link: string; cause: Cause }): void {
    send(this.#port.children.get(event.link), { type: 'link.unwanted', cause: event.cause })
  }

  relay(event: AnyEventObject & { link: string; cause?: Cause }): void {
    if (event.type === 'link.up') this.#up.add(event.link)
    else if (event.type !== 'link.ready') this.#up.delete(event.link)
    if (this.#pausing !== null) this.#pauseLast()
    if (event.type === 'link.up' || event.type === 'link.down') this.#updateLinks()
    const { type, link: id, cause: reason } = event
    const peerId = this.#peer.id
    const replyTo = this.#requests.get(id)?.replyTo
    if (replyTo !== undefined)
      send(
        replyTo,
        reason === undefined ? { type, link: id, peer: peerId } : { type, link: id, cause: reason, peer: peerId },
      )
  }

  forgetLink(event: { id?: string; link?: string }): void {
    const id = event.id ?? event.link
    if (id === undefined || this.#port.children.get(id) !== undefined) return
    if (id === streamsId) return this.#notifyIfIdle()
    this.#up.delete(id)
    if (this.#up.size === 0) this.#services.records.disconnected(this.#peer.id, 'goodbye')
    this.#forget(id)
  }

  #forget(id: string): void {
    this.#requests.delete(id)
    this.#notifyIfIdle()
  }

  #notifyIfIdle(): void {
    if (!this.#closing) return
    if (this.#port.children.size === 0) this.#port.send({ type: 'peer.empty' })
    else if (this.#port.children.size === 1) this.#closeLastNow()
  }

  /** The peer expects link 0 to leave last (docs/protocol.md, native). */
  #lastLink(): AnyActorRef | undefined {
    const first = [...this.#requests.values()].find(
      ({ spec }) => spec.linkIndex === 0 && spec.onConnectionLost === 'resume',
    )
    return first === undefined ? undefined : this.#port.children.get(first.spec.id)
  }

  #closeLastNow(): void {
    const close = this.#closeLastLink
    this.#closeLastLink = null
    this.#lastDeadline?.cancel()
    close?.()
  }

  #closing = false
  #closeWithinMs: number | null = null
  #closeLastLink: (() => void) | null = null
  #lastDeadline: Deadline | null = null

  wakeLinks(event: AnyEventObject): void {
    for (const ref of this.#port.children.refs()) send(ref, event)
  }

  /** Goodbye on each link, link 0 last. The links stay, and take the peer's dials. */
  pauseLinks(event: { cause: Cause }): void {
    const last = this.#lastLink()
    for (const ref of this.#port.children.refs())
      if (ref !== last) send(ref, { type: 'link.pause', cause: event.cause })
    this.#pausing = event.cause
    this.#lastDeadline?.cancel()
    this.#lastDeadline = this.#services.wheel.schedule(this.#services.options.limits.closeTimeoutMs, () =>
      this.#pauseLast(true),
    )
    this.#pauseLast()
  }

  #pausing: Cause | null = null

  #pauseLast(isLate = false): void {
    const reason = this.#pausing
    const others = [...this.#up].filter((link) => link !== 'link:0')
    if (reason === null || (others.length > 0 && !isLate)) return
    this.#pausing = null
    this.#lastDeadline?.cancel()
    send(this.#lastLink(), { type: 'link.pause', cause: reason })
  }

  /** A peer announces its number of links on link 0. */
  #updateLinks(): void {
    const { baseLinks } = this.#services
    for (const { id } of baseLinks.inUse(this.#peer.id).slice(1))
      send(this.#port.children.get(id), { type: 'link.wanted' })
    for (const { id, state } of baseLinks.unused(this.#peer.id)) {
      // Its connection is useless, and may not have failed yet. The link's state is reset once it is down.
      send(this.#port.children.get(id), {
        type: 'link.unwanted',
        cause: cause('ERR_CONNECTION_LOST', `${this.#peer.id} has fewer links now`),
      })
      state.retire?.()
    }
  }

  recordRestart(event: ChildEvent): void {
    const reason = causeOf('error' in event ? event.error : undefined, 'ERR_INTERNAL', `${event.id}: `)
    this.#services.emit({ type: 'child.restarted', parent: this.#port.id, child: event.id, cause: reason })
    // The crash closed the connection. The lanes live on and report what may be missing.
    const request = this.#requests.get(event.id)
    request?.spec.state.crashed()
    request?.spec.state.connectionLost(
      `an internal error ended the connection to ${this.#peer.id}: ${reason.message}`,
      errorOf(reason),
    )
    this.relay({ type: 'link.down', link: event.id, cause: reason })
  }

  /** A link crashed too often: notifies the actor that requested it. */
  recordEscalation(event: ChildEvent): void {
    this.#cause = causeOf('error' in event ? event.error : undefined, 'ERR_RESTART_INTENSITY', `${event.id}: `)
    const request = this.#requests.get(event.id)
    if (request === undefined) return
    if (request.spec.onConnectionLost === 'fail') {
      request.spec.state.close(errorOf(this.#cause))
      this.relay({ type: 'link.failed', link: event.id, cause: this.#cause })
      this.#forget(event.id)
    } else {
      request.spec.state.crashed()
      request.spec.state.connectionLost(`${this.#peer.id} is set aside: ${this.#cause.message}`, errorOf(this.#cause))
      this.relay({ type: 'link.down', link: event.id, cause: this.#cause })
    }
  }

  notifyErrored(): void {
    this.#services.emit({ type: 'peer.errored', peer: this.#peer.id, cause: this.#cause })
  }

  /** The cap of the back-off has passed: opens the requested links again. */
  reopenLinks(): void {
    for (const request of this.#requests.values())
      if (this.#port.children.get(request.spec.id) === undefined) this.#spawn(request)
  }

  /** @param withinMs the time limit, if it is shorter than that of a shutdown */
  closeLinks(event: { cause: Cause; withinMs?: number }): void {
    this.#closing = true
    this.#closeWithinMs = event.withinMs ?? null
    const last = this.#lastLink()
    for (const ref of this.#port.children.refs())
      if (ref !== last) send(ref, { type: 'link.close', cause: event.cause })
    if (last !== undefined) {
      this.#closeLastLink = () => send(last, { type: 'link.close', cause: event.cause })
      const withinMs = event.withinMs ?? this.#services.options.limits.shutdownTimeoutMs
      // If a Goodbye is not answered, half of the time is left for the last link.
      this.#lastDeadline = this.#services.wheel.schedule(withinMs / 2, () => this.#closeLastNow())
    }
    this.#notifyIfIdle()
  }

  refuseLink(event: { request: LinkRequest }): void {
    const reason = cause('ERR_NETWORK_STOPPED', `the network is closing its links to ${this.#peer.id}`)
    event.request.spec.state.close(errorOf(reason))
    send(event.request.replyTo, {
      type: 'link.failed',
      link: event.request.spec.id,
      peer: this.#peer.id,
      cause: reason,
    })
  }
}

export const peer: ChartLogic<PeerInput> = chartActor<PeerInput, PeerBody, PeerEvent<LinkRequest>>({
  machine: peerMachine,
  host: (input) => input.services,
  body: PeerBody,
  actions: peerActions,
})
