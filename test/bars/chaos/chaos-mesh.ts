/**
 * Owns: a few real networks in this process that connect through proxies; sessions between them that carry numbered
 * values; how often each pair is connected.
 * Independent of: what is broken, and when.
 */
import { createNetwork, Identity } from '../../../actors/index.ts'
import type { Limits, Network, Session, SupervisorRef } from '../../../actors/index.ts'
import { TcpTransport } from '../../../actors/transport/tcp-pipe.ts'
import { TlsTransport } from '../../../actors/tls/tls-transport.ts'
import type { NetworkValue } from '../../../codec/index.ts'
import { ChaosProxy } from './chaos-proxy.ts'
import { addFaults, countedValue, LaneCount, noFaults } from './counted-values.ts'
import type { LaneFaults } from './counted-values.ts'

export interface MeshOptions {
  readonly members: number
  readonly carrier?: 'tls' | 'plaintext'
  /** Both sides of a pair dial; otherwise only the later one does. */
  readonly bothDial?: boolean
  /** No proxies, to measure the path itself. Only the later one of a pair dials. */
  readonly isDirect?: boolean
  /** Links of each pair; its sessions are spread over them. */
  readonly links?: number
  readonly limits?: Partial<Limits>
}

/** Many connections from one address are intended here, so the limits for strangers are raised. */
const chaosLimits: Partial<Limits> = {
  backoffMinMs: 2,
  backoffMaxMs: 100,
  connectBurst: 1_000_000,
  pendingInboundPerAddressMax: 64,
}

/** How one side sees the other, counted from its events. */
export class View {
  opened = 0
  lost = 0
  failed = 0
  isUp = false
  openedAtMs = 0
  lostAtMs = 0
  lostCode = ''
}

export class Member {
  readonly network: Network
  readonly transport: TlsTransport | TcpTransport
  readonly views = new Map<string, View>()

  constructor(network: Network, transport: TlsTransport | TcpTransport) {
    this.network = network
    this.transport = transport
    for (const { id } of network.peers) this.views.set(id, new View())
    network.on('connection.opened', ({ peer }) => {
      const view = this.view(peer)
      view.opened++
      view.isUp = true
      view.openedAtMs = performance.now()
    })
    network.on('connection.lost', ({ peer, cause }) => {
      const view = this.view(peer)
      view.lost++
      view.isUp = false
      view.lostAtMs = performance.now()
      view.lostCode = cause.code
    })
    network.on('connection.failed', ({ peer }) => void this.view(peer).failed++)
  }

  get id(): string {
    return this.network.identity
  }

  get ref(): SupervisorRef {
    return this.network.ref
  }

  view(peer: string): View {
    return this.views.get(peer) as View
  }

  /**
   * Destroys its sockets to this peer, or all of them if the transport does not know which peer they belong to.
   * @returns whether there was any; a socket in its handshake has no peer yet
   */
  destroySocketsTo(peer: string): boolean {
    const isTls = this.transport instanceof TlsTransport
    const pipes = [...this.transport.pipes].filter((pipe) => !isTls || pipe.peerId === peer)
    for (const pipe of pipes) pipe.destroy()
    return pipes.length > 0
  }
}

/**
 * Two networks that know each other, and the proxy through which the dialer reaches the acceptor (and back, if both
 * dial).
 */
export class Pair {
  readonly dialer: Member
  readonly acceptor: Member
  readonly #proxy: ChaosProxy | null
  readonly back: ChaosProxy | null

  constructor(dialer: Member, acceptor: Member, proxy: ChaosProxy | null, back: ChaosProxy | null) {
    this.dialer = dialer
    this.acceptor = acceptor
    this.#proxy = proxy
    this.back = back
  }

  get proxy(): ChaosProxy {
    if (this.#proxy === null) throw new Error('this pair has no proxy')
    return this.#proxy
  }

  async stop(): Promise<void> {
    await Promise.all([this.#proxy?.stop(), this.back?.stop()])
  }

  get views(): readonly [View, View] {
    return [this.dialer.view(this.acceptor.id), this.acceptor.view(this.dialer.id)]
  }

  get isUp(): boolean {
    return this.views.every(({ isUp }) => isUp)
  }

  get opened(): readonly [number, number] {
    return [this.views[0].opened, this.views[1].opened]
  }

  /** Both sides have a new connection since then, and it is up. */
  isUpSince([dialer, acceptor]: readonly [number, number]): boolean {
    return this.isUp && this.views[0].opened > dialer && this.views[1].opened > acceptor
  }
}

export class Mesh {
  readonly members: readonly Member[]
  readonly pairs: readonly Pair[]

  private constructor(members: readonly Member[], pairs: readonly Pair[]) {
    this.members = members
    this.pairs = pairs
  }

  static async start({
    members: count,
    carrier = 'tls',
    bothDial = false,
    isDirect = false,
    links = 1,
    limits = {},
  }: MeshOptions): Promise<Mesh> {
    const keys = Array.from({ length: count }, () => Identity.generate())
    const scheme = carrier === 'tls' ? 'tls' : 'tcp'
    const proxies = new Map<string, ChaosProxy>()
    for (let from = 0; from < count; from++) {
      for (let to = 0; to < count; to++)
        if (!isDirect && from !== to && (bothDial || from > to)) proxies.set(`${from} ${to}`, await ChaosProxy.listen())
    }
    const members: Member[] = []
    for (const [own, identity] of keys.entries()) {
      const others = [...keys.keys()].filter((other) => other !== own)
      const ids = new Set(others.map((other) => (keys[other] as Identity).id))
      const transport =
        carrier === 'tls' ? new TlsTransport({ identity, authorize: (id) => ids.has(id) }) : new TcpTransport()
      const peers = others.map((other) => {
        const url =
          proxies.get(`${own} ${other}`)?.urlOf(scheme) ?? (isDirect ? members[other]?.network.url : undefined)
        return { id: (keys[other] as Identity).id, ...(typeof url === 'string' ? { urls: url } : {}) }
      })
      const network = createNetwork(
        {
          identity,
          listen: `${scheme}://127.0.0.1:0`,
          peers,
          security: carrier,
          connectionParallelism: links,
          limits: { ...chaosLimits, ...limits },
        },
        { environment: { transport } },
      )
      members.push(new Member(network, transport))
      await network.ready()
      for (const [name, proxy] of proxies)
        if (name.endsWith(` ${own}`)) proxy.target = Number(new URL(network.url as string).port)
    }
    const pairs: Pair[] = []
    for (let from = 0; from < count; from++) {
      for (let to = 0; to < from; to++)
        pairs.push(
          new Pair(
            members[from] as Member,
            members[to] as Member,
            proxies.get(`${from} ${to}`) ?? null,
            proxies.get(`${to} ${from}`) ?? null,
          ),
        )
    }
    return new Mesh(members, pairs)
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map(({ network }) => network.shutdown()))
    await Promise.all(this.pairs.map((pair) => pair.stop()))
  }
}

/** Numbered values in one direction of one session. */
export class Flow {
  readonly #session: Session
  readonly #to: string
  readonly count = new LaneCount()
  readonly errors: Error[] = []
  sent = 0
  waiting = 0
  #onArrival: ((atMs: number) => void) | null = null

  /** @param isHandled whether the receiver uses a handler; otherwise it reads value by value */
  constructor(sender: Session, to: string, receiver: Session, from: string, isHandled: boolean) {
    this.#session = sender
    this.#to = to
    if (isHandled) receiver.handle(from, (value) => this.#take(value))
    else void this.#read(receiver, from)
  }

  async #read(receiver: Session, from: string): Promise<void> {
    try {
      for await (const value of receiver.values(from)) this.#take(value)
    } catch (error) {
      this.errors.push(error as Error)
    }
  }

  #take(value: NetworkValue): void {
    this.count.take(value)
    const onArrival = this.#onArrival
    this.#onArrival = null
    onArrival?.(performance.now())
  }

  /** @returns when the next value arrives */
  nextArrival(): Promise<number> {
    return new Promise((resolve) => (this.#onArrival = resolve))
  }

  /** Sends in order whether the link is up or not; values that cannot leave wait in the runtime. */
  send(values: number): void {
    for (let i = 0; i < values; i++) {
      this.waiting++
      this.#session.send(this.#to, countedValue(this.sent++)).then(
        () => this.waiting--,
        (error: unknown) => {
          this.waiting--
          this.errors.push(error as Error)
        },
      )
    }
  }

  flush(timeoutMs: number): Promise<void> {
    return this.#session.flush({ timeoutMs })
  }

  get isDelivered(): boolean {
    return this.waiting === 0 && this.count.received >= this.sent
  }

  get faults(): LaneFaults {
    return this.count.faultsOf(this.sent)
  }
}

/**
 * Sessions between all networks: by pair, each session in both directions. Every second session is read by a handler.
 */
export async function openFlows(mesh: Mesh, sessionCount: number): Promise<Map<Pair, Flow[]>> {
  const made = new Map<Member, Session[]>()
  await Promise.all(
    mesh.members.map(
      async (member) =>
        void made.set(member, await member.network.makeSessions({ count: sessionCount, timeoutMs: 20_000 })),
    ),
  )
  const flows = new Map<Pair, Flow[]>()
  for (const pair of mesh.pairs) {
    const ofPair: Flow[] = []
    for (let index = 0; index < sessionCount; index++) {
      const [a, b] = [made.get(pair.dialer)?.[index] as Session, made.get(pair.acceptor)?.[index] as Session]
      ofPair.push(
        new Flow(a, pair.acceptor.id, b, pair.dialer.id, index % 2 === 0),
        new Flow(b, pair.dialer.id, a, pair.acceptor.id, index % 2 === 0),
      )
    }
    flows.set(pair, ofPair)
  }
  return flows
}

export function faultsOfAll(flows: Iterable<Flow>): LaneFaults {
  let all = noFaults
  for (const { faults } of flows) all = addFaults(all, faults)
  return all
}
