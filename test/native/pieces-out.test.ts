/**
 * Owns: the sending of long frames in Pieces: how they are cut, whose turn it is, what they pay, when their value is
 * accepted, and its outcome wherever the epoch ends.
 * Independent of: how Pieces are received (pieces.test.ts), sockets, clocks.
 */
import { describe, expect, test } from 'vitest'
import { encodeFrame, FrameWriter, SpareMemory, type NetworkValue } from '../../codec/index.ts'
import { encodedLength } from '../../codec/encode-value.ts'
import { isLongFrame } from '../../codec/frame-in-pieces.ts'
import { laneOutcome, settleHeld } from '../../protocol/native/epoch/outcomes.ts'
import type { NativeLane } from '../../protocol/native/lanes/native-lane.ts'
import { valueFrames } from '../../protocol/native/lanes/sending-lane.ts'
import { bytesOf, filled, framesIn, open, piece, type Scene } from './pieces-scene.ts'

describe('a long frame', () => {
  const long = 300_000
  const values: [string, NetworkValue][] = [
    ['one byte too long to be whole', bytesOf(piece + 1)],
    ['two full Pieces', bytesOf(2 * piece - 5)],
    ['two full Pieces and a byte', bytesOf(2 * piece - 4)],
    ['more than one block', bytesOf(11 * piece)],
    ['VecRing16', { type: 'VecRing16', value: new Uint16Array(filled(long).buffer) }],
    ['VecRing32', { type: 'VecRing32', value: new Uint32Array(filled(long).buffer) }],
    ['VecRing64', { type: 'VecRing64', value: new BigUint64Array(filled(long).buffer) }],
    ['VecRing48', { type: 'VecRing48', value: Float64Array.from({ length: 50_000 }, (_, at) => at * 7) }],
    ['VecRingBit', { type: 'VecRingBit', value: { bits: 8 * long - 3, packed: filled(long) } }],
    ['MsgPack', { type: 'MsgPack', value: { bytes: filled(long), text: 'é'.repeat(50_000) } }],
    ['NetworkVec', { type: 'NetworkVec', value: [bytesOf(long), bytesOf(10)] }],
  ]
  const transferable = values.filter(([, { type }]) => /^(Bytes|VecRing(16|32|64))$/.test(type))

  test.each([
    ...values.map(([name, value]) => [name, value, false] as const),
    ...transferable.map(([name, value]) => [`${name}, transferred`, value, true] as const),
  ])('a long frame of %s is cut into Pieces of 65,536 bytes that give the frame when put together', (_, value, own) => {
    const whole = encodeFrame(7, value)
    expect(isLongFrame(4 + encodedLength(value))).toBe(true)
    const sent = own ? structuredClone(value) : value
    const frame = new FrameWriter(new SpareMemory(1 << 22)).encodeLong(7, sent, own)
    const parts: Buffer[] = []
    while (frame.leftPieces > 0) {
      const next = frame.peek()
      expect(next.isLast).toBe(frame.leftPieces === 1)
      expect(next.lengthBytes).toBe(frame.nextLengthBytes)
      parts.push(...next.parts)
      frame.advance()
    }
    expect(frame.leftBytes).toBe(0)
    const pieces = framesIn(Buffer.concat(parts))
    expect(pieces.every(({ lane, descriptor }) => lane === 7 && descriptor === 0x21)).toBe(true)
    expect(pieces.slice(0, -1).every(({ body }) => body.length === piece)).toBe(true)
    expect(Buffer.concat(pieces.map(({ body }) => body)).equals(whole.subarray(4))).toBe(true)
  })

  test('a frame with exactly 65,536 bytes after its length field is not long', () => {
    expect(isLongFrame(4 + encodedLength(bytesOf(piece)))).toBe(false)
  })
})

type State = 'waits' | 'accepted' | Error

function send({ outbox }: Scene, lane: NativeLane, value: NetworkValue): { state: State; withdraw: () => boolean } {
  const call: { state: State; withdraw: () => boolean } = { state: 'waits', withdraw: () => false }
  call.withdraw = outbox.waitToSend(
    lane,
    valueFrames,
    value,
    () => void (call.state = 'accepted'),
    (error) => void (call.state = error),
  )
  return call
}

describe('lanes that take turns', () => {
  test('two long values take turns a Piece each, and a short value of a third lane goes between them', () => {
    const scene = open({ lanes: 3, creditBytes: 0 })
    const calls = [send(scene, scene.lanes[0]!, bytesOf(3 * piece)), send(scene, scene.lanes[1]!, bytesOf(3 * piece))]
    send(scene, scene.lanes[2]!, bytesOf(10))
    for (const lane of scene.lanes) lane.credit.grant(1 << 30)
    scene.outbox.sendWaiting()
    expect(framesIn(scene.take()).map(({ lane }) => lane)).toEqual([0, 1, 2, 0, 1, 0, 1, 0, 1])
    expect(calls.map(({ state }) => state)).toEqual(['accepted', 'accepted'])
  })

  test('nothing of its lane goes between the Pieces of a value but Credit and Reset, which do not queue', () => {
    const scene = open({ creditBytes: piece })
    const [lane] = scene.lanes as [NativeLane]
    send(scene, lane, bytesOf(3 * piece))
    scene.outbox.writeOwn(Buffer.from('000000003404000000', 'hex'))
    lane.credit.grant(1 << 30)
    expect(scene.outbox.trySendFrame(lane, valueFrames, bytesOf(10))).toBe(false)
    send(scene, lane, bytesOf(10))
    scene.outbox.sendWaiting()
    const descriptors = framesIn(scene.take()).map(({ descriptor }) => descriptor)
    expect(descriptors.filter((each) => each !== 0x34)).toEqual([0x21, 0x21, 0x21, 0x21, 0x0c])
    expect(descriptors.indexOf(0x34)).toBe(1)
  })

  test('each Piece pays as it stands on the wire, and none is sent without credit', () => {
    const scene = open({ creditBytes: 1 })
    const [lane] = scene.lanes as [NativeLane]
    const call = send(scene, lane, bytesOf(3 * piece))
    expect(framesIn(scene.take())).toHaveLength(1)
    expect(lane.credit.balanceBytes).toBe(1 - piece - 9)
    lane.credit.grant(piece + 9)
    scene.outbox.sendWaiting()
    expect(framesIn(scene.take())).toHaveLength(1)
    lane.credit.grant(2 * (piece + 9))
    scene.outbox.sendWaiting()
    expect(framesIn(scene.take())).toHaveLength(2)
    expect(lane.credit.balanceBytes).toBe(1 - 14)
    expect(call.state).toBe('accepted')
  })

  test('Pieces stop at the replay window and go on with each acknowledgement', () => {
    const scene = open({ replayWindowBytes: 3 * piece })
    send(scene, scene.lanes[0]!, bytesOf(10 * piece))
    let sent = framesIn(scene.take()).length
    expect(sent).toBe(3)
    while (scene.epoch.retransmit.heldFrames > 0) {
      scene.epoch.retransmit.ack(scene.epoch.retransmit.first + 1)
      scene.outbox.acknowledged()
      sent += framesIn(scene.take()).length
      expect(scene.epoch.retransmit.heldFrames).toBeLessThanOrEqual(3)
    }
    expect(sent).toBe(11)
  })
})

test('the memory of Pieces is used again only for what comes after their acknowledgement', () => {
  const scene = open()
  const [lane] = scene.lanes as [NativeLane]
  const sent: Buffer[] = []
  for (let value = 0; value < 8; value++) {
    send(scene, lane, bytesOf(3 * piece, value))
    sent.push(Buffer.from(scene.take()))
    // All but the last two Pieces of the value.
    scene.epoch.retransmit.ack(scene.epoch.retransmit.next - 2)
    scene.outbox.acknowledged()
    send(scene, lane, bytesOf(3 * piece, value + 100))
    scene.take()
    const held = Buffer.concat(scene.epoch.retransmit.replayFrom(scene.epoch.retransmit.first))
    const tail = sent.at(-1)!.subarray(2 * (piece + 9))
    expect(held.subarray(0, tail.length).equals(tail), `value ${value}`).toBe(true)
    scene.epoch.retransmit.ack(scene.epoch.retransmit.next)
    scene.outbox.acknowledged()
  }
  expect(scene.spares.heldBytes).toBeGreaterThan(0)
})

describe('a value in Pieces', () => {
  test('a long value is accepted with its last Piece, and is not withdrawn after its first', () => {
    const scene = open({ creditBytes: 0 })
    const [lane] = scene.lanes as [NativeLane]
    const [first, second] = [send(scene, lane, bytesOf(2 * piece)), send(scene, lane, bytesOf(2 * piece))]
    expect(second.withdraw()).toBe(true)
    lane.credit.grant(1)
    scene.outbox.sendWaiting()
    expect([first.state, first.withdraw()]).toEqual(['waits', false])
    lane.credit.grant(1 << 30)
    scene.outbox.sendWaiting()
    expect(first.state).toBe('accepted')
    expect(framesIn(scene.take())).toHaveLength(3)
    expect(scene.outbox.figures).toMatchObject({ values: 0, bytes: 0 })
  })

  test('a value that trySend accepted goes on in turns, unless it must be accepted whole', () => {
    const scene = open({ creditBytes: piece })
    const [lane] = scene.lanes as [NativeLane]
    expect(scene.outbox.trySendFrame(lane, valueFrames, bytesOf(2 * piece), false, true)).toBe(false)
    expect(scene.outbox.trySendFrame(lane, valueFrames, bytesOf(2 * piece))).toBe(true)
    expect(scene.outbox.pendingValues).toBe(1)
    lane.credit.grant(1 << 30)
    scene.outbox.sendWaiting()
    expect(framesIn(scene.take())).toHaveLength(3)
    expect(scene.outbox.pendingValues).toBe(0)
  })

  test('a value longer than the peer accepts is refused before its first Piece', () => {
    const scene = open()
    Object.defineProperty(scene.epoch, 'peerLimits', { value: { maxMessageLengthBytes: 2 * piece } })
    expect(() => scene.outbox.trySendFrame(scene.lanes[0]!, valueFrames, bytesOf(2 * piece + 1))).toThrow(/is longer/)
    const call = send(scene, scene.lanes[0]!, bytesOf(2 * piece + 1))
    expect(call.state).toMatchObject({ code: 'ERR_INVALID_VALUE' })
    expect([scene.take().length, scene.lanes[0]!.encoded]).toEqual([0, 0])
  })

  test('a session that ends between two Pieces drops the rest, and its sender is told', () => {
    const scene = open({ creditBytes: piece })
    const [lane] = scene.lanes as [NativeLane]
    const call = send(scene, lane, bytesOf(3 * piece))
    const error = new Error('closed')
    scene.outbox.rejectWaiting(lane, error)
    expect([call.state, lane.cutOff]).toEqual([error, error])
    lane.credit.grant(1 << 30)
    scene.outbox.sendWaiting()
    expect(framesIn(scene.take())).toHaveLength(1)
    expect(scene.outbox.figures).toMatchObject({ values: 0, bytes: 0 })
  })

  test('memory is given to a value that may be sent, and not to Pieces that wait for an acknowledgement', () => {
    const scene = open()
    const [long, short] = scene.lanes as [NativeLane, NativeLane]
    // Eight Pieces may be on the way; the ninth is short.
    send(scene, long, bytesOf(8 * piece + 10))
    scene.take()
    // Other links hold all memory, until this one is served.
    let serve: () => void = () => {}
    const moved: number[] = []
    Object.defineProperties(scene.memory, {
      mayMove: { value: false },
      reserveReplay: { value: () => false },
      whenReplay: { value: (_bytes: number, onRoom: () => void) => ((serve = onRoom), () => true) },
      moveToReplay: { value: (bytes: number) => void moved.push(bytes) },
    })
    const call = send(scene, short, bytesOf(10_000))
    expect([long.long === null, call.state]).toEqual([false, 'waits'])
    serve()
    expect(call.state).toBe('accepted')
    expect(moved).toHaveLength(1)
    expect(moved[0]).toBeGreaterThan(10_000)
  })

  test('a value that waits behind a value in Pieces is not sent when their session ends', () => {
    const scene = open({ creditBytes: piece })
    const [lane] = scene.lanes as [NativeLane]
    const [begun, waiting] = [send(scene, lane, bytesOf(3 * piece)), send(scene, lane, bytesOf(10))]
    lane.credit.grant(1 << 30)
    // As the memory that the first gives back may do.
    scene.outbox.whenPiecesSent(lane, () => scene.outbox.sendWaiting())
    const error = new Error('closed')
    scene.outbox.rejectWaiting(lane, error)
    expect([begun.state, waiting.state]).toEqual([error, error])
    expect(framesIn(scene.take()).map(({ descriptor }) => descriptor)).toEqual([0x21])
  })

  test('a link that leaves still sends the rest of a value, and nothing that waits behind it', () => {
    const scene = open({ creditBytes: piece })
    const [lane] = scene.lanes as [NativeLane]
    const [begun, waiting] = [send(scene, lane, bytesOf(3 * piece)), send(scene, lane, bytesOf(10))]
    scene.outbox.refuse(new Error('leaving'))
    expect(waiting.state).toBeInstanceOf(Error)
    lane.credit.grant(1 << 30)
    scene.outbox.sendWaiting()
    expect(begun.state).toBe('accepted')
    expect(framesIn(scene.take())).toHaveLength(4)
  })

  const pieces = 5
  const cuts = Array.from({ length: pieces + 1 }, (_, handedOver) =>
    Array.from({ length: handedOver + 1 }, (_each, heard) => ({ handedOver, heard })),
  ).flat()

  test.each(cuts)(
    'a value of five Pieces, $handedOver handed over and $heard received, has a true outcome when the epoch ends',
    ({ handedOver, heard }) => {
      const scene = open({ creditBytes: 0 })
      const [lane] = scene.lanes as [NativeLane]
      send(scene, lane, bytesOf((pieces - 1) * piece))
      for (let sent = 0; sent < handedOver; sent++) {
        lane.credit.grant(1 - lane.credit.balanceBytes)
        scene.outbox.sendWaiting()
      }
      expect(framesIn(scene.take())).toHaveLength(handedOver)
      const outcome = (known: number | null): object => {
        const { held } = settleHeld(scene.epoch.retransmit, known)
        const accepted = lane.long !== null
        const [waiting, pending] = [lane.waiting.length, Number(accepted)]
        return laneOutcome({ reason: 'expired', held }, lane.id, lane.encoded - pending, pending + waiting)
      }
      const [isWhole, isHeard] = [handedOver === pieces, heard === pieces]
      const counts = { acked: 0, unknown: 0, notSent: 0 }
      expect(outcome(heard)).toEqual({ ...counts, [isHeard ? 'acked' : 'notSent']: 1 })
      expect(outcome(null)).toEqual({ ...counts, [isWhole ? 'unknown' : 'notSent']: 1 })
      scene.epoch.retransmit.ack(heard)
      expect(outcome(null)).toEqual({ ...counts, [isHeard ? 'acked' : isWhole ? 'unknown' : 'notSent']: 1 })
      const pending = scene.outbox.dropPending()
      expect(pending.values.get(lane.id) ?? 0).toBe(Number(lane.long !== null))
    },
  )
})
