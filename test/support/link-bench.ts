/**
 * Owns: a AmpcLink with hooks that record their calls, and what its tests need to make and read frames.
 * Independent of: what any single test is about.
 */
import { encodeFrame, FrameReader } from '../../codec/index.ts'
import type { NetworkValue } from '../../codec/index.ts'
import { ampcDialect, AmpcLink } from '../../protocol/index.ts'
import type { Lane, LinkHooks, LinkLimits } from '../../protocol/index.ts'

export const smallLimits: LinkLimits = {
  maxMessageLengthBytes: 1 << 20,
  receiveQueueBytesMax: 1000,
  sendQueueBytesMax: 1000,
  sendQueueValuesMax: 4,
  earlyBytesMax: 500,
}

/** The cost of each waiting or unread value on top of its bytes. */
export const overheadBytes = 64

export const bytes = (length: number, fill = 1): NetworkValue => ({
  type: 'Bytes',
  value: new Uint8Array(length).fill(fill),
})
export const number = (value: number): NetworkValue => ({ type: 'RingElement32', value })

export class LinkBench {
  readonly state: AmpcLink
  readonly calls: string[] = []
  readonly failures: unknown[] = []

  constructor(limits: Partial<LinkLimits> = {}) {
    const all = { ...smallLimits, ...limits }
    this.state = new AmpcLink(ampcDialect.sessions(all.maxMessageLengthBytes), all)
    const note = (word: string) => () => void this.calls.push(word)
    const hooks: LinkHooks = {
      requestFlush: note('flush requested'),
      flushNow: note('flush now'),
      onReceiveRoom: note('room'),
      onHandlerFailed: (lane, error) => {
        this.failures.push(error)
        this.calls.push(`handler of ${lane.id} failed`)
      },
      requestTimer: () => undefined,
      onGoodbye: () => undefined,
      onBroken: (error) => {
        this.failures.push(error)
        this.calls.push('broken')
      },
    }
    this.state.setHooks(hooks)
  }

  /** A frame as the reader delivers it. @returns whether its memory may be reused */
  arrive(laneId: number, value: NetworkValue): boolean {
    const frame = encodeFrame(laneId, value)
    const wasFull = this.state.isReceiveFull
    const isFree = this.state.onFrame(laneId, frame[4] as number, frame, 5, frame.length)
    if (!wasFull && this.state.isReceiveFull) this.calls.push('full')
    return isFree
  }

  /** Queues a value; the outcome is recorded. */
  wait(lane: Lane, value: NetworkValue): { outcome: string; error: unknown; withdraw: () => boolean } {
    const waiting = { outcome: 'waits', error: null as unknown, withdraw: () => false }
    waiting.withdraw = this.state.waitToSend(
      lane,
      value,
      () => (waiting.outcome = 'sent'),
      (error) => {
        waiting.outcome = 'failed'
        waiting.error = error
      },
    )
    return waiting
  }

  /** What a socket would be given now, as (lane, first four body bytes as a number). */
  takeFrames(): string[] {
    const frames: string[] = []
    const reader = new FrameReader(
      { maxMessageLengthBytes: 1 << 26 },
      { onFrame: (lane, _descriptor, buffer, start) => frames.push(`${lane}: ${buffer.readUInt32LE(start)}`) > 0 },
    )
    for (const buffer of this.state.takeBatch()) reader.push(buffer)
    return frames
  }
}
