/**
 * Owns: a whole network as one actor: listener, reconnector, the peers and the batches, in the order they lean on each other.
 * Refuses to know: how an application calls it (network.ts is the facade). The chart is machines/supervisor.ts.
 *
 * It is ordinary actor logic: `setup({ actors: { supervisor } })`, `invoke`, `spawn`, `createActor(supervisor, { input })`.
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
import { settleLinks } from './drain.ts'
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
import { TlsTransport } from '../tls/tls-transport.ts'
import { send } from '../statechart/send.ts'

export interface SupervisorInput {
  readonly config: NetworkConfig
  /** Clock, random, transport and log; the real ones where not given. */
  readonly environment?: EnvironmentOption | undefined
}

/** What an application sends to the actor itself; most use the methods of Network. */
export type SupervisorEvent =
  | { readonly type: 'sessions.make'; readonly request: SessionGroupRequest }
  | { readonly type: 'control.open'; readonly request: SessionGroupRequest }
  | { readonly type: 'network.shutdown' }

export interface SupervisorLogic
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- `AnyActorSystem` is not exported by XState 5
  extends ActorLogic<AnyMachineSnapshot, SupervisorEvent, SupervisorInput, ActorSystem<any>, NetworkEvent> {
  readonly config: unknown
}

class SupervisorBody implements Body {
  readonly services: Services
  readonly #port: ActorPort<SupervisorChartEvent<SessionGroupRequest>>
  #groupNumber = 0
  #cause: Cause = { code: 'ERR_INTERNAL', message: 'unknown' }
  readonly #bound: { address: { host: string; port: number } | null } = { address: null }

  constructor(input: SupervisorInput, port: ActorPort<SupervisorChartEvent<SessionGroupRequest>>) {
    const services = createServices(input)
    pending.delete(input)
    servicesOf.set(port.ref, services)
    this.services = services
    this.#port = port
    services.emitter = (event) => port.emit(event)
    services.notifyPeer = (id, event) => send(this.#child('peers'), { type: 'pool.pass', to: `peer:${id}`, event })
  }

  facts(): SupervisorFacts {
    const { options } = this.services
    return { identity: options.identity, dialect: options.dialect, peers: this.services.peers.size }
  }

  deadlineMs(deadline: DeadlineName): number {
    const { limits } = this.services.options
    // A little longer than the listener's own, which names what is wrong.
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
    const peers = [...services.peers.values()].map((resolved) => this.#peerSpec(resolved))
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
    // A tick later, so that whoever spawned the actor can still listen for it.
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

  #peerSpec(resolved: ResolvedPeer): ChildSpec {
    return {
      id: `peer:${resolved.id}`,
      kind: 'peer',
      logic: peer,
      input: { services: this.services, peer: resolved },
      restart: 'transient',
    }
  }

  /** All of them, or those of one peer, by the id of its actor. */
  #openBaseLinks(actorId?: string): void {
    for (const [id, links] of this.services.baseLinks.entries()) {
      if (actorId !== undefined && actorId !== `peer:${id}`) continue
      for (const { state, connectionId, id: linkId } of links) {
        // The peer was let go of.
        if (state.end !== null) continue
        const spec = { id: linkId, connectionId, state, onConnectionLost: this.services.options.onConnectionLost }
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
        message: 'plain TCP: identities are only claimed, and nothing is encrypted; for loopback and trusted networks',
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
    event.request.reject(
      new StatewireError('ERR_NETWORK_STOPPED', 'the network is shutting down and takes nothing new'),
    )
  }

  /** Of the set of connections that serves all batches: those that wait for it hear too, and all hear of its end. */
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

  /** The listener stays until then: a peer that is away may come back for what it has not got. */
  drain(): void {
    const { services } = this
    const { limits, dialect } = services.options
    const peers = [...services.baseLinks.entries()]
    let unsettled = peers.length
    const settled = (peer: string): void => {
      // Goodbye to one peer does not wait for the others. In ampc the sessions are closed first, which flushes them.
      if (dialect === 'native') services.notifyPeer(peer, { type: 'peer.close', cause: stopping })
      if (--unsettled === 0) this.#port.send({ type: 'links.settled' })
    }
    if (unsettled === 0) this.#port.send({ type: 'links.settled' })
    for (const [peer, links] of peers)
      settleLinks(
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

  /** First the batches, which flush through the links; then the links; then nothing is left. */
  drainPeers(event: { kind: string }): void {
    if (event.kind === 'groups') send(this.#child('peers'), { type: 'pool.drain', cause: stopping })
    else this.#port.send({ type: 'network.quiet' })
  }

  #closeBaseLinks(): void {
    this.services.baseLinks.close(
      errorOf(this.services.failure ?? cause('ERR_NETWORK_STOPPED', 'the network has stopped')),
    )
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

const stopping = cause('ERR_NETWORK_STOPPED', 'the network is shutting down')

const servicesOf = new WeakMap<object, Services>()
const pending = new WeakMap<SupervisorInput, Services>()

/** The services behind a supervisor's reference, for its facade. */
export function supervisorServices(ref: object): Services | undefined {
  return servicesOf.get(ref)
}

/** TLS with the network's own key, for peers of its list only; where it was not asked for plain TCP by name. */
function transportFor(options: ResolvedOptions, peers: PeerTable): Partial<Environment> {
  if (options.security !== 'tls') return {}
  if (options.ampcTls !== null) return { transport: new TlsTransport({ ampc: options.ampcTls }) }
  if (options.key === null) return {}
  return { transport: new TlsTransport({ identity: options.key, authorize: (peerId) => peers.has(peerId) }) }
}

function createServices(input: SupervisorInput): Services {
  const known = pending.get(input)
  if (known !== undefined) return known
  checkObject(input, 'the input of the supervisor')
  checkNames(input, ['config', 'environment'], 'a part of the input of the supervisor')
  const options = resolveOptions(input.config)
  const environment = resolveEnvironment(input.environment)
  const peers = new PeerTable(options.peers)
  const services = new Services(systemEnvironment({ ...transportFor(options, peers), ...environment }), options, peers)
  pending.set(input, services)
  return services
}

/**
 * A whole network as actor logic for `setup({ actors: { supervisor } })`, `invoke`, `spawn` and `createActor`.
 *
 * A persisted snapshot has neither sockets nor keys. An actor that is restored from one fails with ERR_NOT_RESTORABLE, which
 * reaches the `onError` of its invoke; start the network again from its config there.
 */
export const supervisor = refusingRestore(
  chartActor<SupervisorInput, SupervisorBody, SupervisorChartEvent<SessionGroupRequest>>({
    machine: supervisorMachine,
    host: (input) => createServices(input),
    body: SupervisorBody,
    actions: supervisorActions,
  }),
) as unknown as SupervisorLogic
