/**
 * Owns: a network inside one process, in virtual time: how long bytes take, how they are cut into chunks, where they
 * are lost, and a trace of all of it. The same seed gives the same run.
 * Independent of: what runs on its nodes, and which faults a test needs.
 */
import type { Random } from '../actors/base/environment.ts'
import { StatewireError } from '../codec/errors.ts'
import type { Address, DialOptions, Pipe } from '../actors/base/pipe.ts'
import { seededRandom } from './seeded-random.ts'
import { SimulatedNames } from './simulated-names.ts'
import { SimulatedNode } from './simulated-node.ts'
import type { NodeHost, SimulatedProcess } from './simulated-node.ts'
import { SimulatedPipe } from './simulated-pipe.ts'
import type { Carriage } from './simulated-pipe.ts'
import { Trace } from './trace.ts'
import { VirtualClock } from './virtual-clock.ts'

export interface SimulatedNetworkOptions {
  readonly seed: number
  /** Default: a clock of its own. */
  readonly clock?: VirtualClock
  /** Minimum and maximum latency of a chunk in ms, drawn for each. Default: 0.1 and 2. */
  readonly latencyMs?: readonly [number, number]
  /** Writes are cut into chunks of 1 to this many bytes. Default: not cut. */
  readonly chunkBytesMax?: number
  /** Capacity of a path in one direction: sent and not read. More waits in `bufferedBytes`. Default: 64 KiB. */
  readonly pathBytes?: number
  /** Bandwidth of a path in bytes per ms. Default: unlimited. */
  readonly bytesPerMs?: number
}

/** How one connection is broken: which ends are notified. */
export type Break = 'both' | 'dialler' | 'acceptor' | 'neither'

interface Held {
  readonly from: SimulatedPipe
  readonly arrive: () => void
}

export class SimulatedNetwork {
  readonly clock: VirtualClock
  readonly trace: Trace
  /** What its nodes find when they look up a name, and how lookups fail. */
  readonly names: SimulatedNames
  readonly options: Required<Omit<SimulatedNetworkOptions, 'clock'>>
  /** Called with each accepted connection before any byte is on it: the place to plan a cut. */
  onConnected: (dialler: SimulatedPipe, acceptor: SimulatedPipe) => void = () => {}
  readonly #random: Random
  readonly #nodes = new Map<string, SimulatedNode>()
  readonly #owners = new WeakMap<SimulatedPipe, SimulatedProcess>()
  readonly #roles = new WeakMap<SimulatedPipe, 'dialler' | 'acceptor'>()
  /** "from to" of partitioned paths. */
  readonly #blocked = new Set<string>()
  #held: Held[] = []
  #wires = 0

  constructor(options: SimulatedNetworkOptions) {
    const {
      seed,
      clock = new VirtualClock(),
      latencyMs = [0.1, 2],
      chunkBytesMax = Infinity,
      pathBytes = 64 * 1024,
      bytesPerMs = Infinity,
    } = options
    this.clock = clock
    this.options = { seed, latencyMs, chunkBytesMax, pathBytes, bytesPerMs }
    this.#random = seededRandom(seed)
    this.trace = new Trace(() => clock.nowMs())
    // A stream of its own: lookups do not change what else a seed draws.
    this.names = new SimulatedNames(seed * 17 + 5, (node, event) => this.trace.note(node, event))
  }

  /** The machine with that name, which is also its host in addresses. Created at the first call. */
  node(name: string): SimulatedNode {
    let node = this.#nodes.get(name)
    if (node === undefined) this.#nodes.set(name, (node = new SimulatedNode(name, this.#host)))
    return node
  }

  /** Ends of open connections, in the order in which they were created. */
  get pipes(): readonly SimulatedPipe[] {
    return [...this.#nodes.values()].filter((node) => !node.isCrashed).flatMap((node) => [...node.process.pipes])
  }

  /**
   * Blocks traffic from one to the other, and back unless `oneWay`. What is sent meanwhile is not lost: it arrives
   * after `heal`.
   */
  partition(from: SimulatedNode, to: SimulatedNode, options: { readonly oneWay?: boolean } = {}): void {
    this.trace.note(from.name, `cannot reach ${to.name}${options.oneWay === true ? ', but is reached' : ''}`)
    this.#blocked.add(`${from.name} ${to.name}`)
    if (options.oneWay !== true) this.#blocked.add(`${to.name} ${from.name}`)
  }

  /** Ends all partitions. */
  heal(): void {
    if (this.#blocked.size > 0) this.trace.note('network', 'heals')
    this.#blocked.clear()
    const held = this.#held
    this.#held = []
    // Now, and not after another latency: what was sent after them is already on its way.
    for (const item of held) this.#arrive(item)
  }

  /**
   * Breaks the connection of a pipe (either end) now. An end that is not notified sends without effect from now on.
   * @param options `arrives`: what is in flight still reaches an end that is not notified
   */
  break(pipe: SimulatedPipe, notified: Break, options: { readonly arrives?: boolean } = {}): void {
    const ends = [pipe, ...(pipe.far === null ? [] : [pipe.far])]
    this.trace.note(this.#nameOf(pipe), `loses wire ${pipe.wire}, notified: ${notified}`)
    for (const end of ends) {
      end.isMute = true
      if (options.arrives !== true) end.isSevered = true
    }
    for (const end of ends) {
      if (notified === 'both' || notified === this.#roles.get(end))
        this.#runSoon(end, () => end.reset('the connection was cut (ECONNRESET)'))
    }
  }

  /** Breaks the connection when this many more bytes of this end have arrived at the other. */
  breakAfter(
    pipe: SimulatedPipe,
    lengthBytes: number,
    notified: Break,
    options: { readonly arrives?: boolean } = {},
  ): void {
    pipe.cutAfterBytes = lengthBytes
    pipe.onCut = () => this.break(pipe, notified, options)
  }

  readonly #host: NodeHost = {
    // Set after the field initialisers have run, so it is read at each use.
    clock: {
      nowMs: () => this.clock.nowMs(),
      wallMs: () => this.clock.wallMs(),
      setTimeout: (callback, delayMs) => this.clock.setTimeout(callback, delayMs),
      clearTimeout: (handle) => this.clock.clearTimeout(handle),
      nextTick: (callback) => this.clock.nextTick(callback),
      setImmediate: (callback) => this.clock.setImmediate(callback),
    },
    dial: (process, address, options) => this.#dial(process, address, options),
    lookup: (process, name) => this.names.lookup(process.node.name, process.clock, name),
    randomFor: (name, boot) =>
      seededRandom(
        this.options.seed * 31 + boot * 7919 + Buffer.from(name).reduce((sum, byte) => Math.imul(sum, 33) + byte, 5381),
      ),
    abandon: (pipe, isSilent) => this.#abandon(pipe, isSilent),
    note: (name, event) => this.trace.note(name, event),
  }

  readonly #carriage: Carriage = {
    chunkBytes: (availableBytes) => {
      const { chunkBytesMax } = this.options
      if (chunkBytesMax === Infinity || availableBytes <= 1) return availableBytes
      return Math.min(availableBytes, 1 + Math.floor(this.#random.fraction() * chunkBytesMax))
    },
    carry: (from, lengthBytes, arrive) => this.#carry(from, lengthBytes, arrive),
    run: (pipe, callback) => this.#owners.get(pipe)?.run('socket', callback),
    runSoon: (pipe, callback) => this.#runSoon(pipe, callback),
    destroysByReset: () => this.#random.fraction() < 0.5,
    note: (pipe, event) => this.trace.note(this.#nameOf(pipe), `wire ${pipe.wire} ${event}`),
    released: (pipe) => void this.#owners.get(pipe)?.pipes.delete(pipe),
  }

  #nameOf(pipe: SimulatedPipe): string {
    return this.#owners.get(pipe)?.node.name ?? ''
  }

  #runSoon(pipe: SimulatedPipe, callback: () => void): void {
    this.clock.setImmediate(() => this.#owners.get(pipe)?.run('socket', callback))
  }

  #latencyMs(): number {
    const [leastMs, mostMs] = this.options.latencyMs
    return leastMs + this.#random.fraction() * (mostMs - leastMs)
  }

  #isBlocked(from: string, to: string): boolean {
    return this.#blocked.size > 0 && this.#blocked.has(`${from} ${to}`)
  }

  #carry(from: SimulatedPipe, lengthBytes: number, arrive: () => void): void {
    const nowMs = this.clock.nowMs()
    const atMs = Math.max(from.lastArrivalMs, nowMs + this.#latencyMs()) + lengthBytes / this.options.bytesPerMs
    from.lastArrivalMs = atMs
    this.clock.setTimeout(() => this.#arrive({ from, arrive }), atMs - nowMs)
  }

  /** A partition holds back what is in flight; nothing overtakes held data. */
  #arrive(item: Held): void {
    const { from, arrive } = item
    const far = from.far
    if (far === null) return
    if (
      this.#isBlocked(this.#nameOf(from), this.#nameOf(far)) ||
      (this.#held.length > 0 && this.#held.some((held) => held.from === from))
    )
      this.#held.push(item)
    else if (this.#owners.get(far)?.isDead === true) this.#intoTheVoid(from, far)
    else arrive()
  }

  /** The machine has lost the process that the bytes are for: if the machine is up again, it answers with a reset. */
  #intoTheVoid(from: SimulatedPipe, far: SimulatedPipe): void {
    if (from.isClosing || this.#owners.get(far)?.node.isCrashed === true) return
    this.#abandon(far, false)
  }

  #abandon(pipe: SimulatedPipe, isSilent: boolean): void {
    const { far } = pipe
    if (far === null || isSilent || pipe.isMute) return
    this.#carry(pipe, 0, () => far.reset('the process at the other end is gone (ECONNRESET)'))
  }

  #dial(process: SimulatedProcess, address: Address, options: DialOptions): Pipe {
    const { node } = process
    const near = this.#create(process, ++this.#wires, address, options)
    this.#roles.set(near, 'dialler')
    this.trace.note(node.name, `dials ${address.host}:${address.port} (wire ${near.wire})`)
    this.#reach(node.name, address.host, near, () => {
      if (near.isClosing || process.isDead) return
      const target = this.#nodes.get(address.host)
      const listener = target === undefined || target.isCrashed ? undefined : target.process.listeners.get(address.port)
      if (target === undefined || listener === undefined) {
        const refuse = (): void => near.reset(`nothing listens at ${address.host}:${address.port} (ECONNREFUSED)`)
        this.#reach(address.host, node.name, near, () => process.run('socket', refuse))
        return
      }
      const acceptor = target.process
      const far = this.#create(acceptor, near.wire, { host: node.seenAs, port: process.takePort() }, listener.options)
      this.#roles.set(far, 'acceptor')
      near.join(far)
      far.join(near)
      this.onConnected(near, far)
      // The kernel accepts at once, the process when it gets to it; the dialer is notified when no byte is before it.
      this.#carry(far, 0, () => process.run('socket', () => near.connected(true)))
      acceptor.run('socket', () => {
        far.connected(false)
        if (!far.isClosing) listener.handlers.onPipe(far)
        else this.#owners.get(far)?.pipes.delete(far)
      })
    })
    return near
  }

  /** The first packet of a dial, and the answer to one that is refused: a partition delays both until it ends. */
  #reach(from: string, to: string, pipe: SimulatedPipe, arrive: () => void): void {
    this.clock.setTimeout(() => {
      if (pipe.isClosing) return
      if (this.#isBlocked(from, to)) this.#waitForHeal(from, to, pipe, arrive)
      else arrive()
    }, this.#latencyMs())
  }

  /** As a kernel does it: retried at growing intervals, for as long as the dialer waits. */
  #waitForHeal(from: string, to: string, pipe: SimulatedPipe, arrive: () => void, againMs = 200): void {
    this.clock.setTimeout(() => {
      if (pipe.isClosing) return
      if (this.#isBlocked(from, to)) this.#waitForHeal(from, to, pipe, arrive, Math.min(2 * againMs, 3000))
      else arrive()
    }, againMs)
  }

  #create(process: SimulatedProcess, wire: number, remote: Address, options: DialOptions): SimulatedPipe {
    if (process.isDead) throw new StatewireError('ERR_TRANSPORT', 'the process is dead')
    const pipe = new SimulatedPipe(wire, remote, options, this.options.pathBytes, this.#carriage)
    this.#owners.set(pipe, process)
    process.pipes.add(pipe)
    return pipe
  }
}
