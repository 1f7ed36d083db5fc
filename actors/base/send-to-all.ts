/**
 * Owns: one message or value to several peers: a result for each, and when enough of them have accepted it.
 * Independent of: how it is sent to one peer.
 */
import { StatewireError } from '../../codec/errors.ts'
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
 * @param send null if the peer accepted at once
 * @throws StatewireError ERR_QUORUM, ERR_INVALID_OPTION
 */
export async function sendToAll(
  peers: readonly string[],
  need: Need | undefined,
  call: string,
  send: (peer: string) => Promise<void> | null,
): Promise<SendResults> {
  const results = new Map<string, SendResult>()
  const quorum = need === undefined ? null : new Quorum(need, peers.length, call)
  const waiting: Promise<void>[] = []
  let settle: () => void = () => {}
  let fail: (error: unknown) => void = () => {}
  const isSettled = new Promise<void>((resolve, reject) => {
    settle = resolve
    fail = reject
  })
  const came = (peer: string, result: SendResult): void => {
    results.set(peer, result)
    try {
      if (results.size === peers.length || quorum?.isDecided(results) === true) settle()
    } catch (error) {
      fail(error)
    }
  }
  for (const peer of peers) {
    let sending: Promise<void> | null
    try {
      sending = send(peer)
    } catch (error) {
      came(peer, { ok: false, error: error as Error })
      continue
    }
    if (sending === null) came(peer, accepted)
    else
      waiting.push(
        sending.then(
          () => came(peer, accepted),
          (error: Error) => came(peer, { ok: false, error }),
        ),
      )
  }
  if (peers.length === 0) settle()
  await isSettled
  // Later results do not change what the caller has.
  const now: SendResults = waiting.length === 0 ? results : new Map(results)
  if (quorum !== null && !quorum.isReached(now)) throw new QuorumError(now)
  return now
}

class Quorum {
  readonly #peers: number
  /** Null if a function decides. */
  readonly #least: number | null
  readonly isReached: (results: SendResults) => boolean

  /** @throws StatewireError ERR_INVALID_OPTION */
  constructor(need: Need, peers: number, call: string) {
    this.#peers = peers
    if (peers > 0 || typeof need === 'function') enough<SendResult>(need, peers, call)
    this.#least = typeof need === 'function' ? null : need === 'all' ? peers : need
    const least = this.#least
    this.isReached = typeof need === 'function' ? need : (results) => count(results, true) >= (least ?? 0)
  }

  /** It is reached, or cannot be reached any more. */
  isDecided(results: SendResults): boolean {
    const isLost = this.#least !== null && count(results, false) > this.#peers - this.#least
    return isLost || this.isReached(results)
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
