/**
 * Owns: one message or value to several peers: a result for each, and when enough of them have accepted it.
 * Independent of: how it is sent to one peer.
 */
import { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import { checkFunction, invalid } from './checks.ts'

/** Whether one peer's link accepted the message. */
export type SendResult = { readonly ok: true } | { readonly ok: false; readonly error: Error }
/** By the id of the peer. */
export type SendResults = ReadonlyMap<string, SendResult>

/**
 * When a call resolves: as soon as so many peers have accepted the message (`'all'`: every one), or when the function
 * of the results so far says so. The other peers go on. Without it the call resolves when every peer has a result.
 */
export type Need = number | 'all' | ((results: SendResults) => boolean)

/** The quorum cannot be reached any more. */
export class QuorumError extends StatewireError {
  readonly results: SendResults
  constructor(results: SendResults) {
    const failed = [...results].filter(([, { ok }]) => !ok)
    const [first] = failed
    const why = first?.[1].ok === false ? `; ${first[0]}: ${first[1].error.message}` : ''
    super('ERR_QUORUM', `${results.size - failed.length} of ${results.size} peers accepted the message${why}`)
    this.results = results
  }
}

const accepted: SendResult = { ok: true }

/**
 * Sends to every peer at once. No peer waits for another.
 * @param send null if the peer accepted at once; called with the place of the peer in the list
 * @throws StatewireError ERR_QUORUM, ERR_INVALID_OPTION
 */
export async function sendToAll(
  peers: readonly string[],
  need: Need | undefined,
  call: string,
  send: (index: number) => Promise<void> | null,
): Promise<SendResults> {
  const results = new Map<string, SendResult>()
  const quorum = need === undefined ? null : new Quorum(need, peers.length, call)
  if (quorum?.isReachable === false) throw new QuorumError(results)
  let waiting: Promise<readonly [string, SendResult]>[] | null = null
  for (let index = 0; index < peers.length; index++) {
    const peer = peers[index]!
    let result: SendResult
    try {
      const sending = send(index)
      if (sending !== null) {
        waiting ??= []
        waiting.push(resultOf(peer, sending))
        continue
      }
      result = accepted
    } catch (error) {
      result = { ok: false, error: error as Error }
    }
    results.set(peer, result)
  }
  if (quorum?.isReached(results) === true) return waiting === null ? results : new Map(results)
  if (waiting === null) {
    if (quorum !== null) throw new QuorumError(results)
    return results
  }
  return settled(results, waiting, peers.length, quorum)
}

/** Later results do not change what the caller gets. */
function settled(
  results: Map<string, SendResult>,
  waiting: readonly Promise<readonly [string, SendResult]>[],
  peers: number,
  quorum: Quorum | null,
): Promise<SendResults> {
  return new Promise((resolve, reject) => {
    let isOver = false
    const look = (): void => {
      try {
        // The function of the caller is asked once for each result.
        if (quorum?.isReached(results) === true) resolve(new Map(results))
        else if (quorum?.isLost(results) === true) reject(new QuorumError(new Map(results)))
        else if (results.size < peers) return
        else if (quorum === null) resolve(results)
        else reject(new QuorumError(results))
      } catch (error) {
        reject(error as Error)
      }
      isOver = true
    }
    if (quorum?.isLost(results) === true) {
      isOver = true
      reject(new QuorumError(new Map(results)))
    }
    for (const one of waiting)
      void one.then(([peer, result]) => {
        results.set(peer, result)
        if (!isOver) look()
      })
  })
}

function resultOf(peer: string, sending: Promise<void>): Promise<readonly [string, SendResult]> {
  return sending.then(
    () => [peer, accepted] as const,
    (error: Error) => [peer, { ok: false, error }] as const,
  )
}

class Quorum {
  readonly #peers: number
  /** Null if a function decides. */
  readonly #least: number | null
  readonly #isEnough: ((results: SendResults) => boolean) | null

  /** @throws StatewireError ERR_INVALID_OPTION */
  constructor(need: Need, peers: number, call: string) {
    this.#peers = peers
    this.#isEnough = typeof need === 'function' ? need : null
    this.#least = typeof need === 'function' ? null : need === 'all' ? peers : need
    if (typeof need === 'function' || need === 'all') return
    if (!Number.isSafeInteger(need) || need < 1)
      throw invalid(`need of ${call} must be a whole number from 1, 'all' or a function, got ${formatValue(need)}`)
  }

  get isReachable(): boolean {
    return this.#least === null || this.#least <= this.#peers
  }

  isReached(results: SendResults): boolean {
    if (this.#isEnough !== null) return this.#isEnough(results)
    return results.size >= this.#least! && count(results, true) >= this.#least!
  }

  isLost(results: SendResults): boolean {
    return this.#least !== null && count(results, false) > this.#peers - this.#least
  }
}

function count(results: SendResults, ok: boolean): number {
  let sum = 0
  for (const result of results.values()) if (result.ok === ok) sum++
  return sum
}

/** @throws StatewireError ERR_INVALID_OPTION */
export function enough<Result>(
  need: number | 'all' | ((results: ReadonlyMap<string, Result>) => boolean),
  peers: number,
  call: string,
): (results: ReadonlyMap<string, Result>) => boolean {
  if (need === 'all') return ({ size }) => size === peers
  if (typeof need === 'number') {
    if (!Number.isSafeInteger(need) || need < 1 || need > peers)
      throw invalid(`need of ${call} must be a whole number from 1 to ${peers}, the number of peers, got ${need}`)
    return ({ size }) => size >= need
  }
  checkFunction(need, `need of ${call}, if it is neither a number nor 'all',`)
  return need
}
