/**
 * Owns: one machine of a simulated network and the process on it: the process's view of time and network, and its
 * faults: crashes, stalls, broken connections.
 * Independent of: latency and partitions, which belong to the network; what the process runs.
 */
import { StatewireError } from '../codec/errors.ts'
import { formatValue } from '../codec/format-value.ts'
import { invalid } from '../actors/base/checks.ts'
import type { Clock, Environment, Random, TimerHandle } from '../actors/base/environment.ts'
import type {
  Address,
  DialOptions,
  ListenerHandlers,
  NameService,
  Pipe,
  PipeListener,
  Transport,
} from '../actors/base/pipe.ts'
import type { SimulatedPipe } from './simulated-pipe.ts'

/** What a node needs of its network. */
export interface NodeHost {
  readonly clock: Clock
  dial(process: SimulatedProcess, address: Address, options: DialOptions): Pipe
  lookup(process: SimulatedProcess, name: string): Promise<readonly string[]>
  randomFor(name: string, boot: number): Random
  /** How a connection of a dead process ends at the other end. */
  abandon(pipe: SimulatedPipe, isSilent: boolean): void
  note(name: string, event: string): void
}

export interface SimulatedListener {
  readonly options: DialOptions
  readonly handlers: ListenerHandlers
}

interface ProcessTimer {
  handle: TimerHandle
}

type Kind = 'tick' | 'timer' | 'socket' | 'immediate'
/** A stalled event loop runs its timers before its sockets. */
const resumeOrder: readonly Kind[] = ['tick', 'timer', 'socket', 'immediate']

/**
 * One run of a program on a node. Once it is dead, nothing of it runs any more, even if something still refers to it.
 */
export class SimulatedProcess implements Transport {
  readonly node: SimulatedNode
  readonly clock: Clock
  readonly random: Random
  readonly names: NameService
  readonly listeners = new Map<number, SimulatedListener>()
  readonly pipes = new Set<SimulatedPipe>()
  readonly #host: NodeHost
  #isDead = false
  #stalledUntilMs = 0
  readonly #timers = new Set<ProcessTimer>()
  readonly #stalled = new Map<Kind, (() => void)[]>(resumeOrder.map((kind) => [kind, []]))
  #nextPort: number

  constructor(node: SimulatedNode, host: NodeHost, boot: number) {
    this.node = node
    this.#host = host
    this.random = host.randomFor(node.name, boot)
    // The answer runs as any other event: later if the process is stalled, never if it is dead.
    this.names = {
      lookup: (name) =>
        new Promise((resolve, reject) => {
          host.lookup(this, name).then(
            (nodes) => this.run('socket', () => resolve(nodes)),
            (error: Error) => this.run('socket', () => reject(error)),
          )
        }),
    }
    this.#nextPort = 10_000 + 1000 * boot
    const { clock } = host
    this.clock = {
      nowMs: () => clock.nowMs(),
      wallMs: () => clock.wallMs() + node.wallOffsetMs,
      setTimeout: (callback, delayMs) => {
        const timer: ProcessTimer = { handle: null }
        timer.handle = clock.setTimeout(
          () =>
            this.run('timer', () => {
              if (this.#timers.delete(timer)) callback()
            }),
          delayMs,
        )
        this.#timers.add(timer)
        return timer
      },
      clearTimeout: (handle) => {
        const timer = handle as ProcessTimer | null
        if (timer !== null && this.#timers.delete(timer)) clock.clearTimeout(timer.handle)
      },
      nextTick: (callback) => clock.nextTick(() => this.run('tick', callback)),
      setImmediate: (callback) => clock.setImmediate(() => this.run('immediate', callback)),
    }
  }

  get isDead(): boolean {
    return this.#isDead
  }

  get isStalled(): boolean {
    return this.#host.clock.nowMs() < this.#stalledUntilMs
  }

  get openHandles(): number {
    return this.pipes.size + this.listeners.size
  }

  /** A free port, as for an outgoing connection. */
  takePort(): number {
    return this.#nextPort++
  }

  dial(address: Address, options: DialOptions): Pipe {
    return this.#host.dial(this, address, options)
  }

  listen(address: Address, options: DialOptions, handlers: ListenerHandlers): Promise<PipeListener> {
    const port = address.port === 0 ? this.takePort() : address.port
    if (this.listeners.has(port))
      return Promise.reject(new StatewireError('ERR_TRANSPORT', `${address.host}:${port} is in use (EADDRINUSE)`))
    const listener: SimulatedListener = { options, handlers }
    this.listeners.set(port, listener)
    return Promise.resolve({
      address: { host: address.host, port },
      close: () => {
        if (this.listeners.get(port) === listener) this.listeners.delete(port)
        return Promise.resolve()
      },
    })
  }

  /** Runs a callback of this process: now, after its stall, or never. */
  run(kind: Kind, callback: () => void): void {
    if (this.#isDead) return
    if (this.isStalled) this.#stalled.get(kind)?.push(callback)
    else callback()
  }

  stall(forMs: number): void {
    const { clock } = this.#host
    this.#stalledUntilMs = Math.max(this.#stalledUntilMs, clock.nowMs() + forMs)
    clock.setTimeout(() => this.#goOn(), forMs)
  }

  #goOn(): void {
    if (this.#isDead || this.isStalled) return
    for (const kind of resumeOrder) {
      const callbacks = this.#stalled.get(kind) ?? []
      this.#stalled.set(kind, [])
      for (const callback of callbacks) this.#host.clock.setTimeout(() => this.run(kind, callback), 0)
    }
  }

  die(isSilent: boolean): void {
    this.#isDead = true
    for (const { handle } of this.#timers) this.#host.clock.clearTimeout(handle)
    this.#timers.clear()
    this.listeners.clear()
    for (const pipe of this.pipes) {
      pipe.vanish()
      this.#host.abandon(pipe, isSilent)
    }
    this.pipes.clear()
  }
}

export class SimulatedNode implements Transport {
  readonly name: string
  /** The host that its peers see in its connections; several nodes may share one, as behind a NAT. */
  seenAs: string
  readonly #host: NodeHost
  #wallOffsetMs = 0
  #boots = 0
  #process: SimulatedProcess

  constructor(name: string, host: NodeHost) {
    this.name = name
    this.seenAs = name
    this.#host = host
    this.#process = new SimulatedProcess(this, host, 0)
  }

  /** The running process; after a crash, the next use starts a new one. */
  get process(): SimulatedProcess {
    if (this.#process.isDead) this.#process = new SimulatedProcess(this, this.#host, ++this.#boots)
    return this.#process
  }

  get isCrashed(): boolean {
    return this.#process.isDead
  }

  /**
   * Clock, random source, network, names and a silent log of the running process: for `createNetwork(config, {
   * environment })`.
   */
  get environment(): Environment {
    const { process } = this
    return {
      clock: process.clock,
      random: process.random,
      transport: process,
      names: process.names,
      log: { write() {} },
    }
  }

  get openHandles(): number {
    return this.process.openHandles
  }

  get names(): NameService {
    return this.process.names
  }

  dial(address: Address, options: DialOptions): Pipe {
    return this.process.dial(address, options)
  }

  listen(address: Address, options: DialOptions, handlers: ListenerHandlers): Promise<PipeListener> {
    return this.process.listen(address, options, handlers)
  }

  /**
   * Kills the process: its memory is gone, its ports are free, nothing of it runs any more. What it had sent still
   * arrives.
   * @param isSilent the machine lost its power: the other ends are not notified until they send to a machine that is
   *   back
   */
  crash(isSilent = false): void {
    this.#host.note(this.name, isSilent ? 'loses its power' : 'crashes')
    this.#process.die(isSilent)
  }

  /** How far the wall clock of this machine is from the right time. */
  get wallOffsetMs(): number {
    return this.#wallOffsetMs
  }

  /** Sets the wall clock of this machine forward, or back if negative; processes that start later see it too. */
  stepWallClock(byMs: number): void {
    if (!Number.isFinite(byMs))
      throw invalid(`byMs of stepWallClock must be a number of milliseconds, got ${formatValue(byMs)}`)
    this.#host.note(this.name, `has its wall clock set ${byMs < 0 ? 'back' : 'forward'} by ${Math.abs(byMs)} ms`)
    this.#wallOffsetMs += byMs
  }

  /** Stalls the event loop for this many ms: no timer, promise of a socket or callback runs. The kernel goes on. */
  stall(forMs: number): void {
    this.#host.note(this.name, `stalls for ${forMs} ms`)
    this.process.stall(forMs)
  }
}
