/**
 * Owns: how the parts of a native link are made and connected, and which handler serves which kind of lane.
 * Independent of: what the parts do.
 */
import { StatewireError } from '../../../codec/errors.ts'
import { SpareMemory } from '../../../codec/spare-memory.ts'
import type { KeptViews } from '../../kept-views.ts'
import type { Lane } from '../../lane.ts'
import type { LinkCounters, LinkHooks } from '../../link-core.ts'
import { compareKeys } from '../handshake/hello-checks.ts'
import { FloodGuard } from '../lanes/flood-guard.ts'
import { leastPiecesBytes, LongFrames, slownessPeriodMs } from '../lanes/long-frames.ts'
import { LaneTable } from '../lanes/lane-kind.ts'
import type { NativeLane } from '../lanes/native-lane.ts'
import type { NativeLinkOptions } from '../lanes/native-link-options.ts'
import { NativeOutbox } from '../lanes/native-outbox.ts'
import { SessionFrames } from '../lanes/session-frames.ts'
import { SessionLanes } from '../lanes/session-lanes.ts'
import { UnservedLanes } from '../lanes/unserved.ts'
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
    onTooSlow: (lane) => sessions.refuse(lane as NativeLane, tooSlow(lane.id), 'time-out'),
    onDue: () => hooks().requestTimer(),
  })
  const frames = new SessionFrames(sessions, { counters, kept, credit, longFrames, onHandlerFailed })
  const unserved = new UnservedLanes((frame) => outbox.writeOwn(frame), {
    guard,
    counters,
    isPeerGreater: compareKeys(epoch.peerKey, epoch.ownKey) > 0,
    maxMessageLengthBytes: options.maxMessageLengthBytes,
  })
  const table = new LaneTable({
    session: frames,
    setup: new SetupLane(options.setup, guard),
    messages: unserved,
    requests: unserved,
    responses: unserved,
    stream: unserved,
    unassigned: unserved,
    control: new ControlLane(upkeep),
  })
  return { sessions, table, outbox, upkeep, guard, longFrames }
}

function tooSlow(laneId: number): StatewireError {
  return new StatewireError(
    'ERR_LONG_VALUE_TOO_SLOW',
    `a long value arrived on session ${laneId} with less than ${leastPiecesBytes} bytes in ${slownessPeriodMs} ms, ` +
      'while others waited for its memory: send it over a faster link, or raise memoryBudgetBytes',
  )
}
