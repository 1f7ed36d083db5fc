/**
 * Owns: C6 in short: that a stream owes nobody its boundaries, and that a connection may end behind any byte. The full figures are
 * `npm run chaos -- --only C6`.
 * Refuses to know: how a conversation is held (test/bars/chaos).
 */
import { describe, expect, it } from 'vitest'
import { converse } from '../bars/chaos/conversation.ts'
import { ReplayedSide } from '../bars/chaos/replayed-link.ts'
import { cutEverywhere, sliceEverywhere } from '../bars/chaos/slicer.ts'
import { number, numberOf, play } from '../support/native-scene.ts'

const seed = Number(process.env['SLICER_SEED'] ?? 1)

describe('the bytes of a conversation', () => {
  it('the bytes of a conversation come to the same in every piece, on both sides', async () => {
    const recorded = await converse(null)
    expect(recorded.wrong).toBe(0)
    for (const direction of ['up', 'down'] as const) {
      const { different, replays } = sliceEverywhere(recorded, direction, 11, seed)
      expect(different).toEqual([])
      expect(replays).toBeGreaterThan(100)
    }
  })

  it('the bytes of a conversation come to something else when one of them is missing', async () => {
    const recorded = await converse(null)
    const { up } = recorded.bytes
    const whole = new ReplayedSide(recorded, 'up').replay([])
    for (const missing of [200, 500, up.length - 100]) {
      const spoilt = {
        ...recorded,
        bytes: { ...recorded.bytes, up: Buffer.concat([up.subarray(0, missing), up.subarray(missing + 1)]) },
      }
      expect(new ReplayedSide(spoilt, 'up').replay([])).not.toBe(whole)
    }
  })

  it.each([
    ['one byte at a time', { pieceBytes: 1 }],
    ['many turns at once', { gluedTurns: 40 }],
  ])('the bytes of a conversation arrive over sockets %s', async (_name, slicing) => {
    const sliced = await converse(slicing)
    expect([sliced.wrong, sliced.values > 80]).toEqual([0, true])
    expect(sliced.writes).toBeGreaterThan('pieceBytes' in slicing ? sliced.bytes.up.length : 5)
  })
})

describe('a connection that is cut', () => {
  it('a connection that is cut behind any byte of a socket costs nothing', async () => {
    const { cuts, errors, lost, duplicated, reordered, spoilt } = await cutEverywhere(89)
    expect([errors, lost, duplicated, reordered, spoilt]).toEqual([[], 0, 0, 0, 0])
    expect(cuts).toBeGreaterThan(10)
  })

  it(
    'a connection that is cut behind any byte in virtual time delivers each value once, in order',
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
        // A hello has 160 bytes, and behind it come values, credits and acknowledgements.
        expect(cuts).toBeGreaterThan((2 * 200) / 3)
      }),
  )
})
