/**
 * Owns: that a fault on one lane of a native link stays there, that a slow reader blocks only its sender, and that
 * silence is distinguished from a stall.
 * Independent of: links that end (network-scenarios.test.ts) and networks that end (network-endings.test.ts).
 */
import { describe, expect, it } from 'vitest'
import type { Session } from '../../index.ts'
import { bytes, number, numberOf, play, rejectionOf } from '../support/native-scene.ts'
import type { Carrier, NativeMember, NativeScene } from '../support/native-scene.ts'
import { sized } from '../support/size.ts'
import { onWire } from '../support/wire-tamper.ts'

const carriers: Carrier[] = ['memory', 'tcp', 'tls']

interface Two {
  readonly alice: NativeMember
  readonly bob: NativeMember
  /** By lane: alice's end, and bob's. */
  readonly mine: readonly [Session, Session]
  readonly theirs: readonly [Session, Session]
}

async function twoLanes(scene: NativeScene): Promise<Two> {
  const [alice, bob] = await scene.pair()
  const [mine, theirs] = (await scene.sessions([alice, bob], 2)) as [[Session, Session], [Session, Session]]
  return { alice, bob, mine, theirs }
}

/** The second lane works both ways, on the connection that existed from the beginning. */
async function expectOtherLane(scene: NativeScene, { alice, bob, mine, theirs }: Two): Promise<void> {
  await scene.run(Promise.all([mine[1].send(bob.id, number(51)), theirs[1].send(alice.id, number(52))]))
  expect([
    numberOf(await scene.run(theirs[1].receive(alice.id))),
    numberOf(await scene.run(mine[1].receive(bob.id))),
  ]).toEqual([51, 52])
  expect(
    [alice, bob].map((member) => [
      member.eventsOf('connection.opened').length,
      member.eventsOf('connection.lost').length,
    ]),
  ).toEqual([
    [1, 0],
    [1, 0],
  ])
}

describe('a value with valid length and invalid content', () => {
  it.each([
    ['whose elements do not fill it', 'ERR_VECTOR_LENGTH_NOT_MULTIPLE', (frame: Buffer) => frame.writeUInt8(0x08, 4)],
    [
      'that is a list of an unknown type',
      'ERR_UNKNOWN_DESCRIPTOR',
      (frame: Buffer) => [frame.writeUInt8(0x0a, 4), frame.writeUInt8(0xee, 9)],
    ],
  ])('a value of valid length %s ends only its lane, and both sides get the cause', (_, code, tamper) =>
    play({ on: 'memory' }, async (scene) => {
      const two = await twoLanes(scene)
      const { alice, bob, mine, theirs } = two
      const tampered = onWire(bob, 0, tamper)
      await scene.run(theirs[0].send(alice.id, bytes(13)))
      expect(await scene.run(rejectionOf(mine[0].receive(bob.id)))).toMatchObject({ name: 'ProtocolError', code })
      expect(tampered.count).toBe(1)
      const error = await scene.run(rejectionOf(theirs[0].receive(alice.id)))
      expect(error.code).toBe('ERR_SESSION_RESET')
      expect(error.message).toContain(code)
      await expectOtherLane(scene, two)
    }),
  )
})

describe('a handler that throws', () => {
  it.each(carriers)(
    'a handler that throws ends only its lane, over %s; the peer gets the code but not the message',
    (on) =>
      play({ on }, async (scene) => {
        const two = await twoLanes(scene)
        const { alice, bob, mine, theirs } = two
        let calls = 0
        mine[0].handle(bob.id, () => {
          calls++
          throw new Error('a secret of the application')
        })
        for (let value = 0; value < 3; value++) void theirs[0].send(alice.id, number(value)).catch(() => {})
        const error = await scene.run(rejectionOf(theirs[0].receive(alice.id)))
        expect(error.code).toBe('ERR_SESSION_RESET')
        expect(error.message).not.toContain('secret')
        expect(await scene.run(rejectionOf(mine[0].receive(bob.id)))).toMatchObject({
          code: 'ERR_HANDLER_FAILED',
          message: expect.stringContaining('a secret') as string,
        })
        expect(calls).toBe(1)
        await expectOtherLane(scene, two)
      }),
  )

  it.each(carriers)('an asynchronous handler that rejects ends only its lane, and is reported once, over %s', (on) =>
    play({ on }, async (scene) => {
      const two = await twoLanes(scene)
      const { alice, bob, mine, theirs } = two
      const rejects = (async () => Promise.reject(new Error('no'))) as () => void
      // One value waits for the handler, others come later.
      await scene.run(theirs[0].send(alice.id, number(1)))
      await scene.until('it waits', () => mine[0].unread(bob.id) === 1)
      mine[0].handle(bob.id, rejects)
      for (let value = 0; value < 3; value++) void theirs[0].send(alice.id, number(value)).catch(() => {})
      expect(await scene.run(mine[0].ended(bob.id))).toMatchObject({ code: 'ERR_HANDLER_FAILED' })
      expect(await scene.run(rejectionOf(theirs[0].receive(alice.id)))).toMatchObject({ code: 'ERR_SESSION_RESET' })
      expect(alice.eventsOf('handler.failed')).toMatchObject([
        { peer: bob.id, session: mine[0].id, cause: { code: 'ERR_HANDLER_FAILED' } },
      ])
      await expectOtherLane(scene, two)
    }),
  )

  it('a handler that throws is reported as handler.failed, and not as a restart', () =>
    play({ on: 'memory' }, async (scene) => {
      const { alice, bob, mine, theirs } = await twoLanes(scene)
      mine[0].handle(bob.id, () => {
        throw new Error('no')
      })
      await scene.run(theirs[0].send(alice.id, number(1)))
      await scene.run(mine[0].ended(bob.id))
      expect(alice.eventsOf('handler.failed')).toMatchObject([
        { peer: bob.id, session: mine[0].id, cause: { code: 'ERR_HANDLER_FAILED' } },
      ])
      expect(
        ['connection.lost', 'child.restarted'].flatMap((type) => [
          ...alice.eventsOf(type as 'connection.lost'),
          ...bob.eventsOf(type as 'connection.lost'),
        ]),
      ).toEqual([])
    }))

  it('a handler that throws an object without a text ends its lane only', () =>
    play({ on: 'memory' }, async (scene) => {
      const two = await twoLanes(scene)
      const { alice, bob, mine, theirs } = two
      mine[0].handle(bob.id, () => {
        throw Object.create(null) as Error
      })
      await scene.run(theirs[0].send(alice.id, number(1)))
      expect(await scene.run(mine[0].ended(bob.id))).toMatchObject({
        code: 'ERR_HANDLER_FAILED',
        message: `the handler of session ${mine[0].id} threw: an object that has no text`,
      })
      await expectOtherLane(scene, two)
    }))

  it('a handler that throws on a queued value ends its lane as on any other value', () =>
    play({ on: 'memory' }, async (scene) => {
      const two = await twoLanes(scene)
      const { alice, bob, mine, theirs } = two
      await scene.run(theirs[0].send(alice.id, number(1)))
      await scene.until('it waits', () => mine[0].unread(bob.id) === 1)
      expect(() =>
        mine[0].handle(bob.id, () => {
          throw new Error('no')
        }),
      ).not.toThrow()
      expect(await scene.run(rejectionOf(mine[0].receive(bob.id)))).toMatchObject({ code: 'ERR_HANDLER_FAILED' })
      expect(alice.eventsOf('handler.failed')).toMatchObject([
        { peer: bob.id, session: mine[0].id, cause: { message: `the handler of session ${mine[0].id} threw: no` } },
      ])
      expect(
        await scene.run(rejectionOf(theirs[0].send(alice.id, number(2)).then(() => theirs[0].receive(alice.id)))),
      ).toMatchObject({ code: 'ERR_SESSION_RESET' })
      await expectOtherLane(scene, two)
    }))
})

describe('a slow reader', () => {
  it.each(carriers)('a slow reader over %s blocks its own lane at its window, and the other lane continues', (on) =>
    play({ on }, async (scene) => {
      const two = await twoLanes(scene)
      const { alice, bob, mine, theirs } = two
      const lengthBytes = 1000
      const accepted: number[] = []
      const sends = Array.from({ length: 500 }, (_, value) =>
        theirs[0].send(alice.id, bytes(lengthBytes, value)).then(() => accepted.push(value)),
      )
      for (let value = 0; value < sized(300, 2000); value++) {
        await scene.run(theirs[1].send(alice.id, number(value)))
        expect(numberOf(await scene.run(mine[1].receive(bob.id)))).toBe(value)
      }
      // 64 KiB of credit, and one frame that may exceed it.
      expect(mine[0].unread(bob.id) * lengthBytes).toBeLessThanOrEqual(64 * 1024 + lengthBytes)
      expect(accepted.length * lengthBytes).toBeLessThanOrEqual(64 * 1024 + lengthBytes)
      for (let value = 0; value < 500; value++) {
        const received = await scene.run(mine[0].receive(bob.id))
        // Comparing byte by byte, as toEqual does, would take most of the time of this test.
        expect(
          received.type === 'Bytes' && Buffer.alloc(lengthBytes, value).equals(received.value),
          `value ${value}`,
        ).toBe(true)
      }
      await scene.run(Promise.all(sends))
      expect(accepted).toHaveLength(500)
      await expectOtherLane(scene, two)
    }),
  )

  it('a send is refused at once when too many values wait for a slow reader, and earlier ones continue', () =>
    play({ on: 'memory', limits: { sendQueueValuesMax: 100 } }, async (scene) => {
      const two = await twoLanes(scene)
      const { alice, bob, mine, theirs } = two
      const results = Array.from({ length: 300 }, (_, value) =>
        theirs[0].send(alice.id, bytes(1000, value)).then(
          () => 'sent',
          (error: { code: string }) => error.code,
        ),
      )
      for (let value = 0; value < 165; value++) await scene.run(mine[0].receive(bob.id))
      const counts = new Map<string, number>()
      for (const result of await scene.run(Promise.all(results))) counts.set(result, (counts.get(result) ?? 0) + 1)
      expect([...counts.keys()].sort()).toEqual(['ERR_SEND_QUEUE_FULL', 'sent'])
      expect(counts.get('sent')).toBeLessThanOrEqual(100 + 66)
      await expectOtherLane(scene, two)
    }))

  it.each(carriers)('a slow reader over %s gets a value larger than its window, and the values after it', (on) =>
    play({ on }, async (scene) => {
      const two = await twoLanes(scene)
      const { alice, bob, mine, theirs } = two
      const large = Buffer.alloc(5 * 1024 * 1024, 7)
      const sends = [
        theirs[0].send(alice.id, { type: 'Bytes', value: large }),
        theirs[0].send(alice.id, number(8)),
        theirs[0].send(alice.id, { type: 'Bytes', value: large }),
      ]
      const first = await scene.run(mine[0].receive(bob.id))
      expect(first.type === 'Bytes' && large.equals(first.value)).toBe(true)
      expect(numberOf(await scene.run(mine[0].receive(bob.id)))).toBe(8)
      expect((await scene.run(mine[0].receive(bob.id))).type).toBe('Bytes')
      await scene.run(Promise.all(sends))
      await expectOtherLane(scene, two)
    }),
  )

  it('a value longer than the peer allows is refused at the sender only', () =>
    play({ on: 'memory' }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [], limits: { maxMessageLengthBytes: 65_536 } })
      const bob = await scene.start({ key: 1, peers: [0], dials: [0] })
      const [mine, theirs] = (await scene.sessions([alice, bob], 2)) as [[Session, Session], [Session, Session]]
      expect(await scene.run(rejectionOf(theirs[0].send(alice.id, bytes(65_537))))).toMatchObject({
        code: 'ERR_INVALID_VALUE',
        message: expect.stringContaining('65537') as string,
      })
      await scene.run(theirs[0].send(alice.id, bytes(65_536)))
      expect((await scene.run(mine[0].receive(bob.id))).type).toBe('Bytes')
      await expectOtherLane(scene, { alice, bob, mine, theirs })
    }))
})

describe('silence', () => {
  it('silence makes a connection suspect after 15 s and closes it after 20 s, and the sessions resume', () =>
    play({ on: 'memory' }, async (scene) => {
      const { alice, bob, mine, theirs } = await twoLanes(scene)
      await scene.run(mine[0].send(bob.id, number(1)))
      const sinceMs = scene.clock.nowMs()
      for (const pipe of [...alice.faults.pipes, ...bob.faults.pipes]) pipe.fallSilent()
      await scene.run(mine[0].send(bob.id, number(2)))
      await scene.until('it is suspect', () => alice.eventsOf('peer.suspect').length > 0)
      expect(scene.clock.nowMs() - sinceMs).toBeGreaterThanOrEqual(14_900)
      expect(alice.eventsOf('connection.lost')).toEqual([])
      await scene.until('it is lost', () => alice.eventsOf('connection.lost').length > 0)
      expect(scene.clock.nowMs() - sinceMs).toBeLessThan(21_000)
      // Either side may detect it first; the other sees the close.
      await scene.until('bob has lost the connection', () => bob.eventsOf('connection.lost').length > 0)
      expect([alice, bob].map((member) => member.eventsOf('connection.lost')[0]?.cause.code)).toContain('ERR_TIMED_OUT')
      expect([
        numberOf(await scene.run(theirs[0].receive(alice.id))),
        numberOf(await scene.run(theirs[0].receive(alice.id))),
      ]).toEqual([1, 2])
      expect(alice.eventsOf('connection.opened')).toHaveLength(2)
    }))

  it('a connection stays open for an hour without values, because pings keep it alive', () =>
    play({ on: 'memory' }, async (scene) => {
      const two = await twoLanes(scene)
      await scene.clock.advance(3_600_000)
      for (const member of [two.alice, two.bob]) expect(member.eventsOf('peer.suspect')).toEqual([])
      await expectOtherLane(scene, two)
    }))

  it.each([16_000, 25_000, 3_600_000])('a local stall of %i ms is not taken for silence of the peer', (stallMs) =>
    play({ on: 'memory' }, async (scene) => {
      const two = await twoLanes(scene)
      await scene.clock.advance(5_000)
      scene.clock.stall(stallMs)
      await scene.clock.advance(60_000)
      await expectOtherLane(scene, two)
    }),
  )

  it('silence that continues after a local stall is still detected', () =>
    play({ on: 'memory' }, async (scene) => {
      const { alice, bob } = await twoLanes(scene)
      for (const pipe of [...alice.faults.pipes, ...bob.faults.pipes]) pipe.fallSilent()
      scene.clock.stall(60_000)
      const sinceMs = scene.clock.nowMs()
      await scene.until('it is lost', () => alice.eventsOf('connection.lost').length > 0)
      expect(scene.clock.nowMs() - sinceMs).toBeLessThan(21_000)
    }))
})
