/**
 * Owns: a clock for tests with real sockets: deadlines pass only when the test advances it, while ticks and immediates
 * run in the event loop, as sockets need them.
 * Independent of: what is measured with it.
 */
import { VirtualClock } from '../../testing/index.ts'
import { nextTick } from './bounded-wait.ts'

export class SocketClock extends VirtualClock {
  override nextTick(callback: () => void): void {
    process.nextTick(callback)
  }

  override setImmediate(callback: () => void): void {
    setImmediate(callback)
  }

  /** Advances by a millisecond in each tick of the event loop until a promise is settled, and returns its result. */
  override async run<T>(promise: Promise<T>): Promise<T> {
    const settled = promise.then(
      () => true,
      () => true,
    )
    while (!(await Promise.race([settled, nextTick().then(() => false)]))) await this.advance(1)
    return promise
  }
}
