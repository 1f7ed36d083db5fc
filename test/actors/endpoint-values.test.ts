/**
 * Owns: the value types of RFC 33: what each takes, refuses, and shows.
 * Independent of: networks.
 */
import { describe, expect, it } from 'vitest'
import {
  Address,
  Endpoint,
  EndpointId,
  Identity,
  Port,
  Protocol,
  Session,
  TcpSession,
  Url,
} from '../../actors/index.ts'

const codeOf = (run: () => unknown): unknown => {
  try {
    run()
  } catch (error) {
    return (error as { code?: unknown }).code
  }
  return 'taken'
}
const id = Identity.generate().id

describe('the value types of RFC 33', () => {
  it.each([
    [-1, 'ERR_INVALID_OPTION'],
    [0, 'taken'],
    [65_535, 'taken'],
    [65_536, 'ERR_INVALID_OPTION'],
    [1.5, 'ERR_INVALID_OPTION'],
    ['80', 'ERR_INVALID_OPTION'],
  ])('a Port of %j is %s', (port, outcome) => {
    expect(codeOf(() => Port(port as number))).toBe(outcome)
  })

  it('an Address is made of an IPv4 or IPv6 address and a port, or of a text', () => {
    expect(Address.fromV4AddrAndPort('192.0.2.7', Port(15_600))).toEqual({ host: '192.0.2.7', port: 15_600 })
    expect(Address.fromV6AddrAndPort('fe80::1%eth0', 1)).toEqual({ host: 'fe80::1%eth0', port: 1 })
    expect(Address.fromAddrStr('[::1]:15600')).toEqual({ host: '::1', port: 15_600 })
    expect(Address.toString(Address.fromAddrStr('node.example:7'))).toBe('node.example:7')
  })

  it.each<[string, () => unknown, string]>([
    ['an IPv6 address as IPv4', () => Address.fromV4AddrAndPort('::1', 1), 'ERR_INVALID_OPTION'],
    ['a name as IPv6', () => Address.fromV6AddrAndPort('node.example', 1), 'ERR_INVALID_OPTION'],
    ['a text without a port', () => Address.fromAddrStr('192.0.2.7'), 'ERR_INVALID_URL'],
    ['a text with a path', () => Address.fromAddrStr('192.0.2.7:1/path'), 'ERR_INVALID_URL'],
    ['no text', () => Address.fromAddrStr(7 as never), 'ERR_INVALID_URL'],
  ])('an Address refuses %s', (_, make, code) => {
    expect(codeOf(make)).toBe(code)
  })

  it.each(['tls://192.0.2.7:15600', 'tcp://[::1]:1', 'unix:/run/app.sock', 'tls://node.example:7'])(
    'the Url %s is shown as it was read',
    (text) => {
      const url = Url.fromUrlStr(text)
      expect(String(url)).toBe(text)
      expect(String(new Url(url.address, url.protocol))).toBe(text)
      expect(JSON.stringify({ url })).toBe(JSON.stringify({ url: text }))
    },
  )

  it.each<[string, () => unknown]>([
    ['another scheme', () => Url.fromUrlStr('udp://192.0.2.7:1')],
    ['no port', () => Url.fromUrlStr('tls://192.0.2.7')],
    ['no text', () => Url.fromUrlStr(undefined as never)],
    ['an unknown protocol', () => new Url({ host: '192.0.2.7', port: 1 }, 'udp' as Protocol)],
    ['unix with a host', () => new Url({ host: '192.0.2.7', port: 1 }, Protocol.Unix)],
    ['tls with a path', () => new Url({ host: '/run/app.sock', port: 0 }, Protocol.Tls)],
    ['a port out of range', () => new Url({ host: '192.0.2.7', port: 70_000 }, Protocol.Tcp)],
  ])('a Url refuses %s', (_, make) => {
    expect(codeOf(make)).toBe('ERR_INVALID_URL')
  })

  it('an EndpointId is a key, and an address is none', () => {
    expect(EndpointId(id)).toBe(id)
    expect(codeOf(() => EndpointId('192.0.2.7:15600'))).toBe('ERR_INVALID_PEER_ID')
  })

  it('an Endpoint has an id and the texts of its URLs', () => {
    const url = Url.fromUrlStr('tls://192.0.2.7:1')
    expect(new Endpoint(id, [url, 'unix:/run/app.sock'])).toEqual({
      id,
      urls: ['tls://192.0.2.7:1', 'unix:/run/app.sock'],
    })
    expect(new Endpoint(id, url).urls).toEqual(['tls://192.0.2.7:1'])
    expect(new Endpoint(id).urls).toEqual([])
    expect(codeOf(() => new Endpoint(id, ['192.0.2.7:1']))).toBe('ERR_INVALID_URL')
  })

  it('TcpSession is the class of sessions', () => {
    expect(TcpSession).toBe(Session)
  })
})
