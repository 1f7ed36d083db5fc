/**
 * Owns: one (peer, connection id): its connection, one at a time, how a new connection takes the place of a broken one, and
 * how the link ends.
 * Refuses to know: sessions, and who asked for the link. The lanes are in its LinkCore, which outlives sockets and
 * even this actor. The chart is machines/link.ts; its parts are current-connection.ts,
 * link-dial.ts, link-news.ts, link-pumps.ts and link-timer.ts.
 */
import { linkActions, linkMachine } from '../../machines/link.ts'
import type { LinkEvent, LinkFacts } from '../../machines/link.ts'
import type { ChildEvent, DeadlineName } from '../../machines/chart.ts'
import type { AnyEventObject } from '../../machines/xstate.ts'
import { noopHooks } from '../../protocol/link-core.ts'
import type { HandshakeFault } from '../../protocol/dialect.ts'
import type { DueAction, LinkCore } from '../../protocol/link-core.ts'
import { ProtocolError, StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import { chartActor } from '../statechart/chart-actor.ts'
import type { ActorPort, Body, ChartLogic } from '../statechart/chart-actor.ts'
import { CurrentConnection } from './current-connection.ts'
import type { Handover } from '../connection/handover.ts'
import { LinkDial } from './link-dial.ts'
import { LinkNotifier } from './link-notifier.ts'
import { LinkPumps } from './link-pumps.ts'
import { LinkTimer } from './link-timer.ts'
import type { OnConnectionLost, ResolvedPeer } from '../config/options.ts'
import { cause, causeOf, errorOf } from '../base/causes.ts'
import type { Cause } from '../base/causes.ts'
import type { LinkContext } from './link-context.ts'

/** What a peer asks for: the link, and the state it shall carry. */
export interface LinkSpec {
  readonly id: string
  readonly connectionId: number
  readonly state: LinkCore
  readonly onConnectionLost: OnConnectionLost
}

export interface LinkInput {
  readonly services: LinkContext
  readonly peer: ResolvedPeer
  readonly spec: LinkSpec
}

class LinkBody implements Body {
  readonly #services: LinkContext
  readonly #peer: ResolvedPeer
  readonly #spec: LinkSpec
  readonly #port: ActorPort<LinkEvent<Handover>>
  readonly #dial: LinkDial
  readonly #pumps: LinkPumps
  readonly #timer: LinkTimer
  readonly #news: LinkNotifier
  readonly #current: CurrentConnection
  /** Bytes flow on the current connection. */
  #isUp = false
  #cause: Cause | null = null
  #closing: Cause | null = null

  constructor(input: LinkInput, port: ActorPort<LinkEvent<Handover>>) {
    const { services, peer, spec } = input
    this.#services = services
    this.#peer = peer
    this.#spec = spec
    this.#port = port
    this.#dial = new LinkDial({
      services,
      peer,
      link: spec.id,
      connectionId: spec.connectionId,
      ref: port.ref,
      onHandover: (handover) => this.#onHandover(handover),
    })
    this.#current = new CurrentConnection(port.children, spec.connectionId)
    this.#pumps = new LinkPumps(services, port.children, spec.state)
    this.#news = new LinkNotifier({ services, peer: peer.id, spec, port, pumps: this.#pumps })
    this.#timer = new LinkTimer(services, spec.state, (action) => this.#onDue(action))
    if (!spec.state.readsAtOnce) spec.state.onLaneOpened = () => port.send({ type: 'link.adopt' })
    this.#setHooks()
    this.#timer.set()
  }

  /** The link's state speaks to the pumps by plain calls. */
  #setHooks(): void {
    const pumps = this.#pumps
    this.#spec.state.setHooks({
      requestFlush: () => pumps.out?.requestFlush(),
      flushNow: () => pumps.out?.flush(),
      onReceiveRoom: () => pumps.into?.resume(),
      onHandlerFailed: (lane, error) => {
        const reason = causeOf(error, 'ERR_HANDLER_FAILED', `the handler of session ${lane.id} threw: `)
        this.#services.emit({
          type: 'handler.failed',
          peer: this.#peer.id,
          link: this.#spec.id,
          session: lane.id,
          cause: reason,
        })
        this.#spec.state.closeLane(
          lane,
          new StatewireError('ERR_HANDLER_FAILED', reason.message, { cause: error }),
          true,
        )
      },
      onBroken: (error) => this.#port.send({ type: 'pump.failed', cause: causeOf(error) }),
      requestTimer: () => this.#timer.set(),
      onGoodbye: (step, reason) => this.#answerGoodbye(step, reason === '' ? '' : `: ${formatValue(reason)}`),
    })
  }

  #onHandover(handover: Handover): void {
    const fault = handover.judge(this.#spec.state, this.#current.body?.hasSentHello ?? false)
    if (fault !== null) return this.#refuse(handover, fault)
    this.#port.send({ type: 'link.claimed', handover })
  }

  #refuse(handover: Handover, fault: HandshakeFault): void {
    handover.refuse(fault)
    if (fault.isExpected) return
    const reason = cause('ERR_HANDSHAKE_FAILED', `the hello of ${this.#peer.id} was refused (${fault.reason})`)
    this.#services.emit({
      type: 'connection.rejected',
      remoteAddress: handover.remoteAddress,
      peer: this.#peer.id,
      connectionId: this.#spec.connectionId,
      cause: reason,
    })
  }

  facts(): LinkFacts {
    const onConnectionLost = this.#spec.onConnectionLost === 'fail' ? 'fail' : 'reconnect'
    const { readsAtOnce } = this.#spec.state
    const epoch = this.#spec.state.epoch?.name ?? null
    const { number: attempt, body } = this.#current
    const remoteAddress = body?.remoteAddress ?? null
    const { connectionId } = this.#spec
    return {
      peer: this.#peer.id,
      connectionId,
      role: this.#peer.role,
      epoch,
      attempt,
      remoteAddress,
      onConnectionLost,
      readsAtOnce,
    }
  }

  figures(): object {
    return { ...this.#spec.state.counters }
  }

  deadlineMs(deadline: DeadlineName): number {
    const { limits } = this.#services.options
    if (deadline === 'connectTimeoutMs')
      return limits.dialTimeoutMs + limits.handshakeTimeoutMs + 2 * limits.closeTimeoutMs + 1000
    if (deadline === 'grantTimeoutMs') return limits.backoffMaxMs + limits.nameLookupTimeoutMs + limits.dialTimeoutMs
    // Longer than the connection's own, which comes first.
    if (deadline === 'closeTimeoutMs') return 2 * limits.closeTimeoutMs + 1000
    if (deadline === 'stableAfterMs') return limits.stableAfterMs
    throw new Error(`a link has no deadline ${deadline}`)
  }

  dispose(): void {
    this.#timer.cancel()
    this.#dial.dispose()
    this.#spec.state.onLaneOpened = null
    if (this.#closing !== null) this.#spec.state.close(errorOf(this.#closing))
    this.#spec.state.setHooks(noopHooks)
    this.#spec.state.block()
  }

  isCurrent(event: AnyEventObject): boolean {
    if (!('connection' in event) || typeof event['connection'] !== 'string') return true
    return event['connection'] === this.#current.id
  }

  requestDial(): void {
    this.#dial.request()
  }

  requestOnce(): void {
    this.#dial.requestOnce()
  }

  retryNow(): void {
    this.#dial.retry()
  }

  /** Leaves `requesting`: by the grant, which stays used until the dial has ended, or without one. */
  cancelDial(event: AnyEventObject): void {
    if (event.type !== 'dial.granted') this.#dial.end('dial.cancel')
  }

  openClaim(): void {
    this.#dial.openClaim()
  }

  /** After "2ok" the request is used up, except where the peer may come again at any time. */
  closeClaim(): void {
    if (this.#spec.onConnectionLost === 'fail') this.#dial.closeClaim()
  }

  /** What may throw comes before the pipe: from then on the connection owns it. */
  dial(event: { addresses: readonly string[] }): void {
    const { dialect, options } = this.#services
    const { connectionId, state } = this.#spec
    const handshake = dialect.createDialerHandshake({ identity: options.identity, connectionId, state })
    this.#news.started()
    const { pipe, timeoutMs } = this.#dial.open(event.addresses)
    this.#current.begin({ services: this.#services, begins: 'connecting', pipe, handshake, dialTimeoutMs: timeoutMs })
  }

  /** The peer has given up the connection that we still hold: end it before the new one is looked at. */
  replace(): void {
    const replaced = this.#current.stop()
    if (replaced === null) return
    this.#dial.replaced()
    if (this.#isUp) this.#announceLoss(cause('ERR_CONNECTION_LOST', `${this.#peer.id} connected anew`), replaced)
  }

  accept(event: { handover: Handover }): void {
    this.#news.started()
    const taken = event.handover.take(this.#spec.state)
    if (taken === undefined) {
      const reason = cause('ERR_CONNECTION_LOST', 'the connection ended before it was taken over')
      this.#port.send({ type: 'connection.closed', cause: reason, authenticated: false })
    } else this.#current.begin({ services: this.#services, begins: 'authenticated', taken })
  }

  endDial(): void {
    this.#dial.end()
  }

  notifyReady(): void {
    this.#news.ready()
    if (this.#spec.state.laneCount > 0) this.#port.send({ type: 'link.adopt' })
  }

  /** Bytes flow from here on, past this actor: first they, then the connection's chart. */
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
      // An internal error: it would come again at each new connection.
      if (!(error instanceof ProtocolError)) this.#spec.state.crashed()
      this.#current.send({ type: 'connection.fail', cause: causeOf(error) })
      return
    }
    this.#isUp = true
    this.#cause = null
    this.#services.peerAddresses.connected(
      opened.pipe.remoteHost,
      this.#services.nowMs(),
      this.#services.options.security === 'tls',
    )
    out.attach(opened.pipe, first)
    this.#news.opened(id, body.remoteAddress)
    into.attach(opened.pipe, opened.rest)
    this.#timer.set()
  }

  resetBackoff(): void {
    this.#dial.resetBackoff()
  }

  /** The name of its address was not resolved. */
  recordUnresolved(event: { cause: Cause }): void {
    this.#cause = event.cause
    this.#news.failed(this.#current.skip(), event.cause, false)
    this.#services.connectFailed(this.#peer.id, event.cause)
  }

  recordLost(event: { connection?: string; cause: Cause; authenticated: boolean }): void {
    const lost = this.#current.forget()
    this.#cause = event.cause
    if (this.#isUp) {
      this.#dial.end()
      return this.#announceLoss(event.cause, lost ?? '')
    }
    const hasOther = this.#dial.failed(event)
    if (event.cause.retry === 'stale') this.#replaced()
    // One that had been ready was never adopted, because no session needed it yet: it is not ready any more.
    this.#news.failed(lost, event.cause, event.authenticated)
    if (!hasOther && this.#closing === null) this.#services.connectFailed(this.#peer.id, event.cause)
  }

  /** Our newest hello is older than one the peer has seen: another process has this key, or the clock went back. */
  #replaced(): void {
    this.#spec.state.replaced()
    this.#services.emit({ type: 'peer.duplicate', peer: this.#peer.id })
  }

  #announceLoss(reason: Cause, connectionId: string): void {
    this.#isUp = false
    this.#pumps.detach()
    const { state, onConnectionLost } = this.#spec
    const isEnd = onConnectionLost === 'fail'
    // Put into words for those who hear of it.
    const lost =
      isEnd || state.reportsLoss
        ? cause('ERR_CONNECTION_LOST', `the connection to ${this.#peer.id} was lost: ${reason.message}`)
        : reason
    if (isEnd) {
      state.close(errorOf(lost))
      // The lanes of the batch's other links hear the same.
      this.#cause = lost
    } else state.connectionLost(lost.message, state.reportsLoss ? errorOf(reason) : null)
    this.#news.lost(connectionId, reason, isEnd ? lost : reason)
  }

  recordErrored(): void {
    if (this.#isUp) this.#news.errored()
  }

  failConnection(event: { type: string; cause?: Cause }): void {
    const reason = event.cause ?? cause('ERR_TIMED_OUT', `${this.#peer.id} was not connected in time`)
    const words = event.type === 'pump.failed' && this.#isUp ? this.#spec.state.protocolBroken(reason.message) : null
    if (words === null) this.#current.send({ type: 'connection.fail', cause: reason })
    else {
      this.#dial.breached()
      this.#leave(words, reason)
    }
  }

  dropConnection(event: { cause: Cause }): void {
    this.#current.send({ type: 'connection.fail', cause: event.cause })
  }

  closeConnection(event: { cause: Cause }): void {
    this.#cause = event.cause
    this.#dial.closeClaim()
    this.#pumps.out?.flush(true)
    const words = this.#isUp ? this.#spec.state.goodbye(event.cause.message) : null
    // Where it waits for an answer to its last words, it still reads what the peer had sent before: the end is in `dispose`.
    if (words === null) this.#spec.state.close(errorOf(event.cause))
    this.#closing = event.cause
    if (this.#current.id === null)
      this.#port.send({ type: 'connection.closed', cause: event.cause, authenticated: true })
    // Where the dialect has last words, the peer answers them, and only then this side ends.
    else if (words !== null) this.#say(words)
    else this.#current.send({ type: 'connection.close', cause: event.cause })
  }

  /** The last bytes of this side on the current connection: nothing of the pump's comes after them. */
  #say(words: Buffer | null): void {
    this.#pumps.out?.detach()
    if (words !== null && words.length > 0) this.#current.body?.say(words)
    this.#timer.set()
  }

  #leave(words: Buffer | null, reason: Cause, retry?: Cause['retry']): void {
    this.#say(words)
    this.#pumps.into?.detach()
    this.#dial.judge(retry)
    this.#current.send({ type: 'connection.close', cause: reason })
  }

  notifyFailed(): void {
    const reason = this.#cause ?? cause('ERR_CONNECTION_LOST', `the link to ${this.#peer.id} failed`)
    this.#spec.state.close(errorOf(reason))
    this.#news.over(reason)
  }

  /** A child died of a bug. A pump that broke has lost its place in the stream, so its connection goes with it. */
  recordRestart(event: ChildEvent): void {
    const reason = causeOf('error' in event ? event.error : undefined, 'ERR_INTERNAL', `${event.id}: `)
    this.#services.emit({ type: 'child.restarted', parent: this.#port.id, child: event.id, cause: reason })
    if (event.kind === 'connection') {
      this.#port.send({ type: 'connection.closed', cause: reason, authenticated: this.#isUp })
      return
    }
    this.#pumps.wire()
    if (this.#isUp) {
      this.#spec.state.crashed()
      this.#dial.judge('wait')
    }
    this.#current.send({ type: 'connection.fail', cause: reason })
  }

  escalate(event: ChildEvent): never {
    throw 'error' in event ? event.error : new StatewireError('ERR_RESTART_INTENSITY', `${event.id} failed too often`)
  }

  #onDue(action: Exclude<DueAction, 'look-again'>): void {
    if (action === 'suspect')
      this.#services.emit({
        type: 'connection.suspect',
        peer: this.#peer.id,
        link: this.#spec.id,
        connectionId: this.#spec.connectionId,
        connection: this.#current.id ?? '',
      })
    else if (action === 'ack') this.#pumps.out?.requestDueAck()
    else if (action === 'dead') {
      const said = this.#closing === null ? 'sent nothing for too long' : 'did not answer the Goodbye in time'
      this.#current.send({ type: 'connection.fail', cause: cause('ERR_TIMED_OUT', `${this.#peer.id} ${said}`) })
    }
    // A dial whose hello speaks for an epoch that is over must not be answered.
    else if (action === 'expired' && !this.#isUp)
      this.#current.send({
        type: 'connection.fail',
        cause: cause('ERR_TIMED_OUT', `the link to ${this.#peer.id} expired`),
      })
  }

  #answerGoodbye(step: 'answer' | 'finish' | 'protocol-error', reason: string): void {
    const { state } = this.#spec
    if (step === 'answer') {
      this.#pumps.out?.flush(true)
      this.#current.body?.expectEnd(cause('ERR_CONNECTION_LOST', `${this.#peer.id} said Goodbye${reason}`))
      // From here on the peer has the word: its last Ack, then its FIN.
      this.#say(state.goodbye(''))
    } else if (step === 'finish') {
      // The peer answers this side's Goodbye, or said its own at the same moment: this side's reason is reported.
      this.#leave(
        state.finalAck(),
        this.#closing ?? cause('ERR_CONNECTION_LOST', `${this.#peer.id} said Goodbye${reason}`),
      )
    }
    if (step === 'protocol-error') {
      state.protocolBroken('')
      this.#leave(
        null,
        cause('ERR_CONNECTION_LOST', `${this.#peer.id} says that this side broke the protocol${reason}`),
        'wait',
      )
    }
  }
}

export const link: ChartLogic<LinkInput> = chartActor<LinkInput, LinkBody, LinkEvent<Handover>>({
  machine: linkMachine,
  host: (input) => input.services,
  body: LinkBody,
  isCurrent: (body, event) => body.isCurrent(event),
  actions: linkActions,
})
