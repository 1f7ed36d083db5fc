/**
 * Owns: the order of sending on one native link: lanes take turns, also from one acknowledgement to the next; memory is
 * used again only for frames that were received. Independent of: links among each other (node-memory.test.ts).
 */
import { expect, test } from 'vitest'
import { FrameWriter, SpareMemory } from '../../codec/index.ts'
import { NativeFrameReader } from '../../codec/native-frame-reader.ts'
import { encodeReset } from '../../codec/native-frames.ts'
import { encodeSetupFrame } from '../../codec/setup-frames.ts'
import { noopHooks } from '../../protocol/link-core.ts'
import { firstWindowBytes } from '../../protocol/native/lanes/credit.ts'
import { LaneMemory } from '../../protocol/native/memory/lane-memory.ts'
import { LinkEpoch } from '../../protocol/native/epoch/link-epoch.ts'
import { PeerProcesses } from '../../protocol/native/handshake/peer-processes.ts'
import { NativeLane } from '../../protocol/native/lanes/native-lane.ts'
import { NativeOutbox } from '../../protocol/native/lanes/native-outbox.ts'
import { NodeMemory } from '../../protocol/native/memory/node-memory.ts'
import { valueFrames } from '../../protocol/native/lanes/sending-lane.ts'
import { bytes } from '../support/native-scene.ts'

const lanes = 8
const frameCostBytes = 100 + 9 + 32

test('lanes take turns when each acknowledgement admits only a few values', () => {
  let drawn = 0n
  const epoch = new LinkEpoch({
    linkIndex: 0,
    ownKey: new Uint8Array(32).fill(1),
    peerKey: new Uint8Array(32).fill(2),
    processes: new PeerProcesses(1n),
    drawEpoch: () => (drawn += 1n),
    limits: {
      maxMessageLengthBytes: 65_536,
      laneWindowBytes: firstWindowBytes,
      resumeTimeoutMs: 1000,
      links: 1,
      replayWindowBytes: 5 * frameCostBytes,
      streamsMax: 1024,
    },
  })
  const memory = new NodeMemory().open()
  const counters = { valuesSent: 0, bytesSent: 0, valuesReceived: 0, bytesReceived: 0, framesDropped: 0 }
  const outbox = new NativeOutbox(
    { peer: 'bob', memory, sendQueueBytesMax: 1e9, sendQueueValuesMax: 1e6, nowMs: () => 0 },
    epoch,
    counters,
    () => noopHooks,
  )
  const all = Array.from(
    { length: lanes },
    (_, id) =>
      new NativeLane(id, { onTaken() {}, onUnread() {} }, new LaneMemory(memory, 0), {
        windowBytes: 0,
        creditBytes: firstWindowBytes,
      }),
  )
  outbox.flow()
  for (const lane of all) {
    for (let value = 0; value < 20; value++)
      if (!outbox.trySendFrame(lane, valueFrames, bytes(100)))
        outbox.waitToSend(
          lane,
          valueFrames,
          bytes(100),
          () => {},
          () => {},
        )
  }
  const sent = Array.from({ length: lanes }, () => 0)
  const reader = new NativeFrameReader(
    { maxMessageLengthBytes: 65_536, linkIndex: 0 },
    { onFrame: (lane) => (sent[lane]! += 1) > 0 },
  )
  const take = (): void => {
    for (const part of outbox.takeBatch()) reader.push(part)
  }
  take()
  const before = [...sent]
  for (let round = 0; round < 8; round++) {
    epoch.retransmit.ack(epoch.retransmit.first + 3)
    outbox.acknowledged()
    take()
  }
  const counts = sent.map((count, lane) => count - before[lane]!)
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(24)
  expect(Math.max(...counts) - Math.min(...counts), counts.join(' ')).toBeLessThanOrEqual(1)
})

test('memory of unacknowledged frames is not used again, even if values were counted before they left', () => {
  const spares = new SpareMemory(1024 * 1024)
  const epoch = new LinkEpoch({
    linkIndex: 0,
    ownKey: new Uint8Array(32).fill(1),
    peerKey: new Uint8Array(32).fill(2),
    processes: new PeerProcesses(1n),
    drawEpoch: () => 1n,
    limits: {
      maxMessageLengthBytes: 65_536,
      laneWindowBytes: firstWindowBytes,
      resumeTimeoutMs: 1000,
      links: 1,
      replayWindowBytes: 4 * 1024 * 1024,
      streamsMax: 1024,
    },
  })
  const counters = { valuesSent: 0, bytesSent: 0, valuesReceived: 0, bytesReceived: 0, framesDropped: 0 }
  const outbox = new NativeOutbox(
    {
      peer: 'bob',
      memory: new NodeMemory().open(),
      arenas: spares,
      sendQueueBytesMax: 1e9,
      sendQueueValuesMax: 1e6,
      nowMs: () => 0,
    },
    epoch,
    counters,
    () => noopHooks,
  )
  let made = 0
  const write = (count: number): void => {
    for (let frame = 0; frame < count; frame++) outbox.writeOwn(encodeReset(made++, { code: 1, reason: 'closed' }))
  }
  const frameLengthBytes = encodeReset(0, { code: 1, reason: 'closed' }).length
  const other = new FrameWriter(spares)
  // Wherever in its arena a write batch starts.
  for (let place = 0; place < 60; place++) {
    write(73)
    outbox.takeBatch()
    epoch.retransmit.ack(epoch.retransmit.next)
    write(5200)
    expect(outbox.pendingValues).toBe(0)
    const batch = outbox.takeBatch()
    const sent = Buffer.concat(batch)
    const received = Math.floor(batch[0]!.length / frameLengthBytes)
    epoch.retransmit.ack(epoch.retransmit.first + received)
    for (let value = 0; value < 12_000; value++) other.writeFrame(7, bytes(32, 0xab))
    other.take()
    expect(
      Buffer.concat(epoch.retransmit.replayFrom(epoch.retransmit.first)).equals(
        sent.subarray(received * frameLengthBytes),
      ),
      `place ${place}`,
    ).toBe(true)
    epoch.retransmit.ack(epoch.retransmit.next)
  }
})

test('a Want waits for room as values do, leaves when there is room, and can be taken back while it waits', () => {
  const epoch = new LinkEpoch({
    linkIndex: 0,
    ownKey: new Uint8Array(32).fill(1),
    peerKey: new Uint8Array(32).fill(2),
    processes: new PeerProcesses(1n),
    drawEpoch: () => 1n,
    limits: {
      maxMessageLengthBytes: 65_536,
      laneWindowBytes: firstWindowBytes,
      resumeTimeoutMs: 1000,
      links: 1,
      replayWindowBytes: 100,
      streamsMax: 1024,
    },
  })
  const counters = { valuesSent: 0, bytesSent: 0, valuesReceived: 0, bytesReceived: 0, framesDropped: 0 }
  const outbox = new NativeOutbox(
    { peer: 'bob', memory: new NodeMemory().open(), sendQueueBytesMax: 1e9, sendQueueValuesMax: 1e6, nowMs: () => 0 },
    epoch,
    counters,
    () => noopHooks,
  )
  const want = (name: string): Buffer => encodeSetupFrame({ type: 'Want', k: 1, callId: 1n, count: 1, name })
  const sent = (): string => Buffer.concat(outbox.takeBatch()).toString('latin1')
  const write = (frame: Buffer) => (): void => outbox.writeOwn(frame)
  const isAdmitted = outbox.held.add(write(want('without a connection')))
  expect(sent()).toBe('')
  outbox.flow()
  expect([isAdmitted(), sent().includes('without a connection')]).toEqual([false, true])
  outbox.writeOwn(encodeReset(0, { code: 1, reason: 'x'.repeat(100) }))
  outbox.takeBatch()
  const takeBack = outbox.held.add(write(want('taken back')))
  outbox.held.add(write(want('later')))
  expect(sent()).toBe('')
  expect([takeBack(), takeBack()]).toEqual([true, false])
  epoch.retransmit.ack(epoch.retransmit.next)
  outbox.acknowledged()
  const left = sent()
  expect([left.includes('later'), left.includes('taken back')]).toEqual([true, false])
  outbox.writeOwn(encodeReset(0, { code: 1, reason: 'x'.repeat(100) }))
  outbox.takeBatch()
  outbox.held.add(write(want('of an epoch that ends')))
  outbox.dropPending()
  epoch.retransmit.ack(epoch.retransmit.next)
  outbox.acknowledged()
  expect(sent()).toBe('')
})
