/**
 * The ceiling over TLS: raw-view on mutual TLS 1.3 with Node's default cipher. Owns its keys, which are derived from
 * the names of the two ends.
 * Independent of statewire's transport; only its certificates are borrowed, because they are small.
 */
import tls from 'node:tls'
import { identityOf } from './identities.ts'
import { highWaterMarkBytes, makeRaw, oneBuffer } from './raw-view.ts'
import type { RawCarrier } from './raw-view.ts'

const own = (name: 'server' | 'client'): { key: string; cert: string } => {
  const identity = identityOf(name)
  return { key: identity.toPem(), cert: identity.certificate }
}
const shared = { minVersion: 'TLSv1.3', rejectUnauthorized: false, highWaterMark: highWaterMarkBytes } as const

export const overTls: RawCarrier = {
  createServer: (onSocket) =>
    tls.createServer({ ...shared, ...own('server'), requestCert: true, noDelay: true }, onSocket),
  connect(port, onConnected) {
    const socket = tls.connect(
      { ...shared, ...own('client'), port, host: '127.0.0.1', checkServerIdentity: () => undefined },
      onConnected,
    )
    return socket
  },
}

export const rawTls = makeRaw('raw-tls', oneBuffer, overTls)
