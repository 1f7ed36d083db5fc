/**
 * Owns: mutants in streams and channels: lost and misplaced bytes, ends and resets, places, credit, and openings.
 * Independent of: how they are found.
 */
import { AcceptedStreams } from '../../../actors/streams/accepted-streams.ts'
import { Channel } from '../../../actors/streams/channel.ts'
import { PeerOpenings } from '../../../actors/streams/stream-manager.ts'
import { StreamWriter } from '../../../actors/streams/stream-writer.ts'
import { Stream } from '../../../actors/streams/stream.ts'
import { descriptors } from '../../../codec/constants.ts'
import { NativeLink } from '../../../protocol/native/link/native-link.ts'
import { StreamLanes } from '../../../protocol/native/streams/stream-lanes.ts'
import { StreamPlaces } from '../../../protocol/native/streams/stream-places.ts'
import { replace } from './plant.ts'
import type { Mutant } from './plant.ts'

/** The first bytes of a stream after a resume are counted, and not handed over. */
function plantFrameLostOnResume(): void {
  const resumed = new WeakSet<StreamLanes>()
  replace(NativeLink, 'established', (link, establish, agreed) => {
    const replay = establish(agreed)
    if (link.lastVerdict === 'RESUME') resumed.add(link.streams)
    return replay
  })
  replace(StreamLanes, 'onFrame', (lanes, onFrame, lane, descriptor, ...rest) =>
    descriptor === descriptors.Bytes && resumed.delete(lanes) ? false : onFrame(lane, descriptor, ...rest),
  )
}

/** The last chunk of a stream waits for the next one, or for the end, which overtakes it. */
function plantEndBeforeLastBytes(): void {
  const held = new WeakMap<Stream, Buffer>()
  replace(Stream, 'onBytes', (stream, onBytes, bytes) => {
    const last = held.get(stream)
    held.set(stream, bytes)
    if (last !== undefined) onBytes(last)
  })
}

/** The window of a stream that is reset here stays reserved. */
function plantWindowKeptAtReset(): void {
  replace(StreamLanes, 'reset', (_, reset, lane, why) => {
    const { memory } = lane
    if (!lane.isOver && lane.id !== 0) memory.end = () => {}
    reset(lane, why)
  })
}

export const streamMutants: Readonly<Record<string, Mutant>> = {
  'stream-frame-lost-on-resume': {
    sentence: 'After a resume the first bytes of a stream are not handed over.',
    plant: plantFrameLostOnResume,
  },
  'stream-end-before-last-bytes': {
    sentence: 'The end of a stream is reported before its last bytes.',
    plant: plantEndBeforeLastBytes,
  },
  'stream-window-kept-at-reset': {
    sentence: 'The memory of the window of a stream that is reset stays reserved.',
    plant: plantWindowKeptAtReset,
  },
  'stream-credit-forgotten': {
    sentence: 'What was read of a stream in several frames is not given back as credit.',
    plant: () =>
      replace(StreamLanes, 'taken', (_, taken, lane, lengthBytes, frames) => {
        if (frames < 2) taken(lane, lengthBytes, frames)
      }),
  },
  'stream-delivered-too-high': {
    sentence: 'After a reset of the link all bytes that were sent count as delivered.',
    plant: () =>
      replace(Stream, 'onLost', (_, onLost, error, { acked, unknown, notSent }) =>
        onLost(error, { acked: acked + unknown, unknown: 0, notSent }),
      ),
  },
  'stream-permitted-after-accept': {
    sentence: 'A stream is accepted before its permission is decided.',
    plant: () =>
      replace(AcceptedStreams, 'open', (_, open, peer, link, pool, port, opening) => {
        port.accept()
        return open(peer, link, pool, port, opening)
      }),
  },
  'stream-permit-not-asked': {
    sentence: 'Every stream of a protocol that is served is accepted.',
    plant: () =>
      replace(AcceptedStreams, 'add', (_, add, protocol, handler, options, isReserved) =>
        add(protocol, handler, { ...options, permit: undefined }, isReserved),
      ),
  },
  'stream-place-kept': {
    sentence: 'The place of every fourth stream is not given to the next one.',
    plant: () => {
      let ends = 0
      replace(StreamPlaces, 'ended', (places, ended) => {
        if (++ends % 4 === 0) places.open++
        ended()
      })
    },
  },
  'stream-reset-code-forgotten': {
    sentence: 'A Reset does not carry the code of the application.',
    plant: () => replace(StreamLanes, 'reset', (_, reset, lane, { reason }) => reset(lane, { code: 0, reason })),
  },
  'stream-late-opening-kept': {
    sentence: 'A stream that is not opened in time fails only if the connection does.',
    plant: () => replace(PeerOpenings, 'late', () => {}),
  },
  'stream-waits-forgotten': {
    sentence: 'A write that waits when its stream is destroyed is not settled.',
    plant: () => replace(StreamWriter, 'close', () => {}),
  },
  'stream-loss-not-told': {
    sentence: 'A stream that ends with its link is not told.',
    plant: () => replace(Stream, 'onLost', () => {}),
  },
  'channel-value-twice': {
    sentence: 'A channel delivers some values twice.',
    plant: () => {
      let values = 0
      replace(Channel, 'push', (_, push, value) => {
        if (++values % 9 === 0 && value !== null) push(value)
        return push(value)
      })
    },
  },
}
