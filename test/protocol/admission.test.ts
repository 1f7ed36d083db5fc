/**
 * Owns: who may start a handshake, below and above each bound. Independent of: sockets; time is a number.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Admission, PeerAddresses } from '../../protocol/index.ts'
import type { AdmissionLimits, AdmissionVerdict } from '../../protocol/index.ts'

const limits: AdmissionLimits = {
  pendingInboundMax: 6,
  pendingInboundPerAddressMax: 3,
  connectRatePerSecond: 10,
  connectBurst: 20,
}
const word = (verdict: AdmissionVerdict): string =>
  verdict.admitted ? ('evict' in verdict ? `in, out goes ${verdict.evict}` : 'in') : verdict.reason

/** Asks `count` times from one address; ids are "address.n". */
function ask(admission: Admission, address: string, count: number, nowMs = 0, from = 1): string[] {
  return Array.from({ length: count }, (_, i) => word(admission.ask(`${address}.${from + i}`, address, nowMs)))
}

describe('the limit on pending handshakes of one address', () => {
  it('an address above its limit loses its oldest unauthenticated pending handshake for each new one', () => {
    expect(ask(new Admission(limits), 'a', 5)).toEqual(['in', 'in', 'in', 'in, out goes a.1', 'in, out goes a.2'])
  })

  it('a handshake that ends makes room for another from its address', () => {
    const admission = new Admission(limits)
    ask(admission, 'a', 3)
    admission.settle('a.2', false)
    expect(ask(admission, 'a', 2, 0, 4)).toEqual(['in', 'in, out goes a.1'])
  })

  it('the limit of an address never evicts a handshake whose peer has proved its key', () => {
    const admission = new Admission(limits)
    ask(admission, 'a', 3)
    for (const id of ['a.1', 'a.3']) admission.prove(id)
    expect(ask(admission, 'a', 1, 0, 4)).toEqual(['in, out goes a.2'])
    admission.prove('a.4')
    expect(ask(admission, 'a', 1, 0, 5)).toEqual(['address-pending'])
  })

  it.each([
    [1, 1],
    [2, 2],
    [3, 3],
    [4, 3],
  ])('the limit of an address counts pending handshakes only: after %i requests %i are pending', (asked, pending) => {
    const admission = new Admission(limits)
    ask(admission, 'a', asked)
    expect(admission.pending).toBe(pending)
  })

  it('an IPv4 address and its IPv6-mapped form share one limit', () => {
    const admission = new Admission(limits)
    ask(admission, '::ffff:10.0.0.1', 3)
    expect(ask(admission, '10.0.0.1', 1)).toEqual(['in, out goes ::ffff:10.0.0.1.1'])
  })
})

describe('a full table of pending handshakes', () => {
  it('a full table of pending handshakes evicts the oldest handshake of the busiest address', () => {
    const admission = new Admission(limits)
    ask(admission, 'a', 2)
    ask(admission, 'b', 3)
    expect(ask(admission, 'c', 1)).toEqual(['in'])
    expect([ask(admission, 'd', 1), admission.pending]).toEqual([['in, out goes b.1'], 6])
    // Two addresses now have two each. The oldest handshake among theirs is evicted.
    expect(ask(admission, 'e', 1)).toEqual(['in, out goes a.1'])
    expect(ask(admission, 'f', 1)).toEqual(['in, out goes b.2'])
  })

  it('a full table of pending handshakes evicts the oldest of all if each address has one', () => {
    const admission = new Admission(limits)
    for (const address of 'abcdef') ask(admission, address, 1)
    expect(ask(admission, 'g', 1)).toEqual(['in, out goes a.1'])
    expect(admission.pending).toBe(6)
  })

  it('a full table of pending handshakes evicts from the address of the new connection if that is the busiest', () => {
    const admission = new Admission(limits)
    ask(admission, 'a', 2)
    for (const address of 'bcde') ask(admission, address, 1)
    expect(ask(admission, 'a', 1, 0, 3)).toEqual(['in, out goes a.1'])
  })

  it('a full table of pending handshakes refuses a connection only if every pending key is proved', () => {
    const admission = new Admission(limits)
    for (const address of 'abcdef') {
      ask(admission, address, 1)
      admission.prove(`${address}.1`)
    }
    expect(ask(admission, 'g', 1)).toEqual(['pending'])
  })

  it('a full table of pending handshakes ignores the end of an evicted or unknown handshake', () => {
    const admission = new Admission(limits)
    ask(admission, 'a', 3)
    for (const address of 'bcd') ask(admission, address, 1)
    ask(admission, 'e', 1)
    admission.settle('a.1', false)
    admission.settle('nobody', true)
    expect(admission.pending).toBe(6)
  })
})

describe('an address with a proved key', () => {
  const strangers = ['a', 'b', 'c', 'd', 'e', 'f']
  /** A peer has proved its key at "home"; then the table fills with one handshake from each stranger. */
  function besieged(isProved = true, peers = new PeerAddresses()): Admission {
    const admission = new Admission(limits, peers)
    ask(admission, 'home', 1)
    admission.settle('home.1', true, isProved)
    for (const address of strangers) ask(admission, address, 1)
    return admission
  }
  const knownSources = (...addresses: string[]): PeerAddresses => {
    const peers = new PeerAddresses()
    for (const address of addresses) peers.connected(address, 0, true)
    return peers
  }

  it('an address with a proved key always gets a place in a full table, taken from strangers first', () => {
    expect(ask(besieged(), 'home', 7, 0, 2)).toEqual([
      ...strangers.slice(0, 4).map((address) => `in, out goes ${address}.1`),
      'in, out goes home.2',
      'in, out goes home.3',
      'in, out goes home.4',
    ])
  })

  it('an address with a proved key gets a place although strangers there have filled their limit', () => {
    const admission = new Admission(limits, knownSources('home'))
    expect(ask(admission, 'home', 8)).toEqual([
      'in',
      'in',
      'in',
      'in',
      'in',
      'in',
      'in, out goes home.1',
      'in, out goes home.2',
    ])
  })

  it('an address with a proved key gets a place although strangers there have used up its rate', () => {
    const admission = new Admission({ ...limits, connectBurst: 2 }, knownSources('home'))
    expect(ask(admission, 'home', 4)).toEqual(['in', 'in', 'in', 'in'])
  })

  it('an address with a proved key is recognized by a restarted listener', () => {
    const peers = new PeerAddresses()
    besieged(true, peers)
    const admission = new Admission({ ...limits, connectBurst: 1 }, peers)
    expect([ask(admission, 'home', 2), ask(admission, 'a', 2)]).toEqual([
      ['in', 'in'],
      ['in', 'address-rate'],
    ])
  })

  it('an address counts as unknown as long as its peers only claim a name', () => {
    const admission = new Admission({ ...limits, connectBurst: 1 })
    ask(admission, 'home', 1)
    admission.settle('home.1', true, false)
    expect(ask(admission, 'home', 2, 0, 2)).toEqual(['in', 'address-rate'])
  })

  it('an address with a proved key does not lose its handshakes to strangers', () => {
    const admission = new Admission(limits, knownSources('home'))
    ask(admission, 'home', 3)
    for (const address of 'abc') ask(admission, address, 1)
    expect(ask(admission, 'g', 3)).toEqual(['in, out goes a.1', 'in, out goes b.1', 'in, out goes g.1'])
  })

  it('an address with a proved key loses its handshakes above the limit for strangers', () => {
    const admission = new Admission(limits, knownSources('home'))
    ask(admission, 'home', 6)
    expect(ask(admission, 'g', 3)).toEqual(['in, out goes home.1', 'in, out goes home.2', 'in, out goes home.3'])
    expect(ask(admission, 'h', 1)).toEqual(['in, out goes g.1'])
  })

  it('an address with a proved key is remembered through a flood from many addresses', () => {
    const admission = new Admission({ ...limits, connectBurst: 3 })
    ask(admission, 'home', 1)
    admission.settle('home.1', true)
    for (let i = 0; i < 20_000; i++) {
      admission.ask(`id ${i}`, `address ${i}`, 0)
      admission.settle(`id ${i}`, false)
    }
    for (const address of 'abcdef') ask(admission, address, 1)
    expect(ask(admission, 'home', 4, 0, 2)).toEqual([
      'in, out goes a.1',
      'in, out goes b.1',
      'in, out goes c.1',
      'in, out goes d.1',
    ])
  })
})

describe('the memory of proved addresses', () => {
  it('the memory of proved addresses keeps 4096 addresses, and drops the least recently used', () => {
    const peers = new PeerAddresses()
    for (let i = 0; i < 4096; i++) peers.connected(`${i}`, i, true)
    peers.connected('0', 5000, false)
    peers.connected('new', 5000, true)
    expect(['0', '1', '2', 'new'].map((address) => peers.isProved(address))).toEqual([true, false, true, true])
    expect([peers.connectedAtMs('0'), peers.connectedAtMs('1')]).toEqual([5000, -Infinity])
  })
})

describe('the admission rate', () => {
  const fast = (admission: Admission, count: number, nowMs: number, authenticated = false): string[] =>
    Array.from({ length: count }, (_, i) => {
      const id = `${nowMs}.${i}`
      const verdict = word(admission.ask(id, 'a', nowMs))
      admission.settle(id, authenticated, false)
      return verdict
    })
  const countIn = (verdicts: string[]): number => verdicts.filter((verdict) => verdict === 'in').length

  it.each([
    [19, 19],
    [20, 20],
    [21, 20],
  ])('the admission rate allows a burst of 20: of %i requests at once %i are admitted', (asked, admitted) => {
    expect(countIn(fast(new Admission(limits), asked, 0))).toBe(admitted)
  })

  it.each([
    [99, 0],
    [100, 1],
    [199, 1],
    [200, 2],
    [1000, 10],
    [2000, 20],
    [60_000, 20],
  ])('the admission rate is 10 a second: %i ms after a burst %i more are admitted', (afterMs, admitted) => {
    const admission = new Admission(limits)
    fast(admission, 20, 0)
    expect(countIn(fast(admission, 30, afterMs))).toBe(admitted)
  })

  it('the admission rate returns the token of each connection that authenticates', () => {
    const admission = new Admission(limits)
    expect(countIn(fast(admission, 500, 0, true))).toBe(500)
  })

  it('the admission rate returns no more tokens than were taken', () => {
    const admission = new Admission(limits)
    fast(admission, 500, 0, true)
    expect(countIn(fast(admission, 30, 0))).toBe(20)
  })

  it('the admission rate is counted per address', () => {
    const admission = new Admission(limits)
    fast(admission, 21, 0)
    expect(word(admission.ask('b.1', 'b', 0))).toBe('in')
  })

  it('the admission rate tolerates a clock that stops or goes back', () => {
    const admission = new Admission(limits)
    fast(admission, 20, 1000)
    expect(countIn(fast(admission, 5, 0))).toBe(0)
    expect(countIn(fast(admission, 5, 100))).toBeLessThanOrEqual(1)
  })
})

describe('the memory of the admission table', () => {
  it('the admission table forgets addresses without pending handshakes, and keeps the others', () => {
    const admission = new Admission({ ...limits, pendingInboundMax: 100 })
    admission.ask('kept', 'first', 0)
    for (let i = 0; i < 20_000; i++) {
      admission.ask(`id ${i}`, `address ${i}`, 0)
      admission.settle(`id ${i}`, false)
    }
    expect(admission.pending).toBe(1)
    expect(ask(admission, 'first', 3)).toEqual(['in', 'in', 'in, out goes kept'])
  })
})

describe('any sequence of requests', () => {
  it('admission never exceeds its bounds, from which only addresses with a proved key are exempt', () => {
    const steps = fc.array(
      fc.record({
        address: fc.constantFrom('a', 'b', 'c', 'd'),
        settle: fc.option(fc.nat(30), { nil: undefined }),
        laterMs: fc.nat(300),
      }),
      { maxLength: 200 },
    )
    fc.assert(
      fc.property(steps, (all) => {
        const admission = new Admission(limits)
        const pending = new Map<string, string>()
        const proved = new Set<string>()
        let nowMs = 0
        for (const [i, { address, settle, laterMs }] of all.entries()) {
          nowMs += laterMs
          const verdict = admission.ask(`${i}`, address, nowMs)
          if (verdict.admitted) pending.set(`${i}`, address)
          if ('evict' in verdict) expect(pending.delete(verdict.evict)).toBe(true)
          const settled = pending.get(`${settle}`)
          if (settled !== undefined) {
            const isAuthenticated = settle! % 2 === 0
            pending.delete(`${settle}`)
            admission.settle(`${settle}`, isAuthenticated)
            if (isAuthenticated) proved.add(settled)
          }
          expect(admission.pending).toBe(pending.size)
          expect(pending.size).toBeLessThanOrEqual(limits.pendingInboundMax)
          const ofAddress = [...pending.values()].filter((other) => other === address).length
          if (!proved.has(address)) expect(ofAddress).toBeLessThanOrEqual(limits.pendingInboundPerAddressMax)
        }
      }),
    )
  })
})
