/** Owns: the checks of a hello against what one side knows. Independent of: sockets, and of what a hello changes. */
import { describe, expect, test } from 'vitest'
import { refusalMessageLengthBytesMax, type Hello } from '../../codec/hello.ts'
import {
  checkAnswerHello,
  checkInboundHello,
  linksInUse,
  resolveCrossing,
  type HelloContext,
} from '../../protocol/native/handshake/hello-checks.ts'
import { PeerProcesses, type HelloOrigin } from '../../protocol/native/handshake/peer-processes.ts'
import { createLink, hello, keyA, keyB, limits, meet } from './epoch-scene.ts'

const context: HelloContext = {
  linkIndex: 0,
  ownKey: keyA,
  peerKey: keyB,
  ownLinks: 2,
  known: 0n,
  knownLimits: null,
  processes: new PeerProcesses(1n),
}

/** What a side knows that has adopted this hello on link 0. */
function adopted(origin: HelloOrigin): PeerProcesses {
  const processes = new PeerProcesses(1n)
  processes.adopted(0, origin)
  return processes
}

describe('the checks of a hello', () => {
  test.each<[string, Partial<Hello>, Partial<HelloContext>, string | undefined]>([
    ['in order', {}, {}, undefined],
    ['from this side itself', { publicKey: keyA }, {}, 'self'],
    ['from another key', { publicKey: new Uint8Array(32).fill(3) }, {}, 'identity'],
    ['for the last link', { connectionId: 1 }, {}, undefined],
    ['for a link beyond this side', { connectionId: 2, links: 9 }, {}, 'no-such-link'],
    ['for a link beyond its own number', { connectionId: 1, links: 1 }, {}, 'no-such-link'],
    ['of an earlier boot', {}, { processes: adopted({ bootId: 201n, helloNumber: 1 }) }, 'stale'],
    ['of the same boot and number', {}, { processes: adopted({ bootId: 200n, helloNumber: 5 }) }, 'stale'],
    ['of the same boot, the next number', {}, { processes: adopted({ bootId: 200n, helloNumber: 4 }) }, undefined],
    [
      'of a later boot, number 1',
      { bootId: 201n, helloNumber: 1 },
      { processes: adopted({ bootId: 200n, helloNumber: 5 }) },
      undefined,
    ],
    ['of the known epoch with its limits', {}, { known: 11n, knownLimits: limits }, undefined],
    [
      'of the known epoch with another window',
      { laneWindowBytes: 1 },
      { known: 11n, knownLimits: limits },
      'bad-hello',
    ],
    [
      'of the known epoch with another maxMessageLength',
      { maxMessageLengthBytes: 70_000 },
      { known: 11n, knownLimits: limits },
      'bad-hello',
    ],
    [
      'of the known epoch with another resume time-out',
      { resumeTimeoutMs: 1 },
      { known: 11n, knownLimits: limits },
      'bad-hello',
    ],
    ['of the known epoch with another number of links', { links: 3 }, { known: 11n, knownLimits: limits }, 'bad-hello'],
    [
      'of the known epoch with another stream limit',
      { streamsMax: 1 },
      { known: 11n, knownLimits: limits },
      'bad-hello',
    ],
    [
      'of the known epoch with another replay window',
      { replayWindowBytes: 1 },
      { known: 11n, knownLimits: limits },
      'bad-hello',
    ],
    ['of another epoch with other limits', { laneWindowBytes: 1 }, { known: 10n, knownLimits: limits }, undefined],
  ])('a hello %s is accepted or refused by its rule', (_, fields, known, expected) => {
    expect(checkInboundHello({ ...hello, ...fields }, { ...context, ...known })?.name).toBe(expected)
  })

  test.each<[string, HelloOrigin, boolean]>([
    [
      'a hello of an earlier boot says that two nodes may be using one key',
      { bootId: 2n ** 64n - 1n, helloNumber: 2 ** 32 - 1 },
      true,
    ],
    ['a late hello of the same boot does not mention a second node', { bootId: 200n, helloNumber: 2 ** 32 - 1 }, false],
  ])('the refusal of %s', (_, lastAdopted, isHinted) => {
    const { message } = checkInboundHello(hello, { ...context, processes: adopted(lastAdopted) })!
    expect(message.includes('Two nodes may be using this key')).toBe(isHinted)
    expect(Buffer.byteLength(message)).toBeLessThanOrEqual(refusalMessageLengthBytesMax)
  })

  test('an answer is accepted for the same connection id only, and is never stale', () => {
    expect(checkAnswerHello({ ...hello, connectionId: 1 }, context)?.name).toBe('bad-hello')
    expect(checkAnswerHello(hello, { ...context, processes: adopted({ bootId: 200n, helloNumber: 9 }) })).toBeNull()
    expect(checkAnswerHello({ ...hello, publicKey: keyA }, context)?.name).toBe('self')
  })

  test('the checks of a hello come before any change of state', () => {
    const link = createLink()
    meet(link, createLink(keyB, keyA, 100n, 50n))
    const before = JSON.stringify([String(link.epoch), String(link.known), link.received, link.isUp])
    link.checkInbound({ ...hello, epoch: link.known, laneWindowBytes: 1 })
    link.checkInbound({ ...hello, bootId: 1n })
    expect(JSON.stringify([String(link.epoch), String(link.known), link.received, link.isUp])).toBe(before)
  })

  test('hellos cross only with an own dial that has sent its hello, and the dial of the greater key is kept', () => {
    expect([
      resolveCrossing(true, keyB, keyA),
      resolveCrossing(true, keyA, keyB),
      resolveCrossing(false, keyB, keyA),
    ]).toEqual(['refuse', 'accept', 'accept'])
  })

  test('one link is in use until the first hello, then the lesser number of both sides', () => {
    expect([linksInUse(4, null), linksInUse(4, 2), linksInUse(2, 4)]).toEqual([1, 2, 2])
  })
})
