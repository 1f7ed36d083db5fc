/**
 * Owns: the order in which the addresses of one host are dialled.
 * Independent of: who finds the addresses and who dials them.
 */
import { describe, expect, it } from 'vitest'
import { DialAddresses } from '../../actors/link/dial-addresses.ts'

const both = ['::1', '127.0.0.1']

describe('the addresses of a host', () => {
  it('the addresses of a host dials each address of a host once before the host counts as failed', () => {
    const addresses = new DialAddresses(1000)
    for (let round = 0; round < 3; round++) {
      expect(addresses.next(both, 0)).toEqual({ host: '::1', isLast: false })
      expect(addresses.failed(false, 0)).toBe(true)
      expect(addresses.next(both, 0)).toEqual({ host: '127.0.0.1', isLast: true })
      expect(addresses.failed(false, 0)).toBe(false)
    }
  })

  it('the addresses of a host begins with the address on which a connection worked last', () => {
    const addresses = new DialAddresses(1000)
    addresses.next(both, 0)
    addresses.failed(false, 0)
    addresses.next(both, 0)
    addresses.proved()
    expect(addresses.next(both, 0)).toEqual({ host: '127.0.0.1', isLast: false })
    expect(addresses.failed(false, 0)).toBe(true)
    expect(addresses.next(both, 0)).toEqual({ host: '::1', isLast: true })
  })

  it('the addresses of a host skips an address that is set aside until its time has passed', () => {
    const addresses = new DialAddresses(1000)
    addresses.next(both, 0)
    expect(addresses.failed(true, 0)).toBe(true)
    for (const nowMs of [0, 500, 999]) {
      expect(addresses.next(both, nowMs)).toEqual({ host: '127.0.0.1', isLast: true })
      expect(addresses.failed(false, nowMs)).toBe(false)
    }
    expect(addresses.next(both, 1000).host).toBe('::1')
  })

  it('the addresses of a host dials the first address when all of a host are set aside', () => {
    const addresses = new DialAddresses(1000)
    for (const hasOther of [true, false]) {
      addresses.next(both, 0)
      expect(addresses.failed(true, 0)).toBe(hasOther)
    }
    expect(addresses.next(both, 1)).toEqual({ host: '::1', isLast: true })
  })

  it('the addresses of a host forgets addresses that the name does not have any more', () => {
    const addresses = new DialAddresses(1000)
    addresses.next(['10.0.0.1'], 0)
    expect(addresses.failed(true, 0)).toBe(false)
    expect(addresses.next(['10.0.0.2'], 0)).toEqual({ host: '10.0.0.2', isLast: true })
  })

  it('the addresses of a host draws no conclusion from a dial that was replaced by another connection', () => {
    const addresses = new DialAddresses(1000)
    addresses.next(both, 0)
    addresses.forget()
    addresses.proved()
    expect(addresses.failed(true, 0)).toBe(false)
    expect(addresses.next(both, 0).host).toBe('127.0.0.1')
  })
})
