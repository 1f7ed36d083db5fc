/**
 * Owns: an outbox whose bytes a test takes, and a reading of frames that is independent of the code under test.
 * Independent of: receiving, sockets, clocks.
 */
import { SpareMemory, type BytesValue } from '../../codec/index.ts'
import { pieceLengthBytesMax } from '../../codec/native-frames.ts'
import { noopHooks } from '../../protocol/link-core.ts'
import { LinkEpoch } from '../../protocol/native/epoch/link-epoch.ts'
import { PeerProcesses } from '../../protocol/native/handshake/peer-processes.ts'
import { NativeLane } from '../../protocol/native/lanes/native-lane.ts'
import { NativeOutbox } from '../../protocol/native/lanes/native-outbox.ts'
import { LaneMemory } from '../../protocol/native/memory/lane-memory.ts'
import { NodeMemory, type LinkMemory } from '../../protocol/native/memory/node-memory.ts'

export const piece = pieceLengthBytesMax

/** Reads frames from bytes without the code under test: lane, descriptor, and the u32 length of values and Pieces. */
export function framesIn(bytes: Buffer): { lane: number; descriptor: number; body: Buffer; end: number }[] {
  const found = []
  for (let at = 0; at + 9 <= bytes.length;) {
    const end = at + 9 + (bytes[at + 4] === 0x34 ? 0 : bytes.readUInt32LE(at + 5))
    if (end > bytes.length) break
    found.push({ lane: bytes.readUInt32LE(at), descriptor: bytes[at + 4]!, body: bytes.subarray(at + 9, end), end })
    at = end
  }
  return found
}

export function filled(lengthBytes: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(lengthBytes)
  for (let at = 0; at < lengthBytes; at++) bytes[at] = at * 31 + (at >>> 12) + seed
  return bytes
}

export function bytesOf(lengthBytes: number, seed = 1): BytesValue {
  return { type: 'Bytes', value: filled(lengthBytes, seed) }
}

export interface Scene {
  readonly outbox: NativeOutbox
  readonly epoch: LinkEpoch
  readonly lanes: readonly NativeLane[]
  readonly spares: SpareMemory
  readonly memory: LinkMemory
  /** What was handed over since the last call. */
  take(): Buffer
}

export function open(options: { lanes?: number; creditBytes?: number; replayWindowBytes?: number } = {}): Scene {
  const { lanes = 2, creditBytes = 1 << 30, replayWindowBytes = 4 << 20 } = options
  let drawn = 0n
  const epoch = new LinkEpoch({
    linkIndex: 0,
    ownKey: Buffer.alloc(32, 1),
    peerKey: Buffer.alloc(32, 2),
    processes: new PeerProcesses(1n),
    drawEpoch: () => (drawn += 1n),
    limits: {
      maxMessageLengthBytes: 1 << 24,
      laneWindowBytes: 65_536,
      resumeTimeoutMs: 1000,
      links: 1,
      replayWindowBytes,
      streamsMax: 1024,
    },
  })
  const memory = new NodeMemory().open()
  const counters = { valuesSent: 0, bytesSent: 0, valuesReceived: 0, bytesReceived: 0, framesDropped: 0 }
  const written: Buffer[] = []
  const spares = new SpareMemory(1 << 22)
  const outbox = new NativeOutbox(
    {
      peer: 'bob',
      memory,
      arenas: spares,
      sendQueueBytesMax: 1e9,
      sendQueueValuesMax: 1e6,
      nowMs: () => 0,
    },
    epoch,
    counters,
    () => ({ ...noopHooks, flushNow: () => void written.push(...outbox.takeBatch()) }),
  )
  const own = Array.from({ length: lanes }, (_, id) => {
    const first = { windowBytes: 0, creditBytes }
    return new NativeLane(id, { onTaken() {}, onUnread() {} }, new LaneMemory(memory, 0), first)
  })
  const take = (): Buffer => Buffer.concat([...written.splice(0), ...outbox.takeBatch()])
  outbox.flow()
  return { outbox, epoch, lanes: own, spares, memory, take }
}
