/**
 * Owns: converting a failed handshake into an error, with a sentence that says why.
 * Independent of: sockets, and what is done about it.
 */
import { StatewireError } from '../../codec/errors.ts'
import type { ErrorCode } from '../../codec/errors.ts'

/** The peer proved another key than the expected one. */
export class UnexpectedPeerError extends StatewireError {
  readonly expected: string
  readonly got: string

  constructor(remoteAddress: string, expected: string, got: string) {
    super('ERR_UNEXPECTED_PEER', `${remoteAddress} proved to be ${got}, not ${expected}`)
    this.expected = expected
    this.got = got
  }
}

/** The first bytes of other protocols. */
const beginnings: readonly (readonly [RegExp, string])[] = [
  [/^(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|TRACE|CONNECT) /, 'HTTP'],
  [/^PRI \* HTTP/, 'HTTP/2 without TLS'],
  [/^HTTP\/\d/, 'an HTTP answer'],
  [/^SSH-/, 'SSH'],
  [/^SWIR/, 'statewire without TLS'],
  [/^(?:EHLO|HELO|220) /, 'SMTP'],
  [/^PROXY /, 'a proxy header'],
  [/^[\t\n\r -~]{1,32}/, 'plain text'],
]

/** Names a protocol by its first bytes, without repeating any of them. */
export function protocolOf(bytes: Uint8Array): string {
  if (bytes[0] === 22 && bytes[1] === 3) return 'TLS with an invalid ClientHello'
  const text = Buffer.from(bytes.subarray(0, 32)).toString('latin1')
  return beginnings.find(([pattern]) => pattern.test(text))?.[1] ?? 'an unknown protocol'
}

/** OpenSSL error codes for which a clearer text than OpenSSL's exists. */
const meanings: Readonly<Record<string, string>> = {
  ERR_SSL_HTTP_REQUEST: 'it speaks HTTP, not TLS',
  ERR_SSL_HTTPS_PROXY_REQUEST: 'it speaks HTTP, not TLS',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS; check the protocol and the port',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not speak TLS; check the protocol and the port',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'it offers no TLS version that this side accepts',
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'it accepts no TLS version that this side offers',
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: 'it speaks TLS, but not statewire (ALPN)',
  ERR_SSL_NO_APPLICATION_PROTOCOL: 'it offers TLS, but not statewire (ALPN)',
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: 'the two sides share no TLS parameters, or it requires another certificate',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'it requires a certificate',
  ERR_SSL_NO_SHARED_SIGNATURE_ALGORITHMS: 'the two sides share no signature algorithm',
  ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM: 'its certificate or its signature algorithms are not Ed25519',
  ERR_SSL_BAD_SIGNATURE: 'it does not hold the key of its certificate',
  ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR: 'it could not verify the key of this side',
}

/** OpenSSL error codes that mean: the other side speaks another protocol. Retrying will not change that. */
const foreignProtocol: ReadonlySet<string> = new Set([
  'ERR_SSL_HTTP_REQUEST',
  'ERR_SSL_HTTPS_PROXY_REQUEST',
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_UNSUPPORTED_PROTOCOL',
  'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
  'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL',
])

/** The error of a dial whose handshake ended with `error`. */
export function dialError(remoteAddress: string, error: unknown): StatewireError {
  const code = codeOf(error)
  if (isRejectedCertificate(code))
    return new StatewireError(
      'ERR_CERTIFICATE_REJECTED',
      `the TLS handshake with ${remoteAddress} failed: it does not accept the certificate of this side (${code})`,
      { cause: error },
    )
  return handshakeError(remoteAddress, error, foreignProtocol.has(code) ? 'ERR_TLS_PROTOCOL' : 'ERR_HANDSHAKE_FAILED')
}

/** An alert by which the other side rejects this side's certificate. */
function isRejectedCertificate(code: string): boolean {
  return /ALERT_(?:BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_\w+|UNKNOWN_CA|ACCESS_DENIED)$/.test(code)
}

/** A peer's text may contain anything, so it is reduced to one short line. */
function line(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is taken out
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ').slice(0, 200)
}

export function isTlsError(error: unknown): boolean {
  const code = codeOf(error)
  return code.startsWith('ERR_SSL_') || code.startsWith('ERR_OSSL_')
}

export function codeOf(error: unknown): string {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : ''
}

/** The error of a handshake with `remoteAddress` that ended with `error`. */
export function handshakeError(
  remoteAddress: string,
  error: unknown,
  code: ErrorCode = 'ERR_HANDSHAKE_FAILED',
): StatewireError {
  if (error instanceof StatewireError) return error
  const system = codeOf(error)
  if (system === 'ECONNRESET' || system === 'EPIPE')
    return closedEarly(remoteAddress, `it closed the connection (${system}); it may not use TLS`)
  const message = error instanceof Error ? error.message : String(error)
  const reason = meanings[system] ?? line(message)
  return new StatewireError(
    code,
    `the TLS handshake with ${remoteAddress} failed: ${reason}` +
      (system === '' || reason.includes(system) ? '' : ` (${system})`),
    { cause: error },
  )
}

/** The other side closed the socket before the handshake completed, without a reason. */
export function closedEarly(
  remoteAddress: string,
  words = 'it closed the connection; it may not use TLS',
): StatewireError {
  return new StatewireError('ERR_HANDSHAKE_REFUSED', `the TLS handshake with ${remoteAddress} failed: ${words}`)
}

/** The handshake completed, but does not meet the dialect's requirements. */
export function refusal(
  remoteAddress: string,
  reason: string,
  code: ErrorCode = 'ERR_HANDSHAKE_FAILED',
): StatewireError {
  return new StatewireError(code, `the TLS handshake with ${remoteAddress} failed: ${reason}`)
}
