/**
 * Owns: the causes that a connection reports, as sentences.
 * Independent of: when it reports them.
 */
import type { DeadlineName } from '../../machines/chart.ts'
import { cause } from '../base/causes.ts'
import type { Cause } from '../base/causes.ts'

/** The other side ended the connection before the handshake was complete. */
export function endedInHandshake(remoteAddress: string, security: 'tls' | 'plaintext'): Cause {
  const tls = security === 'plaintext' ? 'require TLS' : 'not use TLS'
  return cause(
    'ERR_HANDSHAKE_REFUSED',
    `${remoteAddress} closed the connection during the handshake: it may not know this side's key, ${tls}, or not be waiting for this connection yet`,
  )
}

/** @param ms the time limit as configured */
export function timedOut(remoteAddress: string, deadline: DeadlineName | undefined, ms: number): Cause {
  const what =
    deadline === 'closeTimeoutMs'
      ? `${remoteAddress} did not accept the remaining data within`
      : `no ${deadline === 'dialTimeoutMs' ? 'connection' : 'handshake'} with ${remoteAddress} within`
  return cause('ERR_TIMED_OUT', `${what} ${ms} ms`)
}

/** The hello names a key that is not the key of the certificate. */
export function identityNotProved(remoteAddress: string, identity: string): Cause {
  return cause(
    'ERR_UNEXPECTED_PEER',
    `${remoteAddress} claims to be ${JSON.stringify(identity)}, but its certificate does not prove it`,
  )
}
