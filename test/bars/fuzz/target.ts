/**
 * Owns: what a fuzzed state is, what a run of it must satisfy, and its coverage signal.
 * Independent of: any state, and where input comes from.
 */
import { errorCodes, ProtocolError, StatewireError } from '../../../codec/index.ts'
import type { Dice } from './dice.ts'
import type { Seeds } from './mutate.ts'

/** Something that no input may cause. */
export class Breach extends Error {}

export function holds(condition: boolean, what: string): void {
  if (!condition) throw new Breach(what)
}

/** Detects a corrupted counter or balance here, long before it would show. */
export function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

/** One state of one parser, link or handshake. */
export interface Target {
  readonly name: string
  readonly seeds: Seeds
  /** Relative weight; a certificate costs as much as a hundred frames. */
  readonly weight: number
  /** Frames from which a new stream is composed. */
  readonly framesMax: number
  /**
   * Enters its state, processes the input, and checks the result. Throws whatever must not be thrown. The same input
   * and dice give the same run.
   */
  run(input: Buffer, dice: Dice, trace: Trace): void
}

const seenLength = 2 ** 20
const seenShift = 12

/** What a run did: the signal for what is worth keeping. */
export class Trace {
  /** Inputs that reached a parser: frames that it delivered or refused. */
  frames = 0
  readonly outcomes = new Map<string, number>()
  /** A hash of what was seen, so that memory use is constant. */
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

  /** Whether the run did something new in this state. */
  get isNew(): boolean {
    return this.#isNew
  }

  /** A frame was accepted: its kind, and the kind before it. `kind` is below 2^12. */
  accepted(kind: number): void {
    this.frames++
    this.#note(kind * 4096 + this.#last)
    this.#last = kind
  }

  /** How it ended, and after which kind of frame. */
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

/** @returns the code of an error that a peer's bytes may cause. Rethrows anything else. */
export function codeOfBreach(error: unknown): string {
  if (error instanceof ProtocolError && Object.hasOwn(errorCodes, error.code)) return error.code
  throw error
}

/** Like {@link codeOfBreach}, for parsers of text and certificates. */
export function codeOfRefusal(error: unknown): string {
  if (error instanceof StatewireError && error.code !== 'ERR_INTERNAL' && Object.hasOwn(errorCodes, error.code))
    return error.code
  throw error
}
