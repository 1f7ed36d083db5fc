/**
 * Owns: the one table of error codes and the error classes of the package.
 * Refuses to know: who throws them, sockets, peers, and how an error is logged or counted.
 */

import { sanitize } from './sanitize.ts'

/** What a row of the table says about a code. */
export interface ErrorCodeEntry {
  /** One plain sentence for documentation and logs. */
  readonly meaning: string
  /** The same call may succeed later although nobody changed anything. */
  readonly retryable: boolean
  /** Trying again does not help until configuration or code is changed. Waiting calls fail at once; redials go on at the cap of the back-off. */
  readonly fatal: boolean
}

// Three kinds of row, so that the table below reads as a list of sentences.
const transient = (meaning: string): ErrorCodeEntry => ({ meaning, retryable: true, fatal: false })
const permanent = (meaning: string): ErrorCodeEntry => ({ meaning, retryable: false, fatal: false })
const fatal = (meaning: string): ErrorCodeEntry => ({ meaning, retryable: false, fatal: true })

/** Every code that this package throws. Codes are stable; meanings may be reworded. */
export const errorCodes = {
  // The peer broke the wire contract (ProtocolError). One code per rule of the decoder.
  ERR_UNKNOWN_DESCRIPTOR: permanent('A frame or value starts with a descriptor that this dialect does not define.'),
  ERR_VALUE_TRUNCATED: permanent('A value is shorter than its descriptor or its length field says.'),
  ERR_VALUE_TRAILING_BYTES: permanent('Bytes are left over behind a value that should have filled its place.'),
  ERR_VECTOR_LENGTH_NOT_MULTIPLE: permanent('The byte length of a vector is not a multiple of its element size.'),
  ERR_NETWORK_VEC_ELEMENT_NOT_ALLOWED: permanent('A NetworkVec holds a value of a type that must not stand in a list.'),
  ERR_NETWORK_VEC_LENGTH_MISMATCH: permanent(
    'The values in a NetworkVec do not fill its declared byte length exactly.',
  ),
  ERR_MESSAGE_TOO_LONG: permanent('A frame declares a body longer than maxMessageLengthBytes.'),
  ERR_CONTROL_FRAME_LENGTH: permanent('A control frame declares a length of 0 or above the limit.'),
  ERR_CONTROL_FRAME_NOT_FILLED: permanent('The value in a control frame does not fill the declared length.'),
  ERR_SYNC_MISMATCH: permanent('A peer answered the ring barrier with something other than Bytes("ok").'),
  ERR_SESSION_VALIDATION: permanent('A peer sent something other than the session index during session validation.'),
  // The caller asked for something that can not be done.
  ERR_INVALID_VALUE: permanent('A value to be sent has a field of the wrong type, size or range.'),
  ERR_NOT_TRANSFERABLE: permanent('The memory of a value that was to be transferred cannot be detached, or is shared.'),
  ERR_INVALID_OPTION: fatal('An option has a wrong type or is out of range.'),
  ERR_INVALID_URL: fatal('An address is not a URL that this runtime can use.'),
  ERR_INVALID_PEER_ID: fatal('A peer identity has the wrong form.'),
  ERR_UNKNOWN_PEER: permanent('The peer is not one that this network was configured with.'),
  ERR_NOT_A_NETWORK: permanent('The actor reference does not belong to a network.'),
  ERR_NOT_RESTORABLE: permanent(
    'A network cannot be restored from a persisted snapshot; start it again from its config.',
  ),
  ERR_DIALECT_UNSUPPORTED: fatal('The dialect in use can not do what was asked for.'),
  ERR_UNSUPPORTED_HOST: fatal(
    'The machine or the JavaScript runtime lacks something that is needed: little-endian memory, or TLS that works.',
  ),
  // Handshake and connection.
  ERR_HANDSHAKE_FAILED: transient('The handshake ended before it was complete, or the answer was wrong.'),
  ERR_HANDSHAKE_REFUSED: transient('The other side refused the handshake, or closed the connection during it.'),
  ERR_UNEXPECTED_PEER: fatal('The other side proved or claimed an identity that was not expected on this address.'),
  ERR_CONNECTION_LOST: transient('An established connection ended.'),
  ERR_CONNECTION_REFUSED: transient('The other side did not accept a connection.'),
  ERR_NAME_NOT_RESOLVED: transient(
    'The host name in the address of a peer has no address, or the name service does not answer.',
  ),
  ERR_NOT_REQUESTED: transient('An inbound connection came that nobody asks for now.'),
  ERR_NOT_ALLOWED: fatal(
    'One side does not let the other in: its address, key or protocol version is not allowed, or the application refused it.',
  ),
  ERR_ADMISSION_LIMIT: transient('A limit on inbound connections is reached.'),
  ERR_TRANSPORT: transient('The transport below reported an error.'),
  ERR_LISTEN_FAILED: fatal('The listener could not bind its address.'),
  // Sessions, sending, receiving.
  ERR_TIMED_OUT: transient('The deadline of an operation passed.'),
  ERR_ABORTED: permanent('The caller aborted the operation.'),
  ERR_SESSION_GROUP_FAILED: transient('One connection of the batch ended, which ends the batch.'),
  ERR_SESSION_CLOSED: permanent('The session is closed.'),
  ERR_SESSION_RESET: permanent('The peer ended the session.'),
  ERR_LINK_RESET: transient('A link could not be resumed; every value sent on it has an outcome.'),
  ERR_SEND_QUEUE_FULL: transient('The bounded send queue is full.'),
  ERR_RECEIVE_QUEUE_FULL: transient('Too many calls of receive wait on one session already.'),
  ERR_HANDLER_SET: permanent('A call of receive was made, or waited, while the values go to a handler.'),
  ERR_SEND_TIMED_OUT: transient('A value could not be handed to a connection in time; it was not sent.'),
  // The runtime itself.
  ERR_NETWORK_STOPPED: permanent('The network is shutting down or has stopped.'),
  ERR_PEER_DRAINED: permanent('The network lets go of the peer, or has: nothing new is taken for it.'),
  ERR_RESTART_INTENSITY: fatal('A child crashed more often than its restart intensity allows.'),
  ERR_HANDLER_FAILED: permanent('A handler of the application threw.'),
  ERR_INTERNAL: permanent('A condition that this package guarantees does not hold: a bug in it.'),
  // Keys and certificates.
  ERR_KEY_FILE_NOT_FOUND: fatal('The file of a private key does not exist.'),
  ERR_KEY_FILE_EXISTS: fatal('A key is to be saved where a file exists already.'),
  ERR_KEY_FILE_PERMISSIONS: fatal('Others than its owner may read or change the file of a private key.'),
  ERR_KEY_FILE_UNUSABLE: fatal('The file of a private key can not be read or written.'),
  ERR_KEY_FORMAT: fatal('A private key is not in PKCS#8 PEM.'),
  ERR_KEY_TYPE: fatal('A private key is of another kind than is needed here.'),
  ERR_CERTIFICATE_UNUSABLE: fatal('A configured certificate or root can not be read, or does not fit its key.'),
  ERR_CERTIFICATE_REJECTED: fatal(
    'The certificate of one side is not valid for its identity in the eyes of the other.',
  ),
  ERR_TLS_PROTOCOL: fatal('The other side speaks no TLS, or a TLS that this side does not take.'),
  // The native dialect: the peer broke a rule of the link.
  ERR_ACK_OUT_OF_RANGE: permanent('A peer acknowledged frames that were never sent, or took back an acknowledgement.'),
  ERR_REPLAY_WINDOW_OVERRUN: permanent(
    'A peer acknowledges nothing: twice the frames that a replay window holds are waiting for it.',
  ),
  ERR_GOODBYE_MISMATCH: permanent('The number of frames that a Goodbye names is not the number that arrived.'),
  ERR_GOODBYE_ORDER: permanent('A peer sent a counted frame, or another Goodbye, after its Goodbye.'),
  ERR_CREDIT_ZERO: permanent('A Credit of 0 bytes says nothing and is not allowed.'),
  ERR_CREDIT_OVERFLOW: permanent('A window or a balance of credit went above 2^31 - 1 bytes.'),
  ERR_CREDIT_EXCEEDED: permanent(
    'A frame that costs credit arrived on a lane whose credit was used up or never given.',
  ),
  ERR_RESPONSE_STATUS: permanent('A Response has a status that is neither ok nor error.'),
  ERR_FLOOD: permanent('A peer sent far more frames that carry nothing than the values of the link give reason for.'),
  ERR_EARLY_SESSIONS: permanent('A peer opened or closed more sessions ahead of this side than are remembered.'),
  // The native dialect: a MessagePack value that is not decoded.
  ERR_MSGPACK_TRUNCATED: permanent('A MessagePack value ends before it is complete.'),
  ERR_MSGPACK_TRAILING_BYTES: permanent('Bytes are left over behind a MessagePack value.'),
  ERR_MSGPACK_DEPTH: permanent('A MessagePack container lies inside 32 others.'),
  ERR_MSGPACK_LENGTH: permanent('A MessagePack container declares more elements than the bytes that remain can hold.'),
  ERR_MSGPACK_EXT: permanent('A MessagePack value has an extension type other than timestamp.'),
  ERR_MSGPACK_RESERVED: permanent('A MessagePack value holds the reserved byte c1.'),
  ERR_MSGPACK_KEY_TYPE: permanent('A key of a MessagePack map is not a string.'),
  ERR_MSGPACK_KEY_FORBIDDEN: permanent('A key of a MessagePack map is __proto__, constructor or prototype.'),
  // The native dialect: limits of this side.
  ERR_SESSION_IDS_USED_UP: permanent('All session ids of a link are used up until its next epoch.'),
  ERR_MEMORY_BUDGET: transient('The memory budget of the node has no room for another session or stream.'),
} as const satisfies Record<string, ErrorCodeEntry>

/** One of the keys of {@link errorCodes}. */
export type ErrorCode = keyof typeof errorCodes

/**
 * Base of every error thrown by this package. `code` is stable and is what programs compare; the message is one plain
 * sentence for people that names what is wrong. `retryable` and `fatal` come from {@link errorCodes}.
 */
export class StatewireError extends Error {
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly fatal: boolean

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    // The name must stand on the prototype before Error captures the stack, or the stack begins with "Error:".
    const prototype: unknown = new.target.prototype
    if (!Object.hasOwn(prototype as object, 'name')) {
      Object.defineProperty(prototype, 'name', { value: new.target.name, configurable: true, writable: true })
    }
    // Here and not where it is thrown: names, reasons and addresses in it are often chosen by somebody else.
    super(sanitize(message), options)
    const entry: ErrorCodeEntry = errorCodes[code]
    this.code = code
    this.retryable = entry.retryable
    this.fatal = entry.fatal
  }
}

/** The peer broke the wire contract. Thrown by frame readers and decoders, never for "more bytes are needed". */
export class ProtocolError extends StatewireError {}

/** A value handed to the encoder can not be represented on the wire; the message names the field. Code ERR_INVALID_VALUE. */
export class InvalidValueError extends StatewireError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('ERR_INVALID_VALUE', message, options)
  }
}
