/**
 * Owns: the bytes of the PROXY protocol's header, and what is accepted of a peer. Independent of: tunnels.
 */
import { encode } from '@msgpack/msgpack'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { decodeClient, encodeClient, proxyHeader } from '../../tunnel/proxy-protocol.ts'
import type { ClientAddress } from '../../tunnel/proxy-protocol.ts'

const signature = '0d0a0d0a000d0a515549540a'

it.each<[string, ClientAddress | null, string]>([
  ['no client', null, '21000000'],
  ['IPv4', { from: ['192.0.2.1', 0x1234], to: ['198.51.100.2', 80] }, '2111000cc0000201c633640212340050'],
  [
    'IPv6',
    { from: ['2001:db8::1', 1], to: ['::', 65_535] },
    '2121002420010db8000000000000000000000001000000000000000000000000000000000001ffff',
  ],
  [
    'IPv4 within IPv6',
    { from: ['::ffff:192.0.2.1', 1], to: ['fe80::1%eth0', 2] },
    '2121002400000000000000000000ffffc0000201fe80000000000000000000000000000100010002',
  ],
  [
    'one of each',
    { from: ['192.0.2.1', 1], to: ['1:2:3:4:5:6:7:8', 2] },
    '2121002400000000000000000000ffffc00002010001000200030004000500060007000800010002',
  ],
])('the header of %s is as the specification has it', (_what, client, hex) => {
  expect(proxyHeader(client).toString('hex')).toBe(signature + hex)
})

it('what one side says of its client is what the other side reads', () => {
  const address = fc.tuple(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 0, max: 0xffff }))
  fc.assert(
    fc.property(address, address, (from, to) => {
      const client = { from, to }
      expect(decodeClient(encodeClient(client))).toEqual(client)
      expect(proxyHeader(client).length).toBe(proxyHeader(client).readUInt16BE(14) + 16)
    }),
  )
  expect(decodeClient(encodeClient(null))).toBe(null)
})

it.each<[string, Uint8Array]>([
  ['nothing', new Uint8Array()],
  ['bytes that are not MessagePack', Buffer.from('c1', 'hex')],
  ['nil', encode(null)],
  ['a text', encode('127.0.0.1')],
  ['a name instead of an address', encode({ from: ['localhost', 1], to: ['127.0.0.1', 1] })],
  ['a port that is too large', encode({ from: ['127.0.0.1', 65_536], to: ['127.0.0.1', 1] })],
  ['a port that is a fraction', encode({ from: ['127.0.0.1', 1.5], to: ['127.0.0.1', 1] })],
  ['a third field', encode({ from: ['127.0.0.1', 1, 2], to: ['127.0.0.1', 1] })],
])('a peer that says %s has told nothing of its client', (_what, extra) => {
  expect(decodeClient(extra)).toBe(null)
})
