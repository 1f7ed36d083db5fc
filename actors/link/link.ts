/**
 * Owns: one link, which is one (peer, connection id): its connections, one at a time, how a new connection replaces a
 * broken one, and how the link ends.
 * Independent of: sessions, and who asked for the link. The lanes are in its LinkCore, which outlives sockets and this
 * actor. The chart is machines/link.ts; its parts are the other files of this folder.
 */
import { linkActions, linkMachine } from '../../machines/link.ts'
import type { LinkEvent, LinkFacts } from '../../machines/link.ts'
import type { ChildEvent, DeadlineName } from '../../machines/chart.ts'
import type { AnyEventObject } from '../../machines/xstate.ts'
import { noopHooks } from '../../protocol/link-core.ts'
import type { DueAction } from '../../protocol/link-core.ts'
import { ProtocolError, StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import { chartActor } from '../statechart/chart-actor.ts'
import type { ActorPort, Body, ChartLogic } from '../statechart/chart-actor.ts'
import { CurrentConnection } from './current-connection.ts'
import type { Handover } from '../connection/handover.ts'
import { LinkClosing } from './link-closing.ts'
import { LinkDial } from './link-dial.ts'
import { LinkNotifier } from './link-notifier.ts'
import { LinkPumps } from './link-pumps.ts'
import { LinkTimer } from './link-timer.ts'
import type { LinkInput, LinkSpec } from './link-spec.ts'
import type { ResolvedPeer } from '../config/options.ts'
import { cause, causeOf, errorOf } from '../base/causes.ts'
import type { Cause } from '../base/causes.ts'
import type { LinkContext } from './link-context.ts'

class LinkBody implements Body {
  readonly #context: LinkContext
  readonly #peer: ResolvedPeer
  readonly #spec: LinkSpec
  readonly #port: ActorPort<LinkEvent<Handover>>
  readonly #dial: LinkDial
  readonly #pumps: LinkPumps
  readonly #timer: LinkTimer
  readonly #notifier: LinkNotifier
  readonly #current: CurrentConnection
  readonly #closing: LinkClosing
  /** Bytes flow on the current connection. */
  #isUp = false
  #cause: Cause | null = null

  constructor(input: LinkInput, port: ActorPort<LinkEvent<Handover>>) {
    const { context, peer, spec } = input
    this.#context = context
    this.#peer = peer
    this.#spec = spec
    this.#port = port
    this.#dial = new LinkDial({
      context,
      peer,
      link: spec.id,
      linkIndex: spec.linkIndex,
      ref: port.ref,
      onHandover: (handover) => this.#onHandover(handover),
    })
    this.#current = new CurrentConnection(port.children, spec.linkIndex)
    this.#pumps = new LinkPumps(context, port.children, spec.state)
    this.#notifier = new LinkNotifier({ context, peer: peer.id, spec, port, pumps: this.#pumps })
    this.#timer = new LinkTimer(context, spec.state, (action) => this.#onDue(action))
    this.#closing = new LinkClosing({
      peer: peer.id,
      state: spec.state,
      port,
      current: this.#current,
      dial: this.#dial,
      pumps: this.#pumps,
      timer: this.#timer,
    })
    if (!spec.state.readsAtOnce) spec.state.onLaneOpened = () => port.send({ type: 'link.adopt' })
    this.#setHooks()
    this.#timer.set()
  }

  /** The state calls the pumps directly, without events. */
  #setHooks(): void {
    const { state } = this.#spec
    state.setHooks({
      ...this.#pumps.hooks,
      onHandlerFailed: (lane, error) => {
        const reason = causeOf(error, 'ERR_HANDLER_FAILED', `the handler of session ${lane.name} threw: `)
        this.#notifier.handlerFailed(lane.name, reason)
        state.closeLane(lane, new StatewireError('ERR_HANDLER_FAILED', reason.message, { cause: error }), true)
      },
      onBroken: (error) => this.#port.send({ type: 'pump.failed', cause: causeOf(error) }),
      requestTimer: () => this.#timer.set(),
      onGoodbye: (step, reason) => this.#closing.answerGoodbye(step, reason === '' ? '' : `: ${formatValue(reason)}`),
    })
  }

  #onHandover(handover: Handover): void {
    const fault = handover.judge(this.#spec.state, this.#current.body?.hasSentHello ?? false)
    if (fault === null) return this.#port.send({ type: 'link.claimed', handover })
    handover.refuse(fault)
    if (!fault.isExpected) this.#notifier.rejected(handover.remoteAddress, fault.reason)
  }

  facts(): LinkFacts {
    const { linkIndex, onConnectionLost, state } = this.#spec
    const { number: attempt, body } = this.#current
    const peer = this.#peer
    return {
      peer: peer.id,
      linkIndex,
      // Getters, because guards keep the first facts and these two change: with `urls`, and with `connect()`.
      get role() {
        return peer.role
      },
      get isWanted() {
        return peer.desired === 'wanted'
      },
      epoch: state.epoch?.name ?? null,
      attempt,
      remoteAddress: body?.remoteAddress ?? null,
      onConnectionLost: onConnectionLost === 'fail' ? 'fail' : 'reconnect',
      readsAtOnce: state.readsAtOnce,
    }
  }

  figures(): object {
    return { ...this.#spec.state.counters }
  }

  deadlineMs(deadline: DeadlineName): number {
    const { limits } = this.#context.options
    if (deadline === 'connectTimeoutMs')
      return limits.dialTimeoutMs + limits.handshakeTimeoutMs + 2 * limits.closeTimeoutMs + 1000
    if (deadline === 'grantTimeoutMs') return limits.backoffMaxMs + limits.nameLookupTimeoutMs + limits.dialTimeoutMs
    if (deadline === 'closeTimeoutMs') {
      // Longer than the connection's own deadline, which should pass first.
      const closeMs = 2 * limits.closeTimeoutMs + 1000
      // After a Goodbye the peer may go on sending for as long as this side has time. Its silence ends it earlier.
      return this.#isUp ? Math.max(closeMs, limits.shutdownTimeoutMs) : closeMs
    }
    if (deadline === 'stableAfterMs') return limits.stableAfterMs
    throw new Error(`a link has no deadline ${deadline}`)
  }

  dispose(): void {
    this.#timer.cancel()
    this.#dial.dispose()
    this.#spec.state.onLaneOpened = null
    this.#closing.finish()
    this.#spec.state.setHooks(noopHooks)
    this.#spec.state.block()
  }

  isCurrent(event: AnyEventObject): boolean {
    if (!('connection' in event) || typeof event['connection'] !== 'string') return true
    return event['connection'] === this.#current.id
  }

  requestDial(): void {
    // The end of the last connection, an action of the same transition, may have changed what is wanted.
    if (this.#peer.desired !== 'wanted') return this.#port.send({ type: 'link.resume' })
    this.#dial.request()
  }

  requestOnce(): void {
    this.#dial.requestOnce()
  }

  retryNow(): void {
    this.#dial.retry()
  }

  /** The link leaves `requesting`. A granted dial keeps its slot until it has ended. */
  cancelDial(event: AnyEventObject): void {
    if (event.type !== 'dial.granted') this.#dial.end('dial.cancel')
  }

  openClaim(): void {
    this.#dial.openClaim()
  }

  /** In mode `fail` a link accepts one connection; in other modes the peer may connect again at any time. */
  closeClaim(): void {
    if (this.#spec.onConnectionLost === 'fail') this.#dial.closeClaim()
  }

  /** Whatever may throw is done before the pipe exists, because the connection owns the pipe from then on. */
  dial(event: { addresses: readonly string[] }): void {
    const { dialect, options } = this.#context
    const { linkIndex, state } = this.#spec
    const handshake = dialect.createDialerHandshake({ identity: options.identity, linkIndex, state })
    this.#notifier.started()
    const { pipe, timeoutMs } = this.#dial.open(event.addresses)
    this.#current.begin({ context: this.#context, begins: 'connecting', pipe, handshake, dialTimeoutMs: timeoutMs })
  }

  /** The peer has abandoned the connection that this side still holds. End it before the new one is used. */
  replace(): void {
    const replaced = this.#current.stop()
    if (replaced === null) return
    this.#dial.replaced()
    if (this.#isUp)
      this.#announceLoss(cause('ERR_CONNECTION_LOST', `${this.#peer.id} opened a new connection`), replaced)
  }

  accept(event: { handover: Handover }): void {
    this.#notifier.started()
    const taken = event.handover.take(this.#spec.state)
    if (taken === undefined) {
      const reason = cause('ERR_CONNECTION_LOST', 'the connection was closed during the handover')
      this.#port.send({ type: 'connection.closed', cause: reason, authenticated: false })
    } else this.#current.begin({ context: this.#context, begins: 'authenticated', taken })
  }

  endDial(): void {
    this.#dial.end()
  }

  notifyReady(): void {
    this.#notifier.ready()
    if (this.#spec.state.laneCount > 0) this.#port.send({ type: 'link.adopt' })
  }

  /** Passes the pipe to the pumps, before the connection's chart is notified. From here on bytes bypass this actor. */
  adopt(): void {
    this.#pumps.ensure()
    this.#takeOver()
    this.#current.send({ type: 'connection.adopt' })
  }

  #takeOver(): void {
    const { out, into } = this.#pumps
    const { id, body } = this.#current
    if (id === null || body === undefined || out === null || into === null) return
    const opened = body.release(into.bytes, out.drained)
    if (opened === undefined) return
    let first: readonly Buffer[]
    try {
      first = this.#spec.state.established(opened.agreed)
    } catch (error) {
      // An internal error would repeat on each new connection, so the state is reset.
      if (!(error instanceof ProtocolError)) this.#spec.state.crashed()
      this.#current.send({ type: 'connection.fail', cause: causeOf(error) })
      return
    }
    this.#isUp = true
    this.#cause = null
    this.#context.peerAddresses.connected(
      opened.pipe.remoteHost,
      this.#context.nowMs(),
      this.#context.options.security === 'tls',
    )
    out.attach(opened.pipe, first)
    this.#notifier.opened(id, body.remoteAddress)
    into.attach(opened.pipe, opened.rest)
    this.#timer.set()
  }

  resetBackoff(): void {
    this.#dial.resetBackoff()
  }

  /** The host name of the peer was not resolved. */
  recordUnresolved(event: { cause: Cause }): void {
    this.#cause = event.cause
    const hasOther = this.#dial.unresolved()
    this.#notifier.failed(this.#current.skip(), event.cause, false)
    if (!hasOther) this.#context.connectFailed(this.#peer.id, event.cause)
  }

  recordLost(event: { connection?: string; cause: Cause; authenticated: boolean }): void {
    const lost = this.#current.forget()
    this.#cause = event.cause
    if (this.#isUp) {
      this.#dial.end()
      return this.#announceLoss(event.cause, lost ?? '')
    }
    const hasOther = this.#dial.failed(event)
    // It may have been ready without being adopted, because no session needed it yet.
    this.#notifier.failed(lost, event.cause, event.authenticated)
    if (!hasOther && this.#closing.cause === null) this.#context.connectFailed(this.#peer.id, event.cause)
  }

  #announceLoss(reason: Cause, linkIndex: string): void {
    this.#isUp = false
    this.#pumps.detach()
    const { state, onConnectionLost } = this.#spec
    const isEnd = onConnectionLost === 'fail'
    // Sessions report this cause, so it names the peer.
    const lost =
      isEnd || state.reportsLoss
        ? cause('ERR_CONNECTION_LOST', `the connection to ${this.#peer.id} was lost: ${reason.message}`)
        : reason
    if (isEnd) {
      state.close(errorOf(lost))
      // The lanes of the group's other links end with the same cause.
      this.#cause = lost
    } else state.connectionLost(lost.message, state.reportsLoss ? errorOf(reason) : null)
    this.#notifier.lost(linkIndex, reason, isEnd ? lost : reason)
  }

  recordErrored(): void {
    if (this.#isUp) this.#notifier.errored()
  }

  failConnection(event: { type: string; cause?: Cause }): void {
    const reason = event.cause ?? cause('ERR_TIMED_OUT', `${this.#peer.id} was not connected in time`)
    const isViolation = event.type === 'pump.failed' && this.#isUp
    if (isViolation && this.#closing.closeForViolation(reason)) return
    this.#current.send({ type: 'connection.fail', cause: reason })
  }

  dropConnection(event: { cause: Cause }): void {
    this.#current.send({ type: 'connection.fail', cause: event.cause })
  }

  closeConnection(event: { cause: Cause }): void {
    this.#cause = event.cause
    this.#closing.begin(event.cause, this.#isUp)
  }

  /** The peer is not wanted any more: Goodbye, and the link stays. */
  pauseConnection(event: { cause: Cause }): void {
    this.#closing.pause(event.cause, this.#isUp)
  }

  notifyFailed(): void {
    const reason = this.#cause ?? cause('ERR_CONNECTION_LOST', `the link to ${this.#peer.id} failed`)
    this.#spec.state.close(errorOf(reason))
    this.#notifier.ended(reason)
  }

  /** A child crashed. A restarted pump does not know its position in the stream, so its connection is closed too. */
  recordRestart(event: ChildEvent): void {
    const reason = causeOf('error' in event ? event.error : undefined, 'ERR_INTERNAL', `${event.id}: `)
    this.#context.emit({ type: 'child.restarted', parent: this.#port.id, child: event.id, cause: reason })
    if (event.kind === 'connection') {
      this.#port.send({ type: 'connection.closed', cause: reason, authenticated: this.#isUp })
      return
    }
    this.#pumps.wire()
    if (this.#isUp) {
      this.#spec.state.crashed()
      this.#dial.adjustBackoff('wait')
    }
    this.#current.send({ type: 'connection.fail', cause: reason })
  }

  escalate(event: ChildEvent): never {
    throw 'error' in event ? event.error : new StatewireError('ERR_RESTART_INTENSITY', `${event.id} failed too often`)
  }

  #onDue(action: Exclude<DueAction, 'look-again'>): void {
    if (action === 'ack') this.#pumps.out?.requestDueAck()
    else if (action === 'suspect') this.#notifier.suspect(this.#current.id ?? '')
    else if (action === 'dead') {
      const isAnswerDue = this.#closing.cause !== null
      this.#timeOut(
        `${this.#peer.id} ${isAnswerDue ? 'did not answer the Goodbye in time' : 'sent nothing for too long'}`,
      )
    }
    // The hello of a dial in progress belongs to the expired epoch and must not be answered.
    else if (action === 'expired' && !this.#isUp) this.#timeOut(`the link to ${this.#peer.id} expired`)
  }

  #timeOut(message: string): void {
    this.#current.send({ type: 'connection.fail', cause: cause('ERR_TIMED_OUT', message) })
  }
}

export const link: ChartLogic<LinkInput> = chartActor<LinkInput, LinkBody, LinkEvent<Handover>>({
  machine: linkMachine,
  host: (input) => input.context,
  body: LinkBody,
  isCurrent: (body, event) => body.isCurrent(event),
  actions: linkActions,
})
