/**
 * Owns: what a fuzzed state is, what a run of it is held to, and what it is seen to do.
 * Refuses to know: any state, and where input comes from.
 */
import { errorCodes, ProtocolError, StatewireError } from '../../codec/index.ts'
import type { Dice } from './dice.ts'
import type { Seeds } from './mutate.ts'

/** Something that no input may bring about. */
export class Breach extends Error {}

export function holds(condition: boolean, what: string): void {
  if (!condition) throw new Breach(what)
}

/** A counter or a balance that has gone wrong says so here, before it says so in a year. */
export function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

/** One state of one parser, link or handshake. */
export interface Target {
  readonly name: string
  readonly seeds: Seeds
  /** Out of the sum of all; a certificate costs a hundred frames. */
  readonly weight: number
  /** Frames that a new stream is made of. */
  readonly framesMax: number
  /** Puts itself into its state, takes the input, and checks what came of it. Throws whatever must not be thrown. The same input and dice do the same. */
  run(input: Buffer, dice: Dice, trace: Trace): void
}

const seenLength = 2 ** 20
const seenShift = 12

/** What a run did: the signal for what is worth keeping. */
export class Trace {
  /** Inputs that reached a parser: frames it delivered, and those it refused. */
  frames = 0
  readonly outcomes = new Map<string, number>()
  /** By a hash of what was seen, so that its memory is the same from the first stream to the last. */
  readonly #seen = new Uint8Array(seenLength)
  #behaviours = 0
  readonly #outcomeNumbers = new Map<string, number>()
  #state = 0
  #last = 0
  #isNew = false

  get behaviours(): number {
    return this.#behaviours
  }

  begin(state: number): void {
    this.#state = state
    this.#last = 0
    this.#isNew = false
  }

  /** Whether the run did what none before it did in this state. */
  get isNew(): boolean {
    return this.#isNew
  }

  /** A frame was accepted: its kind, and which kind came before it. `kind` is below 2^12. */
  accepted(kind: number): void {
    this.frames++
    this.#note(kind * 4096 + this.#last)
    this.#last = kind
  }

  /** How it ended, and behind which kind of frame. */
  ended(outcome: string): void {
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1)
    let number = this.#outcomeNumbers.get(outcome)
    if (number === undefined) this.#outcomeNumbers.set(outcome, (number = this.#outcomeNumbers.size))
    this.#note(0x100_0000 + number * 4096 + this.#last)
  }

  #note(mark: number): void {
    const key = Math.imul(Math.imul(mark, 0x9e37_79b1) ^ this.#state, 0x85eb_ca6b) >>> seenShift
    if (this.#seen[key] === 1) return
    this.#seen[key] = 1
    this.#behaviours++
    this.#isNew = true
  }
}

/** @returns the code of an error that the peer's bytes may bring about. Throws anything else on. */
export function codeOfBreach(error: unknown): string {
  if (error instanceof ProtocolError && Object.hasOwn(errorCodes, error.code)) return error.code
  throw error
}

/** As {@link codeOfBreach}, for readers of what a person or a certificate says. */
export function codeOfRefusal(error: unknown): string {
  if (error instanceof StatewireError && error.code !== 'ERR_INTERNAL' && Object.hasOwn(errorCodes, error.code)) return error.code
  throw error
}
