/**
 * Owns: the receiving side of a transfer: which pieces of a file are there, what is missing on a lane, whether the
 * SHA-256 is right; and how a file is cut into pieces and lanes.
 * Independent of: sessions, sockets, clocks. It takes messages and answers with messages, so that every loss and every
 * order can be tested without a network.
 *
 * Why nothing is lost for good: a lane keeps its order. Once wave w has arrived, everything that was sent before it on
 * the lane and is not here was lost by a broken connection. The answer names those pieces. If the question or the
 * answer is lost, the sender asks the same wave again (sender.ts), and gets a new answer.
 */
import { createHash } from 'node:crypto'
import { TransferError } from './messages.ts'
import type { Done, Message, Offer, Piece, Want } from './messages.ts'

/** Eight fit into a 64 KiB write batch, so a break loses some. */
export const defaultPieceBytes = 8 * 1024

/** Receivers hold one file of each sender in memory. */
export const fileBytesMax = 64 * 1024 * 1024

/** A restarted process does not know how many rounds it had sent: each run of it has its own numbers. */
const roundsPerRun = 2 ** 20

/** The number before the first round of a run. */
export function firstRoundOf(run: number): number {
  return run * roundsPerRun
}

function isLaterRun(round: number, than: number): boolean {
  return Math.floor(round / roundsPerRun) > Math.floor(than / roundsPerRun)
}

export interface SwarmFile {
  readonly name: string
  readonly bytes: Uint8Array
  readonly sha256: Uint8Array
}

export function digestOf(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest()
}

export function piecesOf(length: number, pieceBytes: number): number {
  return Math.ceil(length / pieceBytes)
}

/** Numbers of the pieces that travel on a lane. */
export function piecesOfLane(lane: number, lanes: number, pieces: number): number[] {
  const numbers: number[] = []
  for (let number = lane; number < pieces; number += lanes) numbers.push(number)
  return numbers
}

/** @throws TransferError if the message was delivered on another lane, or from another peer, than it was sent */
export function checkAddress(message: Message, from: number, lane: number): void {
  if (message.from === from && message.lane === lane) return
  throw new TransferError(
    `a message of peer ${message.from} on lane ${message.lane} was delivered as of peer ${from} on lane ${lane}`,
  )
}

interface IncomingRound {
  readonly offer: Offer
  readonly bytes: Buffer
  readonly has: Uint8Array
  missing: number
  /** Its announcement came, and not only a question about it. */
  readonly isFromStart: boolean
  /** The last wave of each lane whose missing pieces are counted already. */
  readonly answeredWave: number[]
  /** null until the file is complete. */
  ok: boolean | null
}

/** What one peer sends to this one, round after round. */
export class Receiver {
  readonly #lanes: number
  #round: IncomingRound | null = null
  /** Rounds whose SHA-256 was right, and those whose SHA-256 was wrong. */
  verified = 0
  wrong = 0
  /** Pieces that a broken connection lost and that were asked for again. */
  askedAgain = 0
  /** Pieces that were here already. */
  duplicates = 0
  /** SHA-256 of the last complete file, as computed here. */
  lastDigest: Uint8Array | null = null

  constructor(lanes: number) {
    this.#lanes = lanes
  }

  /** Whether a round has begun and is not complete. */
  get isWaiting(): boolean {
    return this.#round !== null && this.#round.ok === null
  }

  /** @returns the answer, if the offer asks for one @throws TransferError */
  onOffer(offer: Offer): Want | Done | null {
    const round = this.#roundOf(offer)
    if (round === null || offer.wave === 0) return null
    const answer = { from: offer.from, lane: offer.lane, round: offer.round, wave: offer.wave }
    const missing = this.#missingOn(offer.lane, round)
    if (missing.length > 0 && offer.wave > (round.answeredWave[offer.lane] ?? 0)) {
      round.answeredWave[offer.lane] = offer.wave
      this.askedAgain += missing.length
    }
    if (round.missing === 0) return { type: 'done', ...answer, ok: this.#verify(round) }
    return { type: 'want', ...answer, missing }
  }

  /** @throws TransferError */
  onPiece(piece: Piece): void {
    const round = this.#round
    // Its offer was lost with a connection, or its round is over: the next wave asks for what is missing.
    if (round === null || round.offer.round !== piece.round) return
    const { length, pieceBytes } = round.offer
    const pieces = round.has.length
    if (piece.number >= pieces || piece.number % this.#lanes !== piece.lane)
      throw new TransferError(`piece ${piece.number} of ${pieces} arrived on the wrong lane ${piece.lane}`)
    const expectedBytes = piece.number === pieces - 1 ? length - piece.number * pieceBytes : pieceBytes
    if (piece.bytes.length !== expectedBytes)
      throw new TransferError(`piece ${piece.number} has ${piece.bytes.length} bytes instead of ${expectedBytes}`)
    if (round.has[piece.number] === 1) {
      this.duplicates++
      return
    }
    round.bytes.set(piece.bytes, piece.number * pieceBytes)
    round.has[piece.number] = 1
    round.missing--
  }

  #roundOf(offer: Offer): IncomingRound | null {
    const current = this.#round
    if (current !== null) {
      if (offer.round < current.offer.round) return null
      if (offer.round === current.offer.round) {
        if (offer.length !== current.offer.length || Buffer.compare(offer.sha256, current.offer.sha256) !== 0)
          throw new TransferError(`round ${offer.round} was offered as two different files`)
        return current
      }
      // A round that this side joined in the middle, after a crash, may have been finished by the process before it.
      if (current.ok === null && current.isFromStart && !isLaterRun(offer.round, current.offer.round))
        throw new TransferError(`round ${offer.round} began before round ${current.offer.round} was complete`)
    }
    if (offer.length < 1 || offer.length > fileBytesMax)
      throw new TransferError(`an offer has ${offer.length} bytes; 1 to ${fileBytesMax} are accepted`)
    if (offer.pieceBytes < 512)
      throw new TransferError(`an offer has pieces of ${offer.pieceBytes} bytes; at least 512 are accepted`)
    const pieces = piecesOf(offer.length, offer.pieceBytes)
    // The memory of the last round is reused, but not its contents: a piece that is wrongly counted as present must
    // change the digest.
    const bytes = current?.bytes.length === offer.length ? current.bytes.fill(0) : Buffer.alloc(offer.length)
    this.#round = {
      offer,
      bytes,
      has: new Uint8Array(pieces),
      missing: pieces,
      isFromStart: offer.wave === 0,
      answeredWave: [],
      ok: null,
    }
    return this.#round
  }

  #missingOn(lane: number, round: IncomingRound): number[] {
    return round.missing === 0
      ? []
      : piecesOfLane(lane, this.#lanes, round.has.length).filter((number) => round.has[number] === 0)
  }

  #verify(round: IncomingRound): boolean {
    if (round.ok !== null) return round.ok
    this.lastDigest = digestOf(round.bytes)
    round.ok = Buffer.compare(this.lastDigest, round.offer.sha256) === 0
    if (round.ok) this.verified++
    else this.wrong++
    return round.ok
  }
}
