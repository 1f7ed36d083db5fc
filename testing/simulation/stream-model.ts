/**
 * Owns: what both sides of every stream wrote, got and were told, and the violations.
 * Independent of: networks and time. Why a link may end: judge.ts.
 */
import { StreamLostError } from '../../protocol/native/streams/stream-lost-error.ts'
import type { ByteCounts, StreamReset } from '../../protocol/streams.ts'
import type { Stream } from '../../actors/streams/stream.ts'
import { StreamError } from '../../actors/streams/stream-error.ts'
import type { CloseReason } from '../../actors/streams/stream-error.ts'
import type { ResetReason } from '../../protocol/native/epoch/outcomes.ts'
import { isValueAt, wrongPlace } from './stream-bytes.ts'
import type { Model } from './model.ts'

/** `plain` has no question: what its opener writes begins with the number. `few` serves two at once. */
export type StreamProtocol = 'plain' | 'asked' | 'few' | 'values' | 'nobody'

/** How an opening ended for its opener. Null: not yet, or its process has died. */
export type Opened = 'accepted' | 'refused' | 'failed'

/** One end of a stream. Bytes, or values of a channel, are its units. */
export class StreamSide {
  readonly owner: string
  readonly peer: string
  /** Null for an acceptor whose handler has not run. */
  stream: Pick<Stream, 'bytesRead' | 'bytesWritten' | 'facts'> | null = null
  /** Units that its application has written, accepted or not. */
  written = 0
  hasEnded = false
  got = 0
  ends = 0
  errors = 0
  /** What its application did to end it early. */
  readonly resets: StreamReset[] = []
  closed: CloseReason | null = null
  /** What became of its bytes, if it was lost with its link. */
  lost: ByteCounts | null = null

  constructor(owner: string, peer: string) {
    this.owner = owner
    this.peer = peer
  }
}

export class SimulatedStream {
  readonly number: number
  readonly protocol: StreamProtocol
  /** It stays open when all is written. */
  readonly isKept: boolean
  readonly sides: readonly [opener: StreamSide, acceptor: StreamSide]
  opened: Opened | null = null
  /** What `permit` said; null before, or if there is none. */
  decision: 'yes' | StreamReset | null = null
  isAsked = false

  constructor(number: number, protocol: StreamProtocol, isKept: boolean, from: string, to: string) {
    this.number = number
    this.protocol = protocol
    this.isKept = isKept
    this.sides = [new StreamSide(from, to), new StreamSide(to, from)]
  }

  get isNumbered(): boolean {
    return this.protocol === 'plain'
  }

  /** Every unit that was written has been read, in both directions. */
  get isQuiet(): boolean {
    const [opener, acceptor] = this.sides
    return opener.got === acceptor.written && acceptor.got === opener.written
  }
}

export interface StreamTally {
  streams: number
  streamsRefused: number
  streamsFailed: number
  streamsFinished: number
  streamsReset: number
  streamsLost: number
}

export interface LossJudge {
  /** The link of these two may end for that reason. */
  isExplained(reset: {
    readonly node: string
    readonly peer: string
    readonly link: number
    readonly reason: ResetReason
  }): boolean
  /** This party stopped, or has left that peer. */
  hasLeft(node: string, peer: string): boolean
  /** Another process with the key of one of them may have answered. */
  hasTwin(node: string, peer: string): boolean
  readonly isGoodbyeClean: boolean
}

export class StreamModel {
  readonly streams: SimulatedStream[] = []
  readonly #model: Model
  readonly #judge: () => LossJudge

  constructor(model: Model, judge: () => LossJudge) {
    this.#model = model
    this.#judge = judge
  }

  begin(protocol: StreamProtocol, isKept: boolean, from: string, to: string): SimulatedStream {
    const stream = new SimulatedStream(this.streams.length, protocol, isKept, from, to)
    this.streams.push(stream)
    return stream
  }

  /** @returns the stream with that number, if it was opened for this owner under this protocol */
  find(owner: string, protocol: StreamProtocol, number: number | null): SimulatedStream | null {
    const stream = number === null ? undefined : this.streams[number]
    if (stream?.sides[1].owner === owner && stream.protocol === protocol) return stream
    this.#model.breach('wrong', `${owner} got a stream '${protocol}' that nobody opened like that`)
    return null
  }

  // Opening.

  asked(stream: SimulatedStream): void {
    if (stream.isAsked) this.#model.breach('duplicated', `${nameOf(stream)}: permit was asked twice`)
    stream.isAsked = true
  }

  /** The handler of the acceptor has it. @param context what it was given */
  served(stream: SimulatedStream, end: NonNullable<StreamSide['stream']>, context: unknown): void {
    const [, acceptor] = stream.sides
    if (acceptor.stream !== null) this.#model.breach('duplicated', `${nameOf(stream)}: its handler ran twice`)
    acceptor.stream = end
    if (stream.protocol === 'asked' && stream.decision !== 'yes')
      this.#model.breach('wrong', `${nameOf(stream)}: its handler ran, and permit had not said yes`)
    if (context !== undefined && context !== stream.number)
      this.#model.breach('wrong', `${nameOf(stream)}: its handler got the context of another stream`)
    if (stream.opened === 'refused')
      this.#model.breach('wrong', `${nameOf(stream)}: its opener was refused, and its handler ran`)
  }

  accepted(stream: SimulatedStream, end: NonNullable<StreamSide['stream']>): void {
    stream.opened = 'accepted'
    stream.sides[0].stream = end
    if (stream.protocol === 'nobody' || (stream.protocol === 'asked' && stream.decision !== 'yes'))
      this.#model.breach('wrong', `${nameOf(stream)}: it was accepted, and nobody had permitted it`)
  }

  /** `getStream` failed. @param mayBeFull the plan explains that the peer takes no more */
  notOpened(stream: SimulatedStream, error: StreamError, mayBeFull: boolean): void {
    const { decision, protocol, sides } = stream
    const { owner, peer } = sides[0]
    const { by, code, message } = error
    stream.opened = by === 'peer' ? 'refused' : 'failed'
    if (by === 'network') return this.#checkLoss(stream, 0, error)
    if (by !== 'peer' || this.#judge().hasTwin(owner, peer)) return
    if (sides[1].stream !== null)
      this.#model.breach('wrong', `${nameOf(stream)}: its opener was refused, and its handler had run`)
    const isRight =
      code === 'ERR_NO_PROTOCOL'
        ? protocol === 'nobody'
        : code === 'ERR_STREAM_OVERLOADED'
          ? protocol === 'few' || mayBeFull
          : code === 'ERR_TIMED_OUT'
            ? protocol === 'asked' && decision === null
            : this.#judge().hasLeft(peer, owner) || isSame(decision, error)
    if (!isRight) this.#model.breach('wrong', `${nameOf(stream)} was refused without a cause: ${message}`)
  }

  // Bytes and values.

  got(stream: SimulatedStream, index: 0 | 1, unit: unknown): void {
    const { number, isNumbered, sides } = stream
    const side = sides[index]
    const far = sides[1 - index]!
    const from = (1 - index) as 0 | 1
    const count = unit instanceof Buffer ? unit.length : 1
    const what = `${nameOf(stream)} to ${side.owner}`
    if (side.ends > 0) this.#model.breach('wrong', `${what}: something came after the end`)
    const isRight =
      unit instanceof Buffer
        ? wrongPlace(unit, number, from, side.got, isNumbered && from === 0) === null
        : isValueAt(unit, number, from, side.got)
    if (!isRight) this.#model.breach('wrong', `${what}: after ${side.got} of them came something else`)
    side.got += count
    if (side.got > far.written)
      this.#model.breach('wrong', `${what}: ${side.got} were read, and ${far.written} written`)
  }

  ended(stream: SimulatedStream, index: 0 | 1): void {
    const side = stream.sides[index]
    const far = stream.sides[1 - index]!
    const what = `${nameOf(stream)} to ${side.owner}`
    side.ends += 1
    if (side.ends > 1) this.#model.breach('duplicated', `${what} ended twice`)
    if (!far.hasEnded) this.#model.breach('wrong', `${what} ended, and the other side had not`)
    else if (side.got !== far.written)
      this.#model.breach('lost', `${what} ended after ${side.got} of ${far.written} that were written`)
  }

  // The end.

  failed(stream: SimulatedStream, index: 0 | 1, error: Error): void {
    const side = stream.sides[index]
    const what = `${nameOf(stream)} at ${side.owner}`
    side.errors += 1
    if (side.errors > 1) this.#model.breach('duplicated', `${what} failed twice: ${error.message}`)
    if (side.resets.length > 0) {
      const isOwn = side.resets.some(({ reason }) => reason === error.message)
      // A write may fail first at a party that leaves.
      if (!isOwn && !this.#judge().hasLeft(side.owner, side.peer))
        this.#model.breach('wrong', `${what}: it was ended here, and fails with: ${error.message}`)
      return
    }
    if (!(error instanceof StreamError))
      return this.#model.breach('wrong', `${what} failed with ${error.name}: ${error.message}`)
    if (error.bytes !== null) this.#lost(stream, index, error.bytes)
    if (error.by === 'network') this.#checkLoss(stream, index, error)
    else if (error.by === 'peer') this.#checkReset(stream, index, error)
    else if (!this.#judge().hasLeft(side.owner, side.peer))
      this.#model.breach('wrong', `${what} failed, and its application had done nothing: ${error.message}`)
  }

  #checkReset(stream: SimulatedStream, index: 0 | 1, { streamErrorCode, reason }: StreamError): void {
    const { owner } = stream.sides[index]
    const far = stream.sides[1 - index]!
    // A party that shuts down ends streams on which something waits to be sent.
    if (far.stream === null || this.#judge().hasLeft(far.owner, far.peer)) return
    if (!far.resets.some((reset) => isSame(reset, { streamErrorCode, reason })))
      this.#model.breach(
        'wrong',
        `${nameOf(stream)} at ${owner}: the peer reset it with ${streamErrorCode ?? 'no code'}, '${reason}', and its ` +
          `application with ${JSON.stringify(far.resets)}`,
      )
  }

  #checkLoss(stream: SimulatedStream, index: 0 | 1, error: StreamError): void {
    const { owner, peer, stream: end } = stream.sides[index]
    const reason = error.cause instanceof StreamLostError ? error.cause.reason : 'internal-error'
    if (!this.#judge().isExplained({ node: owner, peer, link: end?.facts().link ?? 1, reason }))
      this.#model.breach('reset', `${nameOf(stream)} at ${owner} was lost (${reason}) without a cause`)
  }

  #lost(stream: SimulatedStream, index: 0 | 1, bytes: ByteCounts): void {
    const side = stream.sides[index]
    side.lost = bytes
    const { acked, unknown, notSent } = bytes
    const sum = acked + unknown + notSent
    const what = `${nameOf(stream)} at ${side.owner}`
    const writtenBytes = side.stream?.bytesWritten ?? 0
    if (sum < writtenBytes || Math.min(acked, unknown, notSent) < 0)
      this.#model.breach('wrong', `${what}: ${writtenBytes} bytes were written, and counted are ${describe(bytes)}`)
    if (this.#judge().isGoodbyeClean && unknown > 0)
      this.#model.breach('wrong', `${what}: ${unknown} bytes are unknown after a Goodbye on a sound connection`)
    this.#checkDelivered(stream, index)
  }

  /** What is called delivered has arrived, and what is called not sent has not. */
  #checkDelivered(stream: SimulatedStream, index: 0 | 1): void {
    const { owner, lost } = stream.sides[index]
    const far = stream.sides[1 - index]!
    if (lost === null || far.stream === null) return
    const { bytesRead } = far.stream
    // What arrives at a side that has ended the stream is dropped.
    const isDropped = far.resets.length > 0 || far.closed?.by === 'self'
    if ((bytesRead < lost.acked && !isDropped) || bytesRead > lost.acked + lost.unknown)
      this.#model.breach(
        bytesRead < lost.acked ? 'lost' : 'wrong',
        `${nameOf(stream)} at ${owner}: it was lost with ${describe(lost)}, and ${bytesRead} bytes had arrived`,
      )
  }

  closed(stream: SimulatedStream, index: 0 | 1, reason: CloseReason): void {
    const side = stream.sides[index]
    const far = stream.sides[1 - index]!
    side.closed = reason
    const { how, by, code } = reason
    const what = `${nameOf(stream)} at ${side.owner}`
    if (how === 'finished') {
      if (!side.hasEnded || !far.hasEnded)
        this.#model.breach('wrong', `${what} is finished, and one side had not ended it`)
    } else if (how === 'reset' && by === 'peer')
      this.#checkReset(stream, index, { streamErrorCode: code, reason: reason.reason } as StreamError)
    else if (side.resets.length === 0 && by === 'self' && !this.#judge().hasLeft(side.owner, side.peer))
      this.#model.breach('wrong', `${what}: this side ended it (${how}, ${reason.reason}), and nobody had asked for it`)
  }

  /** Its last event. */
  over(stream: SimulatedStream, index: 0 | 1): void {
    const side = stream.sides[index]
    if (side.closed?.how === 'finished' && side.resets.length === 0 && side.ends !== 1)
      this.#model.breach('lost', `${nameOf(stream)} at ${side.owner} is finished, and its end was not read`)
  }

  /** Nothing more can happen. */
  conclude(): void {
    for (const stream of this.streams) for (const index of [0, 1] as const) this.#checkDelivered(stream, index)
  }

  get tally(): StreamTally {
    const sides = this.streams.map(({ sides: [opener] }) => opener.closed?.how)
    const count = (how: string): number => sides.filter((one) => one === how).length
    return {
      streams: this.streams.length,
      streamsRefused: this.streams.filter(({ opened }) => opened === 'refused').length,
      streamsFailed: this.streams.filter(({ opened }) => opened === 'failed').length,
      streamsFinished: count('finished'),
      streamsReset: count('reset'),
      streamsLost: count('lost'),
    }
  }
}

function nameOf({ number, protocol, sides: [opener] }: SimulatedStream): string {
  return `stream ${number} '${protocol}' from ${opener.owner} to ${opener.peer}`
}

function describe({ acked, unknown, notSent }: ByteCounts): string {
  return `${acked} delivered, ${unknown} unknown and ${notSent} not sent`
}

function isSame(
  reset: StreamReset | 'yes' | null,
  { streamErrorCode, reason }: { readonly streamErrorCode: number | null; readonly reason: string },
): boolean {
  return reset !== null && reset !== 'yes' && reset.code === streamErrorCode && reset.reason === reason
}
