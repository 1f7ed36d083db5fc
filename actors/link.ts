/**
 * Owns: one (peer, connection id): its connection, one at a time, its two forwarders, and how a new connection takes
 * the place of a broken one.
 * Refuses to know: sessions, and who asked for the link. The lanes are in its LinkCore, which outlives sockets and
 * even this actor. The chart is machines/link.ts.
 */
import { linkActions, linkMachine } from '../machines/link.ts'
import type { LinkFacts } from '../machines/link.ts'
import type { Cause, ChildEvent, DeadlineName } from '../machines/chart.ts'
import type { AnyActorRef, AnyEventObject } from '../machines/xstate.ts'
import { idleHooks } from '../protocol/link-core.ts'
import type { DueAction, LinkCore } from '../protocol/link-core.ts'
import { StatewireError } from '../codec/errors.ts'
import { chartActor } from './chart-actor.ts'
import type { ActorPort, Body, ChartLogic } from './chart-actor.ts'
import { connection, connectionBody } from './connection.ts'
import type { Offer } from './connection.ts'
import { forwarder, inPumpOf, outPumpOf } from './forwarder.ts'
import type { InPump, OutPump } from './forwarder.ts'
import type { OnConnectionLost, ResolvedPeer } from './options.ts'
import { cause, causeOf, errorOf } from './services.ts'
import type { Services } from './services.ts'
import type { Deadline } from './timer-wheel.ts'

/** What a peer asks for: the link, and the state it shall carry. */
export interface LinkSpec {
  readonly id: string
  readonly connectionId: number
  readonly state: LinkCore
  readonly onConnectionLost: OnConnectionLost
}

export interface LinkInput {
  readonly services: Services
  readonly peer: ResolvedPeer
  readonly spec: LinkSpec
}

class LinkBody implements Body {
  readonly #services: Services
  readonly #peer: ResolvedPeer
  readonly #spec: LinkSpec
  readonly #port: ActorPort
  readonly #dialKey: string
  #connectionNumber = 0
  #current: AnyActorRef | null = null
  #offer: Offer | null = null
  #wasUp = false
  #dialing = false
  #cause: Cause | null = null
  #claimOpen = false
  #out: OutPump | null = null
  #timer: Deadline | null = null
  #timerDueAtMs = 0
  #in: InPump | null = null
  readonly #onOffer = (offer: unknown): void => {
    this.#port.send({ type: 'link.claimed', offer })
  }

  constructor(input: LinkInput, port: ActorPort) {
    this.#services = input.services
    this.#peer = input.peer
    this.#spec = input.spec
    this.#port = port
    this.#dialKey = `${input.peer.id} ${input.spec.id}`
    input.spec.state.onLaneOpened = () => port.send({ type: 'link.adopt' })
  }

  facts(): LinkFacts {
    return { peer: this.#peer.id, connectionId: this.#spec.connectionId, role: this.#peer.role, onConnectionLost: this.#spec.onConnectionLost }
  }

  deadlineMs(deadline: DeadlineName): number {
    const { limits } = this.#services.options
    if (deadline === 'connectTimeoutMs') return limits.dialTimeoutMs + limits.handshakeTimeoutMs + 2 * limits.closeTimeoutMs + 1000
    if (deadline === 'grantTimeoutMs') return limits.backoffMaxMs + limits.dialTimeoutMs
    // Longer than the connection's own, which comes first.
    if (deadline === 'closeTimeoutMs') return 2 * limits.closeTimeoutMs + 1000
    if (deadline === 'stableAfterMs') return limits.stableAfterMs
    throw new Error(`a link has no deadline ${deadline}`)
  }

  dispose(): void {
    this.#timer?.cancel()
    this.#releaseClaim()
    this.#tellReconnector('dial.forget')
    this.#spec.state.onLaneOpened = null
    this.#spec.state.setHooks(idleHooks)
    this.#spec.state.block()
  }

  isCurrent(event: AnyEventObject): boolean {
    if (!('connection' in event) || typeof event['connection'] !== 'string') return true
    return event['connection'] === this.#current?.id
  }

  requestDial(): void {
    this.#dialing = true
    this.#services.reconnector?.send({ type: 'dial.request', key: this.#dialKey, link: this.#port.ref, isRedial: this.#wasUp })
    this.#wasUp = false
  }

  /** Leaves `requesting`: by the grant, which stays used until the dial has ended, or without one. */
  cancelDial(event: AnyEventObject): void {
    if (event.type !== 'dial.granted') this.#endDial('dial.cancel')
  }

  openClaim(): void {
    if (this.#claimOpen) return
    this.#claimOpen = true
    this.#services.claims.open({ identity: this.#peer.id, connectionId: this.#spec.connectionId }, this.#onOffer)
  }

  /** After "2ok" the request is used up, except where the peer may come again at any time. */
  closeClaim(): void {
    if (this.#spec.onConnectionLost === 'fail') this.#releaseClaim()
  }

  #releaseClaim(): void {
    if (!this.#claimOpen) return
    this.#claimOpen = false
    this.#services.claims.close({ identity: this.#peer.id, connectionId: this.#spec.connectionId }, this.#onOffer)
  }

  dial(): void {
    const { environment, dialect, options } = this.#services
    const address = this.#peer.address
    if (address === null) throw new StatewireError('ERR_INTERNAL', `there is no address to dial ${this.#peer.id} at`)
    const pipe = environment.transport.dial(address, options.limits)
    const handshake = dialect.createDialerHandshake({ identity: options.identity, connectionId: this.#spec.connectionId })
    this.#spawn({ services: this.#services, begins: 'connecting', pipe, handshake })
  }

  /** The peer has given up the connection that we still hold: end it before the new one is looked at. */
  replace(event: { offer: Offer }): void {
    this.#offer = event.offer
    const replaced = this.#current
    if (replaced === null) return
    this.#current = null
    this.#port.children.stop(replaced.id)
    if (this.#wasUp) this.#announceLoss(cause('ERR_CONNECTION_LOST', `${this.#peer.id} connected anew`), replaced.id)
  }

  accept(event: { offer: Offer }): void {
    const offer = this.#offer ?? event.offer
    this.#offer = null
    const claimed = offer.take()
    if (claimed === undefined) {
      this.#port.send({ type: 'connection.closed', cause: cause('ERR_CONNECTION_LOST', 'the connection ended before it was taken over'), authenticated: false })
      return
    }
    this.#spawn({ services: this.#services, begins: 'claimed', claimed, state: this.#spec.state })
  }

  #spawn(input: unknown): void {
    const id = `connection:${this.#spec.connectionId}.${++this.#connectionNumber}`
    this.#tellForwarders({ type: 'connection.started' })
    // The actor's first events come while it is being made: they are of the current connection already.
    this.#current = { id } as AnyActorRef
    this.#current = this.#port.children.spawn({ id, kind: 'connection', logic: connection, input, restart: 'temporary' })
  }

  tellReady(): void {
    this.#endDial('dial.ended')
    this.#port.tell({ type: 'link.ready', link: this.#spec.id })
    if (this.#spec.state.readsAtOnce || this.#spec.state.laneCount > 0) this.#port.send({ type: 'link.adopt' })
  }

  /** Bytes flow from here on, past this actor. */
  adopt(): void {
    this.#ensureForwarders()
    this.#current?.send({ type: 'connection.adopt' })
  }

  noteOpened(): void {
    const current = this.#current
    const out = this.#out
    const into = this.#in
    const body = current === null ? undefined : connectionBody(current)
    if (current === null || body === undefined || out === null || into === null) return
    const opened = body.release({ onOpen() {}, onBytes: into.bytes, onDrain: out.drained, onEnd() {}, onClose() {} })
    if (opened === undefined) return
    this.#wasUp = true
    this.#cause = null
    this.#tellForwarders({ type: 'connection.opened' })
    this.#services.emit({ type: 'connection.opened', peer: this.#peer.id, link: this.#spec.id, connectionId: this.#spec.connectionId, connection: current.id, remoteAddress: body.remoteAddress })
    this.#port.tell({ type: 'link.up', link: this.#spec.id })
    const first = this.#spec.state.established(opened.agreed)
    if (first.length > 0) opened.pipe.write(first)
    out.attach(opened.pipe)
    into.attach(opened.pipe, opened.rest)
    this.#setTimer()
  }

  resetBackoff(): void {
    this.#tellReconnector('dial.reset')
  }

  noteLost(event: { connection?: string; cause: Cause; authenticated: boolean }): void {
    this.#endDial('dial.ended')
    const lost = this.#current
    this.#current = null
    this.#cause = event.cause
    if (this.#wasUp) this.#announceLoss(event.cause, lost?.id ?? '')
    else {
      this.#tellForwarders({ type: 'connection.closed' })
      if (lost !== null) this.#services.emit({ type: 'connection.failed', peer: this.#peer.id, link: this.#spec.id, connectionId: this.#spec.connectionId, connection: lost.id, cause: event.cause })
      // It had been ready and was never adopted, because no session needed it yet: it is not ready any more.
      if (lost !== null && event.authenticated) this.#port.tell({ type: 'link.down', link: this.#spec.id, cause: event.cause })
    }
  }

  #announceLoss(reason: Cause, connectionId: string): void {
    this.#out?.detach()
    this.#in?.detach()
    this.#tellForwarders({ type: 'connection.errored' })
    this.#tellForwarders({ type: 'connection.closed' })
    const lost = cause('ERR_CONNECTION_LOST', `the connection to ${this.#peer.id} was lost: ${reason.message}`)
    if (this.#spec.onConnectionLost === 'reconnect') this.#spec.state.connectionLost(lost.message, errorOf(reason))
    else {
      this.#spec.state.close(errorOf(lost))
      // The lanes of the batch's other links hear the same.
      this.#cause = lost
    }
    this.#services.emit({ type: 'connection.lost', peer: this.#peer.id, link: this.#spec.id, connectionId: this.#spec.connectionId, connection: connectionId, cause: reason })
    this.#port.tell({ type: 'link.down', link: this.#spec.id, cause: this.#spec.onConnectionLost === 'fail' ? lost : reason })
  }

  failConnection(event: { type: string; cause?: Cause }): void {
    const reason = event.cause ?? cause('ERR_TIMED_OUT', `${this.#peer.id} was not connected in time`)
    this.#current?.send({ type: 'connection.fail', cause: reason })
  }

  closeConnection(event: { cause: Cause }): void {
    this.#cause = event.cause
    this.#releaseClaim()
    this.#out?.flush()
    this.#spec.state.close(errorOf(event.cause))
    if (this.#current === null) {
      this.#port.send({ type: 'connection.closed', cause: event.cause, authenticated: true })
      return
    }
    this.#current.send({ type: 'connection.close', cause: event.cause })
  }

  tellFailed(): void {
    const reason = this.#cause ?? cause('ERR_CONNECTION_LOST', `the link to ${this.#peer.id} failed`)
    this.#spec.state.close(errorOf(reason))
    this.#port.tell({ type: 'link.failed', link: this.#spec.id, cause: reason })
  }

  /** A child died of a bug. A pump that broke has lost its place in the stream, so its connection goes with it. */
  noteRestart(event: ChildEvent): void {
    const reason = causeOf('error' in event ? event.error : undefined, 'ERR_INTERNAL', `${event.id}: `)
    this.#services.emit({ type: 'child.restarted', parent: this.#port.id, child: event.id, cause: reason })
    if (event.kind === 'connection') {
      this.#port.send({ type: 'connection.closed', cause: reason, authenticated: this.#wasUp })
      return
    }
    this.#wirePumps()
    this.#current?.send({ type: 'connection.fail', cause: reason })
  }

  escalate(event: ChildEvent): never {
    throw 'error' in event ? event.error : new StatewireError('ERR_RESTART_INTENSITY', `${event.id} failed too often`)
  }

  #ensureForwarders(): void {
    const { children } = this.#port
    if (children.get('forwarder:out') === undefined) {
      for (const direction of ['out', 'in'] as const) {
        children.spawn({ id: `forwarder:${direction}`, kind: 'forwarder', logic: forwarder, input: { services: this.#services, direction, state: this.#spec.state }, restart: 'permanent' })
      }
      this.#tellForwarders({ type: 'connection.started' })
    }
    this.#wirePumps()
  }

  /** The link's state speaks to the pumps by plain calls; a restarted forwarder has a new pump. */
  #wirePumps(): void {
    const outRef = this.#port.children.get('forwarder:out')
    const inRef = this.#port.children.get('forwarder:in')
    const out = outRef === undefined ? undefined : outPumpOf(outRef)
    const into = inRef === undefined ? undefined : inPumpOf(inRef)
    if (out === undefined || into === undefined) return
    this.#out = out
    this.#in = into
    into.replies = out
    this.#spec.state.setHooks({
      requestFlush: () => out.requestFlush(),
      flushNow: () => out.flush(),
      onReceiveFull: () => into.pause(),
      onReceiveRoom: () => into.resume(),
      onHandlerFailed: (lane, error) => {
        const reason = causeOf(error, 'ERR_HANDLER_FAILED', `the handler of session ${lane.id} threw: `)
        this.#services.emit({ type: 'child.restarted', parent: this.#port.id, child: `session:${lane.id}`, cause: reason })
        this.#spec.state.closeLane(lane, new StatewireError('ERR_HANDLER_FAILED', reason.message, { cause: error }), true)
      },
      onBroken: (error) => this.#port.send({ type: 'pump.failed', cause: causeOf(error) }),
      requestTimer: () => this.#setTimer(),
      onGoodbye: (step) => this.#answerGoodbye(step),
    })
  }

  /** What is owed by time (acknowledgements, keep-alive, expiry) is one entry in the wheel a link. */
  #setTimer(): void {
    const dueAtMs = this.#spec.state.nextDueAtMs
    if (dueAtMs === null || (this.#timer !== null && this.#timerDueAtMs <= dueAtMs)) return
    this.#timer?.cancel()
    this.#timerDueAtMs = dueAtMs
    this.#timer = this.#services.wheel.schedule(dueAtMs - this.#services.nowMs(), () => {
      this.#timer = null
      for (const action of this.#spec.state.poll(this.#services.nowMs(), dueAtMs)) this.#act(action)
      this.#setTimer()
    })
  }

  #act(action: DueAction | null): void {
    const { clock } = this.#services.environment
    if (action === 'look-again') clock.setImmediate(() => this.#act(this.#spec.state.lookAgain()))
    else if (action === 'suspect') this.#services.emit({ type: 'connection.suspect', peer: this.#peer.id, link: this.#spec.id, connectionId: this.#spec.connectionId, connection: this.#current?.id ?? '' })
    else if (action === 'dead') this.#current?.send({ type: 'connection.fail', cause: cause('ERR_TIMED_OUT', `nothing was heard from ${this.#peer.id} for too long`) })
    // A dial whose hello speaks for an epoch that is over must not be answered.
    else if (action === 'expired' && this.#current !== null && !this.#wasUp) this.#current.send({ type: 'connection.fail', cause: cause('ERR_TIMED_OUT', `the link to ${this.#peer.id} expired`) })
  }

  #answerGoodbye(step: 'answer' | 'finish' | 'protocol-error'): void {
    const { state } = this.#spec
    if (step === 'answer') {
      const words = state.farewell('')
      this.#out?.sayLast(words)
      return
    }
    this.#out?.sayLast(null)
    if (step === 'protocol-error') state.contractBroken('')
    this.#current?.send({ type: 'connection.close', cause: step === 'finish' ? cause('ERR_SESSION_CLOSED', `${this.#peer.id} said Goodbye`) : cause('ERR_CONNECTION_LOST', `${this.#peer.id} says that this side broke the protocol`) })
  }

  #tellForwarders(event: AnyEventObject): void {
    this.#port.children.get('forwarder:out')?.send(event)
    this.#port.children.get('forwarder:in')?.send(event)
  }

  #endDial(type: 'dial.ended' | 'dial.cancel'): void {
    if (!this.#dialing) return
    this.#dialing = false
    this.#tellReconnector(type)
  }

  #tellReconnector(type: string): void {
    this.#services.reconnector?.send({ type, key: this.#dialKey })
  }

  whenFlushed(callback: (error: Error | null) => void): void {
    if (this.#out === null) callback(new Error('there is no connection'))
    else this.#out.whenFlushed(callback)
  }
}

const flushers = new WeakMap<LinkCore, (callback: (error: Error | null) => void) => void>()

/** Calls back when what was sent on this link is with the kernel: the control channel's promise. */
export function whenFlushed(state: LinkCore, callback: (error: Error | null) => void): void {
  const flusher = flushers.get(state)
  if (flusher === undefined) callback(new Error('there is no connection'))
  else flusher(callback)
}

export const link: ChartLogic<LinkInput> = chartActor<LinkInput, LinkBody, (typeof linkActions)[number]>({
  machine: linkMachine,
  host: (input) => input.services,
  createBody: (input, port) => {
    const body = new LinkBody(input, port)
    flushers.set(input.spec.state, (callback) => body.whenFlushed(callback))
    return body
  },
  isCurrent: (body, event) => body.isCurrent(event),
  actions: {
    requestDial: (body) => body.requestDial(),
    cancelDial: (body, event) => body.cancelDial(event),
    openClaim: (body) => body.openClaim(),
    closeClaim: (body) => body.closeClaim(),
    dial: (body) => body.dial(),
    accept: (body, event) => body.accept(event),
    replace: (body, event) => body.replace(event),
    tellReady: (body) => body.tellReady(),
    adopt: (body) => body.adopt(),
    noteOpened: (body) => body.noteOpened(),
    resetBackoff: (body) => body.resetBackoff(),
    noteLost: (body, event) => body.noteLost(event),
    failConnection: (body, event) => body.failConnection(event),
    closeConnection: (body, event) => body.closeConnection(event),
    tellFailed: (body) => body.tellFailed(),
    noteRestart: (body, event) => body.noteRestart(event),
    escalate: (body, event) => body.escalate(event),
  },
})
