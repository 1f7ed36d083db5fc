/**
 * Owns: requests to several peers: one of them that answers, or a quorum of answers.
 * Independent of: how one request is sent.
 */
import { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import { Deque } from '../../protocol/deque.ts'
import { onAbort } from '../base/abort-listeners.ts'
import { checkBoolean, checkTimeoutMs, invalid } from '../base/checks.ts'
import type { PeerRef } from '../base/peer-ref.ts'
import { enough } from '../base/send-to-all.ts'
import type { Deadline, TimerWheel } from '../base/timer-wheel.ts'
import type { Messaging, RequestOptions } from './messaging.ts'
import type { RequestCall, Reply } from './request-call.ts'
import { RequestError, requestOutcomes } from './request-error.ts'

const requestNames = ['name', 'headers', 'signal', 'timeoutMs']
export const requestAnyNames = [...requestNames, 'idempotent']
export const requestManyNames = [...requestNames, 'need', 'stallMs']

export interface RequestAnyOptions extends RequestOptions {
  /** The request may run more than once: another peer is asked even if a handler may have run already. */
  readonly idempotent?: boolean | undefined
}

/** No peer answered. `errors` has the error of each peer that was asked, in that order. */
export class AllPeersFailedError extends StatewireError {
  readonly errors: ReadonlyMap<string, Error>
  constructor(errors: ReadonlyMap<string, Error>) {
    const [last] = [...errors.values()].slice(-1)
    super('ERR_ALL_PEERS_FAILED', `no peer answered; the last of ${errors.size}: ${last?.message ?? ''}`, {
      cause: last,
    })
    this.errors = errors
  }
}

/** @throws StatewireError ERR_INVALID_OPTION for a list that is empty, or names a peer twice */
export function checkPeerList(peers: unknown, call: string): readonly PeerRef[] {
  if (!Array.isArray(peers) || peers.length === 0)
    throw invalid(`${call} takes a list of at least one peer, got ${formatValue(peers)}`)
  const ids = new Set<string>()
  for (const peer of peers as readonly PeerRef[]) {
    const id = typeof peer === 'string' ? peer : peer?.id
    if (ids.has(id)) throw invalid(`${call} names ${formatValue(id)} twice`)
    ids.add(id)
  }
  return peers as readonly PeerRef[]
}

/**
 * Asks the peer with the fewest outstanding requests, then the one with the shortest round trip; then the next.
 * @param options their names, signal and time were checked
 */
export async function requestAny(
  messaging: Messaging,
  nowMs: () => number,
  peers: readonly PeerRef[],
  bytes: Uint8Array | string,
  options: RequestAnyOptions & { readonly timeoutMs: number },
): Promise<Reply> {
  checkBoolean(options.idempotent, 'idempotent of requestAny')
  const { idempotent = false, timeoutMs, ...request } = options
  const endsAtMs = nowMs() + timeoutMs
  const errors = new Map<string, Error>()
  const loads = checkPeerList(peers, 'requestAny').map((ref) => messaging.exchangeOf(ref, 'requestAny'))
  while (loads.length > 0) {
    loads.sort(
      ({ exchange: a }, { exchange: b }) =>
        Number(b.isUp) - Number(a.isUp) ||
        a.outstanding - b.outstanding ||
        (a.roundTripMs ?? Infinity) - (b.roundTripMs ?? Infinity) ||
        0,
    )
    const { peer } = loads.shift()!
    try {
      const leftMs = Math.max(0, endsAtMs - nowMs())
      return await messaging.begin(peer, bytes, { ...request, timeoutMs: leftMs }).promise
    } catch (error) {
      errors.set(peer, error as Error)
      const isLast = loads.length === 0 || nowMs() >= endsAtMs || request.signal?.aborted === true
      if (isLast || !(error instanceof RequestError) || !mayAskAnother(error, idempotent)) {
        if (errors.size === 1) throw error
        throw new AllPeersFailedError(errors)
      }
    }
  }
  throw new AllPeersFailedError(errors)
}

/** What the handler itself answered is the answer. */
function mayAskAnother({ outcome }: RequestError, idempotent: boolean): boolean {
  return requestOutcomes[outcome] === 'no' || (idempotent && outcome !== 'remote')
}

/** One result of `requestMany`. */
export type PeerReply =
  | { readonly peer: string; readonly ok: true; readonly bytes: Buffer }
  | { readonly peer: string; readonly ok: false; readonly error: Error }

export interface RequestManyOptions extends RequestOptions {
  /**
   * When there are enough answers: so many, all (the default), or when the function says so. Then the other requests
   * are cancelled and the iteration ends.
   */
  readonly need?: number | 'all' | ((answers: ReadonlyMap<string, Buffer>) => boolean) | undefined
  /** The iteration ends when nothing has come for so many milliseconds; no limit but `timeoutMs` by default. */
  readonly stallMs?: number | undefined
}

interface Waiter {
  resolve(result: IteratorResult<PeerReply>): void
  reject(error: Error): void
}

/** Iterates over answers and failures as they come. The names, signal and time of its options were checked. */
export class Replies implements AsyncIterableIterator<PeerReply> {
  readonly #results = new Deque<PeerReply>()
  readonly #answers = new Map<string, Buffer>()
  readonly #calls = new Set<RequestCall>()
  readonly #isEnough: (answers: ReadonlyMap<string, Buffer>) => boolean
  readonly #wheel: TimerWheel
  readonly #stallMs: number | undefined
  #stall: Deadline | null = null
  #removeAbort: (() => void) | undefined
  #waiting: Waiter[] = []
  #isOver = false
  #error: Error | null = null

  constructor(
    messaging: Messaging,
    wheel: TimerWheel,
    peers: readonly PeerRef[],
    bytes: Uint8Array | string,
    { need = 'all', stallMs, ...request }: RequestManyOptions,
  ) {
    checkTimeoutMs(stallMs, 'stallMs of requestMany', false)
    const refs = checkPeerList(peers, 'requestMany')
    this.#isEnough = enough(need, refs.length, 'requestMany')
    this.#wheel = wheel
    this.#stallMs = stallMs
    // The arguments are checked for all peers before the first is asked.
    for (const ref of refs) messaging.exchangeOf(ref, 'requestMany')
    // The iteration itself reacts to the signal: each request would report it too.
    const { signal, ...rest } = request
    if (signal?.aborted === true) {
      this.#abort(signal)
      return
    }
    for (const ref of refs) this.#ask(messaging, ref, bytes, rest)
    if (this.#calls.size === 0) this.#end()
    this.#armStall()
    if (signal !== undefined && !this.#isOver) this.#removeAbort = onAbort(signal, () => this.#abort(signal))
  }

  /** Throws for invalid arguments, which are the same for all peers: nothing was sent then. */
  #ask(messaging: Messaging, ref: PeerRef, bytes: Uint8Array | string, options: RequestOptions): void {
    let call: RequestCall
    try {
      call = messaging.begin(ref, bytes, options)
    } catch (error) {
      // Too many requests wait for this peer: the others are asked all the same.
      if (!(error instanceof RequestError)) throw error
      this.#results.push({ peer: error.peer, ok: false, error })
      return
    }
    this.#calls.add(call)
    call.promise.then(
      (reply) => this.#came(call, { peer: reply.peer, ok: true, bytes: reply.bytes }),
      (error: Error) => this.#came(call, { peer: call.peer, ok: false, error }),
    )
  }

  #abort(signal: AbortSignal): void {
    this.#error = new StatewireError('ERR_ABORTED', 'requestMany: aborted', { cause: signal.reason })
    this.#end()
  }

  #came(call: RequestCall, result: PeerReply): void {
    this.#calls.delete(call)
    if (this.#isOver) return
    if (result.ok) this.#answers.set(result.peer, result.bytes)
    const waiting = this.#waiting.shift()
    if (waiting === undefined) this.#results.push(result)
    else waiting.resolve({ done: false, value: result })
    let isEnough = false
    try {
      isEnough = result.ok && this.#isEnough(this.#answers)
    } catch (error) {
      this.#error = error as Error
      isEnough = true
    }
    if (isEnough || this.#calls.size === 0) this.#end()
    else this.#armStall()
  }

  #armStall(): void {
    if (this.#stallMs === undefined || this.#isOver) return
    this.#stall?.cancel()
    this.#stall = this.#wheel.schedule(this.#stallMs, () => this.#end())
  }

  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#stall?.cancel()
    this.#removeAbort?.()
    for (const call of this.#calls) call.cancel()
    for (const waiting of this.#waiting.splice(0)) this.#finish(waiting)
  }

  #finish({ resolve, reject }: Waiter): void {
    const error = this.#error
    this.#error = null
    if (error === null) resolve({ done: true, value: undefined })
    else reject(error)
  }

  next(): Promise<IteratorResult<PeerReply>> {
    const result = this.#results.shift()
    if (result !== undefined) return Promise.resolve({ done: false, value: result })
    return new Promise((resolve, reject) => {
      if (this.#isOver) this.#finish({ resolve, reject })
      else this.#waiting.push({ resolve, reject })
    })
  }

  return(): Promise<IteratorResult<PeerReply>> {
    this.#end()
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
