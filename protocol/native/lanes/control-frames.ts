/**
 * Owns: the control frames that are sent with the next write batch of a native link: Ping, Pong and Ack.
 * Independent of: when a batch is sent, and what is in it.
 */
import { encodeAck, encodePong } from '../../../codec/native-frames.ts'
import type { LinkEpoch } from '../epoch/link-epoch.ts'

export class ControlFrames {
  readonly #epoch: LinkEpoch
  #ping: Buffer | null = null
  /**
   * The echo of the newest Ping. One answer serves all Pings that wait, so a peer that pings and never reads fills no
   * queue.
   */
  #pongEcho: bigint | null = null
  isAckDue = false

  constructor(epoch: LinkEpoch) {
    this.#epoch = epoch
  }

  /** A Ping or a Pong: an Ack that is due waits for the end of the tick. */
  get isPending(): boolean {
    return this.#ping !== null || this.#pongEcho !== null
  }

  /** Only the newest is needed. */
  ping(frame: Buffer): void {
    this.#ping = frame
  }

  pong(echo: bigint): void {
    this.#pongEcho = echo
  }

  take(nowMs: number): Buffer[] {
    const frames: Buffer[] = []
    // A Pong is an Ack, so it carries the current count: a lower number after a higher one would break the protocol.
    if (this.#pongEcho !== null) frames.push(encodePong(this.#pongEcho, this.#epoch.received))
    else if (this.isAckDue || this.#epoch.acks.isWorthSending(nowMs)) frames.push(encodeAck(this.#epoch.received))
    if (frames.length > 0) this.#epoch.acks.sent()
    if (this.#ping !== null) frames.push(this.#ping)
    this.forget()
    return frames
  }

  /** There is a new connection, or none: frames for the old one are dropped. */
  forget(): void {
    this.#ping = this.#pongEcho = null
    this.isAckDue = false
  }
}
