/**
 * Owns: C6 at a small size: a stream guarantees no chunk boundaries, and a connection may end after any byte. The full
 * figures are `npm run chaos -- --only C6`.
 * Independent of: how a conversation is held (test/bars/chaos).
 */
import { describe, expect, it } from 'vitest'
import { converse } from '../bars/chaos/conversation.ts'
import { ReplayedSide } from '../bars/chaos/replayed-link.ts'
import { cutEverywhere, sliceEverywhere } from '../bars/chaos/slicer.ts'
import { number, numberOf, play } from '../support/native-scene.ts'

const seed = Number(process.env['SLICER_SEED'] ?? 1)

describe('the byte stream of a conversation', () => {
  it('the byte stream of a conversation has the same effect however it is sliced, on both sides', async () => {
    const recorded = await converse(null)
    expect(recorded.wrong).toBe(0)
    for (const direction of ['up', 'down'] as const) {
      const { different, replays } = sliceEverywhere(recorded, direction, 11, seed)
      expect(different).toEqual([])
      expect(replays).toBeGreaterThan(100)
    }
  })

  it('the byte stream of a conversation has another effect when one byte is missing', async () => {
    const recorded = await converse(null)
    const { up } = recorded.bytes
    const whole = new ReplayedSide(recorded, 'up').replay([])
    for (const missing of [200, 500, up.length - 100]) {
      const corrupted = {
        ...recorded,
        bytes: { ...recorded.bytes, up: Buffer.concat([up.subarray(0, missing), up.subarray(missing + 1)]) },
      }
      expect(new ReplayedSide(corrupted, 'up').replay([])).not.toBe(whole)
    }
  })

  it.each([
    ['one byte at a time', { pieceBytes: 1 }],
    ['many ticks at once', { gluedTurns: 40 }],
  ])('a conversation over sockets completes when its bytes arrive %s', async (_name, slicing) => {
    const sliced = await converse(slicing)
    expect([sliced.wrong, sliced.values > 80]).toEqual([0, true])
    expect(sliced.writes).toBeGreaterThan('pieceBytes' in slicing ? sliced.bytes.up.length : 5)
  })
})

describe('a connection that is cut', () => {
  it('a link loses no value when its socket is cut after any byte', async () => {
    const { cuts, errors, lost, duplicated, reordered, corrupted } = await cutEverywhere(89)
    expect([errors, lost, duplicated, reordered, corrupted]).toEqual([[], 0, 0, 0, 0])
    expect(cuts).toBeGreaterThan(10)
  })

  it(
    'a link delivers each value once and in order when its connection is cut after any byte, in virtual time',
    { timeout: 60_000 },
    () =>
      play({ on: 'memory', seed }, async (scene) => {
        const [alice, bob] = await scene.pair()
        const [[mine], [theirs]] = (await scene.sessions([alice, bob], 1)) as [
          [import('../../index.ts').Session],
          [import('../../index.ts').Session],
        ]
        const arrived: { alice: number[]; bob: number[] } = { alice: [], bob: [] }
        theirs.handle(alice.id, (value) => void arrived.bob.push(numberOf(value)))
        mine.handle(bob.id, (value) => void arrived.alice.push(numberOf(value)))
        let sent = 0
        let cuts = 0
        for (const member of [alice, bob]) {
          for (let afterBytes = 1, isCut = true; isCut; afterBytes += 3) {
            let left = 1
            member.faults.cutAfterBytes = () => (left-- > 0 ? afterBytes : Infinity)
            const before = member.eventsOf('connection.lost').length + member.eventsOf('connection.failed').length
            alice.kill()
            await scene.until(
              'the break',
              () => member.eventsOf('connection.lost').length + member.eventsOf('connection.failed').length > before,
            )
            for (let count = 0; count < 5; count++, sent++) {
              void mine.send(bob.id, number(sent))
              void theirs.send(alice.id, number(sent))
            }
            await scene.until(
              `all values, cut behind byte ${afterBytes}`,
              () => arrived.alice.length >= sent && arrived.bob.length >= sent,
            )
            await scene.run(Promise.all([mine.flush(), theirs.flush()]))
            isCut = member.eventsOf('connection.lost').length + member.eventsOf('connection.failed').length > before + 1
            if (isCut) cuts++
          }
        }
        const all = Array.from({ length: sent }, (_, value) => value)
        expect([arrived.alice, arrived.bob]).toEqual([all, all])
        // A hello is 160 bytes long; values, credits and acknowledgements follow it.
        expect(cuts).toBeGreaterThan((2 * 200) / 3)
      }),
  )
})
