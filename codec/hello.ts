/**
 * Owns: the bytes of the hello and of the refusal, the first data of a native connection (docs/protocol.md, native):
 * encoding them, and every rule that can be checked on one of them alone.
 * Independent of: who may connect, what was agreed before, certificates, and verdicts.
 *
 * A wrong hello is a value here, not an exception: it is answered with a refusal, whose code is part of the result.
 *
 * Identifiers (boot id, epochs) are `bigint`, because they are only compared. Counters (received, first, next, hello
 * number) are `number`: at 10 million frames per second 2^53 lasts 28 years; a larger one is a bad hello.
 */
import { maxUint32 } from './constants.ts'
import { StatewireError } from './errors.ts'

export const helloLengthBytes = 160
export const publicKeyLengthBytes = 32
export const refusalMessageLengthBytesMax = 256
/** The largest window or balance of credit: 2^31 - 1. */
export const windowBytesMax = 0x7fff_ffff
/** The range of maxMessageLength in a hello. The minimum is the size of a full stream frame. */
export const helloMaxMessageLengthBytesMin = 65_536
export const helloMaxMessageLengthBytesMax = 2 ** 30
/** A refused process takes the next boot id, which must be exact as well. */
export const staleBootIdMax = 2n ** 53n - 2n
/** Links between two peers: a u16 of the hello. */
export const linksMax = 0xffff

/** The first byte of TLS: a record that contains an alert or a handshake. */
const tlsRecordTypes: readonly number[] = [0x15, 0x16]
const magic = Buffer.from('SWIR', 'latin1')
const protocolVersion = 1
const kindHello = 1
const kindRefusal = 2
const kindOffset = 4
const versionOffset = 5
const flagsOffset = 6
const flagKeepsIdle = 1
const refusalHeaderLengthBytes = 10
const staleBootIdLengthBytes = 8
/** Offsets of the fields that are at most 2^53 - 1, by the names used in refusals. */
const counterOffsets = { 'boot id': 24, received: 56, first: 64, next: 72, 'hello number': 112 } as const

/** One side's hello, as sent. */
export interface Hello {
  /** This side asks for the connection to stay while it is idle. */
  readonly keepsIdle: boolean
  /** The index of the link that this connection is for; link 0 is the first. */
  readonly connectionId: number
  /** The longest message that the other side may send. */
  readonly maxMessageLengthBytes: number
  /** Credit granted on each of the messages, requests and responses lanes at the start of an epoch. */
  readonly laneWindowBytes: number
  readonly resumeTimeoutMs: number
  /** Microseconds since 1970 at the start of the process. */
  readonly bootId: bigint
  readonly epoch: bigint
  /**
   * The epoch that this side uses next if its state is lost: already drawn, so that the other side can refer to it.
   */
  readonly nextEpoch: bigint
  /** The other side's epoch as this side knows it; 0n if unknown. */
  readonly known: bigint
  /** Counted frames that were read completely in this epoch. */
  readonly received: number
  /** Sequence of the oldest frame in the retransmit buffer; `next` if it is empty. */
  readonly first: number
  /** Counted frames that were handed to a connection in this epoch. */
  readonly next: number
  /** 32 bytes, the raw Ed25519 key. */
  readonly publicKey: Uint8Array
  /** 1, 2, 3 … over the hellos that this process sends on this link. */
  readonly helloNumber: number
  /** Number of links that the sender is configured for. */
  readonly links: number
  readonly replayWindowBytes: number
  /** How many streams opened by the other side may be open at once on this link. */
  readonly streamsMax: number
}

/**
 * What follows a refusal. `configuration`: retried only at the back-off cap. `none`: not a failure, the back-off does
 * not grow. `transient`: an ordinary failed attempt.
 */
export type RefusalEffect = 'configuration' | 'none' | 'transient'

/** The codes of a refusal by name. */
export const refusalCodes = {
  'bad-hello': { code: 1, effect: 'transient' },
  version: { code: 2, effect: 'configuration' },
  identity: { code: 3, effect: 'configuration' },
  'not-allowed': { code: 4, effect: 'transient' },
  crossing: { code: 5, effect: 'none' },
  'no-such-link': { code: 6, effect: 'configuration' },
  busy: { code: 7, effect: 'transient' },
  stopping: { code: 8, effect: 'transient' },
  stale: { code: 9, effect: 'none' },
  self: { code: 10, effect: 'configuration' },
} as const satisfies Record<string, { code: number; effect: RefusalEffect }>

export type RefusalName = keyof typeof refusalCodes

/** `name` is undefined for a code unknown to this version; such a refusal is transient. */
export interface Refusal {
  readonly code: number
  readonly name: RefusalName | undefined
  readonly effect: RefusalEffect
  readonly message: string
  /** Of a refusal as stale: the greatest boot id that the other side knows; 0n while it is connected. Otherwise 0n. */
  readonly staleBootId: bigint
}

/** Why a hello is refused. */
export interface HelloFault {
  readonly name: RefusalName
  readonly message: string
  /** Of `stale`: see {@link Refusal}. */
  readonly staleBootId?: bigint
}

/**
 * @throws StatewireError ERR_INTERNAL if this side's own hello breaks a rule for which the other side would refuse it
 */
export function encodeHello(hello: Hello): Buffer {
  const fault = faultOf(hello)
  if (fault !== null) throw new StatewireError('ERR_INTERNAL', `This side's own hello is invalid: ${fault.message}`)
  const bytes = Buffer.allocUnsafe(helloLengthBytes)
  const view = new DataView(bytes.buffer, bytes.byteOffset, helloLengthBytes)
  bytes.set(magic)
  bytes[kindOffset] = kindHello
  bytes[versionOffset] = protocolVersion
  view.setUint16(flagsOffset, hello.keepsIdle ? flagKeepsIdle : 0, true)
  view.setUint32(8, hello.connectionId, true)
  view.setUint32(12, hello.maxMessageLengthBytes, true)
  view.setUint32(16, hello.laneWindowBytes, true)
  view.setUint32(20, hello.resumeTimeoutMs, true)
  view.setBigUint64(24, hello.bootId, true)
  view.setBigUint64(32, hello.epoch, true)
  view.setBigUint64(40, hello.nextEpoch, true)
  view.setBigUint64(48, hello.known, true)
  setCounter(view, counterOffsets.received, hello.received)
  setCounter(view, counterOffsets.first, hello.first)
  setCounter(view, counterOffsets.next, hello.next)
  bytes.set(hello.publicKey, 80)
  setCounter(view, counterOffsets['hello number'], hello.helloNumber)
  view.setUint16(120, hello.links, true)
  view.setUint32(122, hello.replayWindowBytes, true)
  view.setUint32(126, hello.streamsMax, true)
  bytes.fill(0, 130)
  return bytes
}

function setCounter(view: DataView, offset: number, counter: number): void {
  view.setUint32(offset, counter % 0x1_0000_0000, true)
  view.setUint32(offset + 4, counter / 0x1_0000_0000, true)
}

/** A message longer than 256 bytes is cut at a character boundary. @param staleBootId for `stale` only */
export function encodeRefusal(name: RefusalName, message: string, staleBootId = 0n): Buffer {
  const text = cutUtf8(message, refusalMessageLengthBytesMax)
  const textEnd = refusalHeaderLengthBytes + text.length
  const bytes = Buffer.alloc(textEnd + (name === 'stale' ? staleBootIdLengthBytes : 0))
  bytes.set(magic)
  bytes[kindOffset] = kindRefusal
  bytes[versionOffset] = protocolVersion
  bytes.writeUInt16LE(refusalCodes[name].code, 6)
  bytes.writeUInt16LE(text.length, 8)
  bytes.set(text, refusalHeaderLengthBytes)
  if (name === 'stale') bytes.writeBigUInt64LE(staleBootId, textEnd)
  return bytes
}

/** Returns the longest prefix of a text that fits, in whole characters. */
export function cutUtf8(text: string, lengthBytesMax: number): Buffer {
  const bytes = Buffer.from(text, 'utf8')
  let length = Math.min(bytes.length, lengthBytesMax)
  // A byte 10xxxxxx continues a character; a cut before one would split it.
  while (length < bytes.length && length > 0 && (bytes[length]! & 0xc0) === 0x80) length -= 1
  return bytes.subarray(0, length)
}

/** @returns undefined for a code unknown to this version */
export function refusalNameOf(code: number): RefusalName | undefined {
  const names = Object.keys(refusalCodes) as RefusalName[]
  return names.find((name) => refusalCodes[name].code === code)
}

/** The result of the bytes so far. `rest`: the bytes after it; on a dialer's connection, the replay. */
export type HelloStep =
  | { readonly kind: 'more' }
  | { readonly kind: 'hello'; readonly hello: Hello; readonly rest: Buffer }
  | { readonly kind: 'refusal'; readonly refusal: Refusal; readonly rest: Buffer }
  | { readonly kind: 'fault'; readonly fault: HelloFault }
  /** Wrong magic or kind: not this protocol, so the socket is closed without an answer. */
  | { readonly kind: 'foreign'; readonly message: string }

const more: HelloStep = { kind: 'more' }
const nothing: Buffer = Buffer.alloc(0)

/**
 * Reads the first bytes of a connection. Anything but a hello (and, for a dialer, a refusal) is a fault from the first
 * wrong byte on, so another protocol is detected after 1 byte. Buffers at most 274 bytes and the chunk.
 */
export class HelloReader {
  readonly #refusalAllowed: boolean
  #bytes: Buffer = nothing
  #end: HelloStep | null = null

  /** @param role 'dialer' reads an answer, which may be a refusal; 'acceptor' reads a hello */
  constructor(role: 'dialer' | 'acceptor') {
    this.#refusalAllowed = role === 'dialer'
  }

  /** After the first answer that is not `more`, every further call repeats it without the bytes. */
  feed(chunk: Buffer): HelloStep {
    if (this.#end !== null) return this.#end
    const bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
    const step = this.#step(bytes)
    // The chunk is borrowed: only what is kept of it is copied, and nothing of a hello in one piece.
    if (step.kind === 'more') {
      this.#bytes = Buffer.from(bytes)
      return step
    }
    this.#bytes = nothing
    this.#end = 'rest' in step ? { ...step, rest: nothing } : step
    return 'rest' in step && step.rest.length > 0 ? { ...step, rest: Buffer.from(step.rest) } : this.#end
  }

  #step(bytes: Buffer): HelloStep {
    const message = this.#foreignMessage(bytes)
    if (message !== null) return { kind: 'foreign', message }
    if (bytes.length <= versionOffset) return more
    // A refusal is read in any version: a peer of another version could not refuse otherwise.
    if (bytes[kindOffset] === kindRefusal) return refusalStep(bytes)
    const version = bytes[versionOffset]
    if (version === protocolVersion) return helloStep(bytes)
    return {
      kind: 'fault',
      fault: {
        name: 'version',
        message: `Version ${String(version)} of the hello is not supported here; version 1 is.`,
      },
    }
  }

  #foreignMessage(bytes: Buffer): string | null {
    for (let offset = 0; offset < Math.min(bytes.length, magic.length); offset += 1) {
      if (bytes[offset] === magic[offset]) continue
      // If this side uses TLS as well, TLS records never get here.
      if (offset === 0 && tlsRecordTypes.includes(bytes[0]!))
        return notHello(
          `byte 0 is 0x${hexByte(bytes, 0)}, the first byte of TLS: the other side uses TLS, and this side does not`,
        )
      return notHello(`byte ${String(offset)} is 0x${hexByte(bytes, offset)}; a hello begins with "SWIR"`)
    }
    if (bytes.length <= kindOffset) return null
    const kind = bytes[kindOffset]
    if (kind !== kindHello && kind !== kindRefusal)
      return notHello(`its kind is ${String(kind)}; 1 is a hello and 2 a refusal`)
    return kind === kindRefusal && !this.#refusalAllowed ? notHello('a dialer began with a refusal') : null
  }
}

function helloStep(bytes: Buffer): HelloStep {
  if (bytes.length < helloLengthBytes) return more
  const decoded = decodeHello(bytes)
  return 'fault' in decoded
    ? { kind: 'fault', fault: decoded.fault }
    : { kind: 'hello', hello: decoded.hello, rest: bytes.subarray(helloLengthBytes) }
}

function refusalStep(bytes: Buffer): HelloStep {
  if (bytes.length < refusalHeaderLengthBytes) return more
  const lengthBytes = bytes.readUInt16LE(8)
  if (lengthBytes > refusalMessageLengthBytesMax) {
    return {
      kind: 'fault',
      fault: badHello(`a refusal declares a message of ${String(lengthBytes)} bytes; 256 are allowed`),
    }
  }
  const textEnd = refusalHeaderLengthBytes + lengthBytes
  const code = bytes.readUInt16LE(6)
  const name = refusalNameOf(code)
  const end = textEnd + (name === 'stale' ? staleBootIdLengthBytes : 0)
  if (bytes.length < end) return more
  const refusal: Refusal = {
    code,
    name,
    effect: name === undefined ? 'transient' : refusalCodes[name].effect,
    message: bytes.toString('utf8', refusalHeaderLengthBytes, textEnd),
    staleBootId: name === 'stale' ? bytes.readBigUInt64LE(textEnd) : 0n,
  }
  return { kind: 'refusal', refusal, rest: bytes.subarray(end) }
}

/** Above 2^53 - 1 it is not exact, but still above it. */
function counterAt(view: DataView, offset: number): number {
  return view.getUint32(offset + 4, true) * 0x1_0000_0000 + view.getUint32(offset, true)
}

/** The first 160 bytes, whose magic, kind and version were checked. */
function decodeHello(bytes: Buffer): { hello: Hello } | { fault: HelloFault } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, helloLengthBytes)
  // A copy: the link keeps the key, and a view would keep the chunk.
  const publicKey = new Uint8Array(publicKeyLengthBytes)
  publicKey.set(bytes.subarray(80, 80 + publicKeyLengthBytes))
  const hello: Hello = {
    keepsIdle: (view.getUint16(flagsOffset, true) & flagKeepsIdle) !== 0,
    connectionId: view.getUint32(8, true),
    maxMessageLengthBytes: view.getUint32(12, true),
    laneWindowBytes: view.getUint32(16, true),
    resumeTimeoutMs: view.getUint32(20, true),
    bootId: view.getBigUint64(24, true),
    epoch: view.getBigUint64(32, true),
    nextEpoch: view.getBigUint64(40, true),
    known: view.getBigUint64(48, true),
    received: counterAt(view, counterOffsets.received),
    first: counterAt(view, counterOffsets.first),
    next: counterAt(view, counterOffsets.next),
    publicKey,
    helloNumber: counterAt(view, counterOffsets['hello number']),
    links: view.getUint16(120, true),
    replayWindowBytes: view.getUint32(122, true),
    streamsMax: view.getUint32(126, true),
  }
  const fault = counterFaultOf(view) ?? faultOf(hello)
  return fault === null ? { hello } : { fault }
}

/** From the bytes: a larger number is not exact in the hello. */
function counterFaultOf(view: DataView): HelloFault | null {
  const found = Object.entries(counterOffsets).find(([, at]) => counterAt(view, at) > Number.MAX_SAFE_INTEGER)
  if (found === undefined) return null
  const [field, offset] = found
  return badHello(`${field} is ${String(view.getBigUint64(offset, true))}; it is at most 2^53 - 1`)
}

/** The rules for a single hello, each with its own sentence. */
function faultOf(hello: Hello): HelloFault | null {
  const broken = brokenRuleOf(hello)
  return broken === null ? null : badHello(broken)
}

function brokenRuleOf(hello: Hello): string | null {
  if (hello.connectionId > maxUint32) return 'its connection id has more than 32 bits'
  if (hello.publicKey.length !== publicKeyLengthBytes) return 'its public key does not have 32 bytes'
  if (hello.maxMessageLengthBytes < helloMaxMessageLengthBytesMin)
    return `maxMessageLength is ${String(hello.maxMessageLengthBytes)}; it is at least 65536`
  if (hello.maxMessageLengthBytes > helloMaxMessageLengthBytesMax)
    return `maxMessageLength is ${String(hello.maxMessageLengthBytes)}; it is at most 2^30`
  if (hello.laneWindowBytes === 0) return 'the lane window is 0'
  if (hello.laneWindowBytes > windowBytesMax)
    return `the lane window is ${String(hello.laneWindowBytes)}; it is at most 2^31 - 1`
  if (hello.resumeTimeoutMs === 0) return 'the resume time-out is 0'
  if (hello.bootId === 0n) return 'the boot id is 0'
  if (hello.bootId > staleBootIdMax + 1n) return 'the boot id is above 2^53 - 1'
  if (hello.epoch === 0n) return 'the epoch is 0'
  if (hello.nextEpoch === 0n) return 'the next epoch is 0'
  if (hello.helloNumber === 0) return 'the hello number is 0'
  if (hello.links === 0) return 'the number of links is 0'
  if (hello.links > linksMax) return 'the number of links has more than 16 bits'
  if (hello.replayWindowBytes === 0) return 'the replay window is 0'
  return hello.streamsMax === 0 ? 'the stream limit is 0' : null
}

function badHello(what: string): HelloFault {
  return { name: 'bad-hello', message: notHello(what) }
}

function notHello(what: string): string {
  return `Not a hello of statewire/1: ${what}.`
}

function hexByte(bytes: Buffer, offset: number): string {
  return bytes[offset]!.toString(16).padStart(2, '0')
}
