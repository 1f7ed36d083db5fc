/**
 * Owns: what tests of one side of a link share: two keys, a link, and a meeting of two. Independent of: what is tested.
 */
import { expect } from 'vitest'
import { encodeFrame } from '../../codec/frame-writer.ts'
import type { Hello } from '../../codec/hello.ts'
import { LinkEpoch } from '../../protocol/native/epoch/link-epoch.ts'
import { PeerProcesses } from '../../protocol/native/handshake/peer-processes.ts'

export const keyA = new Uint8Array(32).fill(1)
export const keyB = new Uint8Array(32).fill(2)
export const limits = {
  maxMessageLengthBytes: 65_536,
  laneWindowBytes: 4096,
  resumeTimeoutMs: 1000,
  links: 2,
  replayWindowBytes: 8192,
  streamsMax: 1024,
}

export function createLink(own = keyA, peer = keyB, bootId = 100n, epochs = 1n): LinkEpoch {
  let drawn = epochs
  return new LinkEpoch({
    linkIndex: 0,
    ownKey: own,
    peerKey: peer,
    limits,
    processes: new PeerProcesses(bootId),
    drawEpoch: () => drawn++,
  })
}

export function push(link: LinkEpoch, ...lanes: number[]): void {
  for (const lane of lanes) {
    const frame = encodeFrame(lane, { type: 'Bytes', value: Buffer.from('x') })
    link.retransmit.push([frame], [frame.length])
  }
}

/** Both sides exchange hellos; the first dials. Returns both adoptions. */
export function meet(dialer: LinkEpoch, acceptor: LinkEpoch): ReturnType<LinkEpoch['adopt']>[] {
  const asked = dialer.composeHello()
  expect(acceptor.checkInbound(asked)).toBeNull()
  const answered = acceptor.composeHello()
  const adopted = acceptor.adopt(answered, asked)
  expect(dialer.checkAnswer(answered)).toBeNull()
  return [dialer.adopt(asked, answered), adopted]
}

export const hello: Hello = {
  ...limits,
  keepsIdle: true,
  connectionId: 0,
  bootId: 200n,
  epoch: 11n,
  nextEpoch: 12n,
  known: 0n,
  received: 0,
  first: 0,
  next: 0,
  publicKey: keyB,
  helloNumber: 5,
}
