/**
 * Owns: the facade for applications: start, sessions, control channels, events, shutdown.
 * Independent of: how the supervisor's actors work; it sends them requests and listens to their events.
 */
import { StatewireError } from '../../codec/errors.ts'
import type { ActorRefFrom } from '../../machines/xstate.ts'
import { onAbort } from '../base/abort-listeners.ts'
import { checkCall } from '../base/checks.ts'
import type { ControlChannel } from '../session/control-channel.ts'
import { EventQueue } from '../base/event-queue.ts'
import type { MissedEvents } from '../base/event-queue.ts'
import { EventListeners } from './event-listeners.ts'
import type { NetworkEvent, NetworkEventOf, NetworkEventType } from '../base/events.ts'
import { NetworkPeers } from './network-peers.ts'
import type { ReadyOptions } from './network-peers.ts'
import { metricsOf } from './metrics.ts'
import type { NetworkMetrics } from './metrics.ts'
import { causeOf, errorOf } from '../base/causes.ts'
import type { Cause } from '../base/causes.ts'
import { restoreError } from './restored-snapshot.ts'
import { SessionCalls } from './session-calls.ts'
import type { MakeSessionsOptions, OpenControlChannelOptions, Sessions } from './session-calls.ts'
import type { Services } from './services.ts'
import { shuttingDownError, supervisor, supervisorServices } from './supervisor.ts'
import type { SupervisorLogic } from './supervisor.ts'
import { observeNetwork } from './observe-network.ts'
import type { ActorObserver, Observation } from '../statechart/inspection.ts'
import { send } from '../statechart/send.ts'
import { parentOf } from '../statechart/xstate-internals.ts'

export type SupervisorRef = ActorRefFrom<SupervisorLogic>

const facades = new WeakMap<object, Network>()

/** A running network: makes sessions with its peers and emits events. Create one with `createNetwork`. */
export class Network extends NetworkPeers {
  readonly #ref: SupervisorRef
  readonly #services: Services
  #state: 'starting' | 'ready' | 'stopped' | 'failed' = 'starting'
  #error: Error | null = null
  readonly #changeWaiters = new Set<() => void>()
  readonly #calls: SessionCalls
  readonly #listeners: EventListeners
  /** The iterators of `events()` that are in use. */
  readonly #queues = new Set<EventQueue>()

  private constructor(ref: SupervisorRef, services: Services) {
    super(
      services,
      () => this.#checkRunning(),
      (error, peer) => this.#calls.abort(error, peer),
    )
    this.#ref = ref
    this.#services = services
    this.#listeners = new EventListeners(ref, services.environment.log)
    this.#calls = new SessionCalls({
      ref,
      services,
      checkRunning: () => this.#checkRunning(),
    })
    services.fatalFailures.onFirst = (peer, cause) => this.#warnUnreachable(peer, cause)
    ref.on('network.ready', () => {
      this.#state = 'ready'
      this.#notifyChange()
    })
    ref.on('network.stopped', () => this.#end('stopped', null))
    ref.on('network.failed', ({ cause }) => this.#end('failed', errorOf(cause)))
    // The error observer also keeps XState from throwing errors of this actor at the process.
    ref.subscribe({
      next: (snapshot) => {
        if (snapshot.status === 'stopped') this.#end('stopped', null)
      },
      error: (error) => this.#end('failed', asError(error)),
      complete: () => this.#end('stopped', null),
    })
    const snapshot = ref.getSnapshot()
    if (snapshot.status === 'active' && snapshot.value === 'running') this.#state = 'ready'
    else if (snapshot.status === 'error') this.#end('failed', asError(snapshot.error))
    else if (snapshot.status !== 'active') this.#end('stopped', null)
  }

  /**
   * Returns the Network of a supervisor actor that the application has spawned; the same one for the same reference.
   * @throws StatewireError ERR_NOT_A_NETWORK; ERR_NOT_RESTORABLE if the actor was restored from a persisted snapshot;
   *   the error in its input, if the actor could not be created
   */
  static from(ref: unknown): Network {
    const services = typeof ref === 'object' && ref !== null ? supervisorServices(ref) : undefined
    if (services === undefined)
      throw (
        failedBeforeStart(ref) ??
        new StatewireError('ERR_NOT_A_NETWORK', 'Network.from takes the reference of a statewire supervisor actor')
      )
    let network = facades.get(ref as object)
    if (network === undefined) facades.set(ref as object, (network = new Network(ref as SupervisorRef, services)))
    return network
  }

  /** The identity of this side: its peer id in the native dialect. */
  get identity(): string {
    return this.#services.options.identity
  }

  /** The URL on which the network listens, with the real port; null before `ready()` and if it does not listen. */
  get url(): string | null {
    return this.#services.url
  }

  /** The supervisor actor of this network. */
  get ref(): SupervisorRef {
    return this.#ref
  }

  /** The number of live actors, deadlines and transport handles; all zero after `shutdown`. */
  get resources(): { readonly actors: number; readonly deadlines: number; readonly handles: number } {
    return {
      actors: this.#services.actors.size,
      deadlines: this.#services.wheel.size,
      handles: this.#services.environment.transport.openHandles,
    }
  }

  /**
   * Reports every actor of this network to the observer: first the existing ones, then each that starts and each
   * transition. An observer that throws is not called again.
   */
  observe(observer: ActorObserver): Observation {
    return observeNetwork(this.#services, this.#ref as never, observer)
  }

  /**
   * Returns current figures: memory, and per link traffic, round trips, credit, retransmissions, resumes and resets. It
   * iterates over all links and sessions.
   */
  metrics(): NetworkMetrics {
    return metricsOf(this.#services, this.resources)
  }

  /**
   * Resolves when the network is running; with `peers`, when so many peers are connected as well.
   *
   * ```ts
   * await network.ready({ peers: 'all', timeoutMs: 10_000 })
   * ```
   * @throws StatewireError ERR_LISTEN_FAILED if the port cannot be bound; ERR_TIMED_OUT, which names the peers that are
   *   missing and why; ERR_ABORTED, ERR_NETWORK_STOPPED, ERR_INVALID_OPTION
   */
  async ready(options: ReadyOptions = {}): Promise<void> {
    while (this.#state === 'starting') await this.#change()
    if (this.#state !== 'ready') throw this.#endError()
    await this.peersReady(options, (fail) => {
      const look = (): void => {
        if (this.#hasEnded()) fail(this.#endError())
        else this.#changeWaiters.add(look)
      }
      this.#changeWaiters.add(look)
      return () => this.#changeWaiters.delete(look)
    })
  }

  /**
   * Makes sessions with peers. Every party calls it with the same count: in native under the same name, in ampc in the
   * same order. In native a call that failed needs no care: call again.
   *
   * ```ts
   * const [session] = await network.makeSessions({ count: 1, timeoutMs: 10_000 })
   * ```
   * @throws StatewireError ERR_TIMED_OUT, ERR_ABORTED, ERR_SESSION_COUNTS, ERR_SESSION_LIMIT, ERR_MEMORY_BUDGET,
   *   ERR_SESSION_IDS_USED_UP, ERR_SESSION_VALIDATION, ERR_CONNECTION_LOST, ERR_NETWORK_STOPPED, ERR_PEER_DRAINED,
   *   ERR_UNKNOWN_PEER, ERR_INVALID_OPTION
   */
  makeSessions(options: MakeSessionsOptions): Promise<Sessions> {
    return this.#calls.makeSessions(options)
  }

  /**
   * Opens a control channel for values outside any session and the barrier `sync()` (ampc only). Every party opens it
   * at the same place in its order of calls.
   * @throws StatewireError ERR_DIALECT_UNSUPPORTED, or like `makeSessions`
   */
  openControlChannel(options: OpenControlChannelOptions = {}): Promise<ControlChannel> {
    return this.#calls.openControlChannel(options)
  }

  /**
   * Calls `listener` for every event of the type, in order. If it throws, or returns a promise that rejects, the error
   * is logged and reported as a process warning, and has no other effect.
   * @returns a function that removes the listener
   * @throws StatewireError ERR_INVALID_OPTION if there is no such event
   */
  on<T extends NetworkEventType>(type: T, listener: (event: NetworkEventOf<T>) => void): () => void {
    return this.#listeners.add(type, listener, false)
  }

  /** Like {@link on}, but only for the next event of the type. */
  once<T extends NetworkEventType>(type: T, listener: (event: NetworkEventOf<T>) => void): () => void {
    return this.#listeners.add(type, listener, true)
  }

  /** Removes the newest registration of this listener for this type; does nothing if there is none. */
  off<T extends NetworkEventType>(type: T, listener: (event: NetworkEventOf<T>) => void): void {
    this.#listeners.remove(type, listener)
  }

  /**
   * Iterates over all events in order, and ends with the network. The queue is bounded: a slow reader gets one
   * `events.missed` with a count in place of the events that were dropped.
   */
  events(
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): AsyncIterableIterator<NetworkEvent | MissedEvents> {
    checkCall(options, 'events', ['signal'])
    const queue = new EventQueue(this.#services.options.limits.eventQueueMax)
    this.#queues.add(queue)
    const subscription = this.#ref.on('*', (event) => {
      queue.push(event as NetworkEvent)
      if (event.type === 'network.stopped' || event.type === 'network.failed') queue.end()
    })
    const end = (): void => queue.end()
    const removeAbort = options.signal === undefined ? undefined : onAbort(options.signal, end)
    queue.onEnd = () => {
      this.#queues.delete(queue)
      subscription.unsubscribe()
      removeAbort?.()
    }
    if (options.signal?.aborted === true || this.#hasEnded()) queue.end()
    return queue
  }

  /**
   * Shuts the network down: accepts nothing new, waits for acknowledgements, says Goodbye and closes everything.
   *
   * Resolves within `limits.shutdownTimeoutMs`. Values that a peer has not acknowledged by then are reported in the
   * LinkResetError of their session.
   */
  async shutdown(): Promise<void> {
    const { clock, transport } = this.#services.environment
    if (!this.#hasEnded()) {
      this.#calls.abort(shuttingDownError())
      send(this.#ref, { type: 'network.shutdown' })
      while (!this.#hasEnded()) await this.#change()
    } else if (transport.openHandles === 0) return
    // Sockets are closed at the end of this tick at the earliest. Wait with a timer, because a virtual clock only
    // advances for timers. Networks that share a transport may leave handles open.
    const untilMs = this.#services.nowMs() + this.#services.options.limits.closeTimeoutMs
    do {
      await new Promise<void>((resolve) => void clock.setTimeout(resolve, 1))
    } while (transport.openHandles > 0 && this.#services.nowMs() < untilMs)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown()
  }

  /**
   * Without a listener for failures and without a waiting call, the network would retry forever without any sign of it.
   */
  #warnUnreachable(peer: string, { code, message }: Cause): void {
    if (this.#listeners.has('connection.failed') || this.#queues.size > 0) return
    process.emitWarning(`${peer} cannot be connected until the configuration changes: ${message}`, {
      type: 'StatewireWarning',
      code,
    })
  }

  /**
   * Without a listener and without a waiting call, a network that failed would end the process silently. A parent actor
   * gets the error itself.
   */
  #warnFailed(error: Error): void {
    if (parentOf(this.#ref) !== undefined) return
    const isObserved = this.#listeners.has('network.failed') || this.#queues.size > 0 || this.#changeWaiters.size > 0
    if (isObserved || this.#services.waitingCalls.size > 0) return
    const { code, message } = causeOf(error)
    process.emitWarning(`the network has failed: ${message}`, { type: 'StatewireWarning', code })
  }

  #checkRunning(): void {
    if (this.#hasEnded()) throw this.#endError()
  }

  #hasEnded(): boolean {
    return this.#state === 'stopped' || this.#state === 'failed'
  }

  #endError(): Error {
    return this.#error ?? new StatewireError('ERR_NETWORK_STOPPED', 'the network has stopped')
  }

  #end(state: 'stopped' | 'failed', error: Error | null): void {
    if (this.#hasEnded()) return
    if (state === 'failed' && error !== null) this.#warnFailed(error)
    this.#state = state
    this.#error = error
    this.#notifyChange()
  }

  #notifyChange(): void {
    const waiters = [...this.#changeWaiters]
    this.#changeWaiters.clear()
    for (const resolve of waiters) resolve()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#changeWaiters.add(resolve))
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : errorOf(causeOf(error))
}

/** An actor with an invalid input fails before it has any services. */
function failedBeforeStart(ref: unknown): unknown {
  const { logic, getSnapshot } = (ref ?? {}) as Partial<{
    logic: unknown
    getSnapshot: () => { status: string; error: unknown }
  }>
  if (logic !== supervisor || getSnapshot === undefined) return undefined
  const snapshot = getSnapshot.call(ref)
  return snapshot.status === 'error' ? snapshot.error : restoreError(snapshot)
}
