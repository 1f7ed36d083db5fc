/**
 * Owns: the handshake of the ampc dialect as bytes, in both roles, in every split, and every way in which it is
 * refused.
 * Independent of: sockets and deadlines.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AmpcAcceptorHandshake, AmpcDialerHandshake } from '../../protocol/index.ts'
import type { Claim } from '../../protocol/index.ts'
import { expectProtocolError } from '../codec/harness.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** Connection 7, identity "bob", then the first bytes of a frame. */
const fromDialer = hex('00000007 00000003 626f62')
const fromAcceptor = hex('00000007 326f6b')
const frames = hex('01000000 12')

function feedDialer(dialer: AmpcDialerHandshake, pieces: readonly Buffer[]): { written: Buffer; rest: string | null } {
  const written: Buffer[] = []
  let rest: Buffer | null = null
  for (const piece of pieces) {
    if (rest !== null) {
      rest = Buffer.concat([rest, piece])
      continue
    }
    const step = dialer.feed(Buffer.from(piece))
    if (step.write !== undefined) written.push(step.write)
    if (step.verified === true) rest = step.rest ?? Buffer.alloc(0)
  }
  return { written: Buffer.concat(written), rest: rest === null ? null : rest.toString('hex') }
}

function feedAcceptor(
  acceptor: AmpcAcceptorHandshake,
  pieces: readonly Buffer[],
): { written: Buffer[]; claims: Claim[] } {
  const written: Buffer[] = []
  const claims: Claim[] = []
  for (const piece of pieces) {
    const step = acceptor.feed(Buffer.from(piece))
    if (step.write !== undefined) written.push(step.write)
    if (step.claim !== undefined) claims.push(step.claim)
  }
  return { written, claims }
}

/** A run of bytes, cut at the given places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [...new Set(places)].sort((a, b) => a - b)
  return [...sorted, bytes.length].map((place, i) => bytes.subarray(i === 0 ? 0 : sorted[i - 1], place))
}

const dialer = (): AmpcDialerHandshake => new AmpcDialerHandshake({ identity: 'bob', linkIndex: 7 })

describe('the dialer', () => {
  it('the dialer starts with its connection id, u32 big-endian', () => {
    expect(dialer().begin().toString('hex')).toBe('00000007')
  })

  it('the dialer sends its identity after the echo, and not before', () => {
    const one = dialer()
    expect(one.feed(hex('000000'))).toEqual({})
    expect(one.feed(hex('07')).write?.toString('hex')).toBe('00000003626f62')
  })

  it('the dialer sends its identity in one write', () => {
    expect(feedDialer(dialer(), [fromAcceptor]).written.toString('hex')).toBe('00000003626f62')
  })

  it('the dialer completes at "2ok" in every split, and the bytes after it are frames', () => {
    const stream = Buffer.concat([fromAcceptor, frames])
    for (let a = 0; a <= stream.length; a++) {
      for (let b = a; b <= stream.length; b++)
        expect(feedDialer(dialer(), cut(stream, [a, b])), `cut at ${a} and ${b}`).toMatchObject({
          rest: frames.toString('hex'),
        })
    }
  })

  it.each([
    ['an echo of another id', '00000008', 'echoed connection id 8 instead of 7'],
    ['an echo in the other byte order', '07000000', 'echoed connection id 117440512 instead of 7'],
    ['another answer than 2ok', '00000007 326e6f', 'answered 326e6f instead of "2ok"'],
  ])('the dialer refuses %s', (_, bytes, sentence) => {
    expect(expectProtocolError('ERR_HANDSHAKE_FAILED', () => dialer().feed(hex(bytes))).message).toContain(sentence)
  })

  it.each([0, 1, 2 ** 31, 2 ** 32 - 1])('the dialer accepts the connection id %i', (linkIndex) => {
    const one = new AmpcDialerHandshake({ identity: 'bob', linkIndex })
    expect(one.begin().equals(u32(linkIndex))).toBe(true)
    expect(one.feed(Buffer.concat([u32(linkIndex), Buffer.from('2ok')])).verified).toBe(true)
  })
})

describe('the acceptor', () => {
  it('the acceptor echoes the id and accepts the claim once, in every split', () => {
    for (let a = 0; a <= fromDialer.length; a++) {
      for (let b = a; b <= fromDialer.length; b++) {
        const { written, claims } = feedAcceptor(new AmpcAcceptorHandshake(), cut(fromDialer, [a, b]))
        expect(Buffer.concat(written).toString('hex'), `cut at ${a} and ${b}`).toBe('00000007')
        expect(claims).toEqual([{ identity: 'bob', linkIndex: 7 }])
      }
    }
  })

  it('the acceptor sends nothing but the echo before confirm() is called', () => {
    const one = new AmpcAcceptorHandshake()
    expect(
      feedAcceptor(
        one,
        [...fromDialer].map((byte) => Buffer.of(byte)),
      ).written.map((bytes) => bytes.toString('hex')),
    ).toEqual(['00000007'])
    expect(one.confirm().write.toString()).toBe('2ok')
  })

  it('the acceptor passes on the frames that came after the claim, early or late', () => {
    for (let place = fromDialer.length; place <= fromDialer.length + frames.length; place++) {
      const one = new AmpcAcceptorHandshake()
      feedAcceptor(one, cut(Buffer.concat([fromDialer, frames]), [place]))
      expect(one.confirm().rest.equals(frames)).toBe(true)
    }
  })

  it.each([
    [1, true],
    [128, true],
    [0, false],
    [129, false],
    [2 ** 32 - 1, false],
  ])('the acceptor checks a declared identity length: %i bytes are allowed: %s', (lengthBytes, allowed) => {
    const one = new AmpcAcceptorHandshake()
    const head = Buffer.concat([u32(7), u32(lengthBytes)])
    if (!allowed)
      expect(expectProtocolError('ERR_HANDSHAKE_FAILED', () => one.feed(head)).message).toMatch(
        new RegExp(`an identity of ${lengthBytes} bytes; allowed are 1 to 128$`),
      )
    else
      expect(one.feed(Buffer.concat([head, Buffer.alloc(lengthBytes, 'x')])).claim).toEqual({
        identity: 'x'.repeat(lengthBytes),
        linkIndex: 7,
      })
  })

  it.each([
    ['whole', [hex(`16030105 bb${'00'.repeat(600)}`)]],
    ['cut within its length', [hex('16030105 bb010005')]],
    ['cut after its first four bytes', [hex('16030105'), hex(`bb${'00'.repeat(600)}`)]],
  ])('the acceptor names TLS in its error if a ClientHello arrives %s', (_, pieces) => {
    const one = new AmpcAcceptorHandshake()
    expect(
      expectProtocolError('ERR_HANDSHAKE_FAILED', () => {
        for (const piece of pieces) one.feed(piece)
      }).message,
    ).toMatch(/; it began as TLS does: the dialer speaks TLS, and this side does not$/)
  })

  it('the acceptor refuses an identity that is not UTF-8', () => {
    expect(
      expectProtocolError('ERR_HANDSHAKE_FAILED', () => new AmpcAcceptorHandshake().feed(hex('00000007 00000001 ff')))
        .message,
    ).toContain('not UTF-8')
  })

  it.each([
    [512, true],
    [513, false],
  ])(
    'the acceptor limits bytes after the claim before the handshake is over: %i bytes are allowed: %s',
    (lengthBytes, allowed) => {
      const one = new AmpcAcceptorHandshake()
      one.feed(fromDialer)
      if (allowed) expect(one.feed(Buffer.alloc(lengthBytes))).toEqual({})
      else expectProtocolError('ERR_HANDSHAKE_FAILED', () => one.feed(Buffer.alloc(lengthBytes)))
    },
  )
})

describe('the dialer and the acceptor', () => {
  it('the dialer and the acceptor agree on any identity and connection id, in any split', () => {
    const identities = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
      .filter((text) => Buffer.byteLength(text) <= 128)
    fc.assert(
      fc.property(
        identities,
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        fc.array(fc.nat(40), { maxLength: 6 }),
        (identity, linkIndex, places) => {
          const one = new AmpcDialerHandshake({ identity, linkIndex })
          const other = new AmpcAcceptorHandshake()
          const echo = feedAcceptor(other, [one.begin()]).written
          const named = feedDialer(one, cut(Buffer.concat(echo), places)).written
          expect(feedAcceptor(other, cut(named, places)).claims).toEqual([{ identity, linkIndex }])
          expect(feedDialer(one, cut(other.confirm().write, places)).rest).toBe('')
        },
      ),
    )
  })
})
