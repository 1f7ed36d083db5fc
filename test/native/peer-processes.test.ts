/**
 * Owns: what a side remembers about the processes of a peer: which hellos are stale, what a refusal says, and what the
 * refused side does.
 * Independent of: sockets and back-off (stale-hellos.test.ts).
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { staleBootIdMax } from '../../codec/hello.ts'
import { PeerProcesses, type StaleMeaning } from '../../protocol/native/handshake/peer-processes.ts'

const own = 1000n

/** Adopts hellos of the peer, each as link, boot id, hello number. */
function adopted(...hellos: [link: number, bootId: bigint, helloNumber: number][]): PeerProcesses {
  const processes = new PeerProcesses(own)
  for (const [link, bootId, helloNumber] of hellos) processes.adopted(link, { bootId, helloNumber })
  return processes
}

describe('an inbound hello', () => {
  test.each<[string, PeerProcesses, [number, bigint, number], boolean]>([
    ['the first of a peer', adopted(), [0, 1n, 1], false],
    ['the same once more', adopted([0, 200n, 5]), [0, 200n, 5], true],
    ['the next of the same process', adopted([0, 200n, 5]), [0, 200n, 6], false],
    ['the first of the same process on another link', adopted([0, 200n, 5]), [1, 200n, 1], false],
    ['an old one of the same process on another link', adopted([1, 200n, 5], [0, 200n, 1]), [1, 200n, 5], true],
    ['of a later process', adopted([0, 200n, 5]), [0, 201n, 1], false],
    ['of an earlier process', adopted([0, 200n, 5]), [0, 199n, 9], true],
    ['of an earlier process on a link without a hello yet', adopted([0, 200n, 5]), [1, 199n, 9], true],
    ['of the current process, which is not the greatest', adopted([0, 200n, 5], [0, 100n, 3]), [0, 100n, 4], false],
    ['an old one of the current process', adopted([0, 200n, 5], [0, 100n, 3]), [0, 100n, 3], true],
    ['of the greatest process, which is not the current one', adopted([0, 200n, 5], [0, 100n, 3]), [0, 200n, 6], true],
    ['between the current and the greatest process', adopted([0, 200n, 5], [0, 100n, 3]), [0, 150n, 1], true],
    ['above the greatest process', adopted([0, 200n, 5], [0, 100n, 3]), [0, 201n, 1], false],
    ['an answer with a lower number does not lower the bound', adopted([0, 200n, 5], [0, 200n, 3]), [0, 200n, 4], true],
  ])('a hello is stale or not by its boot id and number: %s', (_, processes, [link, bootId, helloNumber], isStale) => {
    expect(processes.isStale(link, { bootId, helloNumber })).toBe(isStale)
  })

  test('a hello that was adopted is stale from then on, in any history', () => {
    const origin = fc.record({
      link: fc.nat(2),
      bootId: fc.bigInt(1n, 4n),
      helloNumber: fc.integer({ min: 1, max: 4 }),
    })
    fc.assert(
      fc.property(fc.array(origin, { minLength: 1 }), (history) => {
        const processes = new PeerProcesses(own)
        for (const hello of history) {
          if (processes.isStale(hello.link, hello)) continue
          processes.adopted(hello.link, hello)
          expect(processes.isStale(hello.link, hello)).toBe(true)
        }
      }),
    )
  })
})

describe('the boot id in a refusal', () => {
  test.each<[string, PeerProcesses, (processes: PeerProcesses) => void, bigint]>([
    ['nothing is connected', adopted([0, 200n, 1]), () => {}, 200n],
    ['the current process is connected', adopted([0, 200n, 1]), (p) => p.watch(0, () => true), 0n],
    ['its connection is suspect', adopted([0, 200n, 1]), (p) => p.watch(0, () => false), 200n],
    ['it is connected on another link', adopted([0, 200n, 1], [2, 200n, 1]), (p) => p.watch(2, () => true), 0n],
    ['only an earlier process is connected', adopted([1, 200n, 1], [0, 201n, 1]), (p) => p.watch(1, () => true), 201n],
    ['the greatest is not the current one', adopted([0, 200n, 1], [0, 100n, 1]), () => {}, 200n],
  ])('it is 0 only while the current process is connected and not suspect: %s', (_, processes, prepare, expected) => {
    prepare(processes)
    expect(processes.staleBootId).toBe(expected)
  })
})

describe('the side that is refused as stale', () => {
  test.each<[bigint, StaleMeaning, bigint]>([
    [0n, 'duplicate', own],
    [own - 1n, 'ignored', own],
    [1n, 'ignored', own],
    [own, 'behind-now', own + 1n],
    [own + 5n, 'behind-now', own + 6n],
    [staleBootIdMax, 'behind-now', staleBootIdMax + 1n],
    [staleBootIdMax + 1n, 'ignored', own],
    [2n ** 64n - 1n, 'ignored', own],
  ])('the boot id %s in the refusal means %s, and the next boot id is %s', (staleBootId, meaning, next) => {
    const processes = new PeerProcesses(own)
    const hello = { bootId: own, helloNumber: processes.nextHelloNumber(0) }
    expect([processes.refused(0, hello, staleBootId), processes.ownBootId]).toEqual([meaning, next])
  })

  test('dials again at once only once per peer, whichever link was refused', () => {
    const processes = new PeerProcesses(own)
    const refused = (link: number, staleBootId: bigint): StaleMeaning =>
      processes.refused(
        link,
        { bootId: processes.ownBootId, helloNumber: processes.nextHelloNumber(link) },
        staleBootId,
      )
    expect([refused(0, 2000n), refused(1, 3000n), refused(0, 4000n)]).toEqual(['behind-now', 'behind', 'behind'])
    expect(processes.ownBootId).toBe(4001n)
  })

  test('does not act on a refusal of a hello that is not its newest', () => {
    const processes = new PeerProcesses(own)
    const first = { bootId: own, helloNumber: processes.nextHelloNumber(0) }
    const onOtherLink = { bootId: own, helloNumber: processes.nextHelloNumber(1) }
    processes.nextHelloNumber(0)
    expect(processes.refused(0, first, 0n)).toBe('outdated')
    processes.refused(1, onOtherLink, 2000n)
    expect(processes.refused(1, onOtherLink, 2000n)).toBe('outdated')
    expect(processes.ownBootId).toBe(2001n)
  })

  test('counts its hellos on a link for as long as the process lives, also when the link is made again', () => {
    const processes = new PeerProcesses(own)
    processes.watch(0, () => true)
    expect([processes.nextHelloNumber(0), processes.nextHelloNumber(1)]).toEqual([1, 1])
    processes.watch(0, () => true)
    expect(processes.nextHelloNumber(0)).toBe(2)
  })
})
