/**
 * Owns: MessagePack values on sessions of the native dialect: they arrive as they were sent, and one that breaks a rule
 * ends its own session only.
 * Independent of: the rules themselves (test/codec/msgpack.test.ts).
 */
import { describe, expect, it } from 'vitest'
import type { MsgPackData, Session } from '../../index.ts'
import { bytes, number, numberOf, play, rejectionOf } from '../support/native-scene.ts'
import type { Carrier } from '../support/native-scene.ts'
import { onWire } from '../support/wire-tamper.ts'

const carriers: Carrier[] = ['memory', 'tcp', 'tls']
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

const values: MsgPackData[] = [
  null,
  true,
  2n ** 64n - 1n,
  '\ufeffabc',
  new Date(1_700_000_000_123),
  Uint8Array.of(1, 2, 3),
  { order: 7, items: [{ sku: 'a', count: 2 }], note: 'é😀', paid: false, at: new Date(0) },
  'x'.repeat(300),
  { list: Array.from({ length: 1000 }, (_, index) => ({ index, name: `n${index}` })) },
  // Longer than a chunk of a socket.
  { blob: new Uint8Array(200_000).fill(9), text: 'é'.repeat(100_000) },
  [],
]

/** One for each rule, as the bytes of a value. */
const broken: [rule: string, code: string, value: Buffer][] = [
  ['a container inside 32 containers', 'ERR_MSGPACK_DEPTH', hex(`${'91'.repeat(32)}90`)],
  ['an array longer than what remains', 'ERR_MSGPACK_LENGTH', hex('dcffffc0')],
  ['a map longer than what remains', 'ERR_MSGPACK_LENGTH', hex('82a16100')],
  ['an extension', 'ERR_MSGPACK_EXT', hex('d40100')],
  ['the byte c1', 'ERR_MSGPACK_RESERVED', hex('c1')],
  ['a number as a key', 'ERR_MSGPACK_KEY_TYPE', hex('8101c0')],
  ['the key __proto__', 'ERR_MSGPACK_KEY_FORBIDDEN', hex('81a95f5f70726f746f5f5fc0')],
  ['the key constructor', 'ERR_MSGPACK_KEY_FORBIDDEN', hex('81ab636f6e7374727563746f72c0')],
  ['the key prototype', 'ERR_MSGPACK_KEY_FORBIDDEN', hex('81a970726f746f74797065c0')],
  ['trailing bytes', 'ERR_MSGPACK_TRAILING_BYTES', hex('c0c0')],
  ['a value that is cut', 'ERR_MSGPACK_TRUNCATED', hex('a261')],
  ['no value', 'ERR_MSGPACK_TRUNCATED', hex('')],
  ['text that is not UTF-8', 'ERR_MSGPACK_TEXT', hex('a2c328')],
  ['too many nanoseconds', 'ERR_MSGPACK_TIMESTAMP', hex('d7ffee6b280000000000')],
]

describe('MessagePack values on a session', () => {
  it.each(carriers)('MessagePack values arrive as they were sent, over %s, to a call that waits', (on) =>
    play({ on }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const [[mine], [theirs]] = (await scene.sessions([alice, bob], 1)) as [[Session], [Session]]
      for (const value of values) {
        const next = theirs.receive(alice.id)
        await scene.run(mine.send(bob.id, { type: 'MsgPack', value }))
        expect(await scene.run(next)).toEqual({ type: 'MsgPack', value })
      }
    }),
  )

  it.each(carriers)('MessagePack values that wait unread arrive as they were sent, over %s', (on) =>
    play({ on }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const [[mine], [theirs]] = (await scene.sessions([alice, bob], 1)) as [[Session], [Session]]
      // Other values between them, so that the memory of a read is used again.
      const sent = values.slice(0, -2)
      for (const [index, value] of sent.entries()) {
        await scene.run(mine.send(bob.id, { type: 'MsgPack', value }))
        await scene.run(mine.send(bob.id, number(index)))
      }
      await scene.until('all wait', () => theirs.unread(alice.id) === 2 * sent.length)
      for (const [index, value] of sent.entries()) {
        expect(await scene.run(theirs.receive(alice.id))).toEqual({ type: 'MsgPack', value })
        expect(numberOf(await scene.run(theirs.receive(alice.id)))).toBe(index)
      }
    }),
  )

  it.each([true, false])('MessagePack values reach a handler as they were sent, with borrow %s', (borrow) =>
    play({ on: 'tcp' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const [[mine], [theirs]] = (await scene.sessions([alice, bob], 1)) as [[Session], [Session]]
      const got: unknown[] = []
      // Short and long values wait in different ways.
      const before = ['before the handler', 'b'.repeat(1000)]
      for (const value of before) await scene.run(mine.send(bob.id, { type: 'MsgPack', value }))
      await scene.until('they wait', () => theirs.unread(alice.id) === before.length)
      theirs.handle(alice.id, (value) => void got.push(value), { borrow })
      for (const value of values) await scene.run(mine.send(bob.id, { type: 'MsgPack', value }))
      await scene.until('all arrived', () => got.length === before.length + values.length)
      // Nothing of a decoded value is a view, so it may be kept.
      expect(got).toEqual([...before, ...values].map((value) => ({ type: 'MsgPack', value })))
    }),
  )

  it('a MessagePack value is written when it is sent, so the application may change it afterwards', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const [[mine], [theirs]] = (await scene.sessions([alice, bob], 1)) as [[Session], [Session]]
      const value = { list: [1, 2], bytes: Uint8Array.of(1) }
      const sent = mine.send(bob.id, { type: 'MsgPack', value })
      value.list.push(3)
      value.bytes[0] = 9
      await scene.run(sent)
      expect(await scene.run(theirs.receive(alice.id))).toEqual({
        type: 'MsgPack',
        value: { list: [1, 2], bytes: Uint8Array.of(1) },
      })
    }))

  it.each<[string, unknown, RegExp]>([
    ['half of a surrogate pair', { name: 'hi \ud83d' }, /^MsgPack\.value\.name is not valid text/],
    ['an invalid Date', [new Date(Number.NaN)], /^MsgPack\.value\[0\] is an invalid Date/],
    ['a function', { f: () => 1 }, /^MsgPack\.value\.f is of type function/],
    ['no value', undefined, /^MsgPack\.value is of type undefined/],
  ])('a MessagePack value that cannot be sent fails its send and nothing else: %s', (_, value, message) =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const [[mine], [theirs]] = (await scene.sessions([alice, bob], 1)) as [[Session], [Session]]
      const error = await scene.run(rejectionOf(mine.send(bob.id, { type: 'MsgPack', value: value as MsgPackData })))
      expect(error).toMatchObject({ code: 'ERR_INVALID_VALUE', message: expect.stringMatching(message) as string })
      await scene.run(mine.send(bob.id, number(1)))
      expect(numberOf(await scene.run(theirs.receive(alice.id)))).toBe(1)
    }),
  )

  it('a MessagePack value cannot be transferred, because it is not one block of memory', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const [[mine]] = (await scene.sessions([alice, bob], 1)) as [[Session], [Session]]
      expect(
        await scene.run(rejectionOf(mine.send(bob.id, { type: 'MsgPack', value: [1] }, { transfer: true }))),
      ).toMatchObject({ code: 'ERR_NOT_TRANSFERABLE' })
    }))
})

describe('a MessagePack value that breaks a rule', () => {
  it.each(broken)('a MessagePack value with %s ends its own session only, with %s at both sides', (_, code, value) =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await scene.pair()
      const [mine, theirs] = (await scene.sessions([alice, bob], 2)) as [[Session, Session], [Session, Session]]
      // Bytes and MsgPack have bodies of the same form.
      const tampered = onWire(bob, 0, (frame) => frame.writeUInt8(0x20, 4))
      await scene.run(theirs[0].send(alice.id, { type: 'Bytes', value }))
      expect(await scene.run(rejectionOf(mine[0].receive(bob.id)))).toMatchObject({ name: 'ProtocolError', code })
      expect(tampered.count).toBe(1)
      const error = await scene.run(rejectionOf(theirs[0].receive(alice.id)))
      expect(error.code).toBe('ERR_SESSION_RESET')
      expect(error.message).toContain(code)
      await scene.run(theirs[1].send(alice.id, bytes(3)))
      expect((await scene.run(mine[1].receive(bob.id))).type).toBe('Bytes')
      expect([alice, bob].map((member) => member.eventsOf('connection.lost').length)).toEqual([0, 0])
    }),
  )
})
