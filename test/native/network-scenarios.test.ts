/**
 * Owns: the outcome for a native link of a simultaneous open, a refused key, a process that restarts or stays away, and
 * a peer that violates the contract.
 * Independent of: lanes that continue (network-lanes.test.ts) and how networks end (network-endings.test.ts).
 */
import { describe, expect, it } from 'vitest'
import type { LinkResetError, Session } from '../../index.ts'
import { bytes, keys, number, numberOf, play, rejectionOf } from '../support/native-scene.ts'
import type { Carrier, NativeMember, NativeScene } from '../support/native-scene.ts'
import { onWire } from '../support/wire-tamper.ts'

const carriers: Carrier[] = ['memory', 'tcp', 'tls']

async function connectedPair(
  scene: NativeScene,
): Promise<{ alice: NativeMember; bob: NativeMember; mine: Session; theirs: Session }> {
  const [alice, bob] = await scene.pair()
  const [[mine], [theirs]] = (await scene.sessions([alice, bob], 1)) as [[Session], [Session]]
  return { alice, bob, mine, theirs }
}

/** Sends a value each way, on sessions made for it. */
async function expectLife(scene: NativeScene, alice: NativeMember, bob: NativeMember): Promise<void> {
  const [[mine], [theirs]] = (await scene.sessions([alice, bob], 1)) as [[Session], [Session]]
  await scene.run(Promise.all([mine.send(bob.id, number(41)), theirs.send(alice.id, number(42))]))
  expect([
    numberOf(await scene.run(theirs.receive(alice.id))),
    numberOf(await scene.run(mine.receive(bob.id))),
  ]).toEqual([41, 42])
}

describe('a simultaneous open', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('a simultaneous open settles on one connection per link, seed %i', (seed) =>
    play({ on: 'memory', seed, links: 2 }, async (scene) => {
      // Each dials while the other is not listening, so both are in back-off and meet at a random point of it.
      const alice = await scene.start({ key: 0, peers: [1], dials: [1] })
      await scene.clock.advance(seed)
      const bob = await scene.start({ key: 1, peers: [0], dials: [0] })
      await expectLife(scene, alice, bob)
      await scene.clock.advance(60_000)
      expect([alice.faults.pipes.size, bob.faults.pipes.size]).toEqual([2, 2])
      for (const member of [alice, bob])
        expect(member.eventsOf('connection.opened').length - member.eventsOf('connection.lost').length).toBe(2)
      await expectLife(scene, alice, bob)
    }),
  )

  it.each(['tcp', 'tls'] as const)(
    'a simultaneous open in the same tick, over %s, is settled by the keys and loses no value',
    (on) =>
      play({ on }, async (scene) => {
        // Real sockets: in virtual time one dial completes before the other starts.
        const early = await scene.start({ key: 1, peers: [], dials: [] })
        const addressOfBob = early.network.url as string
        const alice = await scene.start({ key: 0, peers: [1], dials: [1] })
        await early.network.shutdown()
        scene.members.delete(early)
        const bob = await scene.start({ key: 1, peers: [0], dials: [0], listenAt: addressOfBob })
        const [[mine], [theirs]] = (await scene.sessions([alice, bob], 1)) as [[Session], [Session]]
        for (let value = 0; value < 40; value++) {
          void mine.send(bob.id, number(value))
          for (const member of [alice, bob]) member.kill()
          expect(numberOf(await scene.run(theirs.receive(alice.id)))).toBe(value)
          await scene.until('all is up', () =>
            [alice, bob].every(
              (member) => member.eventsOf('connection.opened').length > member.eventsOf('connection.lost').length,
            ),
          )
        }
        // One connection per break. There would be more if both sides kept theirs, or neither did.
        for (const member of [alice, bob]) expect(member.eventsOf('connection.opened')).toHaveLength(41)
      }),
  )
})

describe('a key that is not expected', () => {
  it.each(carriers)(
    'an unknown key is refused over %s with an event that gives the reason, and no other peer is affected',
    (on) =>
      play({ on }, async (scene) => {
        const { alice, bob, mine, theirs } = await connectedPair(scene)
        const carol = await scene.start({ key: 2, peers: [0], dials: [0] })
        await scene.until(
          'carol was refused',
          () => alice.eventsOf('connection.rejected').length >= 3 && carol.eventsOf('connection.failed').length >= 3,
        )
        const [rejected] = alice.eventsOf('connection.rejected')
        expect(rejected?.cause.code).toBe('ERR_UNKNOWN_PEER')
        expect(rejected?.cause.message).toContain(carol.id)
        expect(carol.eventsOf('connection.opened')).toEqual([])
        await scene.run(mine.send(bob.id, number(1)))
        expect(numberOf(await scene.run(theirs.receive(alice.id)))).toBe(1)
        expect(alice.eventsOf('connection.lost')).toEqual([])
      }),
  )

  it('a refused dialer retries with growing delays, up to the cap of its back-off', () =>
    play({ on: 'memory', limits: { backoffMinMs: 100, backoffMaxMs: 10_000 } }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [] })
      const carol = await scene.start({ key: 2, peers: [0], dials: [0] })
      await scene.clock.advance(120_000)
      const before = carol.faults.dials
      await scene.clock.advance(600_000)
      // Full jitter: half the cap between two dials, on average.
      expect(carol.faults.dials - before).toBeGreaterThan(60)
      expect(carol.faults.dials - before).toBeLessThan(200)
      expect(alice.eventsOf('connection.rejected').length).toBe(carol.faults.dials)
    }))

  it.each(['tls', 'memory'] as const)(
    'an address with another key than expected is reported over %s, and redialed only at the cap',
    (on) =>
      play({ on, limits: { backoffMinMs: 1, backoffMaxMs: on === 'memory' ? 60_000 : 300 } }, async (scene) => {
        const alice = await scene.start({ key: 0, peers: [1, 2], dials: [] })
        const bob = await scene.start({ key: 1, peers: [2], dials: [2], misled: { 2: 0 } })
        await scene.until('the first dial ended', () => bob.eventsOf('connection.failed').length > 0)
        expect(bob.eventsOf('connection.failed')[0]).toMatchObject({
          peer: keys[2]?.id,
          cause: { code: 'ERR_UNEXPECTED_PEER' },
        })
        expect(bob.eventsOf('connection.failed')[0]?.cause.message).toContain(alice.id)
        if (on === 'tls') return
        // Starting at 1 ms and growing by a factor of 1.6, there would be a dozen within the first second.
        await scene.clock.advance(1000)
        expect(bob.faults.dials).toBeLessThan(4)
        await scene.clock.advance(600_000)
        expect(bob.faults.dials).toBeGreaterThan(8)
        expect(bob.faults.dials).toBeLessThan(45)
      }),
  )

  it('a wrong key at an address does not keep the right one from that address later', () =>
    play({ on: 'memory', limits: { backoffMinMs: 1, backoffMaxMs: 1000 } }, async (scene) => {
      const dave = await scene.start({ key: 0, peers: [1, 2], dials: [] })
      const bob = await scene.start({ key: 1, peers: [2], dials: [2], misled: { 2: 0 } })
      await scene.until('bob was misled', () => bob.eventsOf('connection.failed').length > 2)
      await scene.crash(dave)
      // The peer that bob expects there takes over the address.
      const carol = await scene.start({ key: 2, peers: [1], dials: [], listensAs: 0 })
      await expectLife(scene, carol, bob)
    }))
})

describe('a peer process that restarts', () => {
  it.each([0, 1, 2, 3, 4, 5])(
    'a peer process that restarts ends the sessions, and every value sent has one outcome, seed %i',
    (seed) =>
      play({ on: 'memory', seed }, async (scene) => {
        const { alice, bob, mine, theirs } = await connectedPair(scene)
        const sends: Promise<void>[] = []
        // Some values are read, some are unread there, some wait for credit here, some for the connection.
        for (let value = 0; value < 40; value++) sends.push(mine.send(bob.id, bytes(4_000, value)))
        for (let value = 0; value < 2 * seed; value++) await scene.run(theirs.receive(alice.id))
        await scene.clock.advance(10 * seed)
        await scene.crash(bob)
        for (let value = 40; value < 60; value++) sends.push(mine.send(bob.id, bytes(4_000, value)))
        const settled = Promise.allSettled(sends)
        const received = rejectionOf(mine.receive(bob.id))
        const flushed = rejectionOf(mine.flush())
        const again = await scene.start({ key: 1, peers: [0], dials: [0] })
        const error = (await scene.run(received)) as LinkResetError
        expect(error).toMatchObject({ name: 'LinkResetError', code: 'ERR_LINK_RESET', reason: 'peer-restarted' })
        const { acked, unknown, notSent } = error.outcomes
        expect(acked + unknown + notSent).toBe(60)
        // A value whose send resolved was sent or was in a write batch; the others were not.
        const accepted = (await scene.run(settled)).filter(({ status }) => status === 'fulfilled').length
        expect(acked + unknown).toBeLessThanOrEqual(accepted)
        expect(notSent).toBeGreaterThanOrEqual(60 - accepted)
        expect(await scene.run(flushed)).toMatchObject({ code: 'ERR_LINK_RESET' })
        await expectLife(scene, alice, again)
      }),
  )
})

describe('a link that stays down', () => {
  it.each([1_000, 120_000])(
    'a link that stays down ends its sessions after exactly resumeTimeoutMs (%i), with an outcome per value',
    (resumeTimeoutMs) =>
      play({ on: 'memory', limits: { resumeTimeoutMs } }, async (scene) => {
        const { alice, bob, mine } = await connectedPair(scene)
        await scene.run(mine.send(bob.id, number(1)))
        await scene.run(mine.flush())
        await scene.crash(bob)
        const downAtMs = scene.clock.nowMs()
        const sent = rejectionOf(mine.send(bob.id, number(2)))
        const received = rejectionOf(mine.receive(bob.id))
        let endedAtMs = 0
        received.then(() => (endedAtMs = scene.clock.nowMs())).catch(() => {})
        await scene.clock.advance(resumeTimeoutMs - 100)
        expect(endedAtMs).toBe(0)
        const error = (await scene.run(received)) as LinkResetError
        expect(error).toMatchObject({ reason: 'expired', outcomes: { acked: 1, unknown: 0, notSent: 1 } })
        expect(await sent).toMatchObject({ code: 'ERR_LINK_RESET' })
        expect(endedAtMs - downAtMs).toBeLessThan(resumeTimeoutMs + 100)
        await expectLife(scene, alice, await scene.start({ key: 1, peers: [0], dials: [0] }))
      }),
  )
})

describe('a peer that violates the contract', () => {
  it.each([
    ['an unknown descriptor', 'ERR_UNKNOWN_DESCRIPTOR', (frame: Buffer) => frame.writeUInt8(0xee, 4)],
    ['a value on a session that was never made', 'ERR_SESSION_UNKNOWN', (frame: Buffer) => frame.writeUInt32LE(77, 0)],
    ['a length beyond the limit', 'ERR_MESSAGE_TOO_LONG', (frame: Buffer) => frame.writeUInt32LE(0xffff_ffff, 5)],
  ] as const)(
    'a peer that sends %s ends the epoch on both sides, and the frame is never sent again',
    (_, code, tamper) =>
      play({ on: 'memory' }, async (scene) => {
        const { alice, bob, mine, theirs } = await connectedPair(scene)
        const tampered = onWire(bob, 0, tamper)
        await scene.run(theirs.send(alice.id, bytes(100, 5)))
        await scene.until('it arrived', () => tampered.count === 1)
        expect(await scene.run(rejectionOf(mine.receive(bob.id)))).toMatchObject({
          code: 'ERR_LINK_RESET',
          reason: 'protocol-error',
        })
        const error = (await scene.run(rejectionOf(theirs.receive(alice.id)))) as LinkResetError
        expect(error).toMatchObject({ code: 'ERR_LINK_RESET', reason: 'protocol-error' })
        expect(error.outcomes.acked + error.outcomes.unknown + error.outcomes.notSent).toBe(1)
        expect(error.outcomes.acked).toBe(0)
        expect(alice.eventsOf('connection.lost')[0]?.cause.code).toBe(code)
        // The offender's own event contains what the other side found.
        expect(bob.eventsOf('connection.lost')[0]?.cause.message).toMatch(/violated the protocol: "[A-Z].+"$/)
        await expectLife(scene, alice, bob)
        await scene.clock.advance(60_000)
        expect([alice, bob].map((member) => member.eventsOf('connection.opened').length)).toEqual([2, 2])
        expect(alice.link(bob).counters.valuesReceived).toBe(1)
      }),
  )
})
