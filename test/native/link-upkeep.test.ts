/**
 * Owns: what a link does besides carrying values: a peer that never acknowledges, what counts as sent, and the wait for
 * the peer's FIN after Goodbyes.
 * Independent of: when a Ping is due (keep-alive.test.ts), and the bytes of a Goodbye (link-goodbye.test.ts).
 */
import { removePeer } from '../support/remove-peer.ts'
import net from 'node:net'
import { beforeEach, describe, expect, it } from 'vitest'
import { createNetwork, Identity } from '../../index.ts'
import { encodeHello, helloLengthBytes, HelloReader } from '../../codec/hello.ts'
import { encodeAck, encodeCredit, encodeGoodbye, goodbyeCodes, nativeDescriptors } from '../../codec/native-frames.ts'
import { noopHooks } from '../../protocol/link-core.ts'
import { defaultKeepAlive } from '../../protocol/native/epoch/keep-alive.ts'
import type { LinkEpoch } from '../../protocol/native/epoch/link-epoch.ts'
import { heldFramesMax, unackedFramesMax } from '../../protocol/native/epoch/retransmit-buffer.ts'
import { FloodGuard } from '../../protocol/native/lanes/flood-guard.ts'
import { NativeOutbox } from '../../protocol/native/lanes/native-outbox.ts'
import { valueFrames } from '../../protocol/native/lanes/sending-lane.ts'
import { LinkUpkeep } from '../../protocol/native/link/link-upkeep.ts'
import { NodeMemory } from '../../protocol/native/memory/node-memory.ts'
import { helloOf } from '../bars/security/identity-bar.ts'
import { until } from '../support/bounded-wait.ts'
import { RawSocket } from '../support/raw-socket.ts'
import { SocketClock } from '../support/socket-clock.ts'
import { createLink, hello } from './epoch-scene.ts'
import { bytesOf, open, piece } from './pieces-scene.ts'

describe('a peer that acknowledges nothing', () => {
  let epoch: LinkEpoch
  let outbox: NativeOutbox
  let upkeep: LinkUpkeep
  let broken: unknown[]

  beforeEach(() => {
    broken = []
    epoch = createLink()
    const hooks = { ...noopHooks, onBroken: (error: unknown) => void broken.push(error) }
    const options = { peer: 'bob', sendQueueBytesMax: 1, sendQueueValuesMax: 1, nowMs: () => 0 }
    const counters = { valuesSent: 0, bytesSent: 0, valuesReceived: 0, bytesReceived: 0, framesDropped: 0 }
    outbox = new NativeOutbox({ ...options, memory: new NodeMemory().open() }, epoch, counters, () => hooks)
    upkeep = new LinkUpkeep(defaultKeepAlive, epoch, outbox, new FloodGuard({ carriedFrames: () => 0 }, 0), () => hooks)
    epoch.adopt(epoch.composeHello(), hello)
    upkeep.begin(0)
  })

  /** Hands over frames that do not wait for room. */
  const hold = (frames: number): void => {
    const credit = encodeCredit(0, 1)
    for (let frame = 0; frame < frames; frame++) outbox.writeOwn(credit)
    outbox.takeBatch(0)
  }
  const ack = (received: number, nowMs: number): void => {
    const frame = encodeAck(received)
    upkeep.onControl(nativeDescriptors.Ack, frame, 5, frame.length, nowMs)
  }
  /** It sends bytes, so that it is not dead. */
  const poll = (nowMs: number): unknown[] => {
    upkeep.received(nowMs)
    upkeep.poll(nowMs, nowMs)
    return broken
  }

  it('breaks the protocol after 20 s in which more than 131,072 frames were held', () => {
    hold(unackedFramesMax + 1)
    expect(poll(19_999)).toEqual([])
    expect(poll(20_000)).toMatchObject([{ code: 'ERR_REPLAY_WINDOW_OVERRUN' }])
  })

  it('breaks nothing while 131,072 frames are held, for however long', () => {
    hold(unackedFramesMax)
    expect(poll(1_000_000)).toEqual([])
  })

  it('has 20 s more from each acknowledgement of a frame, and none from a repeated one', () => {
    hold(unackedFramesMax + 2)
    ack(1, 15_000)
    ack(1, 30_000)
    expect(poll(34_999)).toEqual([])
    expect(poll(35_000)).toHaveLength(1)
  })

  it('does not get time by connecting again, and the time in between does not count', () => {
    hold(unackedFramesMax + 1)
    upkeep.end(15_000)
    upkeep.end(16_000)
    upkeep.begin(100_000)
    expect(poll(104_999)).toEqual([])
    expect(poll(105_000)).toHaveLength(1)
  })

  it('gets 20 s from a hello that acknowledges frames', () => {
    hold(unackedFramesMax + 2)
    upkeep.end(15_000)
    upkeep.begin(100_000, 1)
    expect(poll(119_999)).toEqual([])
  })

  it('starts with its whole time in a new epoch', () => {
    hold(unackedFramesMax + 1)
    upkeep.end(19_000)
    upkeep.rejectFlushes(() => new Error('over'))
    upkeep.begin(20_000)
    expect(poll(39_999)).toEqual([])
  })

  it('ends the link at once where memory would have no bound', () => {
    const credit = encodeCredit(0, 1)
    for (let frame = 0; frame < heldFramesMax; frame++) outbox.writeOwn(credit)
    expect(broken).toEqual([])
    for (let frame = 0; frame < 10; frame++) outbox.writeOwn(credit)
    expect(broken).toMatchObject([{ code: 'ERR_REPLAY_WINDOW_OVERRUN' }])
  })
})

describe('after both Goodbyes', () => {
  const [own, peer] = [Identity.generate(), Identity.generate()]

  it.each([
    ['after 4.9 s', 4_900],
    ['never', 5_100],
  ])('the first side waits 5 s for a FIN that comes %s', async (_, waitMs) => {
    const clock = new SocketClock()
    const network = createNetwork(
      { identity: own, security: 'plaintext', listen: 'tcp://127.0.0.1:0', peers: [{ id: peer.id }] },
      { environment: { clock } },
    )
    await network.ready()
    const port = Number(new URL(network.url as string).port)
    const raw = new RawSocket(net.connect({ host: '127.0.0.1', port, allowHalfOpen: true }))
    raw.write(encodeHello(helloOf(peer.publicKey)))
    const step = new HelloReader('dialer').feed(await raw.read(helloLengthBytes))
    expect(step.kind).toBe('hello')
    const lost: string[] = []
    network.on('peer.disconnected', ({ reason }) => void lost.push(reason))
    const drained = removePeer(network, peer.id, { timeoutMs: 60_000 })
    drained.catch(() => {})
    await until(() => raw.unread.includes(nativeDescriptors.Goodbye), 'a Goodbye')
    raw.write(encodeGoodbye({ code: goodbyeCodes.normal, next: 0, received: 0, reason: '' }))
    await raw.end()
    await clock.advance(waitMs)
    if (waitMs < 5_000) {
      expect(lost).toEqual([])
      raw.halfClose()
    }
    await until(() => lost.length > 0, 'the connection is over')
    raw.close()
    await clock.run(network.shutdown())
  })
})

it('waits for the acknowledgement of a last Piece that an acknowledgement of earlier ones let go', () => {
  const { outbox, epoch, lanes, take } = open()
  const lane = lanes[0]!
  const upkeep = new LinkUpkeep(
    defaultKeepAlive,
    epoch,
    outbox,
    new FloodGuard({ carriedFrames: () => 0 }, 0),
    () => noopHooks,
  )
  epoch.adopt(epoch.composeHello(), { ...hello, maxMessageLengthBytes: 1 << 24 })
  upkeep.begin(0)
  const ack = (received: number): void => {
    const frame = encodeAck(received)
    upkeep.onControl(nativeDescriptors.Ack, frame, 5, frame.length, 0)
  }
  // Nine Pieces, of which eight may be on the way.
  expect(outbox.trySendFrame(lane, valueFrames, bytesOf(9 * piece - 100))).toBe(true)
  let isFlushed = false
  upkeep.whenAcked(
    lane,
    0,
    () => (isFlushed = true),
    (error) => expect.unreachable(error.message),
  )
  take()
  expect(epoch.retransmit.next).toBe(8)
  ack(8)
  take()
  expect([epoch.retransmit.next, isFlushed]).toEqual([9, false])
  ack(9)
  expect(isFlushed).toBe(true)
})
