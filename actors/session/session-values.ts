/**
 * Owns: the iterator over the values that a peer sends on a session: how it waits, how it is ended early, and that it
 * ends normally unless values were lost.
 * Independent of: links and frames; other ways to read a session (session.ts).
 */
import type { NetworkValue } from '../../codec/values.ts'
import type { Lane } from '../../protocol/lane.ts'
import { isOrderlyEnd } from '../../protocol/orderly-end.ts'
import { bounded } from '../base/bounded.ts'
import type { TimerWheel } from '../base/timer-wheel.ts'

type Result = IteratorResult<NetworkValue, undefined>

const finished: Result = { done: true, value: undefined }

export interface SessionValuesOptions {
  readonly context: { readonly wheel: TimerWheel }
  readonly lane: Lane
  /** The start of its error messages. */
  readonly what: string
  readonly signal: AbortSignal | undefined
}

/** Can be ended while `next` waits, unlike an async generator, and then leaves unread values to later readers. */
export class SessionValues implements AsyncIterableIterator<NetworkValue, undefined> {
  readonly #options: SessionValuesOptions
  /** One for each pending `next`. */
  readonly #cancels = new Set<() => void>()
  #isOver = false

  constructor(options: SessionValuesOptions) {
    this.#options = options
  }

  async next(): Promise<Result> {
    if (this.#isOver) return finished
    try {
      const value = this.#options.lane.take()
      return value === undefined ? await this.#wait() : { done: false, value }
    } catch (error) {
      // Only one of several pending calls rejects; the others resolve as done.
      if (this.#isOver) return finished
      this.#end()
      if (isOrderlyEnd(error)) return finished
      throw error
    }
  }

  /** Ends the iterator. Pending calls of `next` resolve as done, and unread values stay for the next reader. */
  return(): Promise<Result> {
    this.#end()
    return Promise.resolve(finished)
  }

  throw(error?: unknown): Promise<Result> {
    this.#end()
    return Promise.reject(error as Error)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  #wait(): Promise<Result> {
    const { context, lane, what, signal } = this.#options
    return bounded<Result>(
      context,
      signal === undefined ? undefined : { signal },
      'ERR_TIMED_OUT',
      what,
      (resolve, reject) => {
        const waiter = {
          resolve: (value: NetworkValue): void => {
            this.#cancels.delete(cancel)
            resolve({ done: false, value })
          },
          reject: (error: Error): void => {
            this.#cancels.delete(cancel)
            reject(error)
          },
        }
        const cancel = (): void => {
          giveUp()
          resolve(finished)
        }
        this.#cancels.add(cancel)
        const giveUp = lane.wait(waiter)
        return () => {
          this.#cancels.delete(cancel)
          giveUp()
        }
      },
    )
  }

  #end(): void {
    this.#isOver = true
    const cancels = [...this.#cancels]
    this.#cancels.clear()
    for (const cancel of cancels) cancel()
  }
}
