/**
 * Owns: the order in which the addresses of one host are dialled.
 * Independent of: who finds the addresses and who dials them.
 */
import { describe, expect, it } from 'vitest'
import { DialAddresses } from '../../actors/link/dial-addresses.ts'

const both = ['::1', '127.0.0.1']

describe('the addresses of a host', () => {
  it('each address of a host is dialled once before the host counts as failed', () => {
    const addresses = new DialAddresses(1000)
    for (let round = 0; round < 3; round++) {
      expect(addresses.next(both, 0)).toEqual({ host: '::1', isLast: false })
      expect(addresses.failed(false, 0)).toBe(true)
      expect(addresses.next(both, 0)).toEqual({ host: '127.0.0.1', isLast: true })
      expect(addresses.failed(false, 0)).toBe(false)
    }
  })

  it('the address on which a connection worked last is dialled first', () => {
    const addresses = new DialAddresses(1000)
    addresses.next(both, 0)
    addresses.failed(false, 0)
    addresses.next(both, 0)
    addresses.proved()
    expect(addresses.next(both, 0)).toEqual({ host: '127.0.0.1', isLast: false })
    expect(addresses.failed(false, 0)).toBe(true)
    expect(addresses.next(both, 0)).toEqual({ host: '::1', isLast: true })
  })

  it('an address that was set aside is skipped until its time has passed', () => {
    const addresses = new DialAddresses(1000)
    addresses.next(both, 0)
    expect(addresses.failed(true, 0)).toBe(true)
    for (const nowMs of [0, 500, 999]) {
      expect(addresses.next(both, nowMs)).toEqual({ host: '127.0.0.1', isLast: true })
      expect(addresses.failed(false, nowMs)).toBe(false)
    }
    expect(addresses.next(both, 1000).host).toBe('::1')
  })

  it('the first address is dialled when all of a host are set aside', () => {
    const addresses = new DialAddresses(1000)
    for (const hasOther of [true, false]) {
      addresses.next(both, 0)
      expect(addresses.failed(true, 0)).toBe(hasOther)
    }
    expect(addresses.next(both, 1)).toEqual({ host: '::1', isLast: true })
  })

  it('addresses that a name no longer has are forgotten', () => {
    const addresses = new DialAddresses(1000)
    addresses.next(['10.0.0.1'], 0)
    expect(addresses.failed(true, 0)).toBe(false)
    expect(addresses.next(['10.0.0.2'], 0)).toEqual({ host: '10.0.0.2', isLast: true })
  })

  it('a dial that was replaced by another connection does not count for or against its address', () => {
    const addresses = new DialAddresses(1000)
    addresses.next(both, 0)
    addresses.forget()
    addresses.proved()
    expect(addresses.failed(true, 0)).toBe(false)
    expect(addresses.next(both, 0).host).toBe('127.0.0.1')
  })
})
