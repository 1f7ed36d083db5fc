/**
 * Owns: mutants in counting, acknowledgement, retransmission, and in the end of a link.
 * Independent of: how they are found.
 */
import { readUint32 } from '../../../codec/frame-length.ts'
import { NativeFrameReader } from '../../../codec/native-frame-reader.ts'
import { controlLane } from '../../../codec/native-frames.ts'
import { AckSchedule } from '../../../protocol/native/epoch/ack-schedule.ts'
import { GoodbyeExchange } from '../../../protocol/native/epoch/goodbye.ts'
import { KeepAlive } from '../../../protocol/native/epoch/keep-alive.ts'
import { LinkEpoch } from '../../../protocol/native/epoch/link-epoch.ts'
import { LinkUpkeep } from '../../../protocol/native/link/link-upkeep.ts'
import { NativeLink } from '../../../protocol/native/link/native-link.ts'
import { NativeOutbox } from '../../../protocol/native/lanes/native-outbox.ts'
import { RetransmitBuffer } from '../../../protocol/native/epoch/retransmit-buffer.ts'
import { replace, replaceGetter } from './plant.ts'
import type { Mutant } from './plant.ts'

/** The private state of a reader that holds the beginning of a frame. */
interface HalfRead {
  readonly header: Buffer
  readonly assembledEnd: number
  readonly sink: NativeLink
}

/** Counts a frame when its header is there; the rest may never arrive. */
function plantAckBeforeHandOver(): void {
  const countedAhead = new WeakSet<LinkEpoch>()
  replace(LinkEpoch, 'countFrame', (epoch, count, lengthBytes, nowMs) =>
    countedAhead.delete(epoch) ? false : count(lengthBytes, nowMs),
  )
  replace(NativeFrameReader, 'push', (reader, push, chunk) => {
    push(chunk)
    const { header, assembledEnd, sink } = reader as unknown as HalfRead
    if (assembledEnd < 5 || readUint32(header, 0) === controlLane || countedAhead.has(sink.epoch)) return
    sink.epoch.countFrame(0, 0)
    countedAhead.add(sink.epoch)
  })
  replace(NativeFrameReader, 'reset', (reader, reset) => {
    countedAhead.delete((reader as unknown as HalfRead).sink.epoch)
    reset()
  })
}

export const countingMutants: Readonly<Record<string, Mutant>> = {
  'ack-before-hand-over': { sentence: 'A frame is counted when it begins to arrive.', plant: plantAckBeforeHandOver },
  'no-ack-when-idle': {
    sentence: 'An Ack is sent for many frames only, never for a few after a while.',
    plant: () => {
      replaceGetter(AckSchedule, 'dueAtMs', () => null)
      replace(AckSchedule, 'isWorthSending', () => false)
    },
  },
  'window-trimmed-too-far': {
    sentence: 'An Ack lets go of one frame more than it acknowledges.',
    plant: () =>
      replace(RetransmitBuffer, 'ack', (window, ack, received) =>
        ack(received > window.first && received < window.next ? received + 1 : received),
      ),
  },
  'partial-frame-kept': {
    sentence: 'Half a frame of the old connection stays in front of the new one.',
    plant: () => replace(NativeFrameReader, 'reset', () => {}),
  },
  'control-frames-counted': {
    sentence: 'Frames of the control lane count like others.',
    plant: () =>
      replace(NativeLink, 'onFrame', (state, onFrame, laneId, ...rest) => {
        const isFree = onFrame(laneId, ...rest)
        if (laneId === controlLane) state.epoch.countFrame(0, 0)
        return isFree
      }),
  },
  'outcomes-off-by-one': {
    sentence: 'One frame that is held is left out when outcomes are counted.',
    plant: () =>
      replace(RetransmitBuffer, 'forEachHeld', (window, forEach, visit) =>
        forEach((sequence, ...frame) => {
          if (sequence > window.first) visit(sequence, ...frame)
        }),
      ),
  },
  'no-last-ack': {
    sentence: 'The last Ack, before the FIN, is left out.',
    plant: () => replace(NativeLink, 'finalAck', () => Buffer.alloc(0)),
  },
  'goodbye-taken-for-a-break': {
    sentence: 'A Goodbye ends a connection, and not the link.',
    plant: () => replaceGetter(GoodbyeExchange, 'isEnding', () => false),
  },
  'goodbye-not-answered': {
    sentence: 'A Goodbye is heard and not answered.',
    plant: () =>
      replace(LinkEpoch, 'receiveGoodbye', (_, hear, goodbye) => {
        const step = hear(goodbye)
        return step === 'answer' ? 'finish' : step
      }),
  },
  'keep-alive-deaf': {
    sentence: 'Bytes that arrive are no sign of life.',
    plant: () => replace(KeepAlive, 'received', () => false),
  },
  'keep-alive-mute': {
    sentence: 'No Ping is sent in an idle time.',
    plant: () => replace(LinkUpkeep, 'ping', () => {}),
  },
  'waiting-not-woken': {
    sentence: 'Senders that wait for a connection are not woken by one.',
    plant: () => {
      let isFlowing = false
      replace(NativeOutbox, 'flow', (_, flow) => {
        isFlowing = true
        flow()
        isFlowing = false
      })
      replace(NativeOutbox, 'sendWaiting', (_, send) => {
        if (!isFlowing) send()
      })
    },
  },
  'ack-wakes-no-sender': {
    sentence: 'Senders that wait for room in the replay window are not woken by an Ack.',
    plant: () => {
      let isAcking = false
      replace(LinkUpkeep, 'onControl', (_, onControl, ...args) => {
        isAcking = true
        onControl(...args)
        isAcking = false
      })
      replace(NativeOutbox, 'sendWaiting', (_, send) => {
        if (!isAcking) send()
      })
    },
  },
}
