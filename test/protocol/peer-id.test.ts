/**
 * Owns: what an identity is, its order as bytes, and the ring of parties. Independent of: connections.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkIdentity, compareIdentities, ringAround, roleTowards } from '../../protocol/index.ts'
import { decodeIdentity } from '../../protocol/ampc/peer-id.ts'
import { expectError } from '../codec/harness.ts'

const identity = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 16 })
  .filter((text) => Buffer.byteLength(text) <= 128)

describe('an identity', () => {
  it.each<[string, unknown, string]>([
    ['must be a string', 7, 'peers[0].id must be a string, got 7'],
    ['must not be empty', '', 'peers[0].id must not be empty'],
    ['may not have 129 bytes', 'x'.repeat(129), `peers[0].id has 129 bytes, more than 128: "${'x'.repeat(129)}"`],
    ['is measured in bytes of UTF-8', 'é'.repeat(65), `peers[0].id has 130 bytes, more than 128: "${'é'.repeat(65)}"`],
    ['may not hold half a surrogate pair', 'a\ud800', 'peers[0].id holds half of a surrogate pair: "a\\ud800"'],
    [
      'may not be a key',
      '-----BEGIN PRIVATE KEY-----\nMC4',
      'peers[0].id must be a name, got a text in PEM: pass a key to Identity.fromPem',
    ],
  ])('an identity %s', (_, value, message) => {
    expect(expectError('ERR_INVALID_PEER_ID', () => checkIdentity(value, 'peers[0].id')).message).toBe(message)
  })

  it.each(['x', 'x'.repeat(127), 'x'.repeat(128), 'é'.repeat(64), '🙂'])('an identity may be %j', (value) => {
    expect(checkIdentity(value, 'identity')).toBe(value)
  })

  it('an identity is decoded from its bytes, and bytes that are not UTF-8 are refused', () => {
    fc.assert(
      fc.property(identity, (text) => {
        expect(decodeIdentity(Buffer.from(text))).toBe(text)
      }),
    )
    for (const hex of ['ff', 'c080', 'eda080', 'f8888080', 'c3'])
      expect(decodeIdentity(Buffer.from(hex, 'hex'))).toBeUndefined()
  })

  it('an identity keeps a byte-order mark, so that different bytes are different identities', () => {
    expect(decodeIdentity(Buffer.from('\ufeffbob'))).toBe('\ufeffbob')
  })
})

describe('the order of identities', () => {
  it("identities are ordered by their bytes, which differs from JavaScript's order beyond the basic plane", () => {
    const [face, halfWidth] = ['\u{1f600}', '\uff61']
    expect(face < halfWidth).toBe(true)
    expect(compareIdentities(face, halfWidth)).toBe(1)
    expect(roleTowards(face, halfWidth)).toBe('dialer')
  })

  it.each([
    ['alice', 'bob', -1],
    ['bob', 'alice', 1],
    ['bob', 'bob', 0],
    ['bob', 'bobby', -1],
    ['Z', 'a', -1],
    ['10', '9', -1],
  ])('the order of %j and %j is %i', (a, b, order) => {
    expect(Math.sign(compareIdentities(a, b))).toBe(order)
  })

  it('the order of identities is total: of two different peers exactly one dials', () => {
    fc.assert(
      fc.property(identity, identity, (a, b) => {
        fc.pre(a !== b)
        expect([roleTowards(a, b), roleTowards(b, a)].sort()).toEqual(['acceptor', 'dialer'])
        expect(Math.sign(compareIdentities(a, b))).toBe(Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))))
      }),
    )
  })
})

describe('the ring of parties', () => {
  it.each([
    ['alice', ['bob', 'charlie'], 'bob', 'charlie'],
    ['bob', ['charlie', 'alice'], 'charlie', 'alice'],
    ['charlie', ['alice', 'bob'], 'alice', 'bob'],
    ['alice', ['bob'], 'bob', 'bob'],
    ['\uff61', ['\u{1f600}', 'a'], '\u{1f600}', 'a'],
  ])('the ring around %j with %j has next %j and previous %j', (own, peers, next, previous) => {
    expect(ringAround(own, peers)).toEqual({ next, previous })
  })

  it('all parties see the same ring: my next has me as its previous, and following it visits all', () => {
    fc.assert(
      fc.property(fc.uniqueArray(identity, { minLength: 2, maxLength: 8 }), (parties) => {
        const ringOf = (own: string) =>
          ringAround(
            own,
            parties.filter((party) => party !== own),
          )
        const seen = new Set<string>()
        for (let at = parties[0] as string; !seen.has(at); at = ringOf(at).next) {
          seen.add(at)
          expect(ringOf(ringOf(at).next).previous).toBe(at)
        }
        expect(seen.size).toBe(parties.length)
      }),
    )
  })
})
