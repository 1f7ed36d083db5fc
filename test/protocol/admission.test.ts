/** Owns: who may begin a handshake, at each bound and on both sides of it. Refuses to know: sockets; time is a number. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Admission } from '../../protocol/index.ts'
import type { AdmissionLimits, AdmissionVerdict } from '../../protocol/index.ts'

const limits: AdmissionLimits = { pendingInboundMax: 6, pendingInboundPerAddressMax: 3, connectRatePerSecond: 10, connectBurst: 20 }
const word = (verdict: AdmissionVerdict): string => (verdict.admitted ? ('evict' in verdict ? `in, out goes ${verdict.evict}` : 'in') : verdict.reason)

/** Asks `count` times from one address; ids are "address.n". */
function ask(admission: Admission, address: string, count: number, nowMs = 0, from = 1): string[] {
  return Array.from({ length: count }, (_, i) => word(admission.ask(`${address}.${from + i}`, address, nowMs)))
}

describe('pending handshakes', () => {
  it('of one address are 3 and no more', () => {
    expect(ask(new Admission(limits), 'a', 5)).toEqual(['in', 'in', 'in', 'address-pending', 'address-pending'])
  })

  it('of one address make room when one is settled', () => {
    const admission = new Admission(limits)
    ask(admission, 'a', 3)
    admission.settle('a.2', false)
    expect(ask(admission, 'a', 2, 0, 4)).toEqual(['in', 'address-pending'])
  })

  it.each([[1, 1], [2, 2], [3, 3]])('are counted: %i asked, %i pending', (asked, pending) => {
    const admission = new Admission(limits)
    ask(admission, 'a', asked)
    expect(admission.pending).toBe(pending)
  })

  it('are 6 in all; the seventh pushes out the oldest of the busiest address', () => {
    const admission = new Admission(limits)
    ask(admission, 'a', 2)
    ask(admission, 'b', 3)
    expect(ask(admission, 'c', 1)).toEqual(['in'])
    expect([ask(admission, 'd', 1), admission.pending]).toEqual([['in, out goes b.1'], 6])
    // Two addresses have two now, and the one that came first is the busiest.
    expect(ask(admission, 'e', 1)).toEqual(['in, out goes a.1'])
    expect(ask(admission, 'f', 1)).toEqual(['in, out goes b.2'])
  })

  it('of a full table where every address has one are not pushed out', () => {
    const admission = new Admission(limits)
    for (const address of 'abcdef') ask(admission, address, 1)
    expect(ask(admission, 'g', 1)).toEqual(['pending'])
    expect(admission.pending).toBe(6)
  })

  it('of the busiest address are not pushed out by itself', () => {
    const admission = new Admission(limits)
    ask(admission, 'a', 2)
    for (const address of 'bcde') ask(admission, address, 1)
    expect(ask(admission, 'a', 1, 0, 3)).toEqual(['pending'])
  })

  it('that were pushed out are settled for nothing', () => {
    const admission = new Admission(limits)
    ask(admission, 'a', 3)
    for (const address of 'bcd') ask(admission, address, 1)
    ask(admission, 'e', 1)
    admission.settle('a.1', false)
    expect(admission.pending).toBe(6)
  })

  it('that are not known are settled for nothing', () => {
    const admission = new Admission(limits)
    admission.settle('nobody', true)
    expect(admission.pending).toBe(0)
  })
})

describe('a full table of strangers, one from each address', () => {
  const strangers = ['a', 'b', 'c', 'd', 'e', 'f']
  /** A table in which address "home" has proved to be a peer's, and which is full of others since. */
  function besieged(isProved = true): Admission {
    const admission = new Admission(limits)
    ask(admission, 'home', 1)
    admission.settle('home.1', true, isProved)
    for (const address of strangers) ask(admission, address, 1)
    return admission
  }

  it('gives way to an address where a peer has proved its key: the oldest first, up to what one address may have', () => {
    expect(ask(besieged(), 'home', 4, 0, 2)).toEqual(['in, out goes a.1', 'in, out goes b.1', 'in, out goes c.1', 'address-pending'])
  })

  it('does not give way where a name was only claimed', () => {
    expect(ask(besieged(false), 'home', 1, 0, 2)).toEqual(['pending'])
  })

  it.each([[3_599_999, 'in, out goes h.1'], [3_600_000, 'pending']])('remembers the address for an hour: after %i ms, %s', (laterMs, verdict) => {
    const admission = besieged()
    for (const address of strangers) admission.settle(`${address}.1`, false)
    for (const address of 'hijklm') ask(admission, address, 1, laterMs)
    expect(ask(admission, 'home', 1, laterMs, 2)).toEqual([verdict])
  })

  it('does not push out what comes from such an address, not even where it is the busiest', () => {
    const admission = besieged()
    ask(admission, 'home', 2, 0, 2)
    expect(ask(admission, 'h', 1)).toEqual(['pending'])
  })

  it('among known addresses the busiest gives way, as among strangers', () => {
    const admission = new Admission(limits)
    for (const address of ['x', 'y', 'z']) {
      ask(admission, address, 1)
      admission.settle(`${address}.1`, true)
    }
    ask(admission, 'x', 3, 0, 2)
    ask(admission, 'y', 3, 0, 2)
    expect(ask(admission, 'z', 1, 0, 2)).toEqual(['in, out goes x.2'])
  })

  it.each([[999, 'pending'], [1_000, 'in, out goes a.1'], [1_001, 'in, out goes a.1']])('gives way to anybody once its oldest has been under way for a second: after %i ms, %s', (afterMs, verdict) => {
    const admission = new Admission(limits)
    for (const [i, address] of strangers.entries()) ask(admission, address, 1, i)
    expect(ask(admission, 'g', 1, afterMs)).toEqual([verdict])
  })
})

describe('the rate', () => {
  const fast = (admission: Admission, count: number, nowMs: number, authenticated = false): string[] =>
    Array.from({ length: count }, (_, i) => {
      const id = `${nowMs}.${i}`
      const verdict = word(admission.ask(id, 'a', nowMs))
      admission.settle(id, authenticated)
      return verdict
    })
  const countIn = (verdicts: string[]): number => verdicts.filter((verdict) => verdict === 'in').length

  it.each([[19, 19], [20, 20], [21, 20]])('bears a burst of 20: of %i at once %i get in', (asked, admitted) => {
    expect(countIn(fast(new Admission(limits), asked, 0))).toBe(admitted)
  })

  it.each([[99, 0], [100, 1], [199, 1], [200, 2], [1000, 10], [2000, 20], [60_000, 20]])('is 10 a second: %i ms after a burst %i more get in', (afterMs, admitted) => {
    const admission = new Admission(limits)
    fast(admission, 20, 0)
    expect(countIn(fast(admission, 30, afterMs))).toBe(admitted)
  })

  it('gives the token back to those who authenticate: they are never too many', () => {
    const admission = new Admission(limits)
    expect(countIn(fast(admission, 500, 0, true))).toBe(500)
  })

  it('gives back no more than there were', () => {
    const admission = new Admission(limits)
    fast(admission, 500, 0, true)
    expect(countIn(fast(admission, 30, 0))).toBe(20)
  })

  it('is counted for each address', () => {
    const admission = new Admission(limits)
    fast(admission, 21, 0)
    expect(word(admission.ask('b.1', 'b', 0))).toBe('in')
  })

  it('does not mind a clock that stands still or goes back', () => {
    const admission = new Admission(limits)
    fast(admission, 20, 1000)
    expect(countIn(fast(admission, 5, 0))).toBe(0)
    expect(countIn(fast(admission, 5, 100))).toBeLessThanOrEqual(1)
  })

  it('says pending, not rate, where both hold: a handshake under way is the nearer reason', () => {
    const admission = new Admission({ ...limits, connectBurst: 3 })
    expect(ask(admission, 'a', 4)[3]).toBe('address-pending')
  })
})

describe('memory', () => {
  it('is bounded: addresses without anything pending are forgotten, those with something are not', () => {
    const admission = new Admission({ ...limits, pendingInboundMax: 100 })
    admission.ask('kept', 'first', 0)
    for (let i = 0; i < 20_000; i++) {
      admission.ask(`id ${i}`, `address ${i}`, 0)
      admission.settle(`id ${i}`, false)
    }
    expect(admission.pending).toBe(1)
    expect(ask(admission, 'first', 3)).toEqual(['in', 'in', 'address-pending'])
  })
})

describe('an address where a peer has proved its key', () => {
  it('is not washed away by a flood from many addresses', () => {
    const admission = new Admission({ ...limits, connectBurst: 3 })
    ask(admission, 'home', 1)
    admission.settle('home.1', true)
    for (let i = 0; i < 20_000; i++) {
      admission.ask(`id ${i}`, `address ${i}`, 0)
      admission.settle(`id ${i}`, false)
    }
    for (const address of 'abcdef') ask(admission, address, 1)
    expect(ask(admission, 'home', 1, 0, 2)).toEqual(['in, out goes a.1'])
  })
})

describe('whatever comes', () => {
  it('never lets in more than the bounds, and never pushes out somebody unknown', () => {
    const steps = fc.array(fc.record({ address: fc.constantFrom('a', 'b', 'c', 'd'), settle: fc.option(fc.nat(30), { nil: undefined }), laterMs: fc.nat(300) }), { maxLength: 200 })
    fc.assert(
      fc.property(steps, (all) => {
        const admission = new Admission(limits)
        const pending = new Map<string, string>()
        let nowMs = 0
        for (const [i, { address, settle, laterMs }] of all.entries()) {
          nowMs += laterMs
          const verdict = admission.ask(`${i}`, address, nowMs)
          if (verdict.admitted) pending.set(`${i}`, address)
          if ('evict' in verdict) expect(pending.delete(verdict.evict)).toBe(true)
          if (settle !== undefined && pending.delete(`${settle}`)) admission.settle(`${settle}`, settle % 2 === 0)
          expect(admission.pending).toBe(pending.size)
          expect(pending.size).toBeLessThanOrEqual(limits.pendingInboundMax)
          expect([...pending.values()].filter((other) => other === address).length).toBeLessThanOrEqual(limits.pendingInboundPerAddressMax)
        }
      }),
    )
  })
})
