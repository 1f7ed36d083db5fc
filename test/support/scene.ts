/**
 * Owns: a few networks that know each other, in virtual time over memory or in real time over TCP, what they logged,
 * and that nothing of them is left when the scene is over.
 * Independent of: what happens in the scene.
 */
import { createNetwork } from '../../actors/index.ts'
import type { Environment, Limits, Network, NetworkEvent, Session } from '../../actors/index.ts'
import { supervisorServices } from '../../actors/network/supervisor.ts'
import type { Services } from '../../actors/network/services.ts'
import type { AnyActorRef, AnyEventObject, InspectionEvent } from '../../machines/xstate.ts'
import type { NetworkValue } from '../../codec/index.ts'
import { MemoryTransport, seededRandom, VirtualClock } from '../../testing/index.ts'
import { LeakCheck } from './leak-check.ts'

export interface SceneOptions {
  readonly on: 'memory' | 'tcp'
  /** In the order of their identities: each dials those before it. */
  readonly ids: readonly string[]
  readonly onConnectionLost: 'fail' | 'reconnect'
  readonly connectionParallelism?: number
  readonly limits?: Partial<Limits>
}

const timeLimitMs = 15_000
const nextTick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

export class Member {
  readonly network: Network
  readonly events: NetworkEvent[] = []
  /** The newest actor at each place of the tree: `listener`, `peers/peer:bob/link:0/connection:0.1`. */
  readonly actors = new Map<string, AnyActorRef>()

  constructor(network: Network) {
    this.network = network
  }

  get services(): Services {
    return supervisorServices(this.network.ref) as Services
  }

  eventsOf<T extends NetworkEvent['type']>(type: T): Extract<NetworkEvent, { type: T }>[] {
    return this.events.filter((event): event is Extract<NetworkEvent, { type: T }> => event.type === type)
  }
}

export class Scene {
  readonly clock = new VirtualClock()
  readonly members = new Map<string, Member>()
  readonly #isVirtual: boolean
  readonly #environment: Partial<Environment>

  constructor(on: SceneOptions['on'], seed: number) {
    this.#isVirtual = on === 'memory'
    this.#environment =
      on === 'memory'
        ? { clock: this.clock, random: seededRandom(seed), transport: new MemoryTransport(this.clock) }
        : {}
  }

  of(id: string): Member {
    return this.members.get(id) as Member
  }

  /** Waits for a promise, advancing virtual time where time is virtual. */
  run<T>(promise: Promise<T>): Promise<T> {
    return this.#isVirtual ? this.clock.run(promise) : promise
  }

  async until(what: string, holds: () => boolean, withinMs = 600_000): Promise<void> {
    if (this.#isVirtual) return this.clock.until(what, holds, withinMs)
    const untilMs = performance.now() + timeLimitMs
    while (!holds()) {
      if (performance.now() > untilMs) throw new Error(`${what} did not come about within ${timeLimitMs} ms`)
      await nextTick()
    }
  }

  async start(options: SceneOptions): Promise<void> {
    for (const [place, identity] of options.ids.entries()) {
      const peers = options.ids.flatMap((id, other) =>
        other === place ? [] : [other < place ? { id, urls: this.of(id).network.url as string } : { id }],
      )
      const network = createNetwork(
        {
          identity,
          listen: 'tcp://127.0.0.1:0',
          peers,
          security: 'plaintext',
          onConnectionLost: options.onConnectionLost,
          connectionParallelism: options.connectionParallelism ?? 1,
          ...(options.limits === undefined ? {} : { limits: options.limits }),
        },
        { environment: this.#environment, inspect: (event) => this.#recordActor(identity, event) },
      )
      const member = new Member(network)
      this.members.set(identity, member)
      network.ref.on('*', (event) => void member.events.push(event as NetworkEvent))
      await this.run(network.ready())
    }
  }

  #recordActor(identity: string, event: InspectionEvent): void {
    if (event.type !== '@xstate.actor') return
    const ref = event.actorRef as AnyActorRef
    const path: string[] = []
    for (let at: AnyActorRef | undefined = ref; at?._parent !== undefined; at = at._parent) path.unshift(at.id)
    // The supervisor is created before its member is; no test needs it by its path.
    this.members.get(identity)?.actors.set(path.join('/'), ref)
  }

  /** Sends an event to one actor of one member, for example one that makes it fail. */
  sendEvent(id: string, path: string, event: AnyEventObject): void {
    const ref = this.of(id).actors.get(path)
    if (ref === undefined)
      throw new Error(`${id} has no actor ${path}; there are: ${[...this.of(id).actors.keys()].join(', ')}`)
    ref.send(event)
  }

  /** One session group at every member; by id, then by number. */
  async sessions(count: number): Promise<Map<string, Session[]>> {
    const made = await this.run(
      Promise.all(
        [...this.members].map(async ([id, { network }]) => [id, await network.makeSessions({ count })] as const),
      ),
    )
    return new Map(made)
  }

  async stop(): Promise<void> {
    await this.run(Promise.all([...this.members.values()].map(({ network }) => network.shutdown())))
  }
}

/** Runs a scene and asserts that nothing of it is left, however it ended. */
export async function play(options: SceneOptions, body: (scene: Scene) => Promise<void>): Promise<void> {
  const leaks = new LeakCheck()
  const scene = new Scene(options.on, 1)
  try {
    await scene.start(options)
    for (const { network } of scene.members.values()) leaks.watch(network)
    await body(scene)
  } finally {
    await scene.stop()
  }
  await leaks.assertNothingLeft()
}

export const number = (value: number): NetworkValue => ({ type: 'RingElement32', value })
export const numberOf = (value: NetworkValue): number => (value.type === 'RingElement32' ? value.value : -1)
