/**
 * Owns: the options of tunnels, what their calls return, and the checks of what more than one call takes.
 * Independent of: what is done with them.
 */
import type { Readable, Writable } from 'node:stream'
import type { PeerRef } from '../actors/index.ts'
import { invalid } from '../actors/base/checks.ts'
import { peerIdOf } from '../actors/base/peer-ref.ts'
import { formatValue } from '../codec/format-value.ts'
import type { TunnelEvent } from './tunnel-connection.ts'

export interface TunnelsOptions {
  /** Called for each connection that opens, ends or comes to nothing. */
  readonly onEvent?: ((event: TunnelEvent) => void) | undefined
}

export interface ExposeOptions {
  /** What openers call it: 1 to 64 bytes, without blanks and slashes. */
  readonly name: string
  /** `HOST:PORT` or `unix:PATH`; `:PORT` is of 127.0.0.1. */
  readonly target: string
  /** The peers that may connect, or `'all'` peers of the network. */
  readonly allow: 'all' | readonly PeerRef[]
  /** Tells the target who its client is, by the PROXY protocol, version 2. The peer's word is taken for it. */
  readonly proxyProtocol?: boolean | undefined
  /** How long the target may take to accept; 10,000 ms by default. */
  readonly connectTimeoutMs?: number | undefined
  /** Connections at once; 1,024 by default. Further ones are refused. */
  readonly connectionsMax?: number | undefined
}

export interface OpenOptions {
  readonly peer: PeerRef
  /** The name under which the peer exposes its target. */
  readonly name: string
  /** Where clients connect: `HOST:PORT`, `:PORT` or `unix:PATH`. By default a free port of 127.0.0.1. */
  readonly listen?: string | undefined
  /** How long a client waits for its stream; `limits.streamOpenTimeoutMs` (30 s) by default. */
  readonly timeoutMs?: number | undefined
  /** Connections at once; 1,024 by default. Further ones are refused. */
  readonly connectionsMax?: number | undefined
}

export interface PipeOptions {
  readonly peer: PeerRef
  readonly name: string
  readonly input: Readable
  readonly output: Writable
  readonly timeoutMs?: number | undefined
  /** Ends the connection. */
  readonly signal?: AbortSignal | undefined
}

export interface ExposedTunnel {
  readonly name: string
  readonly target: string
  /** Refuses new connections. Open ones go on. */
  close(): void
}

export interface OpenedTunnel {
  readonly peer: string
  readonly name: string
  /** With its real port. */
  readonly address: string
  /** Accepts no further clients. Open connections go on. */
  close(): void
}

/** As the streams of a link, and each takes one file descriptor. */
const defaultConnectionsMax = 1024
export function allowedOf(allow: unknown): ReadonlySet<string> | null {
  if (allow === 'all') return null
  if (!Array.isArray(allow) || allow.length === 0)
    throw invalid(`allow must be a list of peers, or 'all' for all peers of the network, got ${formatValue(allow)}`)
  return new Set(allow.map((peer: PeerRef) => peerIdOf(peer)))
}

export function checkConnectionsMax(value: unknown): number {
  if (value === undefined) return defaultConnectionsMax
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1)
    throw invalid(`connectionsMax must be a whole number of at least 1, got ${formatValue(value)}`)
  return value
}
