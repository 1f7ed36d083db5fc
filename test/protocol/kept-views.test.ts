/**
 * Owns: that unread values hold about their own size in memory, whatever came in the same chunk; in both dialects,
 * through the pump that reads from a socket.
 * Independent of: credit and queues, which bound the bytes.
 */
import { describe, expect, it, test } from 'vitest'
import { InPump } from '../../actors/link/forwarder.ts'
import type { Pipe } from '../../actors/base/pipe.ts'
import { NativeRig } from '../bars/fuzz/native-rig.ts'
import { Trace } from '../bars/fuzz/target.ts'
import { encodeFrame } from '../../codec/index.ts'
import type { NetworkValue } from '../../codec/index.ts'
import { ampcDialect, AmpcLink } from '../../protocol/index.ts'
import type { Lane, LinkCore } from '../../protocol/index.ts'

const fillerLane = 7
const chunkBytes = 65_536

const views: readonly [string, NetworkValue][] = [
  ['Bytes', { type: 'Bytes', value: Buffer.from('ten bytes.') }],
  ['PrfKey', { type: 'PrfKey', value: Buffer.alloc(16, 3) }],
  ['VecRingBit', { type: 'VecRingBit', value: { bits: 9, packed: Uint8Array.of(0xff, 1) } }],
  [
    'NetworkVec',
    {
      type: 'NetworkVec',
      value: [
        { type: 'RingElement16', value: 1 },
        { type: 'Bytes', value: Buffer.from('in a list') },
        { type: 'VecRingBit', value: { bits: 3, packed: Uint8Array.of(5) } },
      ],
    },
  ],
]

interface Link {
  readonly state: LinkCore
  readonly lane: Lane
  /** This many bytes cost the sender no credit, because they are never read. */
  readonly filler: Buffer
}

function native(): Link {
  const rig = new NativeRig(new Trace())
  rig.connect()
  const [session, other] = rig.open(2)
  // Values read at once return their credit. Pings would work as well, but so many are a flood.
  other!.lane.setHandler(() => {})
  return {
    state: rig.state,
    lane: session!.lane,
    filler: encodeFrame(other!.lane.id, { type: 'RingElement32', value: 1 }),
  }
}

function ampc(): Link {
  const state = new AmpcLink(ampcDialect.sessions(chunkBytes), {
    maxMessageLengthBytes: chunkBytes,
    receiveQueueBytesMax: 1 << 26,
    sendQueueBytesMax: 1,
    sendQueueValuesMax: 1,
    earlyBytesMax: 1,
  })
  return { state, lane: state.openLane(0), filler: encodeFrame(fillerLane, { type: 'Bytes', value: Buffer.alloc(4) }) }
}

function pumpInto(state: LinkCore): InPump {
  const pump = new InPump(state, { onBlocked() {}, onDrained() {}, onStarted() {}, onBroken: fail, onCrashed: fail })
  pump.attach({ resume() {}, pause() {} } as Partial<Pipe> as Pipe, Buffer.alloc(0))
  return pump
}

function fail(error: unknown): never {
  throw error
}

/** A chunk with memory of its own, as read from a socket. */
function chunkOf(frame: Buffer, filler: Buffer): Buffer {
  const fillers = Math.floor((chunkBytes - frame.length) / filler.length)
  const chunk = Buffer.allocUnsafeSlow(frame.length + fillers * filler.length).fill(filler, frame.length)
  frame.copy(chunk)
  return chunk
}

function takeAll(lane: Lane): NetworkValue[] {
  const values: NetworkValue[] = []
  for (let value = lane.take(); value !== undefined; value = lane.take()) values.push(value)
  return values
}

function memoryOf(value: NetworkValue): ArrayBufferLike[] {
  if (value.type === 'Bytes' || value.type === 'PrfKey') return [value.value.buffer]
  if (value.type === 'VecRingBit') return [value.value.packed.buffer]
  return value.type === 'NetworkVec' ? value.value.flatMap(memoryOf) : []
}

const heldBytes = (values: readonly NetworkValue[]): number =>
  [...new Set(values.flatMap(memoryOf))].reduce((sum, memory) => sum + memory.byteLength, 0)

const dialects: readonly [string, () => Link][] = [
  ['native', native],
  ['ampc', ampc],
]

/** Like a socket: the memory of a chunk is reused for the next one. */
function pushBorrowed(pump: InPump, chunk: Buffer): void {
  pump.bytes(chunk)
  chunk.fill(0xee)
}

describe.each(dialects)('a borrowed chunk, %s:', (_dialect, create) => {
  const encoded = (value: NetworkValue): string => encodeFrame(0, value).toString('hex')

  test.each(views)('an unread %s keeps its content after the chunk is reused', (_type, value) => {
    const { state, lane } = create()
    const pump = pumpInto(state)
    for (let count = 0; count < 3; count++)
      pushBorrowed(pump, Buffer.concat([encodeFrame(0, value), encodeFrame(0, value)]))
    expect(takeAll(lane).map(encoded)).toEqual(Array.from({ length: 6 }, () => encoded(value)))
  })

  test.each(views)('a %s passed to a handler keeps its content after the chunk is reused', (_type, value) => {
    const { state, lane } = create()
    const given: NetworkValue[] = []
    lane.setHandler((each) => given.push(each))
    pushBorrowed(pumpInto(state), Buffer.concat([encodeFrame(0, value), encodeFrame(0, value)]))
    expect(given.map(encoded)).toEqual([encoded(value), encoded(value)])
    // One copy serves all values of a chunk.
    expect(new Set(given.flatMap(memoryOf)).size).toBe(1)
  })

  test.each(views)('a %s in a handler that borrows is a view of the chunk itself', (_type, value) => {
    const { state, lane } = create()
    const given: NetworkValue[] = []
    let text = ''
    lane.setHandler(
      (each) => {
        given.push(each)
        text = encoded(each)
      },
      { borrow: true },
    )
    const chunk = Buffer.concat([encodeFrame(0, value)])
    pushBorrowed(pumpInto(state), chunk)
    expect(text).toBe(encoded(value))
    expect([...new Set(given.flatMap(memoryOf))]).toEqual([chunk.buffer])
  })

  it('a value that spans chunks keeps its content, however it is cut', () => {
    const value: NetworkValue = { type: 'Bytes', value: Buffer.from('it spans chunks') }
    const frame = encodeFrame(0, value)
    for (let cut = 1; cut < frame.length; cut++) {
      const { state, lane } = create()
      const pump = pumpInto(state)
      pushBorrowed(pump, Buffer.from(frame.subarray(0, cut)))
      pushBorrowed(pump, Buffer.from(frame.subarray(cut)))
      expect(takeAll(lane).map(encoded)).toEqual([encoded(value)])
    }
  })
})

describe.each(dialects)('an unread lane, %s:', (_dialect, create) => {
  test.each(views)('an unread %s holds its own bytes and not the chunk they came in', (_type, value) => {
    const { state, lane, filler } = create()
    const pump = pumpInto(state)
    for (let count = 0; count < 20; count++) pump.bytes(chunkOf(encodeFrame(0, value), filler))
    const values = takeAll(lane)
    expect(values).toHaveLength(20)
    expect(values.map((each) => encodeFrame(0, each).toString('hex'))).toEqual(
      values.map(() => encodeFrame(0, value).toString('hex')),
    )
    expect(heldBytes(values)).toBeLessThan(20 * 64)
  })

  it('an unread lane holds a chunk that contains only its values without a copy', () => {
    const { state, lane } = create()
    const frame = encodeFrame(0, { type: 'Bytes', value: Buffer.alloc(1000, 4) })
    const chunk = chunkOf(frame, frame)
    pumpInto(state).bytes(chunk)
    const values = takeAll(lane)
    expect(new Set(values.flatMap(memoryOf)).size).toBe(1)
    expect(values.length).toBeGreaterThan(50)
    expect(heldBytes(values)).toBe(chunk.length)
  })

  it('an unread value that spans chunks does not hold the memory of a longer one before it', () => {
    const { state, lane } = create()
    const pump = pumpInto(state)
    const frame = encodeFrame(0, { type: 'Bytes', value: Buffer.alloc(10, 5) })
    const long = encodeFrame(999, { type: 'VecRing16', value: new Uint16Array(30_000) })
    const isNative = state.readsAtOnce
    for (let count = 0; count < 50; count++) {
      // The memory of a frame that is not kept is used again, for one that is kept.
      const spread = isNative ? frame : Buffer.concat([long, frame])
      pump.bytes(spread.subarray(0, 12))
      pump.bytes(spread.subarray(12, spread.length - 4))
      pump.bytes(spread.subarray(spread.length - 4))
    }
    const values = takeAll(lane)
    expect(values).toHaveLength(50)
    expect(heldBytes(values)).toBeLessThan(50 * 64)
  })
})
