/**
 * Owns: clients that start a handshake and stop, in four forms, and when each was closed by the other side.
 * Independent of: what the other side is, and what follows.
 */
import net from 'node:net'
import tls from 'node:tls'
import type { Identity } from '../../../actors/tls/identity.ts'
import { captureClientHello } from '../../support/first-flight.ts'
import { nativeAlpn } from '../../../actors/tls/tls-parameters.ts'

export const stuckForms = ['silent', 'half-client-hello', 'tls-without-hello', 'byte-a-second'] as const
export type StuckForm = (typeof stuckForms)[number]

export interface Stuck {
  readonly form: StuckForm
  /** The raw socket below everything else. */
  readonly socket: net.Socket
  readonly openedAtMs: number
  /** It got as far as its form goes. */
  isStuck: boolean
  closedAtMs: number | null
}

let record: Promise<Buffer> | null = null

/** The first flight of a real client, which is never sent completely. */
export function clientHello(): Promise<Buffer> {
  return (record ??= captureClientHello({ ALPNProtocols: [nativeAlpn], minVersion: 'TLSv1.3' }))
}

/** The n-th loopback source, from 127.0.0.2 on; at most 250 × 250. */
export function sourceAddress(index: number): string {
  return `127.0.${Math.floor(index / 250) % 250}.${2 + (index % 250)}`
}

export interface StuckPlan {
  readonly form: StuckForm
  readonly port: number
  readonly localAddress: string
  readonly hello: Buffer
  /** The key used for a complete TLS handshake. A key that is not allowed is closed at once and holds nothing. */
  readonly identity: Identity
}

export function beginStuck({ form, port, localAddress, hello, identity }: StuckPlan): Stuck {
  const socket = net.connect({ host: '127.0.0.1', port, localAddress })
  const stuck: Stuck = { form, socket, openedAtMs: performance.now(), isStuck: false, closedAtMs: null }
  const timers = new Set<NodeJS.Timeout>()
  socket.on('error', () => {})
  socket.on('close', () => {
    stuck.closedAtMs ??= performance.now()
    for (const timer of timers) clearInterval(timer)
  })
  socket.on('connect', () => {
    socket.setNoDelay(true)
    if (form === 'tls-without-hello') return shake(socket, stuck, identity)
    if (form === 'half-client-hello') socket.write(hello.subarray(0, hello.length >>> 1))
    if (form === 'byte-a-second') {
      let at = 0
      const one = (): void => void (socket.destroyed || socket.write(hello.subarray(at, ++at)))
      one()
      timers.add(setInterval(one, 1000))
    }
    stuck.isStuck = true
    // Otherwise it would not notice that it was closed.
    socket.resume()
  })
  return stuck
}

function shake(raw: net.Socket, stuck: Stuck, identity: Identity): void {
  const secured = tls.connect({
    socket: raw,
    secureContext: identity.secureContext,
    ALPNProtocols: [nativeAlpn],
    servername: '',
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  })
  secured.on('secureConnect', () => (stuck.isStuck = true))
  secured.on('error', () => secured.destroy())
  secured.on('close', () => raw.destroy())
  secured.resume()
}
