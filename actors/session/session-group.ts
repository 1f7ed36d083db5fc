/**
 * Owns: one `makeSessions` call or one control channel: its place in the queue, its sessions, and that it ends as a
 * whole.
 * Independent of: sockets and frames; how links come up. The chart is machines/session-group.ts.
 */
import { sessionGroupActions, sessionGroupMachine } from '../../machines/session-group.ts'
import type { SessionGroupEvent, SessionGroupFacts } from '../../machines/session-group.ts'
import type { DeadlineName } from '../../machines/chart.ts'
import type { AnyActorRef, AnyEventObject } from '../../machines/xstate.ts'
import { StatewireError } from '../../codec/errors.ts'
import { connectionOf, connectionsFor } from '../../protocol/ampc/session-numbering.ts'
import type { SessionGroupRequest } from './session-group-request.ts'
import { notMade, timeoutMessage } from './session-group-failure.ts'
import { chartActor } from '../statechart/chart-actor.ts'
import type { ActorPort, Body, ChartLogic } from '../statechart/chart-actor.ts'
import { ControlChannel } from './control-channel.ts'
import { SessionGroupLinks } from './session-group-links.ts'
import { agreePrfKeys, validateIndexes } from './validation.ts'
import type { SetupHandle } from '../../protocol/native/setup/setup-port.ts'
import type { OnConnectionLost } from '../config/options.ts'
import { cause, causeOf, errorOf } from '../base/causes.ts'
import type { Cause } from '../base/causes.ts'
import type { SessionContext, WaitingCall } from './session-context.ts'
import { Session } from './session.ts'
import type { Channel, PrfKeys } from './session.ts'
import { send } from '../statechart/send.ts'

export interface SessionGroupInput {
  readonly context: SessionContext
  readonly request: SessionGroupRequest
  readonly peersPool: AnyActorRef
}

class SessionGroupBody implements Body, WaitingCall {
  readonly #context: SessionContext
  readonly #request: SessionGroupRequest
  readonly #peersPool: AnyActorRef
  readonly #port: ActorPort<SessionGroupEvent>
  readonly #mode: OnConnectionLost
  readonly #connections: number
  readonly #links: SessionGroupLinks
  /** By session index, then by peer. */
  readonly #channels: Map<string, Channel>[] = []
  #endCall: (() => void) | null = null
  /** Native, until the call is done. */
  #setup: SetupHandle | null = null
  #firstId = 0
  #cause: Cause | null = null
  #isValidating = false
  /** The indexes of the sessions that are open. */
  readonly #openSessions = new Set<number>()
  #isReleased = false
  #prfKeys: readonly PrfKeys[] = []

  constructor(input: SessionGroupInput, port: ActorPort<SessionGroupEvent>) {
    this.#context = input.context
    this.#request = input.request
    this.#peersPool = input.peersPool
    this.#port = port
    const { onConnectionLost, connectionParallelism } = input.context.options
    // A control channel has its own connections in every mode, and ends with them.
    this.#mode = input.request.purpose === 'control' ? 'fail' : onConnectionLost
    input.request.onAbort = (error) => port.send({ type: 'group.fail', cause: causeOf(error) })
    this.#connections = connectionsFor(input.request.count, connectionParallelism)
    this.#links = new SessionGroupLinks({
      context: this.#context,
      groupId: port.id,
      purpose: input.request.purpose,
      peers: input.request.peers,
      linksPerPeer: this.#connections,
      mode: this.#mode,
      notifyPeer: (peer, event) => this.#notifyPeer(peer, event),
    })
    this.#context.waitingCalls.add(this)
  }

  facts(): SessionGroupFacts {
    return {
      peers: this.#request.peers,
      sessions: this.#request.count,
      connectionsPerPeer: this.#connections,
      readyLinks: this.#links.readyCount,
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
    this.#context.waitingCalls.delete(this)
    this.#leaveQueue()
    this.#setup?.abort()
    this.#request.reject(
      errorOf(this.#cause ?? this.#context.failure ?? cause('ERR_NETWORK_STOPPED', 'the network has stopped')),
    )
  }

  /** Ends the group with the error's own code, for example if no ids are left. Internal errors crash the actor. */
  #failOnError(action: () => void): void {
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
    // Permanent links to such a peer wait for the cap of the back-off. The caller may have fixed the cause: retry now.
    const failed = this.#mode === 'fail' ? [] : this.peers.filter((peer) => this.#context.fatalCauseOf(peer) !== null)
    for (const peer of failed) this.#notifyPeer(peer, { type: 'link.retry' })
    if (this.#mode === 'resume') return this.#port.send({ type: 'turn.granted' })
    this.#endCall = this.#context.callQueue.take(this.#request.peers, () => this.#port.send({ type: 'turn.granted' }))
  }

  #leaveQueue(): void {
    const endCall = this.#endCall
    this.#endCall = null
    endCall?.()
  }

  pair(): void {
    this.#failOnError(() => this.#pair())
  }

  #pair(): void {
    this.#links.useBase()
    const { name, count, peers } = this.#request
    const setup = this.#context.setup?.calls.call({
      name,
      count,
      peers,
      onDone: ({ set, sessions }) => {
        this.#setup = null
        for (const [index, channels] of sessions.entries()) {
          for (const { lane } of channels.values()) lane.name = `${set.toString(16).padStart(16, '0')}.${index}`
          this.#channels.push(new Map(channels))
        }
        this.#port.send({ type: 'group.whole' })
      },
      onFailed: (error) => {
        this.#setup = null
        this.#port.send({ type: 'group.fail', cause: causeOf(error) })
      },
    })
    this.#setup = setup ?? null
  }

  openLinks(): void {
    this.#failOnError(() => this.#openLinks())
  }

  #openLinks(): void {
    this.#firstId = this.#request.purpose === 'control' ? 0 : this.#context.numbering.first(this.#request.count)
    if (this.#mode === 'reconnect') {
      this.#links.useBase()
      return this.#notifyIfWhole()
    }
    this.#links.createOwn()
    // Lanes exist before the first handshake, because a peer may send as soon as it is connected.
    this.#openLanes()
    this.#links.requestOwn(this.#port.ref)
  }

  #openLanes(): void {
    for (let index = 0; index < this.#request.count; index++) {
      const channels = new Map<string, Channel>()
      for (const link of this.#links.all) {
        if (link.number !== connectionOf(index, this.#connections)) continue
        const lane = link.state.openLane?.(this.#firstId + index)
        if (lane !== undefined) channels.set(link.peer, { state: link.state, lane })
      }
      this.#channels.push(channels)
    }
  }

  recordReady(event: { peer: string; link: string }): void {
    if (this.#links.recordReady(event.peer, event.link) && this.#mode !== 'resume') this.#notifyIfWhole()
  }

  recordDown(event: { peer: string; link: string }): void {
    this.#links.recordDown(event.peer, event.link)
  }

  /** A link of a control channel failed. Its lane has ended; those to other peers go on. */
  recordGone(event: { peer: string; link: string; cause: Cause }): void {
    this.#links.recordFailed(event.peer, event.link)
    if (this.#links.haveAllFailed) this.#port.send({ type: 'group.close', cause: event.cause })
  }

  #notifyIfWhole(): void {
    if (this.#links.areAllReady) this.#port.send({ type: 'group.whole' })
  }

  validate(): void {
    this.#failOnError(() => this.#validate())
  }

  #validate(): void {
    this.#isValidating = true
    if (this.#mode === 'reconnect') this.#openLanes()
    if (this.#request.purpose === 'control') {
      this.#port.send({ type: 'group.validated' })
      return
    }
    this.#agree().then(
      () => this.#port.send({ type: 'group.validated' }),
      (error: unknown) => this.#port.send({ type: 'group.fail', cause: causeOf(error, 'ERR_SESSION_VALIDATION') }),
    )
  }

  async #agree(): Promise<void> {
    if (this.#mode !== 'resume') await validateIndexes(this.#channels)
    const { peers } = this.#request
    if (this.#request.agreePrfKeys) this.#prfKeys = await agreePrfKeys(this.#context, peers, this.#channels)
  }

  /** Passes the sessions to the application and lets the next call to these peers begin. */
  settle(): void {
    this.#context.waitingCalls.delete(this)
    this.#isValidating = false
    const context = this.#context
    if (this.#request.purpose === 'control') {
      this.#leaveQueue()
      const close = (): void =>
        this.#port.send({ type: 'group.close', cause: cause('ERR_SESSION_CLOSED', 'the control channel was closed') })
      this.#request.resolve(new ControlChannel(context, this.#channels[0] as Map<string, Channel>, close))
      return
    }
    if (this.#mode !== 'resume') context.numbering.succeeded(this.#firstId, this.#request.count)
    if (this.#mode === 'reconnect') context.baseLinks.expectLanesFrom(context.numbering.next)
    // A ConnectionLostError counts values of the application only, so those of the validation are not counted.
    for (const channels of this.#channels) for (const { lane } of channels.values()) lane.sentSinceUp = 0
    this.#leaveQueue()
    const sessions: Session[] = this.#channels.map(
      (channels, index) =>
        new Session({
          context,
          id: channels.values().next().value?.lane.name ?? String(index),
          index,
          channels,
          prf: this.#prfKeys[index] ?? null,
          onClosed: (error) => this.#sessionClosed(index, error),
        }),
    )
    for (const [index, session] of sessions.entries())
      if (session.isLive || this.#mode !== 'resume') this.#openSessions.add(index)
    context.emit({ type: 'sessions.made', group: this.#port.id, count: sessions.length, peers: this.#request.peers })
    this.#request.resolve(sessions)
    if (this.#openSessions.size === 0)
      this.#close(cause('ERR_SESSION_CLOSED', 'the sessions ended before makeSessions returned them'))
  }

  /** Lanes that end close the group in mode `resume` only; in other modes its links or the application do. */
  #sessionClosed(index: number, error: Error | null): void {
    if (error !== null && this.#mode !== 'resume') return
    if (!this.#openSessions.delete(index) || this.#openSessions.size > 0) return
    if (error === null) this.#close(cause('ERR_SESSION_CLOSED', 'the sessions were closed'))
    // Deferred: other lanes of the link may be ending in this call, and a listener may ask for new sessions.
    else void Promise.resolve().then(() => this.#close(causeOf(error)))
  }

  #close(reason: Cause): void {
    if (!this.#isReleased) this.#port.send({ type: 'group.close', cause: reason })
  }

  recordFailure(event: { cause?: Cause; peer?: string }): void {
    this.#cause ??= event.cause ?? cause('ERR_TIMED_OUT', this.#timeoutMessage())
  }

  #timeoutMessage(): string {
    if (this.#mode === 'resume') this.#links.useBase()
    const links = this.#links.all.map((link) => ({ ...link, isReady: this.#links.isReady(link) }))
    return timeoutMessage({
      context: this.#context,
      request: this.#request,
      links,
      progress: this.#setup?.progress() ?? null,
    })
  }

  releaseLinks(): void {
    this.#isReleased = true
    const reason = this.#cause ?? cause('ERR_SESSION_CLOSED', 'the sessions were closed')
    const error = errorOf(reason)
    if (this.#mode === 'fail') {
      // One lost connection ends the group: all lanes end with the same cause, immediately.
      for (const link of this.#links.all) {
        // If the application closed it, the link writes what was sent before it closes its lanes.
        if (reason.code !== 'ERR_SESSION_CLOSED' && reason.code !== 'ERR_NETWORK_STOPPED') link.state.close(error)
        this.#notifyPeer(link.peer, { type: 'link.release', link: link.id, cause: reason })
      }
    } else if (this.#mode !== 'resume' || reason.code !== 'ERR_NETWORK_STOPPED') {
      // At a shutdown the Goodbye of a native link ends its lanes with outcomes. A Reset before it would hide them.
      for (const channels of this.#channels)
        for (const { state, lane } of channels.values()) state.closeLane(lane, error, true)
      // Part of a validation is in flight, so the next call needs new connections. The old ones end with a cause of
      // their own, because the next caller has not aborted anything.
      const unclean = cause('ERR_CONNECTION_LOST', `an earlier makeSessions did not end cleanly (${reason.message})`)
      if (this.#isValidating && this.#mode === 'reconnect')
        for (const link of this.#links.all)
          this.#notifyPeer(link.peer, { type: 'link.break', link: link.id, cause: unclean })
    }
    this.#setup?.abort()
    this.#setup = null
    this.#leaveQueue()
  }

  reject(): void {
    const reason = this.#cause ?? cause('ERR_SESSION_GROUP_FAILED', 'the session group failed')
    this.#context.emit({ type: 'sessions.failed', group: this.#port.id, cause: reason })
    this.#request.reject(errorOf(reason))
  }

  notifyClosed(): void {
    if (this.#request.purpose === 'sessions')
      this.#context.emit({
        type: 'sessions.closed',
        group: this.#port.id,
        cause: this.#cause ?? cause('ERR_SESSION_CLOSED', 'the sessions were closed'),
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
  host: (input) => input.context,
  body: SessionGroupBody,
  actions: sessionGroupActions,
})
