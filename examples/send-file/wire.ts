/**
 * Owns: what sender and receiver say to each other, which names are safe, and the reasons for a refusal.
 * Independent of: files, networks and terminals.
 *
 * The receiver knows the offset, because it has the part. But only the Open of a stream carries `extra`, and the sender
 * opens the stream. So the sender asks for the offset with a request, and sends it in `extra` with the SHA-256 of its
 * own first bytes. `permit` compares both with the part before a byte is sent, and the receiver never tells a digest.
 *
 * On the stream: the bytes from the offset on, then the SHA-256 of the whole file. The receiver finishes its side when
 * the file has its name; that is the receipt.
 */

/** A request with an `Offer`, answered with `{ offset }`. */
export const offsetRequest = 'send-file.offset'
/** A stream with an `Opening` as its `extra`. */
export const fileProtocol = 'send-file/1'
export const digestBytes = 32

export interface Offer {
  readonly name: string
  /** Bytes. */
  readonly size: number
}

export interface Opening extends Offer {
  readonly offset: number
  /** The SHA-256 of the bytes before the offset, in hex. */
  readonly prefix: string
}

/** Reset codes are the position in this list, from 256 on. Add at the end only. */
const refusals = [
  'bad-offer',
  'bad-name',
  'exists',
  'complete',
  'busy',
  'stale',
  'other-content',
  'no-space',
  'disk',
  'wrong-hash',
  'stopping',
] as const
export type Refusal = (typeof refusals)[number]

/** The least code of an application. */
const codesBegin = 256

/** Thrown by a handler or by `permit`: the other side gets the code and the sentence. */
export class Refused extends Error {
  readonly code: Refusal
  readonly streamErrorCode: number

  constructor(code: Refusal, message: string) {
    super(message)
    this.code = code
    this.streamErrorCode = codesBegin + refusals.indexOf(code)
  }
}

/** @returns what the other side threw, or null if the error is of another kind */
export function refusalOf(error: unknown): Refused | null {
  const { remote, streamErrorCode, reason } = error as {
    remote?: { code: string; message: string } | null
    streamErrorCode?: number | null
    reason?: string
  }
  const code = refusals.find((one, index) => one === remote?.code || codesBegin + index === streamErrorCode)
  return code === undefined ? null : new Refused(code, clean(remote?.message ?? reason ?? ''))
}

const lost: Readonly<Record<string, string>> = {
  goodbye: 'the other side was stopped',
  'peer-restarted': 'the other side was restarted',
  expired: 'there was no connection for too long',
}

/** In one sentence, for people. */
export function sentenceOf(error: unknown): string {
  const { message, reason, cause } = error as Error & { reason?: string; cause?: { reason?: string } }
  return clean(refusalOf(error)?.message ?? lost[cause?.reason ?? ''] ?? (reason || message))
}

/** No control characters: they could move the cursor of a terminal. */
export function clean(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, ' ')
}

/** 255 bytes is the most that file systems allow, and the part has a longer name. */
export const partSuffix = '.part'
const nameBytesMax = 255 - partSuffix.length

/** A name is one entry of the directory, and looks like what it is. @throws Refused */
export function checkName(name: unknown): asserts name is string {
  if (typeof name !== 'string' || name === '') throw new Refused('bad-name', 'the name of the file is missing')
  const bad = (why: string): Refused =>
    new Refused('bad-name', `the name ${JSON.stringify(clean(name).slice(0, 60))} is refused: ${why}`)
  if (/[/\\]/.test(name)) throw bad('it has a slash or a backslash')
  if (clean(name) !== name) throw bad('it has a control character')
  if (/\p{Surrogate}/u.test(name)) throw bad('it is not valid Unicode')
  if (name.startsWith('.')) throw bad('it begins with a dot')
  if (name.toLowerCase().endsWith(partSuffix)) throw bad(`it ends with ${partSuffix}, as unfinished files do`)
  if (Buffer.byteLength(name) > nameBytesMax) throw bad(`it is longer than ${nameBytesMax} bytes`)
}

/** @throws Refused */
export function parseOffer(bytes: Uint8Array): Offer {
  const { name, size } = parse(bytes)
  checkName(name)
  if (!isCount(size)) throw new Refused('bad-offer', 'the size of the file is not a whole number')
  return { name, size }
}

/** @throws Refused */
export function parseOpening(bytes: Uint8Array): Opening {
  const { offset, prefix } = parse(bytes)
  const { name, size } = parseOffer(bytes)
  if (!isCount(offset) || offset > size) throw new Refused('bad-offer', 'the offset is not within the file')
  if (typeof prefix !== 'string') throw new Refused('bad-offer', 'the SHA-256 of the first bytes is missing')
  return { name, size, offset, prefix }
}

/** @throws Refused if the receiver answers nonsense */
export function parseOffset(bytes: Uint8Array, size: number): number {
  const { offset } = parse(bytes)
  if (!isCount(offset) || offset > size) throw new Refused('bad-offer', 'the receiver answered without a valid offset')
  return offset
}

function parse(bytes: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString())
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // Not JSON.
  }
  throw new Refused('bad-offer', 'this is not an object in JSON')
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
