/**
 * Owns: what the first bytes of a connection are: whether a TLS client is connecting, and which protocols it offers by
 * ALPN.
 * Independent of: sockets, the rest of TLS, and what is done with the answer. Never throws for any bytes.
 */

/** More than any honest ClientHello; the handshake itself has a limit of 64 KiB. */
export const clientHelloLengthBytesMax = 16 * 1024

export type ClientHelloVerdict = 'need more' | 'not-tls' | { readonly alpn: readonly string[] }

const recordHeaderLengthBytes = 5
const recordLengthBytesMax = 16 * 1024
/** Each chunk parses all records again: many tiny records would cost the square of their number. */
const recordsMax = 64
const handshakeRecord = 22
const clientHello = 1
const alpnExtension = 16

/**
 * Parses everything that has arrived so far. Returns 'need more' only while the bytes could still begin a ClientHello
 * of at most {@link clientHelloLengthBytesMax} bytes, in any number of records and chunks.
 */
export function readClientHello(bytes: Uint8Array): ClientHelloVerdict {
  const handshake = joinRecords(bytes)
  if (handshake === 'not-tls') return handshake
  const { content, isBroken } = handshake
  if (content.length > 0 && content[0] !== clientHello) return 'not-tls'
  if (content.length >= 4) {
    const length = ((content[1] as number) << 16) | ((content[2] as number) << 8) | (content[3] as number)
    if (length > clientHelloLengthBytesMax) return 'not-tls'
    if (content.length >= 4 + length) return readAlpn(content.subarray(4, 4 + length))
  }
  return isBroken || content.length > clientHelloLengthBytesMax ? 'not-tls' : 'need more'
}

/** The handshake bytes without record headers. `isBroken`: what follows is not another record of them. */
function joinRecords(bytes: Uint8Array): 'not-tls' | { content: Uint8Array; isBroken: boolean } {
  const parts: Uint8Array[] = []
  let isBroken = false
  let joinedBytes = 0
  for (let at = 0; at < bytes.length && joinedBytes <= clientHelloLengthBytesMax + 4;) {
    const head = bytes.subarray(at, at + recordHeaderLengthBytes)
    const isHandshake =
      head[0] === handshakeRecord && (head.length < 2 || head[1] === 3) && (head.length < 3 || (head[2] as number) <= 4)
    const length = head.length < recordHeaderLengthBytes ? 0 : ((head[3] as number) << 8) | (head[4] as number)
    if (
      !isHandshake ||
      parts.length === recordsMax ||
      length > recordLengthBytesMax ||
      (head.length === recordHeaderLengthBytes && length === 0)
    ) {
      // The first record decides what this is; other records may follow a whole ClientHello.
      if (at === 0) return 'not-tls'
      isBroken = true
      break
    }
    const part = bytes.subarray(at + recordHeaderLengthBytes, at + recordHeaderLengthBytes + length)
    parts.push(part)
    joinedBytes += part.length
    at += recordHeaderLengthBytes + length
  }
  return { content: parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts), isBroken }
}

/** A view that is consumed from the front. Reading past the end returns undefined from then on. */
class Reader {
  #rest: Uint8Array
  #isShort = false

  constructor(bytes: Uint8Array) {
    this.#rest = bytes
  }

  get isShort(): boolean {
    return this.#isShort
  }

  get isEmpty(): boolean {
    return this.#rest.length === 0
  }

  take(length: number): Uint8Array {
    if (length > this.#rest.length) this.#isShort = true
    const taken = this.#isShort ? new Uint8Array(0) : this.#rest.subarray(0, length)
    this.#rest = this.#isShort ? new Uint8Array(0) : this.#rest.subarray(length)
    return taken
  }

  uint(lengthBytes: number): number {
    let value = 0
    const bytes = this.take(lengthBytes)
    for (let at = 0; at < bytes.length; at++) value = value * 256 + (bytes[at] as number)
    return value
  }

  /** The bytes announced by a length field of this width. */
  vector(lengthBytes: number): Reader {
    return new Reader(this.take(this.uint(lengthBytes)))
  }
}

/** The body of a ClientHello (RFC 8446 4.1.2, RFC 7301 3.1). */
function readAlpn(body: Uint8Array): ClientHelloVerdict {
  const hello = new Reader(body)
  const version = hello.uint(2)
  hello.take(32)
  hello.vector(1)
  const ciphers = hello.vector(2)
  hello.vector(1)
  if (hello.isShort || version >>> 8 !== 3 || ciphers.isEmpty) return 'not-tls'
  const alpn: string[] = []
  if (hello.isEmpty) return { alpn }
  const extensions = hello.vector(2)
  if (hello.isShort || !hello.isEmpty) return 'not-tls'
  let isSeen = false
  while (!extensions.isEmpty) {
    const type = extensions.uint(2)
    const content = extensions.vector(2)
    if (extensions.isShort) return 'not-tls'
    if (type !== alpnExtension) continue
    if (isSeen) return 'not-tls'
    isSeen = true
    const names = content.vector(2)
    if (content.isShort || !content.isEmpty || names.isEmpty) return 'not-tls'
    while (!names.isEmpty) {
      const length = names.uint(1)
      const name = names.take(length)
      if (names.isShort || length === 0) return 'not-tls'
      // One character per byte: two different names never become the same text.
      alpn.push(Buffer.from(name.buffer, name.byteOffset, name.length).toString('latin1'))
    }
  }
  return { alpn }
}
