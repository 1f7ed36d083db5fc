/**
 * Owns: a network in the shape of RFC 33: `init` returns the network, its events, and a shutdown that also ends the
 * application's own work.
 * Independent of: how any of it works; it is a thin layer over Network.
 */
import { StatewireError } from '../../codec/errors.ts'
import type { AnyActorRef } from '../../machines/xstate.ts'
import { checkCall, checkFunction, invalid } from '../base/checks.ts'
import type { MissedEvents } from '../base/event-queue.ts'
import type { NetworkEvent } from '../base/events.ts'
import type { NetworkConfig } from '../config/options.ts'
import { parentOf } from '../statechart/xstate-internals.ts'
import { createNetwork } from './create-network.ts'
import type { NetworkRuntimeOptions } from './create-network.ts'
import type { Network } from './network.ts'
import type { Services } from './services.ts'
import { supervisorServices } from './supervisor.ts'

export interface Initialized {
  readonly network: Network
  /** From the first event on, and until the shutdown begins; bounded, as `network.events()`. */
  readonly events: AsyncIterableIterator<NetworkEvent | MissedEvents>
  readonly shutdown: Shutdown
}

/**
 * Creates a network and starts it.
 *
 * ```ts
 * const { network, events, shutdown } = init({ identity, listen: 'tls://0.0.0.0:15600', peers })
 * shutdown.addTask(consume(events))
 * process.once('SIGINT', () => void shutdown.execute())
 * ```
 * @throws StatewireError as `createNetwork`
 */
export function init(config: NetworkConfig, runtime?: NetworkRuntimeOptions): Initialized {
  const network = createNetwork(config, runtime)
  const events = network.events()
  const shutdown = new Shutdown(network)
  // A loop over the events may be a task: it must not wait for the network, which waits for it.
  shutdown.addNotifier(() => void events.return?.())
  return { network, events, shutdown }
}

export interface ShutdownReport {
  /** What notifiers threw and tasks rejected with. */
  readonly errors: readonly unknown[]
  /** Tasks that had not ended when the time was up. */
  readonly unfinishedTasks: number
}

/** Ends the work of an application and its network, in that order. */
export class Shutdown {
  readonly #network: Network
  readonly #notifiers: (() => void | Promise<void>)[] = []
  readonly #tasks = new Set<Promise<void>>()
  readonly #errors: unknown[] = []
  #executing: Promise<ShutdownReport> | null = null

  constructor(network: Network) {
    this.#network = network
  }

  /**
   * Calls `notify` when the shutdown begins, in order of registration. What it returns is awaited with the tasks.
   * @throws StatewireError ERR_INVALID_OPTION, ERR_NETWORK_STOPPED once the shutdown has begun
   */
  addNotifier(notify: () => void | Promise<void>): void {
    checkFunction(notify, 'a notifier')
    this.#checkOpen()
    this.#notifiers.push(notify)
  }

  /**
   * Awaits this work before the network is shut down, so that it may still send. A rejection is in the report.
   * @throws StatewireError ERR_INVALID_OPTION, ERR_NETWORK_STOPPED once the shutdown has begun
   */
  addTask(task: Promise<unknown>): void {
    if (typeof (task as unknown as PromiseLike<unknown> | undefined)?.then !== 'function')
      throw invalid('a task must be a promise: call the function and pass what it returns')
    this.#checkOpen()
    this.#track(task)
  }

  #checkOpen(): void {
    if (this.#executing !== null) throw new StatewireError('ERR_NETWORK_STOPPED', 'the shutdown has begun already')
  }

  /** A task that has ended is not kept. */
  #track(task: PromiseLike<unknown>): void {
    const tracked: Promise<void> = Promise.resolve(task)
      .then(
        () => {},
        (error: unknown) => void this.#errors.push(error),
      )
      .finally(() => this.#tasks.delete(tracked))
    this.#tasks.add(tracked)
  }

  /**
   * Calls the notifiers, waits for the tasks, and shuts the network down. Takes at most `timeoutMs` for the tasks, by
   * default `limits.shutdownTimeoutMs`, and then as long as `network.shutdown`. A second call returns the same promise.
   * @throws StatewireError ERR_INVALID_OPTION
   */
  execute(options: { readonly timeoutMs?: number | undefined } = {}): Promise<ShutdownReport> {
    checkCall(options, 'execute', ['timeoutMs'])
    return (this.#executing ??= this.#execute(options.timeoutMs))
  }

  async #execute(timeoutMs: number | undefined): Promise<ShutdownReport> {
    const services = supervisorServices(this.#network.ref) as Services
    const limitMs = timeoutMs ?? services.options.limits.shutdownTimeoutMs
    for (const notify of this.#notifiers)
      try {
        const ended = notify()
        if (ended !== undefined) this.#track(ended)
      } catch (error) {
        this.#errors.push(error)
      }
    await this.#tasksEnd(services, limitMs)
    await this.#network.shutdown()
    return { errors: [...this.#errors], unfinishedTasks: this.#tasks.size }
  }

  async #tasksEnd({ environment: { clock } }: Services, limitMs: number): Promise<void> {
    if (this.#tasks.size === 0) return
    let timer: unknown
    const isOver = new Promise<void>((resolve) => (timer = clock.setTimeout(resolve, limitMs)))
    await Promise.race([Promise.all(this.#tasks), isOver])
    clock.clearTimeout(timer as never)
  }
}

/** The two workers of RFC 33, as the actors that do their work. */
export interface Workers {
  /** Keeps the peers. Commands reach it through the supervisor. */
  readonly endpointWorker: AnyActorRef
  /** Accepts connections; null if the network does not listen. */
  readonly tcpWorker: AnyActorRef | null
}

/**
 * The actors of a running network that do the work of RFC 33's two workers.
 * @throws StatewireError ERR_NETWORK_STOPPED
 */
export function workersOf(network: Network): Workers {
  const services = supervisorServices(network.ref) as Services
  const find = (id: string): AnyActorRef | null =>
    [...services.actors].find((ref) => ref.id === id && parentOf(ref) === network.ref) ?? null
  const endpointWorker = find('peers')
  if (endpointWorker === null)
    throw new StatewireError('ERR_NETWORK_STOPPED', 'the network is not running: await ready() first')
  return { endpointWorker, tcpWorker: find('listener') }
}
