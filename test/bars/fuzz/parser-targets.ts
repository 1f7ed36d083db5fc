/**
 * Owns: the parsers that take whole inputs: ClientHello, values, MessagePack, ids, identities, addresses, keys,
 * certificates.
 * Independent of: links and streams.
 */
import { X509Certificate } from 'node:crypto'
import { publicKeyOf } from '../../../actors/tls/certificate.ts'
import { Identity } from '../../../actors/tls/identity.ts'
import { parseUrl } from '../../../actors/config/urls.ts'
import { readClientHello } from '../../../codec/client-hello.ts'
import { decodeValue, encodeValue } from '../../../codec/index.ts'
import { decodePeerId, encodePeerId } from '../../../protocol/key-id.ts'
import { decodeMsgPack, encodeMsgPack } from '../../../codec/index.ts'
import { checkIdentity, decodeIdentity } from '../../../protocol/ampc/peer-id.ts'
import { certificateSeeds, clientHelloSeeds, keySeeds, textSeeds } from './corpus-texts.ts'
import { msgpackSeeds, valueSeeds } from './corpus.ts'
import type { Seed } from './corpus.ts'
import { nativeFrameTarget } from './native-frame-target.ts'
import { Seeds } from './mutate.ts'
import { codeOfBreach, codeOfRefusal, holds } from './target.ts'
import type { Target } from './target.ts'

/** @returns the result in one word. Throws what must not be thrown. */
type Reading = (input: Buffer) => string

function clientHello(input: Buffer): string {
  const verdict = readClientHello(input)
  if (typeof verdict === 'string') return verdict
  holds(
    verdict.alpn.every((name) => name.length > 0 && name.length < 256),
    'a name of ALPN is empty or too long',
  )
  return `alpn ${Math.min(verdict.alpn.length, 3)}`
}

function value(input: Buffer): string {
  let decoded
  try {
    decoded = decodeValue(input)
  } catch (error) {
    return codeOfBreach(error)
  }
  // Apart from spare bits of a bit vector, a value equals its bytes.
  holds(
    encodeValue(decoded).length === input.length,
    `a ${decoded.type} of ${input.length} bytes is written in another number`,
  )
  return decoded.type
}

function msgpack(input: Buffer): string {
  let decoded
  try {
    decoded = decodeMsgPack(input, 0, input.length)
  } catch (error) {
    return codeOfBreach(error)
  }
  holds(({} as { polluted?: unknown }).polluted === undefined, 'a prototype is polluted')
  if (typeof decoded !== 'object' || decoded === null) return typeof decoded
  try {
    encodeMsgPack(decoded)
  } catch (error) {
    return codeOfRefusal(error)
  }
  return Array.isArray(decoded) ? 'array' : 'object'
}

function peerId(input: Buffer): string {
  const text = input.toString('latin1')
  try {
    holds(encodePeerId(decodePeerId(text)) === text, 'two texts stand for one key')
    return 'id'
  } catch (error) {
    return codeOfRefusal(error)
  }
}

function identity(input: Buffer): string {
  const text = decodeIdentity(input)
  if (text === undefined) return 'not UTF-8'
  try {
    holds(Buffer.from(checkIdentity(text, 'it')).equals(input), 'two byte strings are one identity')
    return 'identity'
  } catch (error) {
    return codeOfRefusal(error)
  }
}

function address(input: Buffer): string {
  try {
    const { host, port } = parseUrl(input.toString('utf8'), 'it', input.length % 2 === 0 ? 'tls' : 'plaintext')
    holds(host !== '' && Number.isInteger(port) && port >= 0 && port < 65_536, `the address is ${host} and ${port}`)
    return 'address'
  } catch (error) {
    return codeOfRefusal(error)
  }
}

function key(input: Buffer): string {
  try {
    return Identity.fromPem(input.toString('latin1')).id.length === 52 ? 'key' : 'short id'
  } catch (error) {
    return codeOfRefusal(error)
  }
}

/** OpenSSL decides whether it accepts the input; what it accepts must not make our code throw. */
function certificate(input: Buffer): string {
  let parsed: X509Certificate
  try {
    parsed = new X509Certificate(input)
  } catch {
    return 'no certificate'
  }
  const found = publicKeyOf(parsed)
  holds(found === undefined || found.length === 32, 'a key has another length than 32')
  return found === undefined ? 'another key' : 'key'
}

function target(name: string, seeds: readonly Seed[], weight: number, read: Reading): Target {
  return {
    name: `reader: ${name}`,
    seeds: new Seeds(seeds),
    weight,
    framesMax: 1,
    run: (input, _dice, trace) => {
      trace.frames++
      trace.ended(read(input))
    },
  }
}

export function parserTargets(): Target[] {
  return [
    nativeFrameTarget(),
    target('ClientHello', clientHelloSeeds(), 30, clientHello),
    target('value', valueSeeds(), 60, value),
    target('MessagePack', msgpackSeeds(), 60, msgpack),
    target('peer id', textSeeds(), 10, peerId),
    target('identity', textSeeds(), 10, identity),
    target('address', textSeeds(), 10, address),
    target('key', keySeeds(), 1, key),
    target('certificate', certificateSeeds(), 1, certificate),
  ]
}
