/**
 * Owns: that networks stay within their memory budget while many readers are slow, and that everything arrives in
 * order; that no memory is held after resets, crashes and shutdown.
 * Independent of: how the budget is divided (node-memory.test.ts).
 */
import { describe, expect, it } from 'vitest'
import type { Session } from '../../index.ts'
import { bytes, number, numberOf, play, rejectionOf } from '../support/native-scene.ts'
import type { NativeMember, NativeScene } from '../support/native-scene.ts'
import { sized } from '../support/size.ts'

const kib = 1024
const mib = 1024 * kib
const budget = 3 * mib

/** Two networks send to one; all three have little memory. */
async function trio(scene: NativeScene, ofAlice = budget): Promise<[NativeMember, NativeMember, NativeMember]> {
  const bob = await scene.start({ key: 0, peers: [1, 2], dials: [], memoryBudgetBytes: budget })
  const alice = await scene.start({ key: 1, peers: [0], dials: [0], memoryBudgetBytes: ofAlice })
  const carol = await scene.start({ key: 2, peers: [0], dials: [0], memoryBudgetBytes: budget })
  return [bob, alice, carol]
}

function numbered(index: number, lengthBytes: number): ReturnType<typeof bytes> {
  const value = bytes(lengthBytes)
  if (value.type === 'Bytes') Buffer.from(value.value.buffer, value.value.byteOffset).writeUInt32LE(index)
  return value
}

interface Load {
  readonly what: string
  readonly lanes: number
  readonly lengthBytes: number
  readonly values: number
}

const loads: Load[] = [
  { what: 'short values', lanes: 8, lengthBytes: 200, values: sized(400, 1500) },
  { what: 'values as long as a window', lanes: 8, lengthBytes: 60 * kib, values: 20 },
  { what: 'values longer than their window', lanes: 8, lengthBytes: 500 * kib, values: 6 },
]

describe('networks with a small memory budget', () => {
  it.each(loads)(
    'networks with a small memory budget stay within it, and deliver $what to slow readers on $lanes lanes in order',
    ({ lanes, lengthBytes, values }) =>
      play({ on: 'memory' }, async (scene) => {
        const [bob, alice, carol] = await trio(scene)
        const senders = [alice, carol]
        let peakBytes = 0
        const look = (): void => {
          expect(bob.usedBytes).toBeLessThanOrEqual(budget)
          // The first value that waits on a session is copied, even if there is no room.
          for (const sender of senders)
            expect(sender.usedBytes).toBeLessThanOrEqual(
              budget + (lengthBytes > 16 * kib ? lanes * (lengthBytes + 100) : 0),
            )
          peakBytes = Math.max(peakBytes, bob.usedBytes)
        }
        const made = await scene.run(
          Promise.all(
            senders.flatMap(({ id, network }) => [
              network.makeSessions({ count: lanes }),
              bob.network.makeSessions({ count: lanes, peers: [id] }),
            ]),
          ),
        )
        const sending = senders.map((_, place) =>
          Promise.all(
            (made[2 * place] as Session[]).map(async (session) => {
              for (let index = 0; index < values; index++) {
                await session.send(bob.id, numbered(index, lengthBytes), { timeoutMs: 3_600_000 })
                look()
              }
              await session.flush()
            }),
          ),
        )
        // Nothing is read, so every link stops within the budgets.
        await scene.clock.advance(60_000)
        look()
        const reading = senders.flatMap(({ id }, place) =>
          (made[2 * place + 1] as Session[]).map(async (session, lane) => {
            for (let index = 0; index < values; index++) {
              const value = await session.receive(id)
              if (numberOf(value) !== index) throw new Error(`lane ${lane} gave ${numberOf(value)} for ${index}`)
              look()
              if (index % 16 === 0)
                await new Promise<void>((resolve) => void scene.clock.setTimeout(resolve, 1 + ((lane + place) % 3)))
            }
          }),
        )
        await scene.run(Promise.all([...reading, ...sending]))
        look()
        expect(peakBytes).toBeGreaterThan(budget / 4)
        for (const member of [bob, alice, carol]) expect(member.eventsOf('connection.lost')).toEqual([])
      }),
  )

  it('a session without memory fails on both sides with a code, and is made once there is memory', () =>
    play({ on: 'memory' }, async (scene) => {
      const [bob, alice] = await trio(scene, 16 * budget)
      const open = (count: number): Promise<Session[]>[] => [
        alice.network.makeSessions({ count }),
        bob.network.makeSessions({ count, peers: [alice.id] }),
      ]
      const [first] = await scene.run(Promise.all(open(16)))
      const [atAlice, atBob] = open(1000).map(rejectionOf)
      expect([(await scene.run(atAlice!)).code, (await scene.run(atBob!)).code]).toEqual([
        'ERR_SESSION_LIMIT',
        'ERR_MEMORY_BUDGET',
      ])
      for (const session of first!) session.close()
      await scene.clock.advance(100)
      expect((await scene.run(Promise.all(open(16)))).length).toBe(2)
    }))

  it('all memory is released once sessions were reset by a crash of the peer', () =>
    play({ on: 'memory' }, async (scene) => {
      const [bob, alice, carol] = await trio(scene)
      const [[mine], [ofCarol]] = (await scene.run(
        Promise.all([
          alice.network.makeSessions({ count: 1 }),
          carol.network.makeSessions({ count: 1 }),
          bob.network.makeSessions({ count: 1, peers: [alice.id] }),
          bob.network.makeSessions({ count: 1, peers: [carol.id] }),
        ]),
      )) as Session[][] as [[Session], [Session]]
      for (let index = 0; index < 40; index++) mine.send(bob.id, numbered(index, 50 * kib)).catch(() => {})
      void ofCarol.send(bob.id, number(1))
      await scene.clock.advance(1000)
      expect(bob.usedBytes).toBeGreaterThan(64 * kib)
      await scene.crash(alice)
      const again = await scene.start(alice.plan)
      await scene.until('the link was reset', () => bob.eventsOf('link.reset').length === 1)
      expect(bob.eventsOf('link.reset')).toMatchObject([
        { peer: alice.id, linkIndex: 0, reason: 'peer-restarted', outcomes: { acked: 0, unknown: 0, notSent: 0 } },
      ])
      // The rest is the windows of the hellos and of carol's session, and at most one quantum per link for sending.
      const helloBytes = 3 * 64 * kib
      expect(bob.usedBytes).toBeLessThanOrEqual(2 * helloBytes + 3 * 64 * kib)
      expect(again.usedBytes).toBeLessThanOrEqual(helloBytes + 64 * kib)
    }))

  it('a long value that is cut off while it waits for memory arrives whole on the next connection', () =>
    play({ on: 'memory' }, async (scene) => {
      const [bob, alice] = await trio(scene)
      const [sessions, theirs] = (await scene.run(
        Promise.all([
          alice.network.makeSessions({ count: 3 }),
          bob.network.makeSessions({ count: 3, peers: [alice.id] }),
        ]),
      )) as [Session[], Session[]]
      const sent = Promise.all(
        sessions.map((session, index) => session.send(bob.id, numbered(index, mib), { timeoutMs: 3_600_000 })),
      )
      // Half of the budget is 1.5 MiB: the second value waits for the first.
      await scene.until('a long value waits for memory', () => bob.longFramesWaiting > 0)
      expect(bob.usedBytes).toBeLessThanOrEqual(budget)
      bob.kill()
      await scene.until(
        'it is up again',
        () => bob.eventsOf('connection.opened').filter(({ peer }) => peer === alice.id).length === 2,
      )
      for (const [index, session] of theirs.entries())
        expect(numberOf(await scene.run(session.receive(alice.id)))).toBe(index)
      await scene.run(sent)
      expect(
        bob
          .eventsOf('connection.opened')
          .filter(({ resumed }) => resumed)
          .filter(({ peer }) => peer === alice.id),
      ).toMatchObject([{ linkIndex: 0 }])
    }))

  it('unread long values of one peer do not delay a value of another peer', () =>
    play({ on: 'memory' }, async (scene) => {
      const [bob, alice, carol] = await trio(scene)
      const [hogging, unread, [modest], [read]] = (await scene.run(
        Promise.all([
          alice.network.makeSessions({ count: 4 }),
          bob.network.makeSessions({ count: 4, peers: [alice.id] }),
          carol.network.makeSessions({ count: 1 }),
          bob.network.makeSessions({ count: 1, peers: [carol.id] }),
        ]),
      )) as unknown as [Session[], Session[], [Session], [Session]]
      const hogged = Promise.all(
        hogging.map((session, index) => session.send(bob.id, numbered(index, mib), { timeoutMs: 3_600_000 })),
      )
      await scene.until('three of them wait', () => bob.longFramesWaiting === 3)
      // In Pieces, and within the share of its peer.
      const sent = modest.send(bob.id, numbered(7, 300 * kib))
      expect(numberOf(await scene.run(read.receive(carol.id)))).toBe(7)
      await scene.run(sent)
      await scene.until('the first of the others is whole', () => unread[0]?.unread(alice.id) === 1)
      expect([bob.longFramesWaiting, unread.map((session) => session.unread(alice.id))]).toEqual([3, [1, 0, 0, 0]])
      for (const [index, session] of unread.entries())
        expect(numberOf(await scene.run(session.receive(alice.id)))).toBe(index)
      await scene.run(hogged)
    }))

  it('an unread long value does not delay an echo beside it', () =>
    play({ on: 'memory' }, async (scene) => {
      const [bob, alice] = await trio(scene, 64 * mib)
      const [[long, asking], [unread, answering]] = (await scene.run(
        Promise.all([
          alice.network.makeSessions({ count: 2 }),
          bob.network.makeSessions({ count: 2, peers: [alice.id] }),
        ]),
      )) as unknown as [[Session, Session], [Session, Session]]
      answering.handle(alice.id, (value) => void answering.send(alice.id, value))
      const sent = [0, 1, 2].map((index) => long.send(bob.id, numbered(index, mib), { timeoutMs: 3_600_000 }))
      await scene.until('the first is whole', () => unread.unread(alice.id) === 1)
      for (let round = 0; round < 5; round++) {
        await scene.run(asking.send(bob.id, number(round)))
        expect(numberOf(await scene.run(asking.receive(bob.id)))).toBe(round)
      }
      expect(unread.unread(alice.id)).toBe(1)
      for (const index of sent.keys()) expect(numberOf(await scene.run(unread.receive(alice.id)))).toBe(index)
      await scene.run(Promise.all(sent))
    }))
})
