/**
 * Owns: the charts of the streams with one peer. A stream has no XState actor of its own; its chart runs in a pool.
 * Independent of: how streams are opened and accepted.
 */
import { streamActions, streamMachine } from '../../machines/stream.ts'
import type { StreamEvent } from '../../machines/stream.ts'
import type { DeadlineName } from '../../machines/chart.ts'
import type { TimerWheel } from '../base/timer-wheel.ts'
import { ChartPool, PoolMember } from '../statechart/chart-pool.ts'
import { Stream } from './stream.ts'
import type { StreamOptions } from './stream-options.ts'
import type { StreamHost } from './stream.ts'

export class StreamMember extends PoolMember {
  readonly stream: Stream
  /** Unique among the streams with its peer. */
  readonly number: number
  readonly #openTimeoutMs: number
  readonly #closeTimeoutMs: number
  readonly #onLate: () => void

  constructor(stream: Stream, number: number, openTimeoutMs: number, closeTimeoutMs: number, onLate: () => void) {
    super()
    this.stream = stream
    this.number = number
    this.#openTimeoutMs = openTimeoutMs
    this.#closeTimeoutMs = closeTimeoutMs
    this.#onLate = onLate
  }

  override facts(): object {
    return this.stream.facts()
  }

  override figures(): object {
    const { bytesRead, bytesWritten } = this.stream
    return { bytesRead, bytesWritten }
  }

  override deadlineMs(deadline: DeadlineName): number {
    return deadline === 'streamOpenTimeoutMs' ? this.#openTimeoutMs : this.#closeTimeoutMs
  }

  override dispose(): void {}

  /** It was not accepted, or not decided, in time. */
  giveUp(): void {
    this.#onLate()
  }

  /** It has failed, and the application does not read what had arrived. */
  giveUpReading(): void {
    this.stream.giveUpReading()
  }
}

export interface StreamPoolOptions {
  readonly wheel: TimerWheel
  readonly closeTimeoutMs: number
  readonly onFailed: (stream: Stream, error: unknown) => void
}

export class StreamPool implements StreamHost {
  readonly wheel: TimerWheel
  readonly charts: ChartPool<StreamMember>
  readonly #options: StreamPoolOptions
  readonly #members = new WeakMap<Stream, StreamMember>()
  #made = 0

  constructor(options: StreamPoolOptions) {
    this.#options = options
    this.wheel = options.wheel
    this.charts = new ChartPool<StreamMember>({
      machine: streamMachine,
      wheel: options.wheel,
      member: StreamMember,
      actions: streamActions,
      onError: ({ stream }, error) => options.onFailed(stream, error),
    })
  }

  /** @param onLate called when it is not open within `openTimeoutMs` */
  create(options: StreamOptions, openTimeoutMs: number, onLate: (stream: Stream) => void): Stream {
    const stream = new Stream(this, options)
    const { closeTimeoutMs } = this.#options
    const member = new StreamMember(stream, this.#made++, openTimeoutMs, closeTimeoutMs, () => onLate(stream))
    this.#members.set(stream, member)
    this.charts.start(member)
    return stream
  }

  tell(stream: Stream, type: StreamEvent['type']): void {
    const member = this.#members.get(stream)
    if (member !== undefined) this.charts.send(member, { type })
  }

  onFailed(stream: Stream, error: unknown): void {
    this.#options.onFailed(stream, error)
  }
}
