/**
 * Owns: frames for sessions that the peer has made and this side has not made yet, within limits.
 * Independent of: what is in them. They are decoded when their session exists.
 *
 * Needed only where one set of connections serves many session groups (mode `reconnect`): the peer may send its
 * validation of the next group before this side's call. Where each group has its own connections, its sessions exist
 * before the first byte.
 */
interface EarlyFrame {
  readonly descriptor: number
  readonly buffer: Buffer
}

const frameOverheadBytes = 64

export class EarlyFrames {
  /** Lanes below this id are not early: they have ended, or will never exist. */
  #from = Infinity
  readonly #bytesMax: number
  readonly #frames = new Map<number, EarlyFrame[]>()
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Nothing more fits: the pump stops reading until the sessions are made. */
  get isFull(): boolean {
    return this.#bytes >= this.#bytesMax
  }

  /**
   * Lanes from this id on are early. Frames kept for lanes below it can no longer be used.
   * @returns how many were dropped
   */
  expectFrom(laneId: number): number {
    this.#from = laneId
    let dropped = 0
    for (const id of this.#frames.keys()) if (id < laneId) dropped += this.take(id).length
    return dropped
  }

  /** @returns false if the lane is not early */
  keep(laneId: number, descriptor: number, buffer: Buffer, bodyStart: number, bodyEnd: number): boolean {
    if (laneId < this.#from) return false
    let frames = this.#frames.get(laneId)
    if (frames === undefined) this.#frames.set(laneId, (frames = []))
    // Copied: a view would hold the whole chunk until the session is made.
    frames.push({ descriptor, buffer: Buffer.from(buffer.subarray(bodyStart, bodyEnd)) })
    this.#bytes += bodyEnd - bodyStart + frameOverheadBytes
    return true
  }

  take(laneId: number): readonly EarlyFrame[] {
    const frames = this.#frames.get(laneId)
    if (frames === undefined) return []
    this.#frames.delete(laneId)
    for (const frame of frames) this.#bytes -= frame.buffer.length + frameOverheadBytes
    return frames
  }

  clear(): void {
    this.#frames.clear()
    this.#bytes = 0
  }
}
