/**
 * Owns: what all actors of one network share: environment, options, timer wheel, open claims, events, counters.
 * Independent of: any actor. There is no module state: each network of a process has its own services.
 */
import { StreamCalls } from '../streams/stream-calls.ts'
import { ServiceCalls } from '../services/service-calls.ts'
import { PeerRecords } from './peer-records.ts'
import { Pressure } from './pressure.ts'
import { Messaging } from '../messaging/messaging.ts'
import { sanitizeData } from '../../codec/sanitize.ts'
import type { AnyActorRef, AnyEventObject } from '../../machines/xstate.ts'
import type { Dialect } from '../../protocol/dialect.ts'
import { ampcDialect } from '../../protocol/ampc/ampc-dialect.ts'
import { nativeDialect } from '../../protocol/native/link/native-dialect.ts'
import { NodeMemory } from '../../protocol/native/memory/node-memory.ts'
import { PeerAddresses } from '../../protocol/peer-addresses.ts'
import { SessionNumbering } from '../../protocol/ampc/session-numbering.ts'
import type { Cause } from '../base/causes.ts'
import { BaseLinks } from '../link/base-links.ts'
import { createLinkStates } from '../link/link-states.ts'
import { NativeSetup } from '../session/native-setup.ts'
import type { SessionContext, WaitingCall } from '../session/session-context.ts'
import { AcceptRegistry } from '../connection/accept-registry.ts'
import type { Environment } from '../base/environment.ts'
import type { NetworkEvent } from '../base/events.ts'
import { ConnectDiagnostics } from './connect-diagnostics.ts'
import type { ResolvedOptions, ResolvedPeer } from '../config/options.ts'
import type { PeerTable } from '../config/peer-table.ts'
import { NameLookups } from '../base/name-lookups.ts'
import { FatalFailures } from '../session/fatal-failures.ts'
import { IdlePeers } from './idle-peers.ts'
import { LiveActors } from '../statechart/live-actors.ts'
import { TimerWheel } from '../base/timer-wheel.ts'
import { KeyedQueue } from '../session/keyed-queue.ts'
import { WriteScheduler } from '../link/write-scheduler.ts'

/** Events that are logged as warnings. */
const warnings: ReadonlySet<NetworkEvent['type']> = new Set([
  'warning',
  'child.restarted',
  'handler.failed',
  'peer.errored',
  'peer.duplicate',
  'clock.behind',
])

export class Services implements SessionContext {
  readonly environment: Environment
  readonly options: ResolvedOptions
  readonly dialect: Dialect
  readonly peers: PeerTable
  readonly wheel: TimerWheel
  readonly acceptRegistry = new AcceptRegistry()
  readonly peerAddresses = new PeerAddresses()
  readonly callQueue = new KeyedQueue()
  /** Schedules the writes of all links. */
  readonly writes: WriteScheduler
  readonly numbering = new SessionNumbering()
  readonly setup: NativeSetup | null
  /** Calls in progress. Only these are notified when links become ready, or when peers cannot be connected. */
  readonly waitingCalls = new Set<WaitingCall>()
  readonly baseLinks: BaseLinks
  readonly lookups: NameLookups
  /** The memory that all native links share. */
  readonly memory: NodeMemory
  /** The live actors of this network. */
  readonly actors = new LiveActors()
  readonly nowMs: () => number
  /** Set by the supervisor; a restarted reconnector is found here. */
  reconnector: AnyActorRef | null = null
  /** Set by the supervisor: why the network failed; null if it has not. */
  failure: Cause | null = null
  /** Set by the supervisor: where it listens, with the real port. */
  url: string | null = null
  /** Set by the supervisor: emits events to the application. */
  emitter: (event: NetworkEvent) => void = () => {}
  /** Set by the supervisor: starts and forgets the actor of a peer that is added or removed at run time. */
  startPeer: (peer: ResolvedPeer) => void = () => {}
  stopPeer: (peer: string) => void = () => {}
  /** Set by the facade: this side wants to be connected to a peer that is connected on demand. */
  wantPeer: (peer: string) => void = () => {}
  /** Set by the facade: calls of `network.dial` and `peer.connect` that wait end. */
  endDials: (error: Error) => void = () => {}
  /** Set by the facade: a peer that is connected on demand had no traffic for a while. */
  restPeer: (peer: string) => void = () => {}
  /** Set by the supervisor. */
  notifyPeer: (peer: string, event: AnyEventObject) => void = () => {}
  readonly fatalFailures: FatalFailures
  readonly messaging: Messaging
  readonly serviceCalls: ServiceCalls
  readonly streams: StreamCalls
  readonly records: PeerRecords
  isStopping = false
  readonly #idle: IdlePeers
  readonly #diagnostics: ConnectDiagnostics

  constructor(environment: Environment, options: ResolvedOptions, peers: PeerTable) {
    this.environment = environment
    this.options = options
    this.peers = peers
    this.#diagnostics = new ConnectDiagnostics(options, peers)
    this.dialect = options.dialect === 'native' ? nativeDialect : ampcDialect
    this.memory = new NodeMemory(options.memoryBudgetBytes, peers.size * options.connectionParallelism)
    if (options.dialect === 'native') {
      const divide = (): void => this.memory.setLinks(peers.size * options.connectionParallelism)
      peers.onChange({ added: divide, removed: divide })
    }
    const setup = (this.setup = options.dialect === 'native' ? new NativeSetup(environment.random) : null)
    this.baseLinks = new BaseLinks(
      options,
      peers,
      createLinkStates({
        environment,
        options,
        peers,
        dialect: this.dialect,
        memory: this.memory,
        setupOf: setup === null ? undefined : (peer, linkIndex) => setup.reportsOf(peer, linkIndex),
        emit: (event) => this.emit(event),
      }),
    )
    this.wheel = new TimerWheel(environment.clock)
    setup?.follow(options, peers, this.baseLinks, this.wheel)
    this.fatalFailures = new FatalFailures(
      this.wheel,
      this.waitingCalls,
      options.listen !== null && this.dialect.bothMayDial,
    )
    const { nameLookupTimeoutMs, nameLookupsMax } = options.limits
    this.lookups = new NameLookups({
      names: environment.names,
      wheel: this.wheel,
      timeoutMs: nameLookupTimeoutMs,
      runningMax: nameLookupsMax,
    })
    this.writes = new WriteScheduler(environment.clock)
    const pressure = new Pressure({
      clock: environment.clock,
      wheel: this.wheel,
      waiting: () => this.memory.waiting,
      tell: () => {
        const { usedBytes, budgetBytes, waiting } = this.memory
        this.emit({ type: 'pressure', usedBytes, budgetBytes, waitingLinks: waiting })
      },
    })
    this.memory.watch(() => pressure.begins())
    this.nowMs = () => environment.clock.nowMs()
    this.records = new PeerRecords({
      wallMs: () => environment.clock.wallMs(),
      resumes: options.onConnectionLost === 'resume',
      isWanted: (peer) => !this.isStopping && peers.has(peer) && peers.get(peer)?.desired === 'wanted',
      isLeaving: (peer) => this.isStopping || !peers.has(peer) || peers.get(peer)?.desired !== 'wanted',
      isAnyUp: (peer) => this.baseLinks.of(peer).some(({ state }) => state.isConnected),
      emit: (event) => this.emit(event),
    })
    this.#idle = new IdlePeers({
      peers,
      baseLinks: this.baseLinks,
      wheel: this.wheel,
      idleTimeoutMs: options.limits.idleTimeoutMs,
      rest: (peer) => this.restPeer(peer),
    })
    this.messaging = new Messaging(this)
    this.serviceCalls = new ServiceCalls(this.messaging, this.nowMs)
    this.streams = new StreamCalls(this)
  }

  actorStarted(ref: AnyActorRef): void {
    this.actors.add(ref)
  }

  actorStopped(ref: AnyActorRef): void {
    this.actors.delete(ref)
  }

  explainNotConnected(peer: string, links?: ReadonlySet<number>): string {
    return this.#diagnostics.sentenceFor(peer, this.url, links)
  }

  fatalCauseOf(peer: string): Cause | null {
    return this.fatalFailures.of(peer)
  }

  connectFailed(peer: string, cause: Cause): void {
    this.fatalFailures.failed(peer, cause)
  }

  explainNotSent(peer: string, isConnected: boolean): string {
    if (isConnected) return ': it is connected but does not read fast enough'
    return `: it is not connected${this.explainNotConnected(peer)}`
  }

  emit(event: NetworkEvent): void {
    this.#diagnostics.record(event)
    this.records.record(event)
    if (event.type === 'connection.opened') this.fatalFailures.clear(event.peer)
    const { log } = this.environment
    if (log.isRead?.() !== false) {
      const { type, ...fields } = event
      log.write(warnings.has(type) ? 'warn' : 'info', type, sanitizeData(fields) as Readonly<Record<string, unknown>>)
    }
    this.#idle.follow(event)
    this.emitter(event)
    this.records.follow(event)
  }

  toJSON(): string {
    return `<services of ${this.options.identity}>`
  }
}
