/**
 * Owns: that a scenario leaves nothing running: no actor, no deadline, no handle of a transport, no socket of the
 * process, and no uncaught error.
 * Independent of: what the scenario does.
 */
import { expect } from 'vitest'
import type { Network } from '../../actors/index.ts'

/**
 * Connected, connecting and listening sockets of this process; timers and pipes of the test runner are not counted.
 */
function socketsOfProcess(): string[] {
  return process.getActiveResourcesInfo().filter((name) => /TCP|Pipe(?:Server)?Wrap$/.test(name))
}

const nextTick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
/** The kernel releases a destroyed socket within a few ticks of the loop. */
const ticksMax = 2000

export class LeakCheck {
  readonly #networks: Network[] = []
  readonly #socketsBefore = socketsOfProcess().length
  readonly #uncaught: unknown[] = []
  readonly #onUncaught = (error: unknown): void => void this.#uncaught.push(error)

  constructor() {
    process.on('uncaughtException', this.#onUncaught)
    process.on('unhandledRejection', this.#onUncaught)
  }

  /** A network that must be empty at the end. */
  watch(network: Network): void {
    this.#networks.push(network)
  }

  /** Call it when everything was shut down. */
  async assertNothingLeft(): Promise<void> {
    for (let i = 0; i < ticksMax && socketsOfProcess().length > this.#socketsBefore; i++) await nextTick()
    await nextTick()
    process.off('uncaughtException', this.#onUncaught)
    process.off('unhandledRejection', this.#onUncaught)
    expect(this.#uncaught, 'no error was left uncaught').toEqual([])
    for (const network of this.#networks) {
      expect(network.metrics().memory.usedBytes, 'nothing of the memory budget is held').toBe(0)
      expect({ network: network.identity, ...network.resources }).toEqual({
        network: network.identity,
        actors: 0,
        deadlines: 0,
        handles: 0,
      })
    }
    expect(socketsOfProcess().length, 'no socket of the process is left').toBeLessThanOrEqual(this.#socketsBefore)
  }
}
