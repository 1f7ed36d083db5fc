/**
 * Owns: what the reader of a ClientHello returns for real, truncated and corrupted ones, and for noise.
 * Independent of: sockets.
 */
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { clientHelloLengthBytesMax, readClientHello } from '../../codec/client-hello.ts'
import { captureClientHello } from '../support/first-flight.ts'
import { protocolOf } from '../../actors/tls/tls-errors.ts'

const u16 = (value: number): number[] => [value >>> 8, value & 0xff]
const vector = (lengthBytes: 1 | 2, content: readonly number[]): number[] => [
  ...(lengthBytes === 1 ? [content.length] : u16(content.length)),
  ...content,
]
const ascii = (text: string): number[] => Array.from(Buffer.from(text, 'latin1'))
const alpn = (...names: string[]): number[] => [
  0,
  16,
  ...vector(
    2,
    vector(
      2,
      names.flatMap((name) => vector(1, ascii(name))),
    ),
  ),
]

function handshake(extensions: readonly number[] | null, { version = [3, 3], ciphers = [0x13, 1] } = {}): number[] {
  const body = [
    ...version,
    ...Array.from({ length: 32 }, (_, i) => i),
    ...vector(1, []),
    ...vector(2, ciphers),
    ...vector(1, [0]),
    ...(extensions === null ? [] : vector(2, extensions)),
  ]
  return [1, 0, ...u16(body.length), ...body]
}

/** In records of at most `size` bytes. */
function records(content: readonly number[], size = 16_384): Buffer {
  const all: number[] = []
  for (let at = 0; at < content.length; at += size) all.push(22, 3, 1, ...vector(2, content.slice(at, at + size)))
  return Buffer.from(all)
}

let real: Buffer
beforeAll(async () => {
  real = await captureClientHello({ ALPNProtocols: ['statewire/1', 'h2'], servername: 'bob.example' })
})

describe('a ClientHello', () => {
  it('a ClientHello of Node is read in each version, with and without ALPN', async () => {
    expect(readClientHello(real)).toEqual({ alpn: ['statewire/1', 'h2'] })
    expect(readClientHello(await captureClientHello({}))).toEqual({ alpn: [] })
    expect(readClientHello(await captureClientHello({ maxVersion: 'TLSv1.2' }))).toEqual({ alpn: [] })
    expect(readClientHello(await captureClientHello({ minVersion: 'TLSv1.3', ALPNProtocols: ['x'] }))).toEqual({
      alpn: ['x'],
    })
  })

  it('a ClientHello that is cut at any byte needs more, and a complete one is read whatever follows', () => {
    for (let at = 0; at < real.length; at++)
      expect([at, readClientHello(real.subarray(0, at))]).toEqual([at, 'need more'])
    expect(readClientHello(Buffer.concat([real, Buffer.from('anything')]))).toEqual({ alpn: ['statewire/1', 'h2'] })
  })

  it('a ClientHello in records of any size is read the same, and needs more if it is cut anywhere', () => {
    const content = handshake(alpn('statewire/1'))
    for (let size = 2; size <= content.length; size++) {
      const bytes = records(content, size)
      expect([size, readClientHello(bytes)]).toEqual([size, { alpn: ['statewire/1'] }])
      for (let at = 0; at < bytes.length; at += 3) expect(readClientHello(bytes.subarray(0, at))).toBe('need more')
    }
  })

  it('a ClientHello may have other extensions before and after ALPN, or none at all', () => {
    const other = [0xff, 0x01, ...vector(2, [1, 2, 3])]
    expect(readClientHello(records(handshake([...other, ...alpn('a', 'b'), ...other])))).toEqual({ alpn: ['a', 'b'] })
    expect(readClientHello(records(handshake(null)))).toEqual({ alpn: [] })
    expect(readClientHello(records(handshake([])))).toEqual({ alpn: [] })
  })

  it('protocol names that are not UTF-8 are distinguished', () => {
    expect(readClientHello(records(handshake(alpn('\u00ff', '\u00fe'))))).toEqual({ alpn: ['\u00ff', '\u00fe'] })
  })

  it.each<[string, Buffer]>([
    ['another record', Buffer.from([23, 3, 3, 0, 1, 0])],
    ['an alert', Buffer.from([21, 3, 3, 0, 2, 2, 40])],
    ['a ServerHello', records([2, 0, 0, 0])],
    ['an empty record', Buffer.from([22, 3, 1, 0, 0])],
    ['a record of 16,385 bytes', Buffer.from([22, 3, 1, 0x40, 1])],
    ['a wrong major version', Buffer.from([22, 2])],
    ['a wrong version inside', records(handshake([], { version: [2, 0] }))],
    ['no cipher', records(handshake([], { ciphers: [] }))],
    ['two lists of protocols', records(handshake([...alpn('a'), ...alpn('statewire/1')]))],
    ['an empty list', records(handshake(alpn()))],
    ['an empty name', records(handshake(alpn('')))],
    ['a name longer than the list', records(handshake([0, 16, ...vector(2, vector(2, [9, 65]))]))],
    ['a list longer than its extension', records(handshake([0, 16, ...vector(2, [0, 9, 1, 65])]))],
    ['bytes after the list', records(handshake([0, 16, ...vector(2, [...vector(2, [1, 65]), 0])]))],
    ['an extension longer than the message', records(handshake([0, 16, 0xff, 0xff]))],
    ['a cut extension', records(handshake([0, 16, 0]))],
    ['bytes after the extensions', records([1, 0, ...u16(handshake([]).length - 4 + 1), ...handshake([]).slice(4), 0])],
    ['an empty body', records([1, 0, 0, 0])],
    [
      'another record in the middle',
      Buffer.concat([records(handshake(alpn('statewire/1')).slice(0, 20)), Buffer.from([23, 3, 3, 0, 1, 0])]),
    ],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['SSH', Buffer.from('SSH-2.0-OpenSSH_9.6\r\n')],
    ['a plain hello', Buffer.from('SWIR\x01\x01')],
    ['SSLv2', Buffer.from([0x80, 0x2e, 1, 0, 2])],
    ['one byte of text', Buffer.from('x')],
  ])('the reader of a ClientHello refuses %s', (_name, bytes) => {
    expect(readClientHello(bytes)).toBe('not-tls')
  })

  it('a ClientHello is read up to 16 KiB and 64 records; more is refused before it has arrived', () => {
    const filler = (length: number): number[] => [
      0xff,
      0x01,
      ...vector(
        2,
        Array.from({ length }, () => 0),
      ),
    ]
    const rest = handshake(filler(0)).length - 4
    const atLimit = handshake(filler(clientHelloLengthBytesMax - rest))
    expect(readClientHello(records(atLimit))).toEqual({ alpn: [] })
    const above = handshake(filler(clientHelloLengthBytesMax - rest + 1))
    expect(readClientHello(records(above).subarray(0, 9))).toBe('not-tls')
    const content = handshake(filler(640 - rest - 4))
    expect(content.length).toBe(640)
    expect(readClientHello(records(content, 10))).toEqual({ alpn: [] })
    expect(readClientHello(records([...content.slice(0, 1), ...content.slice(1)], 9))).toBe('not-tls')
  })
})

describe('noise', () => {
  it('noise never makes the reader throw or change an answer that it gave for a shorter input', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(600), (bytes, cut) => {
        const whole = readClientHello(bytes)
        const part = readClientHello(bytes.subarray(0, cut))
        if (part !== 'need more') expect(whole).toEqual(part)
      }),
      { numRuns: 3000 },
    )
  })

  it('a ClientHello with up to eight random bytes never makes the reader throw or need more than 16 KiB', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(real.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        (changes) => {
          const changed = Buffer.from(real)
          for (const [at, value] of changes) changed[at] = value
          const whole = readClientHello(changed)
          const long = readClientHello(Buffer.concat([changed, Buffer.alloc(3 * clientHelloLengthBytesMax, 22)]))
          expect(long).not.toBe('need more')
          if (whole !== 'need more') expect(long).toEqual(whole)
        },
      ),
      { numRuns: 5000 },
    )
  })
})

describe('other protocols', () => {
  it.each([
    ['GET / HTTP/1.1', 'HTTP'],
    ['HTTP/1.1 400 Bad Request', 'an HTTP answer'],
    ['SSH-2.0-x', 'SSH'],
    ['SWIR', 'statewire without TLS'],
    ['hello', 'plain text'],
    ['\u0000\u0001', 'an unknown protocol'],
    ['\u0016\u0003\u0001', 'TLS with an invalid ClientHello'],
    ['', 'an unknown protocol'],
  ])('the first bytes %j are recognised as %s', (text, name) => {
    expect(protocolOf(Buffer.from(text, 'latin1'))).toBe(name)
  })
})
