/**
 * Owns: Message, Request, Response and Cancel (docs/protocol.md, native): how they are written and read, and the rules
 * that one frame alone can break.
 * Independent of: handlers, deadlines, who waits for a response, and the MessagePack scan of headers.
 *
 * Writers make the part before the payload, so that a payload is sent from its own memory. Readers return views.
 */
import { frameHeaderLengthBytes, lengthFieldLengthBytes, maxUint32 } from './constants.ts'
import { InvalidValueError, ProtocolError } from './errors.ts'
import { readUint32 } from './frame-length.ts'
import { cutUtf8 } from './hello.ts'
import { frameOf, messagesLane, nativeDescriptors, requestsLane, responsesLane } from './native-frames.ts'

/** The name of a Message, a Request or a Want, in UTF-8 bytes. */
export const nameLengthBytesMax = 255
/** Headers of a Message or Request, as MessagePack. */
export const headersLengthBytesMax = 8 * 1024
/** The code of an error in a Response, in printable ASCII. */
export const errorCodeLengthBytesMax = 64
/** The message of an error in a Response, in UTF-8 bytes. */
export const errorMessageLengthBytesMax = 1024

// Smallest lengths of the rest: the fixed fields and nothing else.
export const messageRestLengthBytesMin = 3
export const requestRestLengthBytesMin = 11
/** With the status ok. */
export const responseRestLengthBytesMin = 5
/** With another status. */
export const errorResponseRestLengthBytesMin = 8

/** What a Response says; `no-handler`, `refused` and `too-late` guarantee that no handler ran. */
export const responseStatuses = {
  ok: 0,
  failed: 1,
  'no-handler': 2,
  refused: 3,
  cancelled: 4,
  'too-late': 5,
} as const
export type ResponseStatus = keyof typeof responseStatuses
export type ErrorStatus = Exclude<ResponseStatus, 'ok'>

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const statusNames = Object.keys(responseStatuses) as ResponseStatus[]

export interface MessageBody {
  /** A view. See {@link textOf}. */
  readonly name: Buffer
  /** A view: MessagePack that was not scanned, or nothing. */
  readonly headers: Buffer
  /** A view. */
  readonly bytes: Buffer
}
export interface RequestBody extends MessageBody {
  readonly nonce: number
  /** What was left when the Request was first handed to a connection. Null: no limit. */
  readonly timeLeftMs: number | null
}
export type ResponseBody =
  | { readonly nonce: number; readonly status: 'ok'; readonly bytes: Buffer }
  | {
      readonly nonce: number
      readonly status: ErrorStatus
      /** Empty if it was not printable ASCII. */
      readonly code: string
      readonly message: string
      readonly bytes: Buffer
    }

/** What a Message or Request has before its payload. `headers` is MessagePack, or nothing. */
interface Fields {
  /** Text, or its UTF-8. */
  readonly name: string | Uint8Array
  readonly headers?: Uint8Array | undefined
  readonly payloadLengthBytes: number
}

/** Encodes a Message up to its payload. Throws InvalidValueError for a name or headers over their limit. */
export function encodeMessageHeader(fields: Fields): Buffer {
  return namedHeader(messagesLane, nativeDescriptors.Message, 0, fields).frame
}

/** Encodes a whole Message once, for several peers. Throws as {@link encodeMessageHeader}. */
export function encodeMessage(message: Pick<Fields, 'name' | 'headers'> & { readonly bytes: Uint8Array }): Buffer {
  const { bytes, ...fields } = message
  return Buffer.concat([encodeMessageHeader({ ...fields, payloadLengthBytes: bytes.length }), bytes])
}

/**
 * Encodes a Request up to its payload.
 * @param request `nonce` is chosen by the asker and not 0; `timeLeftMs` below 1 is sent as 1, null as "no limit"
 * @throws InvalidValueError for a nonce of 0, and as {@link encodeMessageHeader}
 */
export function encodeRequestHeader(
  request: Fields & { readonly nonce: number; readonly timeLeftMs: number | null },
): Buffer {
  const { nonce, timeLeftMs } = request
  if (nonce === 0) throw new InvalidValueError('The nonce of a Request must not be 0.')
  const { frame, rest } = namedHeader(requestsLane, nativeDescriptors.Request, 8, request)
  frame.writeUInt32LE(nonce, rest)
  frame.writeUInt32LE(timeLeftField(timeLeftMs), rest + 4)
  return frame
}

/** Encodes a Response with the status ok up to its payload. */
export function encodeResponseHeader(nonce: number, payloadLengthBytes: number): Buffer {
  return responseHeader(nonce, 'ok', 0, payloadLengthBytes).frame
}

/**
 * Encodes a Response with another status up to its payload. A code that is not printable ASCII or has over 64
 * characters is left out; a message is cut at 1,024 bytes, between two characters.
 */
export function encodeErrorResponseHeader(response: {
  readonly nonce: number
  readonly status: ErrorStatus
  readonly code: string
  readonly message: string
  readonly payloadLengthBytes: number
}): Buffer {
  const code = response.code.length <= errorCodeLengthBytesMax && isPrintable(response.code) ? response.code : ''
  const message = cutUtf8(response.message, errorMessageLengthBytesMax)
  const fieldsLengthBytes = 3 + code.length + message.length
  const { frame, fields } = responseHeader(
    response.nonce,
    response.status,
    fieldsLengthBytes,
    response.payloadLengthBytes,
  )
  frame[fields] = code.length
  frame.write(code, fields + 1, 'latin1')
  frame.writeUInt16LE(message.length, fields + 1 + code.length)
  frame.set(message, fields + 3 + code.length)
  return frame
}

/**
 * Writes the time that is left into the head of a Request that was encoded earlier.
 * @param head from {@link encodeRequestHeader}; `timeLeftMs` as there
 */
export function setTimeLeft(head: Buffer, timeLeftMs: number | null): void {
  head.writeUInt32LE(timeLeftField(timeLeftMs), frameHeaderLengthBytes + lengthFieldLengthBytes + 4)
}

function timeLeftField(timeLeftMs: number | null): number {
  return timeLeftMs === null ? 0 : Math.min(Math.max(Math.trunc(timeLeftMs), 1), maxUint32)
}

export function encodeCancel(nonce: number): Buffer {
  const { frame, body } = frameOf(requestsLane, nativeDescriptors.Cancel, 4)
  frame.writeUInt32LE(nonce, body)
  return frame
}

// Every reader takes `buffer` with the offsets of a FrameSink, or of the body that Pieces gave.

/** Throws ProtocolError ERR_VALUE_TRUNCATED, ERR_MESSAGE_TOO_LONG. */
export function decodeMessage(buffer: Buffer, start: number, end: number): MessageBody {
  return namedBody(buffer, start + lengthFieldLengthBytes, end)
}

/** Throws as {@link decodeMessage}, and ProtocolError ERR_REQUEST_NONCE. */
export function decodeRequest(buffer: Buffer, start: number, end: number): RequestBody {
  return { ...requestFields(buffer, start), ...namedBody(buffer, start + lengthFieldLengthBytes + 8, end) }
}

/** The fields of a Request before its name. Throws ProtocolError ERR_REQUEST_NONCE. */
export function requestFields(buffer: Buffer, start: number): Pick<RequestBody, 'nonce' | 'timeLeftMs'> {
  const nonce = readUint32(buffer, start + lengthFieldLengthBytes)
  if (nonce === 0) throw new ProtocolError('ERR_REQUEST_NONCE', 'A Request has the nonce 0.')
  const timeLeftMs = readUint32(buffer, start + lengthFieldLengthBytes + 4)
  return { nonce, timeLeftMs: timeLeftMs === 0 ? null : timeLeftMs }
}

/** Throws ProtocolError ERR_RESPONSE_STATUS, ERR_VALUE_TRUNCATED, ERR_MESSAGE_TOO_LONG. */
export function decodeResponse(buffer: Buffer, start: number, end: number): ResponseBody {
  const nonce = readUint32(buffer, start + lengthFieldLengthBytes)
  const fields = start + lengthFieldLengthBytes + responseRestLengthBytesMin
  const statusNumber = buffer[fields - 1]!
  const status = statusNames[statusNumber]
  if (status === undefined)
    throw new ProtocolError('ERR_RESPONSE_STATUS', `A Response has the unknown status ${String(statusNumber)}.`)
  if (status === 'ok') return { nonce, status, bytes: buffer.subarray(fields, end) }
  if (end - fields < errorResponseRestLengthBytesMin - responseRestLengthBytesMin)
    throw truncated('the error of a Response', errorResponseRestLengthBytesMin, end - start - lengthFieldLengthBytes)
  const codeLengthBytes = checked('the code of an error', buffer[fields]!, errorCodeLengthBytesMax)
  const messageField = fields + 1 + codeLengthBytes
  if (messageField + 2 > end) throw truncated('the code of an error', messageField + 2 - fields, end - fields)
  const messageLengthBytes = checked(
    'the message of an error',
    buffer.readUInt16LE(messageField),
    errorMessageLengthBytesMax,
  )
  const bytesStart = messageField + 2 + messageLengthBytes
  if (bytesStart > end) throw truncated('the message of an error', bytesStart - fields, end - fields)
  const code = buffer.toString('latin1', fields + 1, messageField)
  return {
    nonce,
    status,
    code: isPrintable(code) ? code : '',
    message: buffer.toString('utf8', messageField + 2, bytesStart),
    bytes: buffer.subarray(bytesStart, end),
  }
}

/** @returns the nonce */
export function decodeCancel(buffer: Buffer, start: number): number {
  return readUint32(buffer, start)
}

/** @returns null for bytes that are not UTF-8, which are bad content in the name of a Message or Request */
export function textOf(bytes: Buffer): string | null {
  try {
    return strictUtf8.decode(bytes)
  } catch {
    return null
  }
}

/** Where the parts of a Message or Request lie in its buffer: an object of the reader's own, filled again and again. */
export interface NamedOffsets {
  nameStart: number
  /** Where the name ends. */
  nameEnd: number
  headersStart: number
  /** Where the headers end and the payload begins. */
  headersEnd: number
}

/**
 * Finds the parts without making views. @param start of the name's length; `into` is filled. Throws ProtocolError
 * ERR_VALUE_TRUNCATED, ERR_MESSAGE_TOO_LONG.
 */
export function findNamed(buffer: Buffer, start: number, end: number, into: NamedOffsets): void {
  const nameStart = start + 1
  const headersField = nameStart + buffer[start]!
  if (headersField + 2 > end) throw truncated('a name', headersField + 2 - start, end - start)
  const headersStart = headersField + 2
  const headersEnd = headersStart + checked('headers', buffer.readUInt16LE(headersField), headersLengthBytesMax)
  if (headersEnd > end) throw truncated('headers', headersEnd - start, end - start)
  into.nameStart = nameStart
  into.nameEnd = headersField
  into.headersStart = headersStart
  into.headersEnd = headersEnd
}

function namedBody(buffer: Buffer, start: number, end: number): MessageBody {
  const at: NamedOffsets = { nameStart: 0, nameEnd: 0, headersStart: 0, headersEnd: 0 }
  findNamed(buffer, start, end, at)
  return {
    name: buffer.subarray(at.nameStart, at.nameEnd),
    headers: buffer.subarray(at.headersStart, at.headersEnd),
    bytes: buffer.subarray(at.headersEnd, end),
  }
}

/** `rest` is where the fields before the name begin. */
function namedHeader(
  lane: number,
  descriptor: number,
  fieldsLengthBytes: number,
  { name, headers, payloadLengthBytes }: Fields,
): { readonly frame: Buffer; readonly rest: number } {
  const nameBytes = typeof name === 'string' ? Buffer.from(name, 'utf8') : name
  const headersLengthBytes = headers?.length ?? 0
  checkLimit('The name of a message or request', nameBytes.length, nameLengthBytesMax)
  checkLimit('The headers of a message or request', headersLengthBytes, headersLengthBytesMax)
  const ownLengthBytes = fieldsLengthBytes + 3 + nameBytes.length + headersLengthBytes
  const { frame, rest } = begin(lane, descriptor, ownLengthBytes, payloadLengthBytes)
  const nameField = rest + fieldsLengthBytes
  frame[nameField] = nameBytes.length
  frame.set(nameBytes, nameField + 1)
  const headersField = nameField + 1 + nameBytes.length
  frame.writeUInt16LE(headersLengthBytes, headersField)
  if (headers !== undefined) frame.set(headers, headersField + 2)
  return { frame, rest }
}

function responseHeader(
  nonce: number,
  status: ResponseStatus,
  fieldsLengthBytes: number,
  payloadLengthBytes: number,
): { readonly frame: Buffer; readonly fields: number } {
  const ownLengthBytes = responseRestLengthBytesMin + fieldsLengthBytes
  const { frame, rest } = begin(responsesLane, nativeDescriptors.Response, ownLengthBytes, payloadLengthBytes)
  frame.writeUInt32LE(nonce, rest)
  frame[rest + 4] = responseStatuses[status]
  return { frame, fields: rest + responseRestLengthBytesMin }
}

/** A frame whose length field counts `ownLengthBytes` and the payload; `rest` follows that field. */
function begin(
  lane: number,
  descriptor: number,
  ownLengthBytes: number,
  payloadLengthBytes: number,
): { readonly frame: Buffer; readonly rest: number } {
  const { frame, body } = frameOf(lane, descriptor, lengthFieldLengthBytes + ownLengthBytes)
  frame.writeUInt32LE(ownLengthBytes + payloadLengthBytes, body)
  return { frame, rest: body + lengthFieldLengthBytes }
}

/** The characters ' ' to '~'. */
function isPrintable(text: string): boolean {
  return /^[ -~]*$/.test(text)
}

function checked(what: string, lengthBytes: number, most: number): number {
  if (lengthBytes <= most) return lengthBytes
  throw new ProtocolError(
    'ERR_MESSAGE_TOO_LONG',
    `The length of ${what} is ${String(lengthBytes)} bytes; ${String(most)} are allowed.`,
  )
}

function truncated(what: string, needed: number, available: number): ProtocolError {
  return new ProtocolError(
    'ERR_VALUE_TRUNCATED',
    `The length of ${what} does not fit its frame: ${String(needed)} bytes are needed, ${String(available)} are there.`,
  )
}

function checkLimit(what: string, lengthBytes: number, most: number): void {
  if (lengthBytes <= most) return
  throw new InvalidValueError(`${what} must have at most ${String(most)} bytes; this one has ${String(lengthBytes)}.`)
}
