/**
 * Owns: a whole network as one actor: listener, reconnector, peers and session groups, started in order of dependency.
 * Independent of: how an application calls it (network.ts is the facade). The chart is machines/supervisor.ts.
 *
 * It is ordinary actor logic: `setup({ actors: { supervisor } })`, `invoke`, `spawn`, `createActor(supervisor, { input
 * })`.
 */
import { supervisorActions, supervisorMachine } from '../../machines/supervisor.ts'
import type { SupervisorChartEvent, SupervisorFacts } from '../../machines/supervisor.ts'
import type { ChildEvent, DeadlineName } from '../../machines/chart.ts'
import type { ActorLogic, ActorSystem, AnyActorRef, AnyMachineSnapshot } from '../../machines/xstate.ts'
import { StatewireError } from '../../codec/errors.ts'
import { sessionGroup } from '../session/session-group.ts'
import type { SessionGroupRequest } from '../session/session-group-request.ts'
import { chartActor } from '../statechart/chart-actor.ts'
import type { ActorPort, Body } from '../statechart/chart-actor.ts'
import { checkNames, checkObject } from '../base/checks.ts'
import type { ChildSpec } from '../statechart/children.ts'
import { takingCommands } from './commands.ts'
import type { Command, CommandCall } from './commands.ts'
import { drainLinks } from './drain.ts'
import { systemEnvironment } from '../config/system-environment.ts'
import { resolveEnvironment } from '../base/environment-checks.ts'
import type { Environment, EnvironmentOption } from '../base/environment.ts'
import type { NetworkEvent } from '../base/events.ts'
import { listener } from '../connection/listener.ts'
import { resolveOptions } from '../config/options.ts'
import type { NetworkConfig, ResolvedOptions, ResolvedPeer } from '../config/options.ts'
import { peer } from './peer.ts'
import { PeerTable } from '../config/peer-table.ts'
import { pool } from './pool.ts'
import { reconnector } from '../link/reconnector.ts'
import { cause, causeOf, errorOf } from '../base/causes.ts'
import type { Cause } from '../base/causes.ts'
import { refusingRestore } from './restored-snapshot.ts'
import { Services } from './services.ts'
import { TcpTransport } from '../transport/tcp-pipe.ts'
import { TlsTransport } from '../tls/tls-transport.ts'
import { send } from '../statechart/send.ts'

export interface SupervisorInput {
  readonly config: NetworkConfig
  /** Replaces parts of the system environment: clock, random, transport, log. */
  readonly environment?: EnvironmentOption | undefined
}

/** Events that an application sends to the actor. Most applications call the methods of Network instead. */
export type SupervisorEvent =
  | { readonly type: 'sessions.make'; readonly request: SessionGroupRequest }
  | { readonly type: 'control.open'; readonly request: SessionGroupRequest }
  | { readonly type: 'network.shutdown' }
  | Command

export interface SupervisorLogic
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- `AnyActorSystem` is not exported by XState 5
  extends ActorLogic<AnyMachineSnapshot, SupervisorEvent, SupervisorInput, ActorSystem<any>, NetworkEvent> {
  readonly config: unknown
}

class SupervisorBody implements Body {
  readonly services: Services
  readonly #port: ActorPort<SupervisorChartEvent<SessionGroupRequest, CommandCall>>
  #groupNumber = 0
  /** The peers that are added to the pool when it is restarted. */
  readonly #peerSpecs: ChildSpec[] = []
  #cause: Cause = { code: 'ERR_INTERNAL', message: 'unknown' }
  readonly #bound: { address: { host: string; port: number } | null } = { address: null }

  constructor(input: SupervisorInput, port: ActorPort<SupervisorChartEvent<SessionGroupRequest, CommandCall>>) {
    const services = createServices(input)
    pending.delete(input)
    servicesOf.set(port.ref, services)
    this.services = services
    this.#port = port
    services.emitter = (event) => port.emit(event)
    services.startPeer = (resolved) => this.#startPeer(resolved)
    services.stopPeer = (id) => this.#stopPeer(id)
    services.notifyPeer = (id, event) => send(this.#child('peers'), { type: 'pool.pass', to: `peer:${id}`, event })
  }

  facts(): SupervisorFacts {
    const { options } = this.services
    return { identity: options.identity, dialect: options.dialect, peers: this.services.peers.size }
  }

  deadlineMs(deadline: DeadlineName): number {
    const { limits } = this.services.options
    // Slightly longer than the listener's own deadline, whose error is more specific.
    if (deadline === 'bindTimeoutMs') return limits.bindTimeoutMs + 1000
    if (deadline === 'shutdownTimeoutMs') return limits.shutdownTimeoutMs
    throw new Error(`the supervisor has no deadline ${deadline}`)
  }

  dispose(): void {
    this.#closeBaseLinks()
    this.services.wheel.clear()
  }

  begin(): void {
    const { services } = this
    const { children } = this.#port
    const { options } = services
    services.reconnector = children.spawn({
      id: 'reconnector',
      kind: 'reconnector',
      logic: reconnector,
      input: { context: services },
      restart: 'transient',
    })
    const peers = this.#peerSpecs
    for (const resolved of services.peers.values()) peers.push(this.#peerSpec(resolved))
    children.spawn({
      id: 'peers',
      kind: 'pool',
      logic: pool,
      input: {
        services,
        kind: 'peers',
        first: peers,
        toJSON: () => `<${peers.length} peers>`,
        closing: (reason: Cause) => ({ type: 'peer.close', cause: reason }),
        onRestarted: (id: string) => this.#openBaseLinks(id),
        setAside: {
          forMs: options.limits.backoffMaxMs,
          onSetAside: (id: string, reason: Cause) =>
            services.emit({ type: 'peer.errored', peer: id.slice('peer:'.length), cause: reason }),
        },
      },
      restart: 'transient',
    })
    children.spawn({
      id: 'groups',
      kind: 'pool',
      logic: pool,
      input: {
        services,
        kind: 'groups',
        first: [],
        closing: (reason: Cause) => ({ type: 'group.close', cause: reason }),
      },
      restart: 'transient',
    })
    this.#openBaseLinks()
    // In the next tick, so that the code that spawned the actor can still add listeners.
    if (options.listen === null)
      services.environment.clock.nextTick(() => this.#port.send({ type: 'listener.notWanted' }))
    else
      children.spawn({
        id: 'listener',
        kind: 'listener',
        logic: listener,
        input: { context: services, address: options.listen, bound: this.#bound },
        restart: 'transient',
      })
  }

  #startPeer(resolved: ResolvedPeer): void {
    const spec = this.#peerSpec(resolved)
    this.#peerSpecs.push(spec)
    const pool = this.#child('peers')
    // Before the start its peers are those of the table.
    if (pool === undefined) return
    // In the list it counts as restarted: its links are opened again.
    send(pool, { type: 'pool.add', spec })
  }

  #stopPeer(id: string): void {
    const index = this.#peerSpecs.findIndex((spec) => spec.id === `peer:${id}`)
    if (index >= 0) this.#peerSpecs.splice(index, 1)
  }

  #peerSpec(resolved: ResolvedPeer): ChildSpec {
    return {
      id: `peer:${resolved.id}`,
      kind: 'peer',
      logic: peer,
      input: { services: this.services, peer: resolved },
      restart: 'transient',
    }
  }

  /** Opens the permanent links of all peers, or of one peer by the id of its actor. */
  #openBaseLinks(actorId?: string): void {
    for (const [id, links] of this.services.baseLinks.entries()) {
      if (actorId !== undefined && actorId !== `peer:${id}`) continue
      for (const { state, linkIndex, id: linkId } of links) {
        // The peer was drained.
        if (state.end !== null) continue
        const spec = { id: linkId, linkIndex, state, onConnectionLost: this.services.options.onConnectionLost }
        send(this.#child('peers'), {
          type: 'pool.pass',
          to: `peer:${id}`,
          event: { type: 'link.open', request: { spec, replyTo: this.#port.ref } },
        })
      }
    }
  }

  notifyReady(event: { type: string; address?: string }): void {
    this.services.url = event.address ?? null
    if (this.services.options.security === 'plaintext')
      this.services.emit({
        type: 'warning',
        message: 'plain TCP: identities are not verified and nothing is encrypted; use it only on trusted networks',
      })
    this.services.emit({ type: 'network.ready', url: this.services.url })
  }

  makeGroup(event: { request: SessionGroupRequest }): void {
    const { request } = event
    if (request.isSettled) return
    const id = `${request.purpose === 'control' ? 'control' : 'group'}:${this.#groupNumber++}`
    const spec: ChildSpec = {
      id,
      kind: 'group',
      logic: sessionGroup,
      input: { context: this.services, request, peersPool: this.#child('peers') },
      restart: 'temporary',
    }
    send(this.#child('groups'), { type: 'pool.add', spec })
  }

  refuse(event: { request: SessionGroupRequest }): void {
    event.request.reject(shuttingDownError())
  }

  runCommand({ command }: { command: CommandCall }): void {
    command.run(this.services, this.#port.ref)
  }

  refuseCommand({ command }: { command: CommandCall }): void {
    command.fail(this.services, shuttingDownError())
  }

  /** A permanent link changed. Notifies the calls that wait for it, and all groups if it has failed. */
  recordLink(event: { type: string; peer: string; link: string }): void {
    this.services.baseLinks.recordReady(event.peer, event.link, event.type === 'link.ready' || event.type === 'link.up')
    if (this.services.waitingCalls.size > 0 || event.type === 'link.failed')
      send(this.#child('groups'), { type: 'pool.pass', event })
  }

  recordRestart(event: ChildEvent): void {
    const reason = causeOf('error' in event ? event.error : undefined, 'ERR_INTERNAL', `${event.id}: `)
    this.services.emit({ type: 'child.restarted', parent: this.#port.id, child: event.id, cause: reason })
    if (event.id === 'reconnector') {
      this.services.reconnector = this.#child('reconnector') ?? null
      send(this.#child('peers'), { type: 'pool.pass', event: { type: 'reconnector.restarted' } })
    }
    if (event.id === 'peers') this.#openBaseLinks()
  }

  recordFailure(event: { type: string; cause?: Cause; error?: unknown; id?: string }): void {
    this.#cause =
      event.cause ??
      (event.type === 'child.escalated'
        ? causeOf(event.error, 'ERR_RESTART_INTENSITY', `${event.id ?? ''}: `)
        : cause('ERR_LISTEN_FAILED', 'the network did not start in time'))
    this.services.failure = this.#cause
  }

  /**
   * Drains all peers. The listener stays until then, because a peer that is down may reconnect for values it has not
   * received.
   */
  drain(): void {
    const { services } = this
    const { limits, dialect } = services.options
    services.isStopping = true
    services.messaging.drain(shuttingDownError())
    services.streams.drain(shuttingDownError())
    services.endDials(shuttingDownError())
    const peers = [...services.baseLinks.entries()]
    let unsettled = peers.length
    const settled = (peer: string): void => {
      // The Goodbye to one peer does not wait for other peers. In ampc the sessions are closed first, which flushes
      // them.
      if (dialect === 'native') services.notifyPeer(peer, { type: 'peer.close', cause: stopping })
      if (--unsettled === 0) this.#port.send({ type: 'links.settled' })
    }
    if (unsettled === 0) this.#port.send({ type: 'links.settled' })
    for (const [peer, links] of peers)
      drainLinks(
        services,
        peer,
        links.map(({ state }) => state),
        stopping,
        limits.shutdownTimeoutMs,
        () => settled(peer),
      )
  }

  drainGroups(): void {
    this.#port.children.stop('listener')
    send(this.#child('groups'), { type: 'pool.drain', cause: stopping })
  }

  /** Closes the session groups first, because they flush through the links, then the links. */
  drainPeers(event: { kind: string }): void {
    if (event.kind === 'groups') send(this.#child('peers'), { type: 'pool.drain', cause: stopping })
    else this.#port.send({ type: 'network.quiet' })
  }

  #closeBaseLinks(): void {
    const { services } = this
    const error = errorOf(services.failure ?? cause('ERR_NETWORK_STOPPED', 'the network has stopped'))
    services.baseLinks.close(error)
    services.messaging.end(error)
    services.streams.end(error)
    services.endDials(error)
  }

  notifyStopped(): void {
    this.#closeBaseLinks()
    this.services.emit({ type: 'network.stopped' })
  }

  notifyFailed(): void {
    this.#closeBaseLinks()
    this.services.emit({ type: 'network.failed', cause: this.#cause })
  }

  fail(): never {
    throw errorOf(this.#cause)
  }

  #child(id: string): AnyActorRef | undefined {
    return this.#port.children.get(id)
  }
}

/** Rejects calls that are pending or made during a shutdown. */
export function shuttingDownError(): StatewireError {
  return new StatewireError('ERR_NETWORK_STOPPED', 'the network is shutting down and accepts nothing new')
}

const stopping = cause('ERR_NETWORK_STOPPED', 'the network is shutting down')

const servicesOf = new WeakMap<object, Services>()
const pending = new WeakMap<SupervisorInput, Services>()

/** Returns the services of a supervisor actor, for its facade. */
export function supervisorServices(ref: object): Services | undefined {
  return servicesOf.get(ref)
}

/** TLS with the network's own key, and only for its peers, unless plain TCP was selected. */
function transportFor(options: ResolvedOptions, peers: PeerTable): Partial<Environment> {
  const { readBufferBytes } = options.limits
  if (options.security !== 'tls') return { transport: new TcpTransport({ readBufferBytes }) }
  if (options.ampcTls !== null) return { transport: new TlsTransport({ ampc: options.ampcTls, readBufferBytes }) }
  if (options.key === null) return {}
  return {
    transport: new TlsTransport({
      identity: options.key,
      authorize: (peerId) => peers.isAllowed(peerId),
      readBufferBytes,
    }),
  }
}

function createServices(input: SupervisorInput): Services {
  const known = pending.get(input)
  if (known !== undefined) return known
  checkObject(input, 'the input of the supervisor')
  checkNames(input, ['config', 'environment'], 'a part of the input of the supervisor')
  const options = resolveOptions(input.config)
  const environment = resolveEnvironment(input.environment)
  const peers = new PeerTable(options.peers)
  const services = new Services(
    systemEnvironment({ ...(environment.transport === undefined ? transportFor(options, peers) : {}), ...environment }),
    options,
    peers,
  )
  pending.set(input, services)
  return services
}

/**
 * A whole network as actor logic for `setup({ actors: { supervisor } })`, `invoke`, `spawn` and `createActor`.
 *
 * A persisted snapshot has neither sockets nor keys. An actor restored from one fails with ERR_NOT_RESTORABLE, which
 * reaches the `onError` of its invoke. Start the network again from its config there.
 */
export const supervisor = refusingRestore(
  takingCommands(
    chartActor<SupervisorInput, SupervisorBody, SupervisorChartEvent<SessionGroupRequest, CommandCall>>({
      machine: supervisorMachine,
      host: (input) => createServices(input),
      body: SupervisorBody,
      actions: supervisorActions,
    }),
  ),
) as unknown as SupervisorLogic
