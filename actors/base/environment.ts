/**
 * Owns: the one door through which everything unrepeatable enters a run: time, chance, the network and the log.
 * Independent of: what the runtime does with them, and of the real world's part in it (config/system-environment.ts).
 *
 * A simulated network passes its own Environment and gets the same runtime, unchanged, under a virtual clock
 * and a seeded random source. Nothing in codec/, protocol/, machines/ or actors/ reads a clock, draws a number
 * or opens a socket in any other way (test/tidy.test.ts holds that).
 */
import type { NameService, Transport } from './pipe.ts'

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
