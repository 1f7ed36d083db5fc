/**
 * Owns: one lane of a link: its unread values, the calls that wait for the next value, and its end.
 * Independent of: frames, sockets, clocks; other lanes.
 *
 * A session is a lane on the link to each of its peers. To the rest of the runtime a lane is an opaque handle.
 */
import { StatewireError } from '../codec/errors.ts'
import { decodeCheckedMsgPack } from '../codec/msgpack-decode.ts'
import type { NetworkValue } from '../codec/values.ts'
import { Deque } from './deque.ts'
import type { UnreadValue } from './kept-views.ts'
import { isPackable, isPackableBody, WaitingValues } from './waiting-values.ts'

/**
 * A broken connection, at its place in the order of values: those before it arrived, some of those after it may be
 * missing. `receive` rejects with this once for each break.
 */
export class ConnectionLostError extends StatewireError {
  /**
   * At most this many of the values sent on this lane since the connection came up did not arrive. How many of the
   * peer's values were lost is not known in this dialect.
   */
  readonly outboundAtMost: number
  constructor(message: string, outboundAtMost: number, options?: { cause?: unknown }) {
    super('ERR_CONNECTION_LOST', message, options)
    this.outboundAtMost = outboundAtMost
  }
}

/** Calls of `receive` that may wait on one lane. More are taken for a missing `await`. */
export const waitersMax = 1024

export interface LaneWaiter {
  resolve(value: NetworkValue): void
  reject(error: Error): void
}

/**
 * Called synchronously with every value. A handler that throws, or returns a promise that rejects, ends its lane and
 * nothing else. The next value does not wait for the promise.
 */
export type LaneHandler = (value: NetworkValue) => void

export interface HandlerOptions {
  /** Called for broken connections, at their place between the values (mode `reconnect`). */
  readonly onLost?: ((loss: ConnectionLostError) => void) | undefined
  /**
   * The handler uses the bytes of a value during the call only and keeps none of them: the runtime then reuses their
   * memory. Streams of large `Bytes` become about a third faster.
   */
  readonly borrow?: boolean | undefined
}

/** What the lane reports to its link. */
export interface LaneOwner {
  onTaken(costBytes: number): void
  /** A value was queued. The link makes sure that it holds no more memory than its own. */
  onUnread(unread: UnreadValue): void
  /** A handler threw for a value that waited, or returned a promise that rejected. Called once. */
  onHandlerRejected?(error: unknown): void
}

export class Lane {
  readonly id: number
  /** How messages call its session. */
  name: string
  readonly #owner: LaneOwner
  readonly #unread = new Deque<UnreadValue | WaitingValues | ConnectionLostError>()
  #unreadItems = 0
  readonly #waiters = new Deque<LaneWaiter>()
  /** Called for every loss at once, in addition to its place in the order of values. */
  onLoss: ((loss: ConnectionLostError) => void) | null = null
  /** Called once, with the reason why the lane has ended. */
  onEnded: ((error: Error) => void) | null = null
  #handler: LaneHandler | null = null
  #onLost: ((loss: ConnectionLostError) => void) | null = null
  #isBorrowing = false
  #hasRejected = false
  #end: Error | null = null
  #whenEnded: Promise<Error> | null = null
  #settleEnded: ((error: Error) => void) | null = null
  /** Values accepted for sending since the connection came up. The link counts and resets it. */
  sentSinceUp = 0
  received = 0

  constructor(id: number, owner: LaneOwner) {
    this.id = id
    this.name = String(id)
    this.#owner = owner
  }

  /** Why the lane has ended, or null. */
  get end(): Error | null {
    return this.#end
  }

  /** Resolves with the reason why the lane has ended. */
  whenEnded(): Promise<Error> {
    if (this.#end !== null) return Promise.resolve(this.#end)
    this.#whenEnded ??= new Promise((resolve) => (this.#settleEnded = resolve))
    return this.#whenEnded
  }

  /** What `take` can return, losses included. */
  get unreadValues(): number {
    return this.#unreadItems
  }

  /** `deliver` would copy a value with a body of this length, so it may be a view of borrowed memory. */
  packs(bodyLengthBytes: number): boolean {
    return !this.isAwaiting && isPackableBody(bodyLengthBytes)
  }

  /** The next value goes to a handler or to a call that waits, and not to the queue. */
  get isAwaiting(): boolean {
    return this.#handler !== null || this.#waiters.length > 0
  }

  /** The handler uses a value during its call only, so its memory can be reused. */
  get isBorrowing(): boolean {
    return this.#isBorrowing
  }

  get handler(): LaneHandler | null {
    return this.#handler
  }

  /**
   * Life of a byte 11/12: a value finds its lane's handler, a waiter, or the queue.
   * @param isMsgPack `value` is the bytes of a MessagePack value that was checked, for the queue; not if {@link
   *   isAwaiting}
   */
  deliver(value: NetworkValue, costBytes: number, isMsgPack = false): number {
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
    if (isPackable(value, costBytes)) this.#park(value, costBytes, isMsgPack)
    else {
      const unread: UnreadValue = { value, costBytes, isMsgPack }
      this.#unread.push(unread)
      this.#owner.onUnread(unread)
    }
    return costBytes
  }

  #park(value: NetworkValue, costBytes: number, isMsgPack: boolean): void {
    const last = this.#unread.last()
    const before = last instanceof WaitingValues ? last : undefined
    if (before?.add(value, costBytes, isMsgPack) === true) return
    const parked = new WaitingValues(before)
    parked.add(value, costBytes, isMsgPack)
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

  /** The next value if there is one. @throws what is queued: a loss, or the end of the lane */
  take(): NetworkValue | undefined {
    const next = this.#next()
    if (next === undefined) {
      if (this.#end !== null) throw this.#end
      return undefined
    }
    if (next instanceof ConnectionLostError) throw next
    this.#owner.onTaken(next.costBytes)
    return decoded(next)
  }

  /** Waits for the next value; the returned function gives up. Call only after `take` returned nothing. */
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
          `${waitersMax} calls of receive wait on session ${this.name} already`,
        ),
      )
      return () => {}
    }
    this.#waiters.push(waiter)
    return () => void this.#waiters.remove(waiter)
  }

  /** Sets the handler. Values that wait go to it first. */
  setHandler(handler: LaneHandler | null, options: HandlerOptions = {}): void {
    const onLost = options.onLost ?? null
    this.#handler = handler
    this.#onLost = onLost
    this.#isBorrowing = handler !== null && options.borrow === true
    if (handler === null) return
    // All later values go to the handler: a call that waits would wait forever, or take a value out of the middle.
    for (const waiter of this.#waiters.drain()) waiter.reject(this.#handled())
    for (;;) {
      const next = this.#next()
      if (next === undefined) return
      if (!(next instanceof ConnectionLostError)) this.#owner.onTaken(next.costBytes)
      try {
        this.#watch(next instanceof ConnectionLostError ? onLost?.(next) : handler(decoded(next)))
      } catch (error) {
        return this.#rejected(error)
      }
      if (this.#handler !== handler) return
    }
  }

  /** The type of a handler also allows an asynchronous function. */
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
      `the values of session ${this.name} go to its handler, so receive gets none; handle(peer, null) removes the handler`,
    )
  }

  /** Ends the lane. Unread values can still be read. Calls that wait reject with the error. */
  close(error: Error): void {
    if (this.#end !== null) return
    this.#end = error
    this.#handler = null
    this.#isBorrowing = false
    for (const waiter of this.#waiters.drain()) waiter.reject(error)
    this.#settleEnded?.(error)
    this.onEnded?.(error)
  }

  /** Drops what is unread. @returns what it had cost */
  discardUnread(): number {
    let costBytes = 0
    for (let item = this.#next(); item !== undefined; item = this.#next())
      if (!(item instanceof ConnectionLostError)) costBytes += item.costBytes
    return costBytes
  }
}

function decoded({ value, isMsgPack }: UnreadValue): NetworkValue {
  return isMsgPack === true && value.type === 'Bytes'
    ? { type: 'MsgPack', value: decodeCheckedMsgPack(value.value, 0) }
    : value
}
