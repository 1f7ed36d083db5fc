/**
 * Owns: what a frame means for a session id: open, over, skipped, refused or never made; and that a frame which breaks
 * the rules costs an epoch and no more.
 * Independent of: which calls find each other (make-sessions.test.ts), and of the order of set-up frames.
 */
import { describe, expect, it } from 'vitest'
import { encodeFrame } from '../../codec/index.ts'
import { encodeCredit, encodeReset } from '../../codec/native-frames.ts'
import { encodeSetupFrame } from '../../codec/setup-frames.ts'
import { firstWindowBytes } from '../../protocol/native/lanes/credit.ts'
import { number, numberOf, play } from '../support/native-scene.ts'
import type { NativeMember, NativeScene } from '../support/native-scene.ts'

/** Alice has the lesser id. Session 0 is open, session 1 over; of a Make that alice refused, 10 is the first id. */
async function pairWithIds(scene: NativeScene): Promise<[alice: NativeMember, bob: NativeMember]> {
  const [alice, bob] = await scene.pair()
  const made = await scene.sessions([alice, bob], 2)
  for (const sessions of made) sessions[1]!.close()
  await scene.clock.advance(100)
  bob
    .link(alice)
    .writeSetup(encodeSetupFrame({ type: 'Make', k: 77, callId: 5n, firstId: 10, windowBytes: firstWindowBytes }))
  await scene.clock.advance(100)
  return [alice, bob]
}

const frames = {
  'a value': (id: number) => encodeFrame(id, number(1)),
  'a Credit': (id: number) => encodeCredit(id, 10),
  'a Reset': (id: number) => encodeReset(id, { code: 0, reason: '' }),
}
const places: readonly (readonly [place: string, id: number, ofValue: string, ofOthers: string])[] = [
  ['that is over', 1, 'dropped', 'dropped'],
  ['that was skipped', 9, 'dropped', 'dropped'],
  ['whose Make this side refused', 10, 'ERR_CREDIT_EXCEEDED', 'dropped'],
  ['that was never made', 0x2000_0000, 'ERR_SESSION_UNKNOWN', 'ERR_SESSION_UNKNOWN'],
  ['with the last id of all', 0x3fff_ffff, 'ERR_SESSION_UNKNOWN', 'ERR_SESSION_UNKNOWN'],
]

describe('a frame for a session without an open lane', () => {
  it.each(
    places.flatMap(([place, id, ofValue, ofOthers]) =>
      Object.entries(frames).map(
        ([what, frame]) => [what, place, what === 'a value' ? ofValue : ofOthers, frame(id)] as const,
      ),
    ),
  )('%s for a session %s is: %s', (_, __, outcome, frame) =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await pairWithIds(scene)
      const { counters } = alice.link(bob)
      const before = counters.framesDropped
      bob.link(alice).writeSetup(frame)
      await scene.clock.advance(100)
      const lost = alice.eventsOf('connection.lost').map(({ cause }) => cause.code)
      if (outcome === 'dropped') expect([counters.framesDropped - before, lost]).toEqual([1, []])
      else expect(lost).toEqual([outcome])
    }),
  )

  it('a value that spans chunks may begin on a session that the peer closed: it is dropped when it is whole', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const [, theirs] = await scene.sessions([alice, bob], 1)
      theirs![0]!.close()
      await scene.clock.advance(100)
      expect(() => alice.link(bob).mayBegin(0, 0x0c)).not.toThrow()
    }))

  it('a Reset for the greatest session id uses up no ids: the next call begins again at 0', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      await scene.sessions([alice, bob], 2)
      for (const [liar, victim] of [
        [alice, bob],
        [bob, alice],
      ] as const) {
        const resets = victim.eventsOf('link.reset').length
        liar.link(victim).writeSetup(encodeReset(0x3fff_ffff, { code: 0, reason: '' }))
        await scene.until('the epoch has ended', () => victim.eventsOf('link.reset').length > resets)
        expect(victim.eventsOf('link.reset').at(-1)?.reason).toBe('protocol-error')
        const [mine, theirs] = await scene.sessions([alice, bob], 2)
        await scene.run(mine![1]!.send(bob.id, number(3)))
        expect(numberOf(await scene.run(theirs![1]!.receive(alice.id)))).toBe(3)
        expect([alice.link(bob), bob.link(alice)].map((link) => link.sessionIds.placeOf(2))).toEqual([
          'unmade',
          'unmade',
        ])
      }
    }))

  it('a Make whose ids end beyond the last session id costs the epoch and no more', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      await scene.sessions([alice, bob], 1)
      bob
        .link(alice)
        .writeSetup(encodeSetupFrame({ type: 'Make', k: 77, callId: 5n, firstId: 0x4000_0000, windowBytes: 1 }))
      await scene.until('the epoch has ended', () => alice.eventsOf('link.reset').length === 1)
      expect(alice.eventsOf('connection.lost')[0]?.cause.code).toBe('ERR_MAKE_IDS')
      await scene.sessions([alice, bob], 1)
    }))
})

describe('the first windows of a session', () => {
  it('the first windows come with the frames that make it, so a value may follow at once and no Credit is sent', () =>
    play({ on: 'memory', limits: { laneWindowBytes: 1000 } }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const [[mine], [theirs]] = (await scene.sessions([alice, bob], 1)) as [
        [import('../../index.ts').Session],
        [import('../../index.ts').Session],
      ]
      expect([alice, bob].map((member, at, all) => member.link(all[1 - at]!).figures.credit)).toEqual(
        [0, 1].map(() => ({ sendableBytes: 1000, receivableBytes: 1000, windowBytes: 1000, unreadBytes: 0 })),
      )
      await scene.run(Promise.all([mine.send(bob.id, number(1)), theirs.send(alice.id, number(2))]))
      expect(numberOf(await scene.run(theirs.receive(alice.id)))).toBe(1)
      expect(numberOf(await scene.run(mine.receive(bob.id)))).toBe(2)
    }))

  it('the windows of a call are equal when memory is short, and those of its links are counted on each link', () =>
    play({ on: 'memory', links: 2 }, async (scene) => {
      const alice = await scene.start({ key: 0, peers: [1], dials: [], memoryBudgetBytes: 2 * 1024 * 1024 })
      const bob = await scene.start({ key: 1, peers: [0], dials: [0] })
      await scene.until('both links are up', () => alice.eventsOf('connection.opened').length === 2)
      const before = [0, 1].map((link) => alice.link(bob, link).figures.memory.windowsBytes)
      await scene.sessions([alice, bob], 51)
      const windows = [0, 1].map((link) => alice.link(bob, link).figures)
      const [first, second] = windows.map(({ credit, lanes }) => credit.windowBytes / lanes)
      expect(first).toBe(second)
      expect(first).toBeGreaterThanOrEqual(4096)
      expect(first).toBeLessThan(firstWindowBytes)
      expect(windows.map(({ memory, credit }) => memory.windowsBytes - credit.windowBytes)).toEqual(before)
      expect(alice.usedBytes).toBeGreaterThan(0)
    }))
})

describe('session.id', () => {
  it('messages and events name a session by its id', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const [[mine], [theirs]] = (await scene.sessions([alice, bob], 1)) as [
        [import('../../index.ts').Session],
        [import('../../index.ts').Session],
      ]
      const ended = mine.ended(bob.id)
      theirs.close()
      expect((await scene.run(ended)).message).toContain(`reset session ${mine.id} `)
      expect(String(mine)).toContain(mine.id)
      expect(mine.id).toBe(theirs.id)
    }))
})
