/**
 * Owns: the table of error codes and the error classes of the package.
 * Independent of: who throws them, sockets, peers, and how an error is logged or counted.
 */

import { sanitize } from './sanitize.ts'

/** What a row of the table says about a code. */
export interface ErrorCodeEntry {
  /** One sentence for documentation and logs. */
  readonly meaning: string
  /** The same call may succeed later without any change. */
  readonly retryable: boolean
  /**
   * Retrying does not help until configuration or code is changed. Waiting calls fail at once; redials continue at the
   * back-off cap.
   */
  readonly fatal: boolean
}

// Three kinds of rows, so that the table below reads as a list of sentences.
const transient = (meaning: string): ErrorCodeEntry => ({ meaning, retryable: true, fatal: false })
const permanent = (meaning: string): ErrorCodeEntry => ({ meaning, retryable: false, fatal: false })
const fatal = (meaning: string): ErrorCodeEntry => ({ meaning, retryable: false, fatal: true })

/** Every code that this package throws. Codes are stable; meanings may be reworded. */
export const errorCodes = {
  // The peer broke the wire contract (ProtocolError). One code per rule of the decoder.
  ERR_UNKNOWN_DESCRIPTOR: permanent('A frame or value starts with a descriptor that this dialect does not define.'),
  ERR_VALUE_TRUNCATED: permanent('A value is shorter than its descriptor or its length field says.'),
  ERR_VALUE_TRAILING_BYTES: permanent('Bytes follow a value that should have filled its frame or field.'),
  ERR_VECTOR_LENGTH_NOT_MULTIPLE: permanent('The byte length of a vector is not a multiple of its element size.'),
  ERR_NETWORK_VEC_ELEMENT_NOT_ALLOWED: permanent(
    'A NetworkVec contains a value of a type that is not allowed in a list.',
  ),
  ERR_NETWORK_VEC_LENGTH_MISMATCH: permanent(
    'The values in a NetworkVec do not fill its declared byte length exactly.',
  ),
  ERR_MESSAGE_TOO_LONG: permanent('A frame declares a body longer than maxMessageLengthBytes.'),
  ERR_CONTROL_FRAME_LENGTH: permanent('A control frame declares a length of 0 or above the limit.'),
  ERR_CONTROL_FRAME_NOT_FILLED: permanent('The value in a control frame does not fill the declared length.'),
  ERR_SYNC_MISMATCH: permanent('A peer sent something other than Bytes("ok") at the ring barrier.'),
  ERR_SESSION_VALIDATION: permanent('A peer sent something other than the session index during session validation.'),
  // The caller asked for something that cannot be done.
  ERR_INVALID_VALUE: permanent('A value to be sent has a field of the wrong type, size or range.'),
  ERR_NOT_TRANSFERABLE: permanent('The memory of a value that was to be transferred cannot be detached, or is shared.'),
  ERR_INVALID_OPTION: fatal('An option has a wrong type or is out of range.'),
  ERR_INVALID_URL: fatal('An address is not a URL that this runtime can use.'),
  ERR_INVALID_PEER_ID: fatal('A peer identity has the wrong form.'),
  ERR_UNKNOWN_PEER: permanent('The peer is not in the list of peers of this network.'),
  ERR_NOT_A_NETWORK: permanent('The actor reference does not belong to a network.'),
  ERR_NOT_RESTORABLE: permanent(
    'A network cannot be restored from a persisted snapshot; start it again from its config.',
  ),
  ERR_DIALECT_UNSUPPORTED: fatal('The dialect in use does not support the option or call.'),
  ERR_UNSUPPORTED_HOST: fatal(
    'The machine or the JavaScript runtime is not supported: it is not little-endian, or its TLS does not work.',
  ),
  // Handshake and connection.
  ERR_HANDSHAKE_FAILED: transient('The handshake ended before it was complete, or its answer was wrong.'),
  ERR_HANDSHAKE_REFUSED: transient('The other side refused the handshake, or closed the connection during it.'),
  ERR_UNEXPECTED_PEER: fatal('The other side proved or claimed an identity that was not expected on this address.'),
  ERR_CONNECTION_LOST: transient('An established connection ended.'),
  ERR_CONNECTION_REFUSED: transient('The other side did not accept a connection.'),
  ERR_NAME_NOT_RESOLVED: transient(
    'The host name in the address of a peer has no address, or the name service does not answer.',
  ),
  ERR_NOT_REQUESTED: transient('Unexpected inbound connection: nothing is waiting for it.'),
  ERR_NOT_ALLOWED: fatal(
    'One side does not admit the other: its address, key or protocol version is refused, or `admit` says no.',
  ),
  ERR_ADMISSION_LIMIT: transient('A limit on inbound connections is reached.'),
  ERR_TRANSPORT: transient('The transport (TCP, TLS or memory) reported an error.'),
  ERR_LISTEN_FAILED: fatal('The listener could not bind its address.'),
  // Sessions, sending, receiving.
  ERR_TIMED_OUT: transient('The deadline of an operation passed.'),
  ERR_ABORTED: permanent('The caller aborted the operation.'),
  ERR_SESSION_GROUP_FAILED: transient(
    'One connection of a session group ended, which ends all sessions of that makeSessions call.',
  ),
  ERR_SESSION_CLOSED: permanent('The session is closed.'),
  ERR_SESSION_RESET: permanent('The peer ended the session.'),
  ERR_LINK_RESET: transient('A link could not be resumed; every value sent on it has an outcome.'),
  ERR_SEND_QUEUE_FULL: transient('The bounded send queue is full.'),
  ERR_RECEIVE_QUEUE_FULL: transient('Too many calls of receive are already waiting on one session.'),
  ERR_HANDLER_SET: permanent('A call of receive was made, or was waiting, while a handler receives the values.'),
  ERR_SEND_TIMED_OUT: transient('A value could not be accepted for sending in time; it was not sent.'),
  // Messages and requests.
  ERR_NO_HANDLER: permanent('The peer has no handler for the request. None ran.'),
  ERR_NO_PROTOCOL: permanent('The peer does not serve streams of this protocol.'),
  ERR_STREAM_REFUSED: permanent('The peer did not permit the stream, or its `permit` failed. `reason` says why.'),
  ERR_STREAM_OVERLOADED: transient('The peer serves too many streams of this protocol, or is short of memory.'),
  ERR_REFUSED: transient('The peer refused the request: a limit is reached, or it is not permitted. No handler ran.'),
  ERR_TOO_LATE: transient('The time of the request was over before the peer called a handler.'),
  ERR_REMOTE: permanent('The handler of the peer failed; `remote` has its code, message and data.'),
  ERR_CANCELLED: permanent('The request was cancelled, by its signal or by the peer.'),
  ERR_ALL_PEERS_FAILED: transient('No peer answered the request; `errors` has the error of each.'),
  ERR_QUORUM: transient('Too few peers accepted the message; `results` has the result of each peer.'),
  ERR_SERVICE_VALUE: permanent('A value does not fit the schema of its service; `issues` names the fields.'),
  ERR_HANDLER_EXISTS: permanent('The name has a handler already; remove that one first.'),
  // The runtime itself.
  ERR_NETWORK_STOPPED: permanent('The network is shutting down or has stopped.'),
  ERR_PEER_DRAINED: permanent('The peer is being drained, or has been: nothing new is accepted for it.'),
  ERR_PEER_REMOVED: permanent('The peer was removed from the network; its handle is not valid any more.'),
  ERR_RESTART_INTENSITY: fatal('An actor failed more often than its restart intensity allows.'),
  ERR_HANDLER_FAILED: permanent('A handler of the application threw.'),
  ERR_INTERNAL: permanent('An internal condition does not hold: a bug in this package. Please report it.'),
  // Keys and certificates.
  ERR_KEY_FILE_NOT_FOUND: fatal('The private key file does not exist.'),
  ERR_KEY_FILE_EXISTS: fatal('The file that a key should be saved to exists already.'),
  ERR_KEY_FILE_PERMISSIONS: fatal('Users other than the owner can read or change the private key file.'),
  ERR_KEY_FILE_UNUSABLE: fatal('The private key file cannot be read or written.'),
  ERR_KEY_FORMAT: fatal('A private key is not in PKCS#8 PEM.'),
  ERR_KEY_TYPE: fatal('A private key has the wrong type: Ed25519 is required.'),
  ERR_CERTIFICATE_UNUSABLE: fatal('A configured certificate or root cannot be parsed, or does not match its key.'),
  ERR_CERTIFICATE_REJECTED: fatal('One side rejected the certificate of the other as not valid for its identity.'),
  ERR_TLS_PROTOCOL: fatal('The other side does not speak TLS, or not a version or protocol that this side accepts.'),
  // The native dialect: the peer broke a rule of the link.
  ERR_ACK_OUT_OF_RANGE: permanent('A peer acknowledged frames that were never sent, or revoked an acknowledgement.'),
  ERR_REPLAY_WINDOW_OVERRUN: permanent(
    'A peer does not acknowledge: far more frames than a link may hold have waited for too long.',
  ),
  ERR_GOODBYE_MISMATCH: permanent('The number of frames that a Goodbye names is not the number that arrived.'),
  ERR_GOODBYE_ORDER: permanent('A peer sent a counted frame, or another Goodbye, after its Goodbye.'),
  ERR_CREDIT_ZERO: permanent('A peer sent a Credit of 0 bytes, which is not allowed.'),
  ERR_CREDIT_OVERFLOW: permanent('A credit window or balance exceeded 2^31 - 1 bytes.'),
  ERR_CREDIT_EXCEEDED: permanent('A peer sent more on a session or stream than its flow-control credit allows.'),
  ERR_LONG_FRAME_WHOLE: permanent('A frame of more than 65,536 bytes was sent whole instead of in Pieces.'),
  ERR_PIECE_BEGINS: permanent('The first Piece of a frame does not begin a frame that its lane can carry.'),
  ERR_PIECE_SHORT_FRAME: permanent('A frame of up to 65,536 bytes was sent in Pieces instead of whole.'),
  ERR_PIECE_SIZE: permanent(
    'A Piece has another size than 65,536 bytes, or the last Piece of a frame does not end where the frame ends.',
  ),
  ERR_PIECE_INTERRUPTED: permanent('Another frame came between the Pieces of a frame on one lane.'),
  ERR_SETUP_FIELD: permanent('A frame that sets up sessions has a count of 0, or a name that is not UTF-8.'),
  ERR_STREAM_ID: permanent('A stream was opened with an id that its side may not use now, or was never opened.'),
  ERR_STREAM_ORDER: permanent('A frame arrived on a stream before its Accept, after its Fin, or from the wrong side.'),
  ERR_STREAM_LIMIT_EXCEEDED: permanent('A peer opened more streams on a link than `limits.streamsMax` of this side.'),
  ERR_STREAM_RESET: permanent('One of the two sides ended the stream before both had finished writing.'),
  ERR_REQUEST_NONCE: permanent('A Request has the nonce 0, or that of a Request which is not answered yet.'),
  ERR_REQUEST_LIMIT: permanent('A peer sent more than 1,024 Requests that are not answered.'),
  ERR_RESPONSE_STATUS: permanent('A Response has a status that is not defined.'),
  ERR_FLOOD: permanent('A peer sent control frames faster than the limit for the data transferred.'),
  ERR_SETUP_FRAME: permanent(
    'A peer sent a frame of session set-up that only the other side may send, or on a link where it does not belong.',
  ),
  ERR_WANT_REPEATED: permanent('A peer asked for sessions twice under one name or number before it had an answer.'),
  ERR_WANT_LIMIT: permanent('A peer asked for sessions under more than 64 names before it had an answer.'),
  ERR_MAKE_IDS: permanent('A peer assigned session ids that are not above those before, or are out of range.'),
  ERR_MAKE_REPEATED: permanent('A peer made or confirmed the sessions of one set-up twice on one link.'),
  ERR_SESSION_UNKNOWN: permanent('A peer sent a frame on a session that was never made.'),
  // The native dialect: a MessagePack value that is not decoded.
  ERR_MSGPACK_TRUNCATED: permanent('A MessagePack value ends before it is complete.'),
  ERR_MSGPACK_TRAILING_BYTES: permanent('Bytes follow a MessagePack value that should have filled its frame.'),
  ERR_MSGPACK_DEPTH: permanent('MessagePack containers are nested more than 32 deep.'),
  ERR_MSGPACK_LENGTH: permanent('A MessagePack container declares more elements than its remaining bytes can hold.'),
  ERR_MSGPACK_EXT: permanent('A MessagePack value has an extension type other than timestamp.'),
  ERR_MSGPACK_TIMESTAMP: permanent(
    'A MessagePack timestamp has more than 999,999,999 nanoseconds, or is outside the range of Date.',
  ),
  ERR_MSGPACK_TEXT: permanent('A text in a MessagePack value is not UTF-8, or is longer than 256 MiB.'),
  ERR_MSGPACK_COST: permanent(
    'A MessagePack value has more parts than 128 MiB of memory may hold, by the estimate of docs/protocol.md.',
  ),
  ERR_MSGPACK_RESERVED: permanent('A MessagePack value contains the reserved byte 0xc1.'),
  ERR_MSGPACK_KEY_TYPE: permanent('A key of a MessagePack map is not a string.'),
  ERR_MSGPACK_KEY_FORBIDDEN: permanent('A key of a MessagePack map is __proto__, constructor or prototype.'),
  // The native dialect: set-up of sessions.
  ERR_SESSION_COUNTS: permanent('The calls of makeSessions that met under one name ask for different counts.'),
  ERR_SESSION_LIMIT: transient('A limit of the peer, or of this side, does not allow more sessions at present.'),
  // The native dialect: limits of this side.
  ERR_SESSION_IDS_USED_UP: permanent(
    'All session ids of a link are used up. They are available again after the link is reset.',
  ),
  ERR_LONG_VALUE_TOO_SLOW: transient(
    'A long value arrived too slowly while others waited for memory, so its session was ended.',
  ),
  ERR_MEMORY_BUDGET: transient(
    'The memory budget of the network (`memoryBudgetBytes`) has no room for another session, stream or peer.',
  ),
} as const satisfies Record<string, ErrorCodeEntry>

/** One of the keys of {@link errorCodes}. */
export type ErrorCode = keyof typeof errorCodes

/**
 * Base class of every error thrown by this package. Programs should compare `code`, which is stable. The message is one
 * sentence for people that names what is wrong. `retryable` and `fatal` come from {@link errorCodes}.
 */
export class StatewireError extends Error {
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly fatal: boolean

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    // The name must be on the prototype before Error captures the stack, or the stack begins with "Error:".
    const prototype: unknown = new.target.prototype
    if (!Object.hasOwn(prototype as object, 'name')) {
      Object.defineProperty(prototype, 'name', { value: new.target.name, configurable: true, writable: true })
    }
    // Sanitized here for all errors: names, reasons and addresses in messages are often chosen by others.
    super(sanitize(message), options)
    const entry: ErrorCodeEntry = errorCodes[code]
    this.code = code
    this.retryable = entry.retryable
    this.fatal = entry.fatal
  }
}

/** The peer broke the wire contract. Thrown by frame readers and decoders, never for incomplete input. */
export class ProtocolError extends StatewireError {}

/**
 * A value passed to the encoder cannot be represented on the wire; the message names the field. Code ERR_INVALID_VALUE.
 */
export class InvalidValueError extends StatewireError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('ERR_INVALID_VALUE', message, options)
  }
}
