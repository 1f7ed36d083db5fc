/**
 * Owns: the facade that applications hold: start, sessions, control channels, events, shutdown.
 * Refuses to know: anything that the supervisor's actors do; it sends them requests and listens to their events.
 */
import { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import { createActor } from '../../machines/xstate.ts'
import type { ActorRefFrom, InspectionEvent, Observer } from '../../machines/xstate.ts'
import { onAbort } from '../base/abort-listeners.ts'
import { SessionGroupRequest } from '../session/session-group-request.ts'
import { checkBoolean, checkCall, checkTimeoutMs, invalid } from '../base/checks.ts'
import type { ControlChannel } from '../session/control-channel.ts'
import { checkDrain, drainedError, drainPeer } from './drain.ts'
import type { DrainOptions, DrainReport } from './drain.ts'
import { EventQueue } from '../base/event-queue.ts'
import type { MissedEvents } from '../base/event-queue.ts'
import type { EnvironmentOption, Log } from '../base/environment.ts'
import { resolveEnvironment } from '../base/environment-checks.ts'
import { checkRuntime } from '../config/runtime-options.ts'
import { EventListeners } from './event-listeners.ts'
import type { NetworkEvent, NetworkEventOf, NetworkEventType } from '../base/events.ts'
import { channelLog } from '../base/log.ts'
import { metricsOf } from './metrics.ts'
import type { NetworkMetrics } from './metrics.ts'
import { resolveOptions } from '../config/options.ts'
import type { Identity } from '../tls/identity.ts'
import type { ConfigOf, NetworkConfig } from '../config/options.ts'
import { causeOf, errorOf } from '../base/causes.ts'
import type { Cause } from '../base/causes.ts'
import { restoreError } from './restored-snapshot.ts'
import type { Services } from './services.ts'
import type { Session } from '../session/session.ts'
import { supervisor, supervisorServices } from './supervisor.ts'
import type { SupervisorLogic } from './supervisor.ts'
import { observeActors } from '../statechart/inspection.ts'
import type { ActorObserver, Observation } from '../statechart/inspection.ts'
import { send } from '../statechart/send.ts'

export type SupervisorRef = ActorRefFrom<SupervisorLogic>

export interface MakeSessionsOptions {
  /** 1 to `limits.sessionsPerPeerMax`. */
  readonly count: number
  /** All configured peers if not given. Every party must name the same set, in its own view. */
  readonly peers?: readonly string[] | undefined
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** Also agree a random key with each neighbour in the ring, as `session.prf`. All parties must ask for it alike. */
  readonly agreePrfKeys?: boolean | undefined
}

/** As many as were asked for: at least one. */
export type Sessions = [Session, ...Session[]]

export type OpenControlChannelOptions = Omit<MakeSessionsOptions, 'count' | 'agreePrfKeys'>

export interface NetworkRuntimeOptions {
  readonly environment?: EnvironmentOption | undefined
  /** Sees every actor of the network: XState's own inspection. What it throws is logged once, and reaches nobody. */
  readonly inspect?: Observer<InspectionEvent> | ((event: InspectionEvent) => void) | undefined
}

const facades = new WeakMap<object, Network>()

export class Network {
  readonly #ref: SupervisorRef
  readonly #services: Services
  #state: 'starting' | 'ready' | 'stopped' | 'failed' = 'starting'
  #error: Error | null = null
  readonly #settled = new Set<() => void>()
  /** Calls of makeSessions and openControlChannel that are not settled. */
  readonly #requests = new Set<SessionGroupRequest>()
  readonly #drains = new Map<string, Promise<DrainReport>>()
  readonly #listeners: EventListeners
  /** Those of `events()` that are read. */
  readonly #queues = new Set<EventQueue>()

  private constructor(ref: SupervisorRef, services: Services) {
    this.#ref = ref
    this.#services = services
    this.#listeners = new EventListeners(ref, services.environment.log)
    services.fatalFailures.onFirst = (peer, cause) => this.#warnOf(peer, cause)
    ref.on('network.ready', () => {
      this.#state = 'ready'
      this.#tell()
    })
    ref.on('network.stopped', () => this.#end('stopped', null))
    ref.on('network.failed', ({ cause }) => this.#end('failed', errorOf(cause)))
    // Also takes errors that nobody else listens to: an actor without an error observer would throw them at the process.
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
   * The facade of a supervisor that an application spawned itself. The same one for the same reference.
   * @throws StatewireError ERR_NOT_A_NETWORK; ERR_NOT_RESTORABLE for one restored from a persisted snapshot; what is wrong with its input, if it could not even be made
   */
  static from(ref: unknown): Network {
    const services = typeof ref === 'object' && ref !== null ? supervisorServices(ref) : undefined
    if (services === undefined)
      throw (
        failedBeforeStart(ref) ??
        new StatewireError('ERR_NOT_A_NETWORK', 'this is not the reference of a statewire supervisor')
      )
    let network = facades.get(ref as object)
    if (network === undefined) facades.set(ref as object, (network = new Network(ref as SupervisorRef, services)))
    return network
  }

  get identity(): string {
    return this.#services.options.identity
  }

  get peers(): readonly string[] {
    return this.#services.peers.ids()
  }

  /** Where it listens, with the real port; null before `ready()` and where nothing listens. */
  get url(): string | null {
    return this.#services.url
  }

  /** The actor behind it all. */
  get ref(): SupervisorRef {
    return this.#ref
  }

  /** Actors, deadlines and handles of the transport that are alive: zeroes after `shutdown`. */
  get resources(): { readonly actors: number; readonly deadlines: number; readonly handles: number } {
    return {
      actors: this.#services.actors.size,
      deadlines: this.#services.wheel.size,
      handles: this.#services.environment.transport.openHandles,
    }
  }

  /**
   * Tells the observer of every actor of this network: first of those that exist, then of each that starts and of each
   * transition. An observer that throws is not called again.
   */
  observe(observer: ActorObserver): Observation {
    return observeActors(this.#ref as never, this.#services.actors, observer)
  }

  /** Figures of this moment: memory, and of each link traffic, round trips, credit, replay, resumes and resets. Costs a walk over links and sessions. */
  metrics(): NetworkMetrics {
    return metricsOf(this.#services, this.resources)
  }

  /** Resolves when the network runs. @throws StatewireError ERR_LISTEN_FAILED if the port cannot be bound */
  async ready(): Promise<void> {
    while (this.#state === 'starting') await this.#change()
    if (this.#state !== 'ready')
      throw this.#error ?? new StatewireError('ERR_NETWORK_STOPPED', 'the network has stopped')
  }

  /**
   * Makes sessions with peers that make them too: all parties call it in the same order.
   * @throws StatewireError ERR_TIMED_OUT, ERR_ABORTED, ERR_SESSION_VALIDATION, ERR_CONNECTION_LOST, ERR_NETWORK_STOPPED, ERR_INVALID_OPTION
   */
  async makeSessions(options: MakeSessionsOptions): Promise<Sessions> {
    if (options === undefined) throw invalid('makeSessions takes an object of options, got undefined')
    checkCall(options, 'makeSessions', ['count', 'peers', 'timeoutMs', 'signal', 'agreePrfKeys'])
    checkBoolean(options.agreePrfKeys, 'agreePrfKeys')
    const { sessionsPerPeerMax } = this.#services.options.limits
    if (!Number.isSafeInteger(options.count) || options.count < 1 || options.count > sessionsPerPeerMax) {
      throw invalid(`count must be a whole number from 1 to ${sessionsPerPeerMax}, got ${formatValue(options.count)}`)
    }
    return (await this.#request('sessions', options.count, options)) as Sessions
  }

  /** Opens a control channel: values outside any session, and the barrier `sync()`. All parties open it in the same order among their calls. */
  async openControlChannel(options: OpenControlChannelOptions = {}): Promise<ControlChannel> {
    checkCall(options, 'openControlChannel', ['peers', 'timeoutMs', 'signal'])
    if (this.#services.options.dialect === 'native')
      throw new StatewireError(
        'ERR_DIALECT_UNSUPPORTED',
        'the native dialect has no control channel; a session carries whatever it would',
      )
    return (await this.#request('control', 1, options)) as ControlChannel
  }

  #request(
    purpose: 'sessions' | 'control',
    count: number,
    options: Omit<MakeSessionsOptions, 'count'>,
  ): Promise<Session[] | ControlChannel> {
    const peers = options.peers === undefined ? this.peers : options.peers
    if (!Array.isArray(peers)) throw invalid(`peers must be a list, got ${formatValue(peers)}`)
    for (const [index, peer] of (peers as readonly string[]).entries()) {
      if (!this.#services.peers.has(peer))
        throw new StatewireError(
          'ERR_UNKNOWN_PEER',
          `peers[${index}] is ${formatValue(peer)}, which is not a peer of this network; there are: ${this.peers.join(', ')}`,
        )
      if (peers.indexOf(peer) !== index)
        throw invalid(`peers[${index}] is ${formatValue(peer)}, which is in the list already`)
      if (this.#drains.has(peer)) throw drainedError(peer)
    }
    if (peers.length === 0) throw invalid('peers must name at least one peer, and names none')
    checkTimeoutMs(options.timeoutMs, 'timeoutMs', false)
    const timeoutMs = options.timeoutMs ?? this.#services.options.limits.makeSessionsTimeoutMs
    const signal = options.signal
    if (signal?.aborted === true)
      throw new StatewireError('ERR_ABORTED', 'aborted before it began', { cause: signal.reason })
    if (this.#state === 'failed' || this.#state === 'stopped')
      throw this.#error ?? new StatewireError('ERR_NETWORK_STOPPED', 'the network has stopped')
    return new Promise((resolve, reject) => {
      const request = new SessionGroupRequest({
        purpose,
        count,
        peers,
        timeoutMs,
        agreePrfKeys: options.agreePrfKeys ?? false,
        resolve,
        reject,
      })
      const abort = (): void =>
        request.abort(
          new StatewireError(
            'ERR_ABORTED',
            `aborted: ${purpose === 'control' ? 'the control channel' : 'the sessions'} were not made`,
            { cause: signal?.reason },
          ),
        )
      const removeAbort = signal === undefined ? undefined : onAbort(signal, abort)
      this.#requests.add(request)
      request.onSettled = () => {
        this.#requests.delete(request)
        removeAbort?.()
      }
      send(this.#ref, { type: purpose === 'control' ? 'control.open' : 'sessions.make', request })
    })
  }

  /**
   * Calls `listener` for every event of the type, in order. A listener that throws, or returns a promise that rejects, is
   * reported as a process warning and on the log, and has no other effect.
   * @returns a function that removes the listener
   * @throws StatewireError ERR_INVALID_OPTION if there is no such event
   */
  on<T extends NetworkEventType>(type: T, listener: (event: NetworkEventOf<T>) => void): () => void {
    return this.#listeners.add(type, listener, false)
  }

  /** As {@link on}, for the next event of the type only. */
  once<T extends NetworkEventType>(type: T, listener: (event: NetworkEventOf<T>) => void): () => void {
    return this.#listeners.add(type, listener, true)
  }

  /** Removes the newest registration of this listener for this type; does nothing if there is none. */
  off<T extends NetworkEventType>(type: T, listener: (event: NetworkEventOf<T>) => void): void {
    this.#listeners.remove(type, listener)
  }

  /** All events in order, bounded: a slow reader gets `events.missed` with a count instead of what it missed. Ends with the network. */
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
    if (options.signal?.aborted === true || this.#state === 'stopped' || this.#state === 'failed') queue.end()
    return queue
  }

  /**
   * Lets go of one peer; the others do not notice. From now on nothing new is taken for it (ERR_PEER_DRAINED); what `send` had
   * accepted is waited for until it is acknowledged; then the peer hears Goodbye with the reason, its sessions end on both sides,
   * and no socket is left. Whatever the peer does, it is over within `timeoutMs`, and the counts say what became of the values.
   * For good: the peer is not dialled, and not let in, as long as this network lives. Again: the same promise. Native only.
   * @throws StatewireError ERR_UNKNOWN_PEER, ERR_INVALID_OPTION, ERR_DIALECT_UNSUPPORTED, ERR_NETWORK_STOPPED
   */
  drain(peer: string, options: DrainOptions = {}): Promise<DrainReport> {
    try {
      // Before all else: a wrong call is wrong for a peer that is drained already too.
      this.#checkDrain(peer, options)
    } catch (error) {
      return Promise.reject(error as Error)
    }
    const known = this.#drains.get(peer)
    if (known !== undefined) return known
    if (this.#hasEnded())
      return Promise.reject(this.#error ?? new StatewireError('ERR_NETWORK_STOPPED', 'the network has stopped'))
    const reason: Cause = {
      code: 'ERR_PEER_DRAINED',
      message: options.reason ?? 'the application lets go of this peer',
    }
    const limitMs = options.timeoutMs ?? this.#services.options.limits.shutdownTimeoutMs
    // Known before it begins: a listener that hears of it may drain the same peer.
    let settle: (report: Promise<DrainReport>) => void = () => {}
    const started = new Promise<DrainReport>((resolve) => (settle = resolve))
    this.#drains.set(peer, started)
    this.#abortRequests((request) => request.peers.includes(peer), drainedError(peer))
    settle(
      drainPeer(this.#services, peer, reason, limitMs, (withinMs) =>
        this.#services.notifyPeer(peer, { type: 'peer.close', cause: reason, withinMs }),
      ),
    )
    return started
  }

  #checkDrain(peer: string, options: DrainOptions): void {
    checkCall(options, 'drain', ['timeoutMs', 'reason'])
    if (!this.#services.peers.has(peer))
      throw new StatewireError(
        'ERR_UNKNOWN_PEER',
        `${formatValue(peer)} is not a peer of this network; there are: ${this.peers.join(', ')}`,
      )
    checkDrain(this.#services, options)
  }

  #abortRequests(isMeant: (request: SessionGroupRequest) => boolean, error: StatewireError): void {
    for (const request of this.#requests) if (isMeant(request)) request.abort(error)
  }

  /**
   * Takes nothing new, lets what was accepted be acknowledged, says Goodbye, closes everything. Resolves when nothing is left,
   * within `limits.shutdownTimeoutMs`; values that a peer did not acknowledge by then are in the LinkResetError of their session.
   */
  async shutdown(): Promise<void> {
    if (this.#state === 'stopped' || this.#state === 'failed') return
    this.#abortRequests(
      () => true,
      new StatewireError('ERR_NETWORK_STOPPED', 'the network is shutting down and takes nothing new'),
    )
    send(this.#ref, { type: 'network.shutdown' })
    while (!this.#hasEnded()) await this.#change()
    // Sockets are closed by the end of this turn of the event loop at the earliest. A timer waits for it, and under a virtual
    // clock only timers move time. Where networks share a transport, the handles of others may stay.
    const { clock, transport } = this.#services.environment
    const untilMs = this.#services.nowMs() + this.#services.options.limits.closeTimeoutMs
    do {
      await new Promise<void>((resolve) => void clock.setTimeout(resolve, 1))
    } while (transport.openHandles > 0 && this.#services.nowMs() < untilMs)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown()
  }

  /** A process that listens to no failure, and waits for no call, would otherwise try for ever without a word. */
  #warnOf(peer: string, { code, message }: Cause): void {
    if (this.#listeners.has('connection.failed') || this.#queues.size > 0) return
    process.emitWarning(`${peer} cannot be connected until something is changed: ${message}`, {
      type: 'StatewireWarning',
      code,
    })
  }

  #hasEnded(): boolean {
    return this.#state === 'stopped' || this.#state === 'failed'
  }

  #end(state: 'stopped' | 'failed', error: Error | null): void {
    if (this.#hasEnded()) return
    this.#state = state
    this.#error = error
    this.#tell()
  }

  #tell(): void {
    for (const resolve of this.#settled) resolve()
    this.#settled.clear()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#settled.add(resolve))
  }
}

/**
 * Starts a network. It begins one tick later, so that listeners put on at once miss nothing; `await network.ready()`.
 * @throws StatewireError ERR_INVALID_OPTION, ERR_INVALID_URL, ERR_INVALID_PEER_ID
 */
export function createNetwork(config: NetworkConfig, runtime?: NetworkRuntimeOptions): Network
/** The compiler reports the error of the last signature, which names the configuration that was meant. */
export function createNetwork<Id extends Identity | string>(
  config: ConfigOf<Id>,
  runtime?: NetworkRuntimeOptions,
): Network
export function createNetwork(config: NetworkConfig, runtime: NetworkRuntimeOptions = {}): Network {
  checkRuntime(runtime)
  const { inspect } = runtime
  const environment = resolveEnvironment(runtime.environment)
  // XState turns what an initial snapshot throws into an actor that has failed; here the caller is to hear it.
  resolveOptions(config)
  const ref = createActor(supervisor, {
    id: 'supervisor',
    input: { config, environment },
    ...(inspect === undefined ? {} : { inspect: harmless(inspect, environment.log ?? channelLog) }),
  })
  const network = Network.from(ref)
  const services = supervisorServices(ref) as Services
  services.environment.clock.nextTick(() => ref.start())
  return network
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : errorOf(causeOf(error))
}

/** An actor whose input was wrong fails before there is anything to be a facade of. */
function failedBeforeStart(ref: unknown): unknown {
  const { logic, getSnapshot } = (ref ?? {}) as Partial<{
    logic: unknown
    getSnapshot: () => { status: string; error: unknown }
  }>
  if (logic !== supervisor || getSnapshot === undefined) return undefined
  const snapshot = getSnapshot.call(ref)
  return snapshot.status === 'error' ? snapshot.error : restoreError(snapshot)
}

/** XState calls an inspector on the stack of whoever sends an event: what it throws would end our actors one by one. */
function harmless(inspect: NonNullable<NetworkRuntimeOptions['inspect']>, log: Log): (event: InspectionEvent) => void {
  let hasThrown = false
  return (event) => {
    try {
      if (typeof inspect === 'function') inspect(event)
      else inspect.next?.(event)
    } catch (error) {
      if (hasThrown) return
      hasThrown = true
      log.write('error', 'inspector.threw', { cause: causeOf(error) })
    }
  }
}
