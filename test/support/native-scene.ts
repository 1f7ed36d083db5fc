/**
 * Owns: a few native networks that know each other's keys: over memory in virtual time with faults on request, or over
 * TCP or TLS in real time; what they logged; that nothing of them is left when the scene is over.
 * Independent of: what happens in the scene.
 */
import { createNetwork, Identity } from '../../actors/index.ts'
import type { Limits, Network, NetworkEvent, Session } from '../../actors/index.ts'
import { TcpTransport } from '../../actors/index.ts'
import type { Clock } from '../../actors/base/environment.ts'
import { systemClock } from '../../actors/config/system-environment.ts'
import { supervisorServices } from '../../actors/network/supervisor.ts'
import type { Services } from '../../actors/network/services.ts'
import { TlsTransport } from '../../actors/tls/tls-transport.ts'
import type { NetworkValue } from '../../codec/index.ts'
import type { AnyActorRef, AnyEventObject, InspectionEvent } from '../../machines/xstate.ts'
import type { NativeLink } from '../../protocol/native/link/native-link.ts'
import { MemoryTransport, seededRandom, VirtualClock } from '../../testing/index.ts'
import { FaultyTransport } from './faulty-transport.ts'
import { LeakCheck } from './leak-check.ts'

export type Carrier = 'memory' | 'tcp' | 'tls'

/** Keys that are the same in every run, in the order of their bytes: the third is the greatest. */
export const keys: readonly Identity[] = [1, 2, 3]
  .map((seed) => Identity.fromPem(pemOfSeed(seed)))
  .sort((a, b) => Buffer.compare(a.publicKey, b.publicKey))

function pemOfSeed(seed: number): string {
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, seed)])
  return `-----BEGIN PRIVATE KEY-----\n${der.toString('base64')}\n-----END PRIVATE KEY-----\n`
}

export interface MemberPlan {
  readonly key: number
  /** Keys of its peers, and which of those it dials; the others dial it. */
  readonly peers: readonly number[]
  readonly dials: readonly number[]
  /** Where each key listens, if that is not its real address. */
  readonly misled?: Readonly<Record<number, number>>
  /** The key whose address it listens at, if not its own. In memory only. */
  readonly listensAs?: number
  /** The address to listen at, if it has to be known beforehand. Over sockets only. */
  readonly listenAt?: string
  readonly limits?: Partial<Limits>
  readonly links?: number
  readonly memoryBudgetBytes?: number
  readonly permit?: (peer: string, name: string) => boolean
  /** By how much its wall clock differs from that of the others. */
  readonly wallAheadMs?: number
  /** How its peers are connected. */
  readonly connect?: 'always' | 'on-demand'
}

export interface NativeSceneOptions {
  readonly on: Carrier
  readonly seed?: number
  readonly limits?: Partial<Limits>
  readonly links?: number
}

/** There are many breaks, all from one address: the caps for strangers have tests of their own. */
const sceneLimits: Partial<Limits> = {
  backoffMinMs: 1,
  backoffMaxMs: 50,
  connectBurst: 1_000_000,
  pendingInboundPerAddressMax: 64,
}

const timeLimitMs = 20_000
const nextTick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
/** In memory only; nothing is bound. */
const portOf = (key: number): number => 100 + key

export class NativeMember {
  readonly plan: MemberPlan
  readonly id: string
  readonly network: Network
  readonly transport: FaultyTransport | TcpTransport | TlsTransport
  readonly events: NetworkEvent[] = []
  readonly actors = new Map<string, AnyActorRef>()

  constructor(
    plan: MemberPlan,
    network: Network,
    transport: NativeMember['transport'],
    actors: Map<string, AnyActorRef>,
  ) {
    this.plan = plan
    this.id = network.identity
    this.network = network
    this.transport = transport
    this.actors = actors
    network.ref.on('*', (event) => void this.events.push(event as NetworkEvent))
  }

  eventsOf<T extends NetworkEvent['type']>(type: T): Extract<NetworkEvent, { type: T }>[] {
    return this.events.filter((event): event is Extract<NetworkEvent, { type: T }> => event.type === type)
  }

  get services(): Services {
    return supervisorServices(this.network.ref) as Services
  }

  /** The carrier of a scene in memory. */
  get faults(): FaultyTransport {
    return this.transport as FaultyTransport
  }

  link(peer: NativeMember, number = 0): NativeLink {
    return this.linkTo(peer.id, number)
  }

  linkTo(peerId: string, number = 0): NativeLink {
    const services = supervisorServices(this.network.ref) as Services
    return services.baseLinks.of(peerId)[number]?.state as NativeLink
  }

  /** Sends an event to one actor of this member, for example one that makes it fail. */
  sendEvent(path: string, event: AnyEventObject): void {
    const ref = this.actors.get(path)
    if (ref === undefined)
      throw new Error(`there is no actor ${path}; there are: ${[...this.actors.keys()].join(', ')}`)
    ref.send(event)
  }

  /** What all its links hold; throws if the total is not the sum over its holders. */
  get usedBytes(): number {
    const services = supervisorServices(this.network.ref) as Services
    services.memory.invariants()
    return services.memory.usedBytes
  }

  /** Long frames that wait for memory, over all its links. */
  get longFramesWaiting(): number {
    return (supervisorServices(this.network.ref) as Services).memory.longFrames.waiting
  }

  /** Breaks the sockets that it has now. */
  kill(): void {
    if (this.transport instanceof FaultyTransport) this.transport.cutAll()
    else for (const pipe of this.transport.pipes) pipe.destroy()
  }
}

export class NativeScene {
  readonly clock = new VirtualClock()
  readonly random
  readonly members = new Set<NativeMember>()
  readonly #options: NativeSceneOptions
  readonly #wire: MemoryTransport
  readonly #urls = new Map<number, string>()
  readonly leaks = new LeakCheck()

  constructor(options: NativeSceneOptions) {
    this.#options = options
    this.random = seededRandom(options.seed ?? 1)
    this.#wire = new MemoryTransport(this.clock)
  }

  get isVirtual(): boolean {
    return this.#options.on === 'memory'
  }

  /** Both ends of each open connection in memory. */
  get openPipes(): number {
    return this.#wire.pipes.size
  }

  /** Waits for a promise, advancing virtual time where time is virtual. */
  run<T>(promise: Promise<T>): Promise<T> {
    return this.isVirtual ? this.clock.run(promise) : promise
  }

  async until(what: string, holds: () => boolean, withinMs = 600_000): Promise<void> {
    if (this.isVirtual) return this.clock.until(what, holds, withinMs)
    const untilMs = performance.now() + timeLimitMs
    while (!holds()) {
      if (performance.now() > untilMs) throw new Error(`${what} did not come about within ${timeLimitMs} ms`)
      await nextTick()
    }
  }

  /** Starts a network; an earlier one with the same key must be gone. */
  async start(plan: MemberPlan): Promise<NativeMember> {
    const { on } = this.#options
    const key = keys[plan.key] as Identity
    const scheme = on === 'tls' ? 'tls' : 'tcp'
    const ids = new Set(plan.peers.map((peer) => (keys[peer] as Identity).id))
    const urlOf = (peer: number): string =>
      this.isVirtual
        ? `tcp://127.0.0.1:${portOf(plan.misled?.[peer] ?? peer)}`
        : (this.#urls.get(plan.misled?.[peer] ?? peer) as string)
    const transport = this.isVirtual
      ? new FaultyTransport(this.#wire, this.clock)
      : on === 'tcp'
        ? new TcpTransport()
        : new TlsTransport({ identity: key, authorize: (id) => ids.has(id) })
    const actors = new Map<string, AnyActorRef>()
    const network = createNetwork(
      {
        identity: key,
        listen:
          plan.listenAt ??
          (this.isVirtual ? `tcp://127.0.0.1:${portOf(plan.listensAs ?? plan.key)}` : `${scheme}://127.0.0.1:0`),
        peers: plan.peers.map((peer) => ({
          id: (keys[peer] as Identity).id,
          ...(plan.dials.includes(peer) ? { urls: urlOf(peer) } : {}),
          ...(plan.connect === undefined ? {} : { connect: plan.connect }),
        })),
        security: on === 'tls' ? 'tls' : 'plaintext',
        connectionParallelism: plan.links ?? this.#options.links ?? 1,
        ...(plan.memoryBudgetBytes === undefined ? {} : { memoryBudgetBytes: plan.memoryBudgetBytes }),
        ...(plan.permit === undefined ? {} : { permit: plan.permit }),
        limits: { ...sceneLimits, ...this.#options.limits, ...plan.limits },
      },
      {
        environment: {
          clock: withWallAhead(this.isVirtual ? this.clock : systemClock, plan.wallAheadMs ?? 0),
          ...(this.isVirtual ? { random: this.random } : {}),
          transport,
        },
        inspect: (event) => recordActor(actors, event),
      },
    )
    const member = new NativeMember(plan, network, transport, actors)
    this.members.add(member)
    this.leaks.watch(network)
    await this.run(network.ready())
    this.#urls.set(plan.key, network.url as string)
    return member
  }

  /** The two lesser keys; the second dials the first. */
  async pair(): Promise<[NativeMember, NativeMember]> {
    return [await this.start({ key: 0, peers: [1], dials: [] }), await this.start({ key: 1, peers: [0], dials: [0] })]
  }

  /** All of them make the sessions; by member, then by number. */
  async sessions(members: readonly NativeMember[], count: number): Promise<Session[][]> {
    return this.run(Promise.all(members.map(({ network }) => network.makeSessions({ count }))))
  }

  /** The process ends abruptly, and its memory with it. In memory only. */
  async crash(member: NativeMember): Promise<void> {
    await member.faults.die()
    await this.run(member.network.shutdown())
    this.members.delete(member)
    await this.clock.advance(10)
  }

  async stop(): Promise<void> {
    await this.run(Promise.all([...this.members].map(({ network }) => network.shutdown())))
  }
}

function withWallAhead(clock: Clock, aheadMs: number): Clock {
  if (aheadMs === 0) return clock
  return {
    nowMs: () => clock.nowMs(),
    wallMs: () => clock.wallMs() + aheadMs,
    setTimeout: (callback, delayMs) => clock.setTimeout(callback, delayMs),
    clearTimeout: (handle) => clock.clearTimeout(handle),
    nextTick: (callback) => clock.nextTick(callback),
    setImmediate: (callback) => clock.setImmediate(callback),
  }
}

function recordActor(actors: Map<string, AnyActorRef>, event: InspectionEvent): void {
  if (event.type !== '@xstate.actor') return
  const ref = event.actorRef as AnyActorRef
  const path: string[] = []
  for (let at: AnyActorRef | undefined = ref; at?._parent !== undefined; at = at._parent) path.unshift(at.id)
  actors.set(path.join('/'), ref)
}

/** Runs a scene and asserts that nothing of it is left, however it ended. */
export async function play(options: NativeSceneOptions, body: (scene: NativeScene) => Promise<void>): Promise<void> {
  const scene = new NativeScene(options)
  try {
    await body(scene)
  } finally {
    await scene.stop()
  }
  await scene.leaks.assertNothingLeft()
}

export const number = (value: number): NetworkValue => ({ type: 'RingElement32', value })
export const bytes = (lengthBytes: number, fill = 0): NetworkValue => ({
  type: 'Bytes',
  value: Buffer.alloc(lengthBytes, fill),
})

/** The position that a value carries; -1 if it has none. */
export function numberOf(value: NetworkValue): number {
  if (value.type === 'RingElement32') return value.value
  return value.type === 'Bytes' && value.value.length >= 4 ? Buffer.from(value.value).readUInt32LE(0) : -1
}

/** The error of a promise that must reject; the handler is attached at once, so it is never unhandled. */
export function rejectionOf(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  const error = promise.then(
    (value) => {
      throw new Error(`it should have rejected, and gave ${String(value)}`)
    },
    (reason: Error & { code?: string }) => reason,
  )
  error.catch(() => {})
  return error
}
