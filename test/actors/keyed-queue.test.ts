/**
 * Owns: the order of calls that share a peer, and the registry of connections that are waited for.
 * Independent of: what a call does.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AcceptRegistry } from '../../actors/connection/accept-registry.ts'
import { KeyedQueue } from '../../actors/session/keyed-queue.ts'

class Calls {
  readonly queue = new KeyedQueue()
  readonly began: string[] = []
  readonly #ends = new Map<string, () => void>()

  take(name: string, peers: readonly string[]): void {
    this.#ends.set(
      name,
      this.queue.take(peers, () => void this.began.push(name)),
    )
  }
  end(name: string): void {
    this.#ends.get(name)?.()
  }
}

describe('calls', () => {
  it('calls to one peer run one after the other, in the order they were made', () => {
    const calls = new Calls()
    for (const name of ['1', '2', '3']) calls.take(name, ['bob'])
    expect(calls.began).toEqual(['1'])
    calls.end('1')
    expect(calls.began).toEqual(['1', '2'])
    calls.end('2')
    calls.end('3')
    expect([calls.began, calls.queue.size]).toEqual([['1', '2', '3'], 0])
  })

  it('calls to different peers run at once', () => {
    const calls = new Calls()
    calls.take('1', ['bob'])
    calls.take('2', ['carol'])
    expect(calls.began).toEqual(['1', '2'])
  })

  it('a call waits for any peer that it shares, and delays later calls that share one with it', () => {
    const calls = new Calls()
    calls.take('bob', ['bob'])
    calls.take('both', ['bob', 'carol'])
    calls.take('carol', ['carol'])
    expect(calls.began).toEqual(['bob'])
    calls.end('bob')
    expect(calls.began).toEqual(['bob', 'both'])
    calls.end('both')
    expect(calls.began).toEqual(['bob', 'both', 'carol'])
  })

  it('calls that give up while they wait are passed over', () => {
    const calls = new Calls()
    for (const name of ['1', '2', '3']) calls.take(name, ['bob'])
    calls.end('2')
    expect(calls.began).toEqual(['1'])
    calls.end('1')
    expect(calls.began).toEqual(['1', '3'])
  })

  it('ending a call twice does not start another call twice', () => {
    const calls = new Calls()
    for (const name of ['1', '2', '3']) calls.take(name, ['bob'])
    calls.end('1')
    calls.end('1')
    expect(calls.began).toEqual(['1', '2'])
  })

  it('calls that share a peer never overlap, keep their order, and all run', () => {
    const peers = fc.subarray(['a', 'b', 'c', 'd'], { minLength: 1 })
    fc.assert(
      fc.property(fc.array(peers, { minLength: 1, maxLength: 15 }), fc.infiniteStream(fc.nat()), (all, choices) => {
        const calls = new Calls()
        for (const [i, some] of all.entries()) calls.take(String(i), some)
        const running = new Set<number>()
        let seen = 0
        for (let ended = 0; ended < all.length; ended++) {
          for (; seen < calls.began.length; seen++) {
            const call = Number(calls.began[seen])
            for (const other of running) expect(all[call]?.some((peer) => all[other]?.includes(peer))).toBe(false)
            // Every earlier call that shares a peer has begun before.
            for (let earlier = 0; earlier < call; earlier++) {
              if (all[earlier]?.some((peer) => all[call]?.includes(peer)))
                expect(calls.began.indexOf(String(earlier))).toBeLessThan(seen)
            }
            running.add(call)
          }
          expect(running.size).toBeGreaterThan(0)
          const chosen = [...running][choices.next().value % running.size] as number
          running.delete(chosen)
          calls.end(String(chosen))
        }
        expect([calls.began.length, calls.queue.size]).toEqual([all.length, 0])
      }),
    )
  })
})

describe('the accept registry', () => {
  const bob0 = { identity: 'bob', linkIndex: 0 }
  const holder = (): boolean => true

  it('an entry of the accept registry is found by identity and link index together', () => {
    const claims = new AcceptRegistry()
    claims.open(bob0, holder)
    expect([
      claims.find(bob0),
      claims.find({ identity: 'bob', linkIndex: 1 }),
      claims.find({ identity: 'carol', linkIndex: 0 }),
    ]).toEqual([holder, undefined, undefined])
  })

  it('the accept registry does not confuse identities that look like numbers', () => {
    const claims = new AcceptRegistry()
    claims.open({ identity: '0 x', linkIndex: 1 }, holder)
    expect([claims.find({ identity: 'x', linkIndex: 10 }), claims.find({ identity: 'x', linkIndex: 1 })]).toEqual([
      undefined,
      undefined,
    ])
  })

  it('an entry of the accept registry is open for one waiter at a time', () => {
    const claims = new AcceptRegistry()
    claims.open(bob0, holder)
    expect(() => claims.open(bob0, () => true)).toThrow('connection 0 of bob already has an owner')
  })

  it('an entry of the accept registry is closed only by its holder', () => {
    const claims = new AcceptRegistry()
    claims.open(bob0, holder)
    claims.close(bob0, () => true)
    expect(claims.find(bob0)).toBe(holder)
    claims.close(bob0, holder)
    expect(claims.find(bob0)).toBeUndefined()
  })
})
