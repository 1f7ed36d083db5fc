/**
 * Owns: one lane of a link: what arrived on it and was not read, who waits for it, and whether it is over.
 * Refuses to know: frames, sockets, clocks; other lanes.
 *
 * A session is a lane on the link to each of its peers. To the rest of the runtime a lane is an opaque handle.
 */
import { StatewireError } from '../codec/errors.ts'
import type { NetworkValue } from '../codec/values.ts'
import { Deque } from './deque.ts'
import type { UnreadValue } from './kept-views.ts'
import { isPackable, isPackableBody, WaitingValues } from './waiting-values.ts'

/**
 * A broken connection, at its place in the order of values: those before it arrived, of those after it some may be missing.
 * Nothing is silent: `receive` rejects with this once for each break.
 */
export class ConnectionLostError extends StatewireError {
  /** At most so many of the values sent on this lane since the connection came up did not arrive. How many of the peer's were lost is not known in this dialect. */
  readonly outboundAtMost: number
  constructor(message: string, outboundAtMost: number, options?: { cause?: unknown }) {
    super('ERR_CONNECTION_LOST', message, options)
    this.outboundAtMost = outboundAtMost
  }
}

/** Calls of `receive` that wait on one lane; whoever has so many has forgotten to await. */
export const waitersMax = 1024

export interface LaneWaiter {
  resolve(value: NetworkValue): void
  reject(error: Error): void
}

/**
 * Gets every value by plain call, as fast as they come. A handler that throws, or returns a promise that rejects, ends its
 * lane and nothing else. The next value does not wait for the promise.
 */
export type LaneHandler = (value: NetworkValue) => void

export interface HandlerOptions {
  /** Hears of broken connections, between the values (mode `reconnect`). */
  readonly onLost?: ((loss: ConnectionLostError) => void) | undefined
  /**
   * The bytes of a value are looked at during the call only, never kept: then the runtime uses their memory again.
   * Worth a third on streams of large `Bytes`.
   */
  readonly borrow?: boolean | undefined
}

/** What the lane tells its link. */
export interface LaneOwner {
  onTaken(costBytes: number): void
  /** A value was queued: the link sees to it that it holds no more memory than its own. */
  onUnread(unread: UnreadValue): void
  /** A handler has returned a promise that rejected. Called once. */
  onHandlerRejected?(error: unknown): void
}

export class Lane {
  readonly id: number
  readonly #owner: LaneOwner
  readonly #unread = new Deque<UnreadValue | WaitingValues | ConnectionLostError>()
  #unreadItems = 0
  readonly #waiters = new Deque<LaneWaiter>()
  /** Hears of every loss at once, besides its place in the order of values. */
  onLoss: ((loss: ConnectionLostError) => void) | null = null
  /** Called once, with why the lane is over. */
  onEnded: ((error: Error) => void) | null = null
  #handler: LaneHandler | null = null
  #onLost: ((loss: ConnectionLostError) => void) | null = null
  #isBorrowing = false
  #hasRejected = false
  #end: Error | null = null
  #whenEnded: Promise<Error> | null = null
  #settleEnded: ((error: Error) => void) | null = null
  /** Values accepted for sending since the connection came up; the link counts and resets it. */
  sentSinceUp = 0
  received = 0

  constructor(id: number, owner: LaneOwner) {
    this.id = id
    this.#owner = owner
  }

  /** Why the lane is over, or null while it is not. */
  get end(): Error | null {
    return this.#end
  }

  /** Resolves with why the lane is over. */
  whenEnded(): Promise<Error> {
    if (this.#end !== null) return Promise.resolve(this.#end)
    this.#whenEnded ??= new Promise((resolve) => (this.#settleEnded = resolve))
    return this.#whenEnded
  }

  /** Losses among them included: what `take` has to give. */
  get unreadValues(): number {
    return this.#unreadItems
  }

  /** A value with such a body would be copied by `deliver`, so it may be a view of memory that is lent. */
  packs(bodyLengthBytes: number): boolean {
    return this.#handler === null && this.#waiters.length === 0 && isPackableBody(bodyLengthBytes)
  }

  /** The handler looks at a value during its call only, so the memory below it can be used again. */
  get isBorrowing(): boolean {
    return this.#isBorrowing
  }

  get handler(): LaneHandler | null {
    return this.#handler
  }

  /** Byte path 10/12: a value finds its lane's handler, a waiter, or the queue. */
  deliver(value: NetworkValue, costBytes: number): number {
    this.received++
    if (this.#handler !== null) {
      const result: unknown = this.#handler(value)
      if (result !== undefined) this.#watch(result)
      return 0
    }
    const waiter = this.#waiters.shift()
    if (waiter !== undefined) {
      waiter.resolve(value)
      return 0
    }
    this.#unreadItems++
    if (isPackable(value, costBytes)) this.#park(value, costBytes)
    else {
      const unread: UnreadValue = { value, costBytes }
      this.#unread.push(unread)
      this.#owner.onUnread(unread)
    }
    return costBytes
  }

  #park(value: NetworkValue, costBytes: number): void {
    const last = this.#unread.last()
    const before = last instanceof WaitingValues ? last : undefined
    if (before?.add(value, costBytes) === true) return
    const parked = new WaitingValues(before)
    parked.add(value, costBytes)
    this.#unread.push(parked)
  }

  #next(): UnreadValue | ConnectionLostError | undefined {
    const first = this.#unread.peek()
    if (first === undefined) return undefined
    this.#unreadItems--
    if (!(first instanceof WaitingValues)) return this.#unread.shift() as UnreadValue | ConnectionLostError
    const next = first.take() as UnreadValue
    if (first.values === 0) this.#unread.shift()
    return next
  }

  /** A break of the connection takes its place in the order of values. */
  deliverLoss(loss: ConnectionLostError): void {
    if (this.#end !== null) return
    this.#watch(this.onLoss?.(loss))
    if (this.#handler !== null) {
      this.#watch(this.#onLost?.(loss))
      return
    }
    const waiter = this.#waiters.shift()
    if (waiter !== undefined) waiter.reject(loss)
    else {
      this.#unreadItems++
      this.#unread.push(loss)
    }
  }

  /** The next value at once, if there is one. @throws what the queue holds: a loss, or the end of the lane */
  take(): NetworkValue | undefined {
    const next = this.#next()
    if (next === undefined) {
      if (this.#end !== null) throw this.#end
      return undefined
    }
    if (next instanceof ConnectionLostError) throw next
    this.#owner.onTaken(next.costBytes)
    return next.value
  }

  /** Waits for the next value; the returned function gives up. Call only after `take` had nothing. */
  wait(waiter: LaneWaiter): () => void {
    if (this.#end !== null) {
      waiter.reject(this.#end)
      return () => {}
    }
    if (this.#handler !== null) {
      waiter.reject(this.#handled())
      return () => {}
    }
    if (this.#waiters.length >= waitersMax) {
      waiter.reject(
        new StatewireError(
          'ERR_RECEIVE_QUEUE_FULL',
          `${waitersMax} calls of receive wait on session ${this.id} already`,
        ),
      )
      return () => {}
    }
    this.#waiters.push(waiter)
    return () => void this.#waiters.remove(waiter)
  }

  /** Byte path 11/12: for full speed. Values that wait go to the handler first. */
  setHandler(handler: LaneHandler | null, options: HandlerOptions = {}): void {
    const onLost = options.onLost ?? null
    this.#handler = handler
    this.#onLost = onLost
    this.#isBorrowing = handler !== null && options.borrow === true
    if (handler === null) return
    // Values go to the handler from here on: who waited would wait for ever, or take one from the middle when it is taken away.
    for (const waiter of this.#waiters.drain()) waiter.reject(this.#handled())
    for (;;) {
      const next = this.#next()
      if (next === undefined) return
      if (next instanceof ConnectionLostError) this.#watch(onLost?.(next))
      else {
        this.#owner.onTaken(next.costBytes)
        this.#watch(handler(next.value))
      }
      if (this.#handler !== handler) return
    }
  }

  /** An asynchronous handler fits the type of one that returns nothing. */
  #watch(result: unknown): void {
    if (result instanceof Promise) result.catch((error: unknown) => this.#rejected(error))
  }

  #rejected(error: unknown): void {
    if (this.#hasRejected) return
    this.#hasRejected = true
    this.#owner.onHandlerRejected?.(error)
  }

  #handled(): StatewireError {
    return new StatewireError(
      'ERR_HANDLER_SET',
      `the values of session ${this.id} go to its handler, so receive gets none; handle(peer, null) takes the handler away`,
    )
  }

  /** Ends the lane. What arrived before can still be read; whoever waits hears why nothing more comes. */
  close(error: Error): void {
    if (this.#end !== null) return
    this.#end = error
    this.#handler = null
    this.#isBorrowing = false
    for (const waiter of this.#waiters.drain()) waiter.reject(error)
    this.#settleEnded?.(error)
    this.onEnded?.(error)
  }

  /** Forgets what was not read. @returns what it had cost */
  discardUnread(): number {
    let costBytes = 0
    for (let item = this.#next(); item !== undefined; item = this.#next())
      if (!(item instanceof ConnectionLostError)) costBytes += item.costBytes
    return costBytes
  }
}
