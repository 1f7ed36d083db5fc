/**
 * Owns: how the parts of a native link are made and connected, and which handler serves which kind of lane.
 * Independent of: what the parts do.
 */
import { ProtocolError, StatewireError } from '../../../codec/errors.ts'
import { SpareMemory } from '../../../codec/spare-memory.ts'
import type { KeptViews } from '../../kept-views.ts'
import type { Lane } from '../../lane.ts'
import type { LinkCounters, LinkHooks } from '../../link-core.ts'
import { compareKeys } from '../handshake/hello-checks.ts'
import { FloodGuard } from '../lanes/flood-guard.ts'
import { leastPiecesBytes, LongFrames, slownessPeriodMs } from '../lanes/long-frames.ts'
import { LaneTable } from '../lanes/lane-kind.ts'
import { NativeLane } from '../lanes/native-lane.ts'
import type { NativeLinkOptions } from '../lanes/native-link-options.ts'
import { NativeOutbox } from '../lanes/native-outbox.ts'
import { SessionFrames } from '../lanes/session-frames.ts'
import { SessionLanes } from '../lanes/session-lanes.ts'
import { LinkExchange } from '../messages/link-exchange.ts'
import { StreamLanes } from '../streams/stream-lanes.ts'
import { ControlLane } from './control-lane.ts'
import { LinkUpkeep } from './link-upkeep.ts'
import { SetupLane } from './setup-lane.ts'

interface LinkShared {
  readonly counters: LinkCounters
  readonly kept: KeptViews
  /** The hooks that are set now. */
  readonly hooks: () => LinkHooks
}

export interface LinkParts {
  readonly sessions: SessionLanes
  readonly table: LaneTable
  readonly outbox: NativeOutbox
  readonly upkeep: LinkUpkeep
  readonly guard: FloodGuard
  readonly longFrames: LongFrames
  readonly streams: StreamLanes
  /** On link 0. */
  readonly exchange: LinkExchange | null
}

export function createLinkParts(options: NativeLinkOptions, { counters, kept, hooks }: LinkShared): LinkParts {
  const { epoch, memory, nowMs } = options
  const onHandlerFailed = (lane: Lane, error: unknown): void => hooks().onHandlerFailed(lane, error)
  const roundTrip = {
    shortestMs: () => upkeep.roundTrip?.minMs ?? null,
    measure: (atMs: number) => upkeep.measure(atMs),
  }
  const outbox = new NativeOutbox({ ...options, roundTrip }, epoch, counters, hooks)
  const guard = new FloodGuard({ carriedFrames: () => table.carriedFrames + outbox.innerPiecesSent }, nowMs())
  const upkeep = new LinkUpkeep(options.keepAlive, epoch, outbox, guard, hooks)
  const sessions = new SessionLanes(options, outbox, upkeep, guard, {
    onTaken: (lane, lengthBytes) => frames.taken(lane, lengthBytes),
    onUnread: (unread) => kept.add(unread),
    onEnded: (lane) => longFrames.laneEnded(lane),
    onHandlerRejected: onHandlerFailed,
  })
  const credit = {
    nowMs,
    roundTripMs: () => upkeep.roundTripMs,
    measure: (atMs: number) => upkeep.measure(atMs),
    writeOwn: (frame: Buffer) => outbox.writeOwn(frame),
  }
  const longFrames = new LongFrames({
    memory,
    spares: options.spares ?? new SpareMemory(0),
    maxMessageLengthBytes: options.maxMessageLengthBytes,
    credit,
    onTooSlow: (lane) => {
      if (lane instanceof NativeLane) sessions.refuse(lane, tooSlow(lane.id), 'time-out')
      else hooks().onBroken(new ProtocolError('ERR_LONG_VALUE_TOO_SLOW', tooSlow(lane.id).message))
    },
    onDue: () => hooks().requestTimer(),
  })
  const frames = new SessionFrames(sessions, { counters, kept, credit, longFrames, onHandlerFailed })
  const streams = new StreamLanes({
    peer: options.peer,
    outbox,
    memory,
    credit,
    guard,
    counters,
    kept,
    isPeerGreater: compareKeys(epoch.peerKey, epoch.ownKey) > 0,
    windowBytes: options.laneWindowBytes,
    streamsMax: options.streamsMax,
    opensPerSecond: options.streamOpensPerSecond,
    peerStreamsMax: () => epoch.peerStreamsMax,
    isUp: () => epoch.isUp,
    acks: upkeep,
  })
  const exchange =
    options.linkIndex === 0
      ? new LinkExchange({
          peer: options.peer,
          outbox,
          memory,
          credit,
          longFrames,
          guard,
          counters,
          maxMessageLengthBytes: options.maxMessageLengthBytes,
          messageBytesMax: options.messageBytesMax,
          isUp: () => epoch.isUp,
        })
      : null
  const table = new LaneTable({
    session: frames,
    setup: new SetupLane(options.setup, guard),
    // The frame reader refuses these three on other links.
    messages: exchange ?? streams,
    requests: exchange ?? streams,
    responses: exchange ?? streams,
    stream: streams,
    // The frame reader refuses them on every link.
    unassigned: streams,
    control: new ControlLane(upkeep),
  })
  return { sessions, table, outbox, upkeep, guard, longFrames, exchange, streams }
}

function tooSlow(laneId: number): StatewireError {
  return new StatewireError(
    'ERR_LONG_VALUE_TOO_SLOW',
    `a long value arrived on lane ${laneId} with less than ${leastPiecesBytes} bytes in ${slownessPeriodMs} ms, ` +
      'while others waited for its memory: send it over a faster link, or raise memoryBudgetBytes',
  )
}
