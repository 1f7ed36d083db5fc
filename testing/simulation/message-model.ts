/**
 * Owns: what senders of messages and askers of requests were told, what handlers got, and the violations.
 * Independent of: networks and time, and sessions (model.ts).
 */
import type { Model, Promised } from './model.ts'

/** What the handler of a request throws on purpose. */
export const failureCode = 'E_SIMULATED'

/** How a request ended for its asker. Null: not yet, or its process has died. */
export type RequestEnd = 'ok' | 'remote' | 'notSent' | 'no-handler' | 'refused' | 'too-late' | 'unknown' | 'cancelled'

/** These promise that no handler runs. */
const noHandlerRan: ReadonlySet<RequestEnd> = new Set(['notSent', 'no-handler', 'refused', 'too-late'])

export interface SimulatedRequest {
  readonly from: string
  readonly to: string
  runs: number
  end: RequestEnd | null
}

/** The messages of one name from one process to one peer. */
export interface MessageLife {
  readonly from: string
  readonly to: string
  readonly name: string
  readonly states: Promised[]
  readonly got: number[]
}

export class MessageModel {
  readonly lives: MessageLife[] = []
  readonly requests: SimulatedRequest[] = []
  readonly #model: Model
  /** No process ends and no link expires, so everything accepted arrives and every request is answered. */
  readonly #losesNothing: boolean

  constructor(model: Model, losesNothing: boolean) {
    this.#model = model
    this.#losesNothing = losesNothing
  }

  begin(from: string, to: string, name: string): number {
    return this.lives.push({ from, to, name, states: [], got: [] }) - 1
  }

  ask(from: string, to: string): number {
    return this.requests.push({ from, to, runs: 0, end: null }) - 1
  }

  /** A message reached an application. */
  got(owner: string, name: string, number: number, place: number): void {
    const life = this.lives[number]
    if (life === undefined || life.to !== owner || life.name !== name || place >= life.states.length)
      return this.#model.breach('wrong', `${owner} got a message '${name}' that was not sent to it`)
    const what = `message ${place} '${name}' from ${life.from} to ${owner}`
    const last = life.got.at(-1) ?? -1
    if (life.got.includes(place)) this.#model.breach('duplicated', `${what} was delivered twice`)
    else if (place < last) this.#model.breach('reordered', `${what} was delivered after message ${last}`)
    if (life.states[place] === 'withdrawn')
      this.#model.breach('wrong', `${what} was delivered although its sender was told that it was not sent`)
    life.got.push(place)
  }

  /** The handler of a request is called. */
  ran(owner: string, number: number): void {
    const request = this.requests[number]
    if (request === undefined || request.to !== owner)
      return this.#model.breach('wrong', `${owner} got a request that was not sent to it`)
    request.runs += 1
    this.#checkRuns(request, number)
  }

  ended(number: number, end: RequestEnd, why: string): void {
    const request = this.requests[number]!
    request.end = end
    this.#checkRuns(request, number)
    if ((end === 'ok' || end === 'remote') && request.runs === 0)
      this.#model.breach('wrong', `${this.#what(number)} was answered (${end}), and its handler never ran`)
    const isLost = end === 'no-handler' || end === 'refused' || why === 'ERR_LINK_RESET'
    if (isLost && this.#losesNothing)
      this.#model.breach('lost', `${this.#what(number)} ended as ${end} (${why}), and no process had ended`)
  }

  #what(number: number): string {
    const { from, to } = this.requests[number]!
    return `request ${number} from ${from} to ${to}`
  }

  #checkRuns({ runs, end }: SimulatedRequest, number: number): void {
    if (runs > 1) this.#model.breach('duplicated', `the handler of ${this.#what(number)} ran ${runs} times`)
    if (runs > 0 && end !== null && noHandlerRan.has(end))
      this.#model.breach('wrong', `${this.#what(number)} ended as ${end}, and its handler ran`)
  }

  /** Nothing more can happen. */
  conclude(): void {
    if (!this.#losesNothing) return
    for (const { from, to, name, states, got } of this.lives) {
      const accepted = states.filter((state) => state === 'accepted').length
      if (got.length !== accepted)
        this.#model.breach(
          'lost',
          `${accepted} messages '${name}' from ${from} to ${to} were accepted, and ${got.length} delivered`,
        )
    }
  }
}
