/**
 * Owns: how sessions are numbered and spread over connections, and the first value of each. Independent of: lanes and
 * sockets.
 */
import { describe, expect, it } from 'vitest'
import { connectionOf, connectionsFor, SessionNumbering, validationKey } from '../../protocol/index.ts'

const end = 2 ** 32 - 1

describe('session numbers', () => {
  it('session numbers are consecutive over successful calls, and a failed call uses none', () => {
    const numbering = new SessionNumbering()
    expect(numbering.first(3)).toBe(0)
    numbering.succeeded(0, 3)
    expect([numbering.first(5), numbering.first(2), numbering.next]).toEqual([3, 3, 3])
    numbering.succeeded(3, 2)
    expect(numbering.first(1)).toBe(5)
  })

  it('session numbers do not go back when concurrent calls to different peers end in another order', () => {
    const numbering = new SessionNumbering()
    const [many, one] = [numbering.first(4), numbering.first(1)]
    numbering.succeeded(many, 4)
    numbering.succeeded(one, 1)
    expect(numbering.next).toBe(4)
  })

  it('session numbers wrap around to 0 at the end of the range, and continue from there', () => {
    const numbering = new SessionNumbering()
    numbering.succeeded(0, end - 5)
    numbering.succeeded(numbering.first(10), 10)
    expect([numbering.next, numbering.first(10)]).toEqual([10, 10])
  })

  it.each([
    [end - 11, 10, end - 11],
    [end - 10, 10, 0],
    [end - 9, 10, 0],
    [end - 10, 9, end - 10],
  ])('session numbers that have reached %i continue for a group of %i at %i', (next, count, first) => {
    const numbering = new SessionNumbering()
    numbering.succeeded(0, next)
    expect(numbering.first(count)).toBe(first)
  })
})

describe('the connections of a session group', () => {
  it.each([
    [1, 4, 1],
    [3, 4, 3],
    [4, 4, 4],
    [5, 4, 4],
    [8, 1, 1],
  ])('%i sessions at a parallelism of %i need %i connections', (sessions, parallelism, connections) => {
    expect(connectionsFor(sessions, parallelism)).toBe(connections)
  })

  it('connections take sessions in rotation', () => {
    expect([0, 1, 2, 3, 4, 5, 6].map((index) => connectionOf(index, 3))).toEqual([0, 1, 2, 0, 1, 2, 0])
  })
})

describe('a validation value', () => {
  it.each([
    [0, '00000000000000000000000000000000'],
    [1, '01000000000000000000000000000000'],
    [258, '02010000000000000000000000000000'],
    [1023, 'ff030000000000000000000000000000'],
  ])('the validation value of session index %i is %s: u64 little-endian, padded to 16 bytes', (index, hex) => {
    expect(Buffer.from(validationKey(index)).toString('hex')).toBe(hex)
  })
})
