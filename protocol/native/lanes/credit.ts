/**
 * Owns: flow control of one lane in both directions (docs/protocol.md): how much may be sent, how much may
 * arrive, when the peer gets more credit, and when the window grows.
 * Independent of: frames, other lanes, clocks (time is passed in), and where the memory for a window comes from:
 * `mayGrow` is called.
 *
 * Whole frames count, session id and descriptor included. A frame of any size may be sent while the balance is above 0,
 * so a value larger than the window passes and is paid off afterwards.
 */
import { ProtocolError, StatewireError } from '../../../codec/errors.ts'
import { windowBytesMax } from '../../../codec/hello.ts'

/** 64 KiB: the cost of a lane that is hardly used. */
export const firstWindowBytes = 64 * 1024
/** 4 MiB: the product of 1 GB/s and 4 ms. */
export const grownWindowBytesMax = 4 * 1024 * 1024
/** A window is too small for its reader if half of it is taken within this many round trips. */
const roundTripsPerHalf = 2

/** What this side may still send on a lane. */
export class SendCredit {
  #balanceBytes: number

  /**
   * @param windowBytes of the hello, a Make, an Open or an Accept; 0 for a session whose Made follows. Throws
   *   ProtocolError ERR_CREDIT_OVERFLOW.
   */
  constructor(windowBytes: number) {
    this.#balanceBytes = checkedBalance(windowBytes)
  }

  /** Negative while a frame larger than the balance is paid off. */
  get balanceBytes(): number {
    return this.#balanceBytes
  }

  get canSend(): boolean {
    return this.#balanceBytes > 0
  }

  /** Before a paying frame is encoded. Throws ERR_INTERNAL without credit: the peer would end the epoch. */
  spend(frameLengthBytes: number): void {
    if (this.#balanceBytes <= 0)
      throw new StatewireError('ERR_INTERNAL', `A frame of ${frameLengthBytes} bytes was to be sent without credit.`)
    this.#balanceBytes -= frameLengthBytes
  }

  /** The peer's Credit. Throws ProtocolError ERR_CREDIT_OVERFLOW. @returns whether senders that waited may continue */
  grant(creditBytes: number): boolean {
    const hadNone = this.#balanceBytes <= 0
    this.#balanceBytes = checkedBalance(this.#balanceBytes + creditBytes)
    return hadNone && this.#balanceBytes > 0
  }
}

export interface ReceiveWindowOptions {
  /** What was granted at the beginning: by the hello, a Make or Made, an Open or an Accept. */
  readonly windowBytes: number
  /** Called before the window grows by this many bytes. Returning true counts as granting them. */
  readonly mayGrow: (bytes: number) => boolean
}

/**
 * What the peer may still send on a lane. At every moment
 *
 * window + granted for a long frame = own count + unread + taken and not granted again
 *
 * so with nothing unread the own count is above half of the window: a lane cannot stall.
 */
export class ReceiveWindow {
  readonly #mayGrow: (bytes: number) => boolean
  #windowBytes: number
  #ownCountBytes: number
  #takenBytes = 0
  /** Granted for a long frame that is not taken: apart from the window. */
  #longBytes = 0
  #lastRefillAtMs: number | null = null

  constructor(options: ReceiveWindowOptions) {
    this.#windowBytes = options.windowBytes
    this.#ownCountBytes = options.windowBytes
    this.#mayGrow = options.mayGrow
  }

  get windowBytes(): number {
    return this.#windowBytes
  }

  /**
   * What the peer may still send, as this side counts. Frames in flight make the peer's balance smaller, never larger.
   */
  get ownCountBytes(): number {
    return this.#ownCountBytes
  }

  /** Granted for a long frame that is not taken. */
  get longBytes(): number {
    return this.#longBytes
  }

  /** Arrived and not taken. */
  get unreadBytes(): number {
    return this.#windowBytes + this.#longBytes - this.#ownCountBytes - this.#takenBytes
  }

  /** Whether {@link take} of this frame gives Credit: only then does it need the time. */
  refillsWith(frameLengthBytes: number): boolean {
    return 2 * (this.#takenBytes + frameLengthBytes) >= this.#windowBytes
  }

  /** A paying frame arrived. Throws ProtocolError ERR_CREDIT_EXCEEDED if the own count is 0 or less. */
  arrive(frameLengthBytes: number): void {
    if (this.#ownCountBytes <= 0) this.check()
    this.#ownCountBytes -= frameLengthBytes
  }

  /** Before a paying frame is collected. Throws as {@link arrive}. */
  check(): void {
    if (this.#ownCountBytes <= 0)
      throw new ProtocolError('ERR_CREDIT_EXCEEDED', 'A frame arrived on a lane whose credit is used up.')
  }

  /**
   * The application has taken a frame: a value was read, or a handler or iterator got it.
   * @param roundTripMs the last measured; null if none was: then the window does not grow
   * @returns bytes of the Credit to send now, 0 for none
   */
  take(frameLengthBytes: number, nowMs: number, roundTripMs: number | null): number {
    this.#takenBytes += frameLengthBytes
    if (2 * this.#takenBytes < this.#windowBytes) return 0
    const growthBytes = this.#growth(this.#windowBytes / 2, nowMs, roundTripMs)
    const creditBytes = this.#takenBytes + growthBytes
    this.#lastRefillAtMs = nowMs
    this.#takenBytes = 0
    this.#windowBytes += growthBytes
    this.#ownCountBytes += creditBytes
    return creditBytes
  }

  /** A long frame has its reservation: all its Pieces are granted, those that have arrived included. */
  grantLong(wireBytes: number): void {
    this.#longBytes += wireBytes
    this.#ownCountBytes += wireBytes
  }

  /**
   * The application has taken a long frame that was granted as a whole, so nothing is granted for it again.
   * @param roundTripMs as in {@link take}
   * @returns bytes of the Credit to send now: the window grows for long frames too. 0 for none
   */
  takeLong(wireBytes: number, nowMs: number, roundTripMs: number | null): number {
    this.#longBytes -= wireBytes
    const growthBytes = this.#growth(wireBytes, nowMs, roundTripMs)
    this.#lastRefillAtMs = nowMs
    this.#windowBytes += growthBytes
    this.#ownCountBytes += growthBytes
    return growthBytes
  }

  /**
   * Doubles while the reader keeps up, as far as 4 MiB and the budget allow. Never shrinks.
   * @param bytes taken since the last Credit; in proportion half a window may have taken two round trips
   */
  #growth(bytes: number, nowMs: number, roundTripMs: number | null): number {
    const lastMs = this.#lastRefillAtMs
    if (lastMs === null || roundTripMs === null) return 0
    const halfTookMs = ((nowMs - lastMs) * this.#windowBytes) / 2 / bytes
    if (halfTookMs > roundTripsPerHalf * roundTripMs) return 0
    const growthBytes = Math.min(this.#windowBytes, grownWindowBytesMax - this.#windowBytes)
    return growthBytes > 0 && this.#mayGrow(growthBytes) ? growthBytes : 0
  }
}

function checkedBalance(bytes: number): number {
  if (bytes > windowBytesMax)
    throw new ProtocolError('ERR_CREDIT_OVERFLOW', `A balance of ${bytes} bytes was granted; it is at most 2^31 - 1.`)
  return bytes
}
