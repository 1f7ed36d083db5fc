/**
 * Owns: one session lane of the native dialect: its credit in both directions, what waits to be sent on it, its
 * outcomes.
 * Independent of: frames and sockets; other lanes.
 */
import { StatewireError } from '../../../codec/errors.ts'
import { Deque } from '../../deque.ts'
import { Lane } from '../../lane.ts'
import type { LaneOwner } from '../../lane.ts'
import { ReceiveWindow, SendCredit } from './credit.ts'
import type { ReceivingLane } from './receiving-lane.ts'
import type { PendingSend, SendingLane } from './sending-lane.ts'
import type { LaneMemory } from '../memory/lane-memory.ts'
import type { OutcomeCounts, ResetReason } from '../epoch/outcomes.ts'

const endings: Readonly<Record<ResetReason, string>> = {
  goodbye: 'one of the two sides shut down',
  'peer-restarted': 'the peer has restarted',
  expired: 'the connection could not be resumed in time',
  'protocol-error': 'one of the two sides broke the protocol',
  'internal-error': 'an internal error occurred, which is a bug',
}

/** The link could not be resumed: its lanes end, and every value sent on this one has an outcome. */
export class LinkResetError extends StatewireError {
  readonly reason: ResetReason
  /** In the order the values were sent: the acknowledged, then the unknown, then the not sent. */
  readonly outcomes: OutcomeCounts
  /** A Goodbye that lost nothing: each `send` that waits reports its own value as not sent. */
  readonly isOrderly: boolean
  /** @param waiting values that were not accepted yet, among `outcomes.notSent` */
  constructor(peer: string, reason: ResetReason, outcomes: OutcomeCounts, waiting = 0) {
    super(
      'ERR_LINK_RESET',
      `the session with ${peer} has ended: ${endings[reason]}. Of the values sent on it, ${outcomes.acked} were ` +
        `acknowledged, ${outcomes.unknown} may have arrived, and ${outcomes.notSent} were not sent`,
    )
    this.reason = reason
    this.outcomes = outcomes
    this.isOrderly = reason === 'goodbye' && outcomes.unknown + outcomes.notSent === waiting
  }
}

export class NativeLane extends Lane implements SendingLane, ReceivingLane {
  readonly credit = new SendCredit(0)
  /** The peer must not send before this side's first Credit is sent. */
  readonly window: ReceiveWindow
  /** What the window, and a value longer than it, hold of the memory budget. */
  readonly memory: LaneMemory
  readonly waiting = new Deque<PendingSend>()
  /** Values encoded since the lane began. */
  encoded = 0
  /** Which frame of the link its last value was; see NativeOutbox.ackedFrames. */
  lastFrame = 0
  /**
   * Why values of the lane may have been dropped although they were acknowledged: the peer had ended the session
   * before.
   */
  cutOff: Error | null = null
  /** The peer has made the session too: its first Credit arrived. */
  isOpened = false
  /** Resolves when it has, rejects with the reason why it will not. */
  readonly whenOpened: Promise<void>
  #settleOpened: { resolve(): void; reject(error: Error): void } = { resolve() {}, reject() {} }

  constructor(id: number, owner: LaneOwner, memory: LaneMemory) {
    super(id, owner)
    this.memory = memory
    this.window = new ReceiveWindow({ windowBytes: 0, mayGrow: memory.grow })
    this.whenOpened = new Promise((resolve, reject) => (this.#settleOpened = { resolve, reject }))
    // Often not awaited when a lane ends.
    this.whenOpened.catch(() => {})
  }

  opened(): void {
    if (this.isOpened) return
    this.isOpened = true
    this.#settleOpened.resolve()
  }

  override close(error: Error): void {
    super.close(error)
    this.#settleOpened.reject(error)
  }
}
