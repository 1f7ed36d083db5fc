/**
 * Owns: assembling chunks of a byte stream into whole frames: buffering between chunks, stop and resume, and recovery
 * when a sink throws. Shared by both framings.
 * Independent of: the layout of a frame. A subclass measures and delivers.
 */
import { exactAssemblyLimitBytes } from './limits.ts'
import { SpareMemory } from './spare-memory.ts'
import { ProtocolError, StatewireError } from './errors.ts'

/** Receives the frames of one stream, in order. */
export interface FrameSink {
  /**
   * Receives one frame, whose body after the descriptor is `buffer[bodyStart, bodyEnd)`. If the frame lay whole within
   * one chunk, the buffer is that chunk and valid only as long as the chunk. If it spanned chunks, the buffer is the
   * reader's own and may be kept.
   * @returns true if nothing of the buffer is kept, so that the reader may reuse the memory of a frame that spanned
   *   chunks
   * @throws anything; it propagates out of `push` or `resume`, and the frame counts as delivered
   */
  onFrame(lane: number, descriptor: number, buffer: Buffer, bodyStart: number, bodyEnd: number): boolean
  /**
   * A frame with a length field does not lie whole in this chunk.
   * @throws ProtocolError if the frame could not be accepted anyway
   */
  mayBegin?(lane: number, descriptor: number): void
  /**
   * Native: memory for the bytes of a Piece that spans chunks, so that they are copied once. `onFrame` then gets that
   * memory, `bodyStart` is -4 (the length field before it is missing), and `bodyEnd` is its length.
   * @returns memory of exactly this length, or null: the reader then uses its own
   */
  placeFor?(lane: number, lengthBytes: number): Buffer | null
}

/** Returned by `measure` while the header is incomplete. */
export const lengthNotKnownYet = -1

/** The longest header of either framing: `measure` knows the length of a frame from this many bytes. */
const maxHeaderLengthBytes = 9

const nothing = Buffer.alloc(0)

/**
 * Bytes arrive in the order  assembled → chunk → waiting  and leave in the same order:
 *
 *     assembled[0 … assembledEnd)    the start of one frame that spans chunks; frameLength is its total length
 *     chunk[0 … frameStart)          delivered, or moved to `assembled`
 *     chunk[frameStart … length)     received, not delivered
 *     waiting                        chunks that arrived while delivery was stopped
 *
 * Three cursors and their invariants (checked by {@link FrameAssembler.invariants}):
 *   0 <= frameStart <= chunk.length
 *   0 <= assembledEnd, and below frameLength as soon as frameLength is known: a whole frame is never kept assembled
 *   assembledEnd <= assembled.length <= max(exactAssemblyLimitBytes, 4 × assembledEnd): new memory grows with what has
 *   arrived; only reused memory may be longer
 * when idle (not stopped, no failure, sink did not throw) the chunk is used up and nothing waits.
 */
export abstract class FrameAssembler {
  private chunk: Buffer = nothing
  private frameStart = 0
  /** Whether the current chunk is borrowed from the caller of `push`. */
  private isBorrowed = false
  private readonly header: Buffer = Buffer.alloc(maxHeaderLengthBytes)
  private assembled: Buffer | undefined = undefined
  private assembledEnd = 0
  private frameLength = lengthNotKnownYet
  /** The length of the header if `assembled` begins behind it, in memory that the sink gave. */
  private headerLeftOut = 0
  /** Memory for frames that span chunks, returned here if their sink kept nothing of it. */
  private readonly spares: SpareMemory
  /** The length of `assembled` if it is spare memory, which may be longer than what has arrived allows. */
  private spareLengthBytes = 0
  private readonly waiting: Buffer[] = []
  private waitingBytes = 0
  private stopped = false
  private running = false
  private failure: ProtocolError | undefined = undefined

  /** @param spares shared by several readers; default: one per reader */
  constructor(spares: SpareMemory = new SpareMemory(exactAssemblyLimitBytes)) {
    this.spares = spares
  }

  /**
   * Returns the length in bytes of the frame that begins at `buffer[start]` and has arrived up to `end`, or {@link
   * lengthNotKnownYet}. Must know it from 9 bytes. Applies the limits.
   * @throws ProtocolError
   */
  protected abstract measure(buffer: Buffer, start: number, end: number): number

  /**
   * Passes the whole frame `buffer[start, end)` to the sink.
   * @returns true if nothing of it is kept
   * @throws ProtocolError, or what the sink throws
   */
  protected abstract deliver(buffer: Buffer, start: number, end: number): boolean

  /** Memory for what follows the header of a frame that spans chunks. Undefined: the assembler's own. */
  protected placeFor(_header: Buffer, _frameLengthBytes: number): Buffer | undefined {
    return undefined
  }

  /** Passes on a frame whose bytes after the header are in `place`. */
  protected deliverPlaced(_header: Buffer, _place: Buffer): void {}

  /**
   * Takes the next chunk of the stream and delivers every frame that it completes. The chunk is borrowed for the call:
   * bytes that are not delivered by then are copied. Called from inside the sink, or while stopped, it only keeps a
   * copy.
   * @throws ProtocolError when the peer broke the framing, from then on at every call until {@link reset}
   * @throws whatever the sink throws, after which `resume()` continues with the next frame
   */
  push(chunk: Buffer): void {
    if (this.failure !== undefined) throw this.failure
    if (chunk.length === 0) return
    if (this.stopped || this.running || this.frameStart < this.chunk.length || this.waiting.length > 0) {
      this.waiting.push(Buffer.from(chunk))
      this.waitingBytes += chunk.length
      if (this.stopped || this.running) return
    } else {
      this.chunk = chunk
      this.frameStart = 0
      this.isBorrowed = true
    }
    this.run()
  }

  /** Stops delivering until {@link resume}. From inside the sink: the frame being delivered is the last one. */
  stop(): void {
    this.stopped = true
  }

  /** Continues with the buffered bytes, after `stop()` or after the sink threw. Throws as {@link push}. */
  resume(): void {
    this.stopped = false
    if (this.failure !== undefined) throw this.failure
    if (!this.running) this.run()
  }

  /** Whether {@link stop} was called and {@link resume} was not. */
  get isStopped(): boolean {
    return this.stopped
  }

  /** Bytes received and not yet delivered. */
  get bufferedBytes(): number {
    return this.assembledEnd + (this.chunk.length - this.frameStart) + this.waitingBytes
  }

  /** Bytes allocated for a frame that spans chunks; at most max(256 KiB, four times what of it has arrived). */
  get assemblyLengthBytes(): number {
    return this.assembled?.length ?? 0
  }

  /** Discards everything that was buffered, and a failure. The next byte pushed is the first of a new stream. */
  reset(): void {
    this.chunk = nothing
    this.frameStart = 0
    this.forgetAssembly()
    if (this.waiting.length > 0) this.waiting.length = 0
    this.waitingBytes = 0
    this.stopped = false
    this.failure = undefined
  }

  /**
   * Checks the invariants above. For tests and fuzzers; costs a few comparisons.
   * @throws StatewireError ERR_INTERNAL
   */
  invariants(): void {
    const assembled = this.assembled
    const waitingBytes = this.waiting.reduce((total, chunk) => total + chunk.length, 0)
    const broken: [boolean, string][] = [
      [this.frameStart < 0 || this.frameStart > this.chunk.length, 'frameStart outside the chunk'],
      [this.assembledEnd < 0, 'assembledEnd negative'],
      [
        this.frameLength !== lengthNotKnownYet && this.assembledEnd >= this.frameLength,
        'a whole frame is kept assembled',
      ],
      [assembled === undefined && this.assembledEnd > maxHeaderLengthBytes, 'header longer than 9 bytes'],
      [(assembled === undefined) !== (this.frameLength === lengthNotKnownYet), 'assembly without a known length'],
      [
        assembled !== undefined && this.assembledEnd - this.headerLeftOut > assembled.length,
        'assembledEnd outside the assembly',
      ],
      [
        this.assemblyLengthBytes > Math.max(exactAssemblyLimitBytes, this.spareLengthBytes, 4 * this.assembledEnd),
        'assembly far larger than what has arrived',
      ],
      [waitingBytes !== this.waitingBytes, 'waitingBytes wrong'],
    ]
    for (const [isBroken, what] of broken) {
      if (isBroken) throw new StatewireError('ERR_INTERNAL', `Invariant of the frame reader broken: ${what}.`)
    }
  }

  private run(): void {
    this.running = true
    try {
      while (!this.stopped) {
        if (this.frameStart === this.chunk.length && !this.nextChunk()) return
        if (this.assembledEnd > 0) this.assemble()
        else this.scan()
      }
    } finally {
      this.running = false
      if (this.isBorrowed) this.keepRest()
    }
  }

  /** Stopped or interrupted: the chunk returns to its owner, so the rest is copied. */
  private keepRest(): void {
    this.isBorrowed = false
    if (this.frameStart === this.chunk.length) return
    this.chunk = Buffer.from(this.chunk.subarray(this.frameStart))
    this.frameStart = 0
  }

  /**
   * Makes the first waiting chunk the current one. An idle assembler holds no chunk, or an idle connection would keep
   * 64 KiB.
   */
  private nextChunk(): boolean {
    const next = this.waiting.shift()
    this.chunk = next ?? nothing
    this.frameStart = 0
    if (next === undefined) return false
    this.waitingBytes -= next.length
    return true
  }

  /** Delivers the frames that lie whole in the chunk. Nothing is copied or allocated here. */
  private scan(): void {
    const chunk = this.chunk
    const end = chunk.length
    let start = this.frameStart
    do {
      const length = this.measureOrFail(chunk, start, end)
      if (length === lengthNotKnownYet || length > end - start) {
        this.assemble()
        return
      }
      const frameStart = start
      start += length
      // Before the call, so that a sink which throws, stops or resets finds the frame consumed.
      this.frameStart = start
      this.deliver(chunk, frameStart, start)
      // The second condition: the sink called reset().
      if (this.stopped || this.chunk !== chunk) return
    } while (start < end)
  }

  /**
   * Moves bytes from the chunk to the assembly of a frame that spans chunks: byte by byte until its header shows the
   * length, then at once. Each body byte is copied once up to 256 KiB. Memory for a longer frame starts with that and
   * grows fourfold, which copies at most a third of it again. Collecting the chunks instead would let a peer that sends
   * single bytes make this side hold a buffer object for each.
   */
  private assemble(): void {
    const chunk = this.chunk
    while (this.frameLength === lengthNotKnownYet) {
      if (this.frameStart === chunk.length) return
      this.header[this.assembledEnd] = chunk[this.frameStart]!
      this.assembledEnd += 1
      this.frameStart += 1
      const length = this.measureOrFail(this.header, 0, this.assembledEnd)
      if (length === lengthNotKnownYet) continue
      this.frameLength = length
      const place = this.placeFor(this.header, length)
      this.headerLeftOut = place === undefined ? 0 : this.assembledEnd
      this.assembled = place ?? this.begin(length)
      if (place === undefined) this.header.copy(this.assembled, 0, 0, this.assembledEnd)
    }
    const take = Math.min(this.frameLength - this.assembledEnd, chunk.length - this.frameStart)
    const assembled = this.roomFor(take)
    chunk.copy(assembled, this.assembledEnd - this.headerLeftOut, this.frameStart, this.frameStart + take)
    this.assembledEnd += take
    this.frameStart += take
    if (this.assembledEnd < this.frameLength) return
    const end = this.assembledEnd
    const isPlaced = this.headerLeftOut > 0
    this.forgetAssembly()
    if (isPlaced) this.deliverPlaced(this.header, assembled)
    else if (this.deliver(assembled, 0, end)) this.spares.give(assembled)
  }

  private begin(lengthBytes: number): Buffer {
    const spare = this.spares.take(lengthBytes)
    this.spareLengthBytes = spare?.length ?? 0
    return spare ?? Buffer.allocUnsafe(Math.min(lengthBytes, exactAssemblyLimitBytes))
  }

  private roomFor(lengthBytes: number): Buffer {
    const assembled = this.assembled ?? nothing
    const needed = this.assembledEnd + lengthBytes
    if (needed - this.headerLeftOut <= assembled.length) return assembled
    const grown = Buffer.allocUnsafe(Math.min(this.frameLength, 4 * needed))
    assembled.copy(grown, 0, 0, this.assembledEnd)
    this.assembled = grown
    return grown
  }

  private forgetAssembly(): void {
    this.assembled = undefined
    this.assembledEnd = 0
    this.headerLeftOut = 0
    this.frameLength = lengthNotKnownYet
  }

  /** A framing error is final: the start of the next frame is unknown. */
  private measureOrFail(buffer: Buffer, start: number, end: number): number {
    try {
      return this.measure(buffer, start, end)
    } catch (error) {
      if (error instanceof ProtocolError) this.failure = error
      throw error
    }
  }
}
