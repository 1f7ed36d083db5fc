/**
 * Owns: one `makeSessions` call, or one control channel: its turn, its links, its validation, and that it ends as one.
 * Refuses to know: sockets and frames; how links come up. The chart is machines/session-group.ts, the numbers protocol/ampc/session-numbering.ts.
 */
import { sessionGroupActions, sessionGroupMachine } from '../../machines/session-group.ts'
import type { SessionGroupEvent, SessionGroupFacts } from '../../machines/session-group.ts'
import type { DeadlineName } from '../../machines/chart.ts'
import type { AnyActorRef, AnyEventObject } from '../../machines/xstate.ts'
import { StatewireError } from '../../codec/errors.ts'
import { connectionOf, connectionsFor, validationKey } from '../../protocol/ampc/session-numbering.ts'
import type { LinkCore } from '../../protocol/link-core.ts'
import { AmpcLink } from '../../protocol/ampc/ampc-link.ts'
import { ringAround } from '../../protocol/ampc/party-ring.ts'
import type { SessionGroupRequest } from './session-group-request.ts'
import { notMade, timeoutMessage } from './session-group-failure.ts'
import { chartActor } from '../statechart/chart-actor.ts'
import type { ActorPort, Body, ChartLogic } from '../statechart/chart-actor.ts'
import { ControlChannel } from './control-channel.ts'
import { describe, nextOf, sendWhenPossible } from './validation.ts'
import { openNativeLanes, waitForCredit, whenPeersHaveHeard } from './native-sessions.ts'
import type { OnConnectionLost } from '../config/options.ts'
import { cause, causeOf, errorOf } from '../base/causes.ts'
import type { Cause } from '../base/causes.ts'
import type { SessionContext, WaitingCall } from './session-context.ts'
import { Session } from './session.ts'
import type { Channel, PrfKeys } from './session.ts'
import { send } from '../statechart/send.ts'

export interface SessionGroupInput {
  readonly services: SessionContext
  readonly request: SessionGroupRequest
  readonly peersPool: AnyActorRef
}

interface GroupLink {
  readonly peer: string
  readonly id: string
  /** 0, 1, … within the batch: which sessions it carries. */
  readonly number: number
  readonly connectionId: number
  readonly state: LinkCore
}

class SessionGroupBody implements Body, WaitingCall {
  readonly #services: SessionContext
  readonly #request: SessionGroupRequest
  readonly #peersPool: AnyActorRef
  readonly #port: ActorPort<SessionGroupEvent>
  readonly #mode: OnConnectionLost
  readonly #connections: number
  readonly #links: GroupLink[] = []
  readonly #ready = new Set<string>()
  readonly #gone = new Set<string>()
  /** By session index, then by peer. */
  readonly #channels: Map<string, Channel>[] = []
  #endTurn: (() => void) | null = null
  #firstId = 0
  #cause: Cause | null = null
  #validating = false
  /** By index. */
  readonly #openSessions = new Set<number>()
  #isReleased = false
  readonly #prfKeys: PrfKeys[] = []

  constructor(input: SessionGroupInput, port: ActorPort<SessionGroupEvent>) {
    this.#services = input.services
    this.#request = input.request
    this.#peersPool = input.peersPool
    this.#port = port
    const { onConnectionLost, connectionParallelism } = input.services.options
    // A control channel has connections of its own in both modes, and ends with them.
    this.#mode = input.request.purpose === 'control' ? 'fail' : onConnectionLost
    input.request.onAbort = (error) => port.send({ type: 'group.fail', cause: causeOf(error) })
    this.#connections = connectionsFor(input.request.count, connectionParallelism)
    this.#services.waitingCalls.add(this)
  }

  facts(): SessionGroupFacts {
    return {
      peers: this.#request.peers,
      sessions: this.#request.count,
      connectionsPerPeer: this.#connections,
      readyLinks: this.#ready.size,
      purpose: this.#request.purpose,
      onConnectionLost: this.#mode,
    }
  }

  deadlineMs(deadline: DeadlineName): number {
    if (deadline === 'makeSessionsTimeoutMs') return this.#request.timeoutMs
    throw new Error(`a session group has no deadline ${deadline}`)
  }

  dispose(): void {
    this.#isReleased = true
    this.#services.waitingCalls.delete(this)
    this.#giveTurnBack()
    this.#request.reject(
      errorOf(this.#cause ?? this.#services.failure ?? cause('ERR_NETWORK_STOPPED', 'the network has stopped')),
    )
  }

  /** What can not be done (no ids are left) ends the batch with its own code, and not as a bug of ours. */
  #orFail(action: () => void): void {
    try {
      action()
    } catch (error) {
      this.#cause = causeOf(error)
      if (!(error instanceof StatewireError)) throw error
      this.#port.send({ type: 'group.fail', cause: this.#cause })
    }
  }

  get peers(): readonly string[] {
    return this.#request.peers
  }

  connectFailed(peer: string, { code, message }: Cause): void {
    this.#port.send({
      type: 'group.fail',
      cause: cause(code, `${notMade(this.#request)}: no connection with ${peer}: ${message}`),
    })
  }

  takeTurn(): void {
    // Links of its own are dialled anew. Shared ones wait for the cap of the back-off; the caller may know better.
    const failed = this.#mode === 'fail' ? [] : this.peers.filter((peer) => this.#services.fatalCauseOf(peer) !== null)
    for (const peer of failed) this.#notifyPeer(peer, { type: 'link.retry' })
    this.#endTurn = this.#services.callQueue.take(this.#request.peers, () => this.#port.send({ type: 'turn.granted' }))
  }

  #giveTurnBack(): void {
    const endTurn = this.#endTurn
    this.#endTurn = null
    endTurn?.()
  }

  #giveTurnBackLater(): void {
    const endTurn = this.#endTurn
    this.#endTurn = null
    if (endTurn !== null && this.#channels.length > 0) whenPeersHaveHeard(this.#services, this.#channels, endTurn)
    else endTurn?.()
  }

  openLinks(): void {
    this.#orFail(() => this.#openLinks())
  }

  #openLinks(): void {
    this.#firstId = this.#request.purpose === 'control' ? 0 : this.#services.numbering.first(this.#request.count)
    if (this.#mode === 'fail') this.#openOwnLinks()
    else this.#useBaseLinks()
  }

  /** A fresh set of connections. Their lanes exist before the first handshake: the other side may be quicker. */
  #openOwnLinks(): void {
    const { dialect, options } = this.#services
    for (const peer of this.#request.peers) {
      for (let number = 0; number < this.#connections; number++) {
        const connectionId = this.#firstConnectionId() + number
        const framing =
          this.#request.purpose === 'control'
            ? dialect.control()
            : dialect.sessions(options.limits.maxMessageLengthBytes)
        this.#links.push({
          peer,
          number,
          connectionId,
          id: `link:${this.#port.id}.${number}`,
          state: new AmpcLink(framing, options.limits),
        })
      }
    }
    this.#openLanes()
    for (const link of this.#links) {
      const spec = {
        id: link.id,
        connectionId: link.connectionId,
        state: link.state,
        onConnectionLost: 'fail' as const,
      }
      this.#notifyPeer(link.peer, { type: 'link.open', request: { spec, replyTo: this.#port.ref } })
    }
  }

  /** Where one set of connections serves all batches, ids from 0 on are theirs for good: a control channel takes the next one. */
  #firstConnectionId(): number {
    return this.#services.options.onConnectionLost === 'reconnect' ? this.#services.options.connectionParallelism : 0
  }

  /** The one set of connections that serves all batches. How many there are of a peer's is known when the first of them is up. */
  #useBaseLinks(): void {
    this.#links.length = 0
    this.#ready.clear()
    for (const peer of this.#request.peers) {
      for (const base of this.#services.baseLinks.inUse(peer).slice(0, this.#connections)) {
        this.#links.push({
          peer,
          number: base.connectionId,
          connectionId: base.connectionId,
          id: base.id,
          state: base.state,
        })
        if (base.isReady) this.#ready.add(`${peer} ${base.id}`)
      }
    }
    this.#notifyIfWhole()
  }

  #openLanes(): void {
    for (let index = 0; index < this.#request.count; index++) {
      const channels = new Map<string, Channel>()
      for (const link of this.#links) {
        if (link.number !== connectionOf(index, this.#connections)) continue
        channels.set(link.peer, { state: link.state, lane: link.state.openLane(this.#firstId + index) })
      }
      this.#channels.push(channels)
    }
  }

  recordReady(event: { peer: string; link: string }): void {
    if (this.#mode !== 'fail') return this.#useBaseLinks()
    const link = this.#links.find((candidate) => candidate.peer === event.peer && candidate.id === event.link)
    if (link === undefined) return
    this.#ready.add(`${event.peer} ${event.link}`)
    this.#notifyIfWhole()
  }

  recordDown(event: { peer: string; link: string }): void {
    this.#ready.delete(`${event.peer} ${event.link}`)
  }

  /** Of a control channel: the lane to that peer is over, the others go on. */
  recordGone(event: { peer: string; link: string; cause: Cause }): void {
    this.#gone.add(`${event.peer} ${event.link}`)
    if (this.#gone.size === this.#links.length) this.#port.send({ type: 'group.close', cause: event.cause })
  }

  #notifyIfWhole(): void {
    if (this.#ready.size === this.#links.length) this.#port.send({ type: 'group.whole' })
  }

  validate(): void {
    this.#orFail(() => this.#validate())
  }

  #validate(): void {
    this.#validating = true
    if (this.#mode === 'reconnect') this.#openLanes()
    else if (this.#mode === 'resume')
      this.#channels.push(...openNativeLanes(this.#request.count, this.#request.peers, this.#links))
    if (this.#request.purpose === 'control') {
      this.#port.send({ type: 'group.validated' })
      return
    }
    const agreed = this.#mode === 'resume' ? this.#waitForCredit() : this.#runValidation()
    agreed.then(
      () => this.#port.send({ type: 'group.validated' }),
      (error: unknown) => this.#port.send({ type: 'group.fail', cause: causeOf(error, 'ERR_SESSION_VALIDATION') }),
    )
  }

  async #waitForCredit(): Promise<void> {
    await waitForCredit(this.#channels)
    if (this.#request.agreePrfKeys) await this.#agreePrfKeys()
  }

  /** All of ours first, then what must come: that cannot deadlock, and needs one round trip for any number of sessions. */
  async #runValidation(): Promise<void> {
    for (const [index, channels] of this.#channels.entries()) {
      for (const channel of channels.values())
        sendWhenPossible(channel, { type: 'PrfKey', value: validationKey(index) })
    }
    for (const [index, channels] of this.#channels.entries()) {
      for (const [peer, channel] of channels) {
        const value = await nextOf(channel)
        if (value.type === 'PrfKey' && Buffer.compare(value.value, validationKey(index)) === 0) continue
        throw new StatewireError(
          'ERR_SESSION_VALIDATION',
          `${peer} began session ${this.#firstId + index} (number ${index} of the call) with ${describe(value)} instead of its number: the parties do not make the same sessions in the same order`,
        )
      }
    }
    if (this.#request.agreePrfKeys) await this.#agreePrfKeys()
  }

  /** As the Rust `make_sessions` does on request: a random key to next, and the one of previous. */
  async #agreePrfKeys(): Promise<void> {
    const { next, previous } = ringAround(this.#services.options.identity, this.#request.peers)
    for (const channels of this.#channels) {
      const mine = this.#services.environment.random.bytes(16)
      sendWhenPossible(channels.get(next) as Channel, { type: 'PrfKey', value: mine })
      this.#prfKeys.push({ mine, previous: mine })
    }
    for (const [index, channels] of this.#channels.entries()) {
      const value = await nextOf(channels.get(previous) as Channel)
      if (value.type !== 'PrfKey')
        throw new StatewireError(
          'ERR_SESSION_VALIDATION',
          `${previous} sent ${describe(value)} instead of its key on session ${this.#firstId + index}`,
        )
      this.#prfKeys[index] = { mine: (this.#prfKeys[index] as PrfKeys).mine, previous: Uint8Array.from(value.value) }
    }
  }

  /** Validated: the sessions are the application's, and the next call to these peers may begin. */
  settle(): void {
    this.#services.waitingCalls.delete(this)
    this.#validating = false
    const services = this.#services
    if (this.#request.purpose === 'control') {
      this.#giveTurnBack()
      const close = (): void =>
        this.#port.send({ type: 'group.close', cause: cause('ERR_SESSION_CLOSED', 'the control channel was closed') })
      this.#request.resolve(new ControlChannel(services, this.#channels[0] as Map<string, Channel>, close))
      return
    }
    if (this.#mode !== 'resume') services.numbering.succeeded(this.#firstId, this.#request.count)
    if (this.#mode === 'reconnect') services.baseLinks.expectLanesFrom(services.numbering.next)
    // What a broken connection may cost is told in values of the application; validation is none.
    for (const channels of this.#channels) for (const { lane } of channels.values()) lane.sentSinceUp = 0
    this.#giveTurnBack()
    const sessions: Session[] = this.#channels.map(
      (channels, index) =>
        new Session({
          services,
          id: channels.values().next().value?.lane.id ?? index,
          index,
          channels,
          prf: this.#prfKeys[index] ?? null,
          onClosed: (error) => this.#sessionClosed(index, error),
        }),
    )
    for (const [index, session] of sessions.entries())
      if (session.isLive || this.#mode !== 'resume') this.#openSessions.add(index)
    services.emit({ type: 'sessions.made', group: this.#port.id, count: sessions.length, peers: this.#request.peers })
    this.#request.resolve(sessions)
    if (this.#openSessions.size === 0)
      this.#close(cause('ERR_SESSION_CLOSED', 'its sessions ended before they were handed over'))
  }

  /** In other modes a session whose lanes have ended is closed by its link or by the application. */
  #sessionClosed(index: number, error: Error | null): void {
    if (error !== null && this.#mode !== 'resume') return
    if (!this.#openSessions.delete(index) || this.#openSessions.size > 0) return
    if (error === null) this.#close(cause('ERR_SESSION_CLOSED', 'its sessions were closed'))
    // Not at once: other lanes of the link may be ending in this very call, and a listener may ask for new sessions.
    else void Promise.resolve().then(() => this.#close(causeOf(error)))
  }

  #close(reason: Cause): void {
    if (!this.#isReleased) this.#port.send({ type: 'group.close', cause: reason })
  }

  recordFailure(event: { cause?: Cause; peer?: string }): void {
    this.#cause ??= event.cause ?? cause('ERR_TIMED_OUT', this.#timeoutMessage())
  }

  #timeoutMessage(): string {
    const links = this.#links.map((link) => ({ ...link, isReady: this.#ready.has(`${link.peer} ${link.id}`) }))
    return timeoutMessage({
      services: this.#services,
      request: this.#request,
      links,
      channels: this.#channels,
      needsCredit: this.#mode === 'resume',
    })
  }

  releaseLinks(): void {
    this.#isReleased = true
    const reason = this.#cause ?? cause('ERR_SESSION_CLOSED', 'its sessions were closed')
    const error = errorOf(reason)
    if (this.#mode === 'fail') {
      // One lost connection ends the batch: every lane hears the same cause, at once.
      for (const link of this.#links) {
        // Where the application itself is done, what it sent leaves first: the link closes its lanes once that is written.
        if (reason.code !== 'ERR_SESSION_CLOSED' && reason.code !== 'ERR_NETWORK_STOPPED') link.state.close(error)
        this.#notifyPeer(link.peer, { type: 'link.release', link: link.id, cause: reason })
      }
    } else if (this.#mode !== 'resume' || reason.code !== 'ERR_NETWORK_STOPPED') {
      // (The Goodbye of a native link ends its lanes, at both sides and with outcomes: a Reset before it would hide them.)
      for (const channels of this.#channels)
        for (const { state, lane } of channels.values()) state.closeLane(lane, error, true)
      // Half a validation is in the pipes: new connections are the only way to a clean start for the next call.
      // With a cause of its own: whoever calls next has not aborted anything.
      const unclean = cause('ERR_CONNECTION_LOST', `an earlier makeSessions did not end cleanly (${reason.message})`)
      if (this.#validating && this.#mode === 'reconnect')
        for (const link of this.#links)
          this.#notifyPeer(link.peer, { type: 'link.break', link: link.id, cause: unclean })
    }
    if (this.#validating && this.#mode === 'resume') this.#giveTurnBackLater()
    else this.#giveTurnBack()
  }

  reject(): void {
    const reason = this.#cause ?? cause('ERR_SESSION_GROUP_FAILED', 'the session group failed')
    this.#services.emit({ type: 'sessions.failed', group: this.#port.id, cause: reason })
    this.#request.reject(errorOf(reason))
  }

  notifyClosed(): void {
    if (this.#request.purpose === 'sessions')
      this.#services.emit({
        type: 'sessions.closed',
        group: this.#port.id,
        cause: this.#cause ?? cause('ERR_SESSION_CLOSED', 'its sessions were closed'),
      })
  }

  #notifyPeer(peer: string, event: AnyEventObject): void {
    send(this.#peersPool, { type: 'pool.pass', to: `peer:${peer}`, event })
  }
}

export const sessionGroup: ChartLogic<SessionGroupInput> = chartActor<
  SessionGroupInput,
  SessionGroupBody,
  SessionGroupEvent
>({
  machine: sessionGroupMachine,
  host: (input) => input.services,
  body: SessionGroupBody,
  actions: sessionGroupActions,
})
