/**
 * Owns: whether hellos and refusals have the bytes that the second encoder (test/vectors/make-native.py) gave them.
 * Independent of: connections, certificates and verdicts.
 */
import { describe, expect, it } from 'vitest'
import { encodeHello, encodeRefusal, HelloReader, refusalNameOf, type Hello } from '../../codec/hello.ts'
import { nativeVectors, type HelloVector } from './native-vectors.ts'

/** The field of a hello here, by its name in the vectors where that differs. */
const names: Readonly<Record<string, keyof Hello>> = {
  maxMessageLength: 'maxMessageLengthBytes',
  laneWindow: 'laneWindowBytes',
  replayWindow: 'replayWindowBytes',
  streamLimit: 'streamsMax',
}

function helloOf(is: HelloVector['is']): Hello {
  const hello: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(is)) {
    const field = names[name] ?? (name as keyof Hello)
    if (field === 'publicKey') hello[field] = new Uint8Array(Buffer.from(value as string, 'hex'))
    else if (['bootId', 'epoch', 'nextEpoch', 'known'].includes(name)) hello[field] = BigInt(value as string)
    else hello[field] = typeof value === 'string' ? Number(value) : value
  }
  return hello as unknown as Hello
}

describe('a hello of the second encoder', () => {
  for (const { name, hex, is } of nativeVectors.hellos) {
    const bytes = Buffer.from(hex, 'hex')

    it(`is read as it was meant: ${name}`, () => {
      const step = new HelloReader('acceptor').feed(bytes)
      expect(step).toMatchObject({ kind: 'hello', hello: helloOf(is) })
    })

    if (!name.includes('ignored')) {
      it(`has the bytes that this side writes: ${name}`, () => {
        expect(encodeHello(helloOf(is)).toString('hex')).toBe(hex)
      })
    }
  }

  for (const { name, hex, refusal } of nativeVectors.badHellos) {
    const isForeign = refusal === 0
    it(`is ${isForeign ? 'answered by closing the socket' : 'refused'} if ${name}`, () => {
      const step = new HelloReader('acceptor').feed(Buffer.from(hex, 'hex'))
      if (isForeign) expect(step.kind).toBe('foreign')
      else expect(step).toMatchObject({ kind: 'fault', fault: { name: refusalNameOf(refusal) } })
    })
  }
})

describe('a refusal of the second encoder', () => {
  for (const { name, hex, is } of nativeVectors.refusals) {
    it(`is read and written with the same bytes: ${name}`, () => {
      const step = new HelloReader('dialer').feed(Buffer.from(hex, 'hex'))
      const refusal = { code: is.code, message: is.message, staleBootId: BigInt(is.bootId ?? 0) }
      expect(step).toMatchObject({ kind: 'refusal', refusal })
      const written = encodeRefusal(refusalNameOf(is.code)!, is.message, refusal.staleBootId)
      expect(written.toString('hex')).toBe(hex)
    })
  }
})
