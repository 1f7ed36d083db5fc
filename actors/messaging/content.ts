/**
 * Owns: checking and encoding what an application sends: names, headers and bytes.
 * Independent of: who it is sent to.
 */
import { InvalidValueError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import { decodeHeaders } from '../../codec/headers.ts'
import { headersLengthBytesMax, nameLengthBytesMax } from '../../codec/message-frames.ts'
import { encodeMsgPack } from '../../codec/msgpack-encode.ts'
import type { OutgoingMessage } from '../../protocol/exchange.ts'
import { causeOf } from '../base/causes.ts'
import { invalid } from '../base/checks.ts'

/** Text by text; keys in lower case by convention. */
export type Headers = Readonly<Record<string, string>>

/** Names that begin like this belong to the runtime. */
export const reservedPrefix = 'statewire/'

const none = Buffer.alloc(0)
/** Applications use few names; the encoded form of so many is kept. */
const keptNames = 1024

/**
 * Checks the name of a message or request.
 * @throws StatewireError ERR_INVALID_OPTION
 */
export function checkName(name: unknown, isReservedAllowed = false): string {
  if (typeof name !== 'string') throw invalid(`name must be a string, got ${formatValue(name)}`)
  const encoded = Buffer.from(name, 'utf8')
  if (encoded.toString('utf8') !== name)
    throw invalid(`name must be well-formed text, got ${formatValue(name)} with a lone surrogate`)
  const lengthBytes = encoded.length
  if (lengthBytes > nameLengthBytesMax)
    throw invalid(`name must have at most ${nameLengthBytesMax} bytes of UTF-8, got ${lengthBytes}`)
  if (!isReservedAllowed && name.startsWith(reservedPrefix))
    throw invalid(`names that begin with ${reservedPrefix} are reserved for the runtime, got ${formatValue(name)}`)
  return name
}

export class Names {
  readonly #encoded = new Map<string, Buffer>()

  /** @throws as {@link checkName} */
  encode(name: string, isReservedAllowed: boolean): Buffer {
    const known = this.#encoded.get(name)
    if (known !== undefined && (isReservedAllowed || !name.startsWith(reservedPrefix))) return known
    const bytes = Buffer.from(checkName(name, isReservedAllowed), 'utf8')
    if (this.#encoded.size < keptNames) this.#encoded.set(name, bytes)
    return bytes
  }
}

/**
 * The bytes of a message, request or answer. Text is sent as UTF-8.
 * @throws InvalidValueError
 */
export function bytesOf(bytes: unknown, what: string): Uint8Array {
  if (typeof bytes === 'string') return Buffer.from(bytes, 'utf8')
  if (bytes instanceof Uint8Array) return bytes
  throw new InvalidValueError(
    `${what} must be a Uint8Array (a Buffer, for example) or a string, got ${formatValue(bytes)}`,
  )
}

/** @param what begins the sentence: `a message`, for example */
export function tooLong(lengthBytes: number, mostBytes: number, what: string): InvalidValueError {
  return new InvalidValueError(
    `${what} of ${lengthBytes} bytes is longer than limits.messageBytesMax (${mostBytes}): send it in a session, ` +
      'or raise the limit on both sides',
  )
}

/** @throws StatewireError ERR_INVALID_OPTION */
export function encodeHeaders(headers: Headers | undefined): Buffer {
  if (headers === undefined) return none
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers))
    throw invalid(`headers must be an object of strings, got ${formatValue(headers)}`)
  const entries = Object.entries(headers)
  if (entries.length === 0) return none
  for (const [key, value] of entries as [string, unknown][])
    if (typeof value !== 'string') throw invalid(`headers.${key} must be a string, got ${formatValue(value)}`)
  let encoded: Buffer
  try {
    encoded = encodeMsgPack({ ...headers })
  } catch (error) {
    throw invalid(`headers must not have the keys __proto__, constructor and prototype: ${causeOf(error).message}`)
  }
  if (encoded.length > headersLengthBytesMax)
    throw invalid(`headers must have at most ${headersLengthBytesMax} bytes when encoded, got ${encoded.length}`)
  // No peer would take them.
  if (decodeHeaders(encoded) === null) throw invalid('headers must be well-formed text')
  return encoded
}

/** An object of its own, made only when it is read. */
export function headersOf(headers: ReadonlyMap<string, string>): Headers {
  return Object.fromEntries(headers)
}

/** @throws StatewireError ERR_INVALID_OPTION, ERR_INVALID_VALUE */
export function outgoing(
  names: Names,
  bytes: Uint8Array | string,
  options: { readonly name?: string | undefined; readonly headers?: Headers | undefined } | undefined,
  what: string,
  isReservedAllowed = false,
): OutgoingMessage {
  return {
    name: names.encode(options?.name ?? '', isReservedAllowed),
    headers: encodeHeaders(options?.headers),
    bytes: bytesOf(bytes, what),
  }
}
