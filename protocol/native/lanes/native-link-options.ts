/**
 * Owns: what a native link is made of, and what it reports besides its hooks.
 * Independent of: how a link works (../link/native-link.ts).
 */
import type { SetupFrame } from '../../../codec/setup-frames.ts'
import type { SpareMemory } from '../../../codec/spare-memory.ts'
import type { KeepAliveOptions } from '../epoch/keep-alive.ts'
import type { LinkEpoch } from '../epoch/link-epoch.ts'
import type { ReceivingLane } from './receiving-lane.ts'
import type { SendingLane } from './sending-lane.ts'
import type { OutboxOptions } from './native-outbox.ts'
import type { LinkUse } from '../../link-core.ts'
import type { LinkFigures } from '../../link-figures.ts'
import type { LinkStreams } from '../../streams.ts'
import type { OutcomeCounts, ResetReason } from '../epoch/outcomes.ts'

/** Called at once, also while no actor has the link. */
export interface LinkWitness {
  /**
   * All lanes of the link ended; the counts are those of all their values. `said`: the reason in the peer's Goodbye.
   */
  onReset(reason: ResetReason, outcomes: OutcomeCounts, said: string): void
  /** Another process with the key of this side is connected to the peer. */
  onDuplicate(): void
  /** The clock of this side went back. Its hellos to this peer have a later boot id from now on. */
  onClockBehind(): void
}

/** The set-up of sessions, as one link sees it. Called at once, also while no actor has the link. */
export interface LinkSetup {
  /** A frame of the set-up lane. Throws ProtocolError. */
  onFrame(frame: SetupFrame): void
  /** A hello was adopted. */
  onUp(): void
  /** The epoch has ended, and the lanes of the link end after this call. */
  onReset(): void
}

export interface NativeLinkOptions extends OutboxOptions {
  readonly linkIndex: number
  readonly epoch: LinkEpoch
  readonly laneWindowBytes: number
  readonly maxMessageLengthBytes: number
  /** The longest body of a message, request or answer that is sent or taken. */
  readonly messageBytesMax: number
  /** Streams that the peer may have open at once on the link. */
  readonly streamsMax: number
  /** Opens and Resets of streams that the peer may send on the link in a second. */
  readonly streamOpensPerSecond: number
  readonly keepAlive: KeepAliveOptions
  /**
   * Memory for values that span chunks, reused and shared by the links of a node. Without it each link has a little of
   * its own.
   */
  readonly spares?: SpareMemory
  readonly witness?: LinkWitness
  /** Without it frames of the set-up lane are dropped. */
  readonly setup?: LinkSetup
}

type LaneBalances = Pick<SendingLane, 'credit'> & Pick<ReceivingLane, 'window'>

/** The figures of a link, with those of its lanes and of what it holds for retransmission. */
export function figuresOf(
  retransmit: { readonly heldFrames: number; readonly heldBytes: number },
  sessions: { readonly all: Iterable<LaneBalances>; readonly size: number },
  own: Omit<LinkFigures, 'replay' | 'credit' | 'lanes'>,
): LinkFigures {
  const replay = { frames: retransmit.heldFrames, bytes: retransmit.heldBytes }
  return { ...own, replay, credit: creditOf(sessions.all), lanes: sessions.size }
}

/** @param busy sessions, and values that wait to be sent */
export function useOf(
  { carriedFrames }: { readonly carriedFrames: number },
  epoch: LinkEpoch,
  busy: number,
  { streams, exchange }: { readonly streams: LinkStreams; readonly exchange: { readonly isIdle: boolean } | null },
): LinkUse {
  const isIdle = busy + streams.openedHere + streams.openedByPeer === 0 && exchange?.isIdle !== false
  return { isIdle, carriedFrames, isKeptByPeer: epoch.peerKeepsIdle }
}

export function creditOf(lanes: Iterable<LaneBalances>): LinkFigures['credit'] {
  let sendableBytes = 0
  let receivableBytes = 0
  let windowBytes = 0
  let unreadBytes = 0
  for (const { credit, window } of lanes) {
    sendableBytes += credit.balanceBytes
    receivableBytes += window.ownCountBytes
    windowBytes += window.windowBytes
    unreadBytes += window.unreadBytes
  }
  return { sendableBytes, receivableBytes, windowBytes, unreadBytes }
}
