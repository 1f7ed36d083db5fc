/**
 * Owns: the one door through which everything unrepeatable enters a run: time, chance, the network and the log.
 * Refuses to know: what the runtime does with them.
 *
 * A simulated network passes its own Environment and gets the same runtime, unchanged, under a virtual clock
 * and a seeded random source. Nothing in codec/, protocol/, machines/ or actors/ reads a clock, draws a number
 * or opens a socket in any other way (test/tidy.test.ts holds that).
 */
import { randomBytes } from 'node:crypto'
import dns from 'node:dns'
import { performance } from 'node:perf_hooks'
import type { NameService, Transport } from './pipe.ts'
import { channelLog } from './log.ts'
import { TcpTransport } from './tcp-pipe.ts'

/** What `clearTimeout` takes back; opaque to its users. */
export type TimerHandle = unknown

export interface Clock {
  /** Milliseconds from an arbitrary start; never goes back. */
  nowMs(): number
  /** Milliseconds since 1970; may jump. Only where a number must grow over restarts: the boot id. */
  wallMs(): number
  setTimeout(callback: () => void, delayMs: number): TimerHandle
  clearTimeout(handle: TimerHandle): void
  /** Runs before the event loop goes on, after the current call stack. Batched writes leave here. */
  nextTick(callback: () => void): void
  /** Runs after the event loop has looked at its sockets once more. */
  setImmediate(callback: () => void): void
}

export interface Random {
  /** A number in [0, 1). */
  fraction(): number
  bytes(length: number): Uint8Array
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export interface Log {
  /** One structured line; `fields` holds plain data only, never payload and never key material. */
  write(level: LogLevel, event: string, fields: Readonly<Record<string, unknown>>): void
  /** False: nobody reads now, and no line needs to be made. Without it somebody always does. */
  isRead?(): boolean
}

export interface Environment {
  readonly clock: Clock
  readonly random: Random
  readonly transport: Transport
  /**
   * Resolves host names before they are dialled; an address in a URL is used as it is. Default: the transport's own names,
   * or those of the system.
   */
  readonly names: NameService
  readonly log: Log
}

/** The parts that an application replaces; one that is `undefined` is the system's. */
export type EnvironmentOption = { readonly [Part in keyof Environment]?: Environment[Part] | undefined }

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => performance.timeOrigin + performance.now(),
  setTimeout: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimeout: (handle) => clearTimeout(handle as NodeJS.Timeout),
  nextTick: (callback) => process.nextTick(callback),
  setImmediate: (callback) => void setImmediate(callback),
}

export const systemRandom: Random = {
  fraction: () => Math.random(),
  bytes: (length) => new Uint8Array(randomBytes(length)),
}

/** As the system's own tools resolve names: hosts file, nsswitch, DNS. */
export const systemNames: NameService = {
  lookup: (host) =>
    new Promise((resolve, reject) => {
      dns.lookup(host, { all: true }, (error, found) => (error === null ? resolve(found.map(({ address }) => address)) : reject(error)))
    }),
}

/** The real world: system clock, system random, TCP, the system's names, and a log on `diagnostics_channel`. */
export function systemEnvironment(overrides: Partial<Environment> = {}): Environment {
  const transport: Transport = overrides.transport ?? new TcpTransport()
  const names = transport.names ?? systemNames
  return { clock: systemClock, random: systemRandom, log: channelLog, names, ...overrides, transport }
}
