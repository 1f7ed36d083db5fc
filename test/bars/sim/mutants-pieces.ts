/**
 * Owns: mutants of long frames: cutting, reservations, their credit, their outcomes.
 * Independent of: how they are found.
 */
import { nativeDescriptors } from '../../../codec/native-frames.ts'
import { RetransmitBuffer } from '../../../protocol/native/epoch/retransmit-buffer.ts'
import { ReceiveWindow } from '../../../protocol/native/lanes/credit.ts'
import { LongFrame } from '../../../protocol/native/lanes/long-frame.ts'
import { LongFrames } from '../../../protocol/native/lanes/long-frames.ts'
import type { ReceivingLane } from '../../../protocol/native/lanes/receiving-lane.ts'
import { LinkMemory } from '../../../protocol/native/memory/node-memory.ts'
import { replace, replaceGetter } from './plant.ts'
import type { Mutant } from './plant.ts'

const pieceBytes = 65_536

export const piecesMutants: Readonly<Record<string, Mutant>> = {
  'long-value-acked-by-its-first-piece': {
    sentence: 'A value in Pieces counts as acknowledged although its last Piece is not.',
    plant: () =>
      replace(RetransmitBuffer, 'forEachHeld', (_, forEach, visit) =>
        forEach((sequence, lane, descriptor, endsValue, lengthBytes) =>
          visit(sequence, lane, descriptor, endsValue && descriptor !== nativeDescriptors.Piece, lengthBytes),
        ),
      ),
  },
  'credit-of-long-frame-granted-again': {
    sentence: 'When a long frame is taken, the Credit of its reservation is granted once more.',
    plant: () => replace(ReceiveWindow, 'takeLong', (_, take, bytes, ...rest) => take(bytes, ...rest) + bytes),
  },
  'credit-of-long-frame-not-granted': {
    sentence: 'A reservation grants no Credit at this side.',
    plant: () => replace(ReceiveWindow, 'grantLong', () => {}),
  },
  'reservation-not-released': {
    sentence: 'The reservation of a long frame is kept after it was taken.',
    plant: () => replace(LinkMemory, 'releaseLongFrame', () => {}),
  },
  'second-reservation': {
    sentence: 'A long frame gets its reservation while the one before it is not taken.',
    plant: () =>
      replace(LongFrames, 'piece', (_, piece, lane, kind, bytes) => {
        if (lane.longArriving === null) lane.longReserved = null
        return piece(lane, kind, bytes)
      }),
  },
  'long-frame-whole-too-early': {
    sentence: 'A long frame is delivered without its last Piece.',
    plant: () =>
      replaceGetter(LongFrame, 'isWhole', ({ arrivedBytes, lengthBytes }) => arrivedBytes + pieceBytes >= lengthBytes),
  },
  'long-frame-dropped-with-connection': {
    sentence: 'What has arrived of a long frame is dropped when the connection ends.',
    plant: () => {
      const lanes = new WeakMap<LongFrames, Set<ReceivingLane>>()
      replace(LongFrames, 'piece', (frames, piece, lane, kind, bytes) => {
        const known = lanes.get(frames) ?? new Set()
        lanes.set(frames, known.add(lane))
        return piece(lane, kind, bytes)
      })
      replace(LongFrames, 'connectionEnds', (frames, ends) => {
        for (const lane of lanes.get(frames) ?? []) lane.longArriving = null
        ends()
      })
    },
  },
}
