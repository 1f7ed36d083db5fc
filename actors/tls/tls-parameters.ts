/**
 * Owns: the TLS parameters of both dialects, as plain constants.
 * Independent of: keys, sockets, and who the other side is.
 */
import { constants } from 'node:crypto'
import type { SecureContextOptions } from 'node:tls'

/** The dialect and its version, in the ClientHello: a port distinguishes the dialects by it. */
export const nativeAlpn = 'statewire/1'

/**
 * No tickets: a TLS ticket acts as an identity. With Node's defaults, a server accepts a client without a certificate
 * if it shows a ticket.
 */
const secureOptions = constants.SSL_OP_NO_TICKET

/** AES-128 first: as strong as X25519, and the fastest of the three. */
export const nativeParameters: SecureContextOptions = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  sigalgs: 'ed25519',
  ecdhCurve: 'X25519',
  ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
  secureOptions,
}

export const ampcParameters: SecureContextOptions = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3', secureOptions }
