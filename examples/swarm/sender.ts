/**
 * Owns: the sending side of a transfer to one peer: the pieces of each lane, then the question what is missing, until
 * the receiver confirms that the file is complete and its digest right. An unanswered question is asked again.
 * Independent of: sessions and sockets; it sends through a function that waits while there is no room.
 */
import { defaultPieceBytes, firstRoundOf, piecesOf, piecesOfLane } from './transfer.ts'
import type { SwarmFile } from './transfer.ts'
import { encodeMessage, TransferError } from './messages.ts'
import type { Done, Message, Offer, Want } from './messages.ts'

export interface SenderOptions {
  /** Number of this peer. */
  readonly from: number
  readonly lanes: number
  readonly file: SwarmFile
  /** Resolves when the lane has accepted the bytes: this is the back-pressure. */
  readonly send: (lane: number, bytes: Uint8Array) => Promise<void>
  readonly pieceBytes?: number
  /**
   * The question is repeated if no answer came by then, or if a connection broke meanwhile. 500 ms: many times the
   * round trip of a loaded loopback.
   */
  readonly retryMs?: number
  /** If a question has no answer for this long, the transfer has failed. 20 s: two dial time-outs. */
  readonly stallMs?: number
  /** How often this peer's process has crashed before: each run has a range of round numbers. */
  readonly run?: number
  /** Flips one bit of the first piece of the first round, to show that the receiver notices. */
  readonly corrupt?: boolean
}

/** The receiver forgets a round each time it is killed, which is far rarer than rounds. */
const passesMax = 100

/** One question that waits for its answer. */
interface Question {
  readonly round: number
  readonly wave: number
  answer: Want | Done | null
  wake: () => void
}

export class Sender {
  readonly #options: SenderOptions
  readonly #pieceBytes: number
  readonly #pieces: number
  readonly #questions: (Question | null)[]
  #stopped: Error | null = null
  /** The round under way, or the last one. */
  round: number
  /** Rounds that the receiver has confirmed as complete and right. */
  delivered = 0
  piecesSent = 0
  piecesSentAgain = 0
  questionsRepeated = 0

  constructor(options: SenderOptions) {
    this.#options = options
    this.round = firstRoundOf(options.run ?? 0)
    this.#pieceBytes = options.pieceBytes ?? defaultPieceBytes
    this.#pieces = piecesOf(options.file.bytes.length, this.#pieceBytes)
    this.#questions = Array.from({ length: options.lanes }, () => null)
  }

  /** Rounds that were begun. */
  get begun(): number {
    return this.round - firstRoundOf(this.#options.run ?? 0)
  }

  /**
   * Sends the file once. Resolves when the receiver has verified it. @throws TransferError, or why a session is over
   */
  async sendRound(): Promise<void> {
    this.round++
    const waves = Array.from({ length: this.#options.lanes }, () => 0)
    let isDone = false
    // A receiver that was killed and started again has forgotten what it confirmed: then all lanes are asked once more.
    for (let pass = 1; !isDone; pass++) {
      if (pass > passesMax)
        throw new TransferError(`the receiver did not confirm round ${this.round} in ${passesMax} attempts`)
      isDone = await this.#sendLanes(waves)
    }
    this.delivered++
  }

  /** @returns whether any lane got the answer that the file is complete and right */
  async #sendLanes(waves: number[]): Promise<boolean> {
    const isDone = async (lane: number): Promise<boolean> => {
      try {
        return await this.#sendLane(lane, waves)
      } catch (error) {
        this.stop(error as Error)
        throw error
      }
    }
    const results = await Promise.allSettled(waves.map((_, lane) => isDone(lane)))
    // The error that stopped the others, not its consequence on a lower lane.
    if (results.some((result) => result.status === 'rejected')) throw this.#stopped ?? new TransferError('stopped')
    return results.some((result) => result.status === 'fulfilled' && result.value)
  }

  /** An answer of the receiver. Answers to past questions are repetitions, and ignored. */
  onAnswer(answer: Want | Done): void {
    const question = this.#questions[answer.lane]
    if (
      question === null ||
      question === undefined ||
      question.round !== answer.round ||
      question.wave !== answer.wave ||
      question.answer !== null
    )
      return
    question.answer = answer
    question.wake()
  }

  /** The connection of a lane broke: the question or its answer may be lost, so it is asked again at once. */
  onLost(lane: number): void {
    this.#questions[lane]?.wake()
  }

  /** Ends what is under way; `sendRound` rejects. */
  stop(error: Error): void {
    this.#stopped ??= error
    for (const question of this.#questions) question?.wake()
  }

  /**
   * @returns true if the answer was that the whole file is right; false if this lane is complete and another lane gets
   *   that answer
   */
  async #sendLane(lane: number, waves: number[]): Promise<boolean> {
    const isFirstPass = waves[lane] === 0
    if (isFirstPass) await this.#send(this.#offer(lane, 0))
    let numbers: readonly number[] = isFirstPass ? piecesOfLane(lane, this.#options.lanes, this.#pieces) : []
    for (;;) {
      const wave = (waves[lane] as number) + 1
      waves[lane] = wave
      for (const number of numbers) {
        await this.#send({
          type: 'piece',
          from: this.#options.from,
          lane,
          round: this.round,
          number,
          bytes: this.#pieceAt(number),
        })
        this.piecesSent++
        if (wave > 1) this.piecesSentAgain++
      }
      const answer = await this.#ask(lane, wave)
      if (answer.type === 'done') {
        if (answer.ok) return true
        throw new TransferError(`round ${this.round} arrived complete, but with the wrong SHA-256`)
      }
      if (answer.missing.length === 0) return false
      const wrong = answer.missing.find((number) => number >= this.#pieces || number % this.#options.lanes !== lane)
      if (wrong !== undefined)
        throw new TransferError(`piece ${wrong} was asked for on lane ${lane}, where it does not belong`)
      numbers = answer.missing
    }
  }

  async #ask(lane: number, wave: number): Promise<Want | Done> {
    const { retryMs = 500, stallMs = 20_000 } = this.#options
    const question: Question = { round: this.round, wave, answer: null, wake: () => {} }
    this.#questions[lane] = question
    const stallAtMs = Date.now() + stallMs
    for (let isFirst = true; ; isFirst = false) {
      if (!isFirst) this.questionsRepeated++
      await this.#send(this.#offer(lane, wave))
      if (question.answer === null && this.#stopped === null) await sleep(retryMs, question)
      if (question.answer !== null) return question.answer
      if (this.#stopped !== null) throw this.#stopped
      if (Date.now() >= stallAtMs)
        throw new TransferError(`no answer on lane ${lane} about round ${this.round} for ${stallMs} ms`)
    }
  }

  #offer(lane: number, wave: number): Offer {
    const { from, file } = this.#options
    return {
      type: 'offer',
      from,
      lane,
      round: this.round,
      wave,
      name: file.name,
      length: file.bytes.length,
      pieceBytes: this.#pieceBytes,
      sha256: file.sha256,
    }
  }

  #pieceAt(number: number): Uint8Array {
    const bytes = this.#options.file.bytes.subarray(number * this.#pieceBytes, (number + 1) * this.#pieceBytes)
    if (this.#options.corrupt !== true || this.round !== 1 || number !== 0) return bytes
    const corrupted = Uint8Array.from(bytes)
    corrupted[0] = (corrupted[0] as number) ^ 1
    return corrupted
  }

  async #send(message: Message): Promise<void> {
    if (this.#stopped !== null) throw this.#stopped
    await this.#options.send(message.lane, encodeMessage(message))
  }
}

/** Until the time is over or the question is answered or repeated. */
function sleep(delayMs: number, question: Question): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, delayMs)
    question.wake = () => {
      clearTimeout(timer)
      resolve()
    }
  })
}
