/**
 * Owns: the two forwarder actors of a link, one for each direction.
 * Independent of: sessions, values, peers.
 *
 * Values never pass through the chart (machines/forwarder.ts). It only gets `blocked` and `drained`, because a
 * transition costs ten times as much as a value.
 */
import { forwarderActions, forwarderMachine } from '../../machines/forwarder.ts'
import type { ForwarderEvent, ForwarderFacts } from '../../machines/forwarder.ts'
import type { DeadlineName } from '../../machines/chart.ts'
import type { AnyActorRef } from '../../machines/xstate.ts'
import type { FrameSource } from '../../protocol/dialect.ts'
import type { LinkCore, LinkReceiving, LinkSending } from '../../protocol/link-core.ts'
import { ProtocolError } from '../../codec/errors.ts'
import { bodyOf, chartActor } from '../statechart/chart-actor.ts'
import type { ActorPort, Body, ChartLogic } from '../statechart/chart-actor.ts'
import type { Pipe } from '../base/pipe.ts'
import type { LinkContext } from './link-context.ts'
import type { LinkWrites, WriteScheduler } from './write-scheduler.ts'

export interface ForwarderInput {
  readonly context: LinkContext
  readonly direction: 'out' | 'in'
  readonly state: LinkCore
}

interface OutPumpEvents {
  onBlocked(): void
  onDrained(): void
  onBroken(error: ProtocolError): void
  onCrashed(error: unknown): void
}

/** Writes the frames of a tick in one write. */
export class OutPump implements LinkWrites {
  readonly #state: LinkSending
  readonly #scheduler: WriteScheduler
  readonly #onBlocked: () => void
  readonly #onDrained: () => void
  readonly #onBroken: (error: ProtocolError) => void
  readonly #onCrashed: (error: unknown) => void
  #pipe: Pipe | null = null
  /** Written before any frame of the link. */
  #first: readonly Buffer[] = []
  /** True while a chunk is being read: replies are written when it ends, so no flush is requested. */
  #isHeld = false
  #heldAtBytes = 0
  #isRequested = false
  #ackPending = false
  #isBlocked = false

  constructor(state: LinkSending, scheduler: WriteScheduler, events: OutPumpEvents) {
    this.#state = state
    this.#scheduler = scheduler
    this.#onBlocked = events.onBlocked
    this.#onDrained = events.onDrained
    this.#onBroken = events.onBroken
    this.#onCrashed = events.onCrashed
  }

  /**
   * Starts writing to the pipe, before any actor is notified of the connection.
   * @param first written before everything else, in the same write
   */
  attach(pipe: Pipe, first: readonly Buffer[] = []): void {
    this.#pipe = pipe
    this.#first = first
    this.#isBlocked = false
    this.#flow()
  }

  detach(): void {
    this.#pipe = null
    this.#first = []
    this.#state.block()
  }

  /**
   * Life of a byte 3/12: the write batch is written at the end of this tick, or with those of many other links
   * slightly later.
   */
  requestFlush(): void {
    if (this.#isRequested || this.#isHeld) return
    this.#isRequested = true
    this.#scheduler.requestBatch(this)
  }

  chunkBegins(): void {
    this.#isHeld = true
    this.#heldAtBytes = this.pendingBytes
  }

  chunkEnds(): void {
    this.#isHeld = false
  }

  /**
   * A write batch that is held back stays held if the chunk added nothing to it. Otherwise each incoming Ack would
   * flush it.
   */
  flushReplies(): void {
    if (!this.#isRequested || this.pendingBytes !== this.#heldAtBytes) this.flush()
  }

  get pendingBytes(): number {
    return this.#pipe === null ? 0 : this.#state.outbound.pendingBytes
  }

  writeBatch(): void {
    this.#isRequested = false
    this.flush()
  }

  /**
   * Delays a standalone ack until everything that is readable in this tick has been read. TLS splits one socket read
   * into up to four records; an ack for each would be a needless write and read at each end.
   */
  requestDueAck(): void {
    if (this.#ackPending || !this.isAckDue) return
    this.#ackPending = true
    this.#scheduler.requestAck(this)
  }

  get isAckDue(): boolean {
    return this.#state.outbound.isAckDue
  }

  writeAck(): void {
    this.#ackPending = false
    if (this.isAckDue) this.#write()
  }

  /**
   * Life of a byte 5/12: one write, before any actor is notified.
   * @param isLast nothing follows, so it does not wait for a blocked pipe
   */
  flush(isLast = false): void {
    if (this.#state.outbound.hasPending || this.#first.length > 0) this.#write(isLast)
  }

  #write(isLast = false): void {
    const pipe = this.#pipe
    // While blocked, nothing is added to the pipe's queue. It would grow without bound if the peer does not read.
    if (pipe === null || (this.#isBlocked && !isLast)) return
    try {
      if (pipe.write(this.#take())) return
    } catch (error) {
      return this.#fail(error)
    }
    this.#block()
  }

  #fail(error: unknown): void {
    // A peer that never acknowledges is detected here, when the retransmit buffer is full.
    if (error instanceof ProtocolError) this.#onBroken(error)
    else this.#onCrashed(error)
  }

  #take(): Buffer[] {
    const batch = this.#state.takeBatch()
    const first = this.#first
    if (first.length === 0) return batch
    this.#first = []
    return [...first, ...batch]
  }

  #block(): void {
    this.#state.block()
    if (this.#isBlocked) return
    this.#isBlocked = true
    this.#onBlocked()
  }

  readonly drained = (): void => {
    if (this.#pipe === null || !this.#isBlocked) return
    this.#isBlocked = false
    this.#onDrained()
    this.#flow()
  }

  #flow(): void {
    try {
      this.#state.flow()
    } catch (error) {
      return this.#fail(error)
    }
    this.flush()
    this.requestDueAck()
  }

  /** Calls back when everything sent so far has been passed to the kernel. */
  whenFlushed(callback: (error: Error | null) => void): void {
    const pipe = this.#pipe
    if (pipe === null) return callback(new Error('there is no connection'))
    const batch = this.#take()
    if (!pipe.write(batch.length === 0 ? [Buffer.alloc(0)] : batch, callback)) this.#block()
  }
}

interface InPumpEvents extends OutPumpEvents {
  onStarted(): void
}

/** Cuts chunks from the socket into frames for the link's lanes. */
export class InPump {
  readonly #state: LinkReceiving
  readonly #source: FrameSource
  /** The outbound pump of the same link. Replies to a chunk are written together when the chunk ends. */
  replies: OutPump | null = null
  readonly #onBlocked: () => void
  readonly #onDrained: () => void
  readonly #onStarted: () => void
  readonly #onBroken: (error: ProtocolError) => void
  readonly #onCrashed: (error: unknown) => void
  #pipe: Pipe | null = null
  #started = false
  #isPaused = false

  constructor(state: LinkReceiving, events: InPumpEvents) {
    this.#state = state
    this.#source = state.createReader()
    this.#onBlocked = events.onBlocked
    this.#onDrained = events.onDrained
    this.#onStarted = events.onStarted
    this.#onBroken = events.onBroken
    this.#onCrashed = events.onCrashed
  }

  attach(pipe: Pipe, rest: Buffer): void {
    this.#pipe = pipe
    this.#started = false
    this.#source.reset()
    this.#isPaused = false
    if (rest.length > 0) this.bytes(rest)
    this.#isPaused = this.#state.isReceiveFull
    if (this.#isPaused) this.#pipe?.pause()
    else this.#pipe?.resume()
  }

  detach(): void {
    this.#pipe = null
  }

  /** The link holds too many unread values. Not reading lets TCP slow down the sender. */
  #pauseIfFull(): void {
    if (this.#pipe === null || this.#isPaused || !this.#state.isReceiveFull) return
    this.#isPaused = true
    this.#pipe.pause()
    this.#onBlocked()
  }

  resume(): void {
    if (this.#pipe === null || !this.#isPaused) return
    this.#isPaused = false
    this.#pipe.resume()
    this.#onDrained()
  }

  /**
   * Life of a byte 9/12: frames are parsed in place. Replies of handlers leave together when the chunk ends.
   */
  readonly bytes = (chunk: Buffer): void => {
    if (this.#pipe === null) return
    const replies = this.replies
    replies?.chunkBegins()
    try {
      this.#state.kept.begin(chunk)
      this.#state.chunkBegins(chunk.length)
      this.#source.push(chunk)
      this.#state.chunkEnds?.()
    } catch (error) {
      this.#pipe?.pause()
      if (error instanceof ProtocolError) this.#onBroken(error)
      else this.#onCrashed(error)
      return
    } finally {
      this.#state.kept.settle()
      replies?.chunkEnds()
    }
    this.#pauseIfFull()
    replies?.flushReplies()
    replies?.requestDueAck()
    if (this.#started) return
    this.#started = true
    this.#onStarted()
  }
}

export class ForwarderBody implements Body {
  readonly pump: OutPump | InPump

  constructor(input: ForwarderInput, port: ActorPort<ForwarderEvent>) {
    this.pump = input.direction === 'out' ? createOutPump(input, port) : createInPump(input, port)
  }

  facts(): ForwarderFacts {
    return { direction: this.pump instanceof OutPump ? 'out' : 'in' }
  }

  deadlineMs(deadline: DeadlineName): number {
    throw new Error(`a forwarder has no deadline ${deadline}`)
  }

  dispose(): void {
    this.pump.detach()
  }

  /** Ends this actor with the error, so that its link restarts it like any failed child. */
  crash(event: { error: unknown }): never {
    throw event.error
  }
}

export function outPumpOf(ref: AnyActorRef): OutPump | undefined {
  const pump = (bodyOf(ref) as ForwarderBody | undefined)?.pump
  return pump instanceof OutPump ? pump : undefined
}

export function inPumpOf(ref: AnyActorRef): InPump | undefined {
  const pump = (bodyOf(ref) as ForwarderBody | undefined)?.pump
  return pump instanceof InPump ? pump : undefined
}

export const forwarder: ChartLogic<ForwarderInput> = chartActor<ForwarderInput, ForwarderBody, ForwarderEvent>({
  machine: forwarderMachine,
  host: (input) => input.context,
  body: ForwarderBody,
  actions: forwarderActions,
})

function createOutPump(input: ForwarderInput, port: ActorPort<ForwarderEvent>): OutPump {
  return new OutPump(input.state, input.context.writes, {
    onBlocked: () => port.send({ type: 'pump.blocked' }),
    onDrained: () => port.send({ type: 'pump.drained' }),
    onBroken: (error) => port.tell({ type: 'pump.failed', cause: { code: error.code, message: error.message } }),
    onCrashed: (error) => port.send({ type: 'pump.crashed', error }),
  })
}

function createInPump(input: ForwarderInput, port: ActorPort<ForwarderEvent>): InPump {
  return new InPump(input.state, {
    onBlocked: () => port.send({ type: 'pump.blocked' }),
    onDrained: () => port.send({ type: 'pump.drained' }),
    onStarted: () => port.tell({ type: 'pump.started' }),
    onBroken: (error) => port.tell({ type: 'pump.failed', cause: { code: error.code, message: error.message } }),
    onCrashed: (error) => port.send({ type: 'pump.crashed', error }),
  })
}
