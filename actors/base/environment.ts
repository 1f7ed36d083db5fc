/**
 * Owns: the interface through which everything non-deterministic enters a run: time, randomness, the network and the
 * log.
 * Independent of: what the runtime does with them, and the real implementation (config/system-environment.ts).
 *
 * A simulated network passes its own Environment and runs the same code under a virtual clock and a seeded random
 * source. Nothing in codec/, protocol/, machines/ or actors/ reads a clock, draws a random number or opens a socket in
 * any other way (checked by test/tidy.test.ts).
 */
import type { NameService, Transport } from './pipe.ts'

/** The argument of `clearTimeout`; opaque to its users. */
export type TimerHandle = unknown

export interface Clock {
  /** Milliseconds from an arbitrary start; monotonic. */
  nowMs(): number
  /** Milliseconds since 1970; may jump. Used only where a number must grow across restarts: the boot id. */
  wallMs(): number
  setTimeout(callback: () => void, delayMs: number): TimerHandle
  clearTimeout(handle: TimerHandle): void
  /**
   * Runs the callback after the current call stack and before the event loop continues. Batched writes are sent here.
   */
  nextTick(callback: () => void): void
  /** Runs the callback after the event loop has polled its sockets once more. */
  setImmediate(callback: () => void): void
}

export interface Random {
  /** A number in [0, 1). */
  fraction(): number
  bytes(length: number): Uint8Array
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export interface Log {
  /** Writes one structured line. `fields` holds plain data only, never payload or key material. */
  write(level: LogLevel, event: string, fields: Readonly<Record<string, unknown>>): void
  /** False means that the log has no reader now, so callers need not build lines. If absent, every line is written. */
  isRead?(): boolean
}

export interface Environment {
  readonly clock: Clock
  readonly random: Random
  readonly transport: Transport
  /**
   * Resolves host names before they are dialled. IP addresses in URLs are used as they are. Default: the transport's
   * `names`, or the system's resolver.
   */
  readonly names: NameService
  readonly log: Log
}

/** The parts that an application replaces. A part that is `undefined` is the system's. */
export type EnvironmentOption = { readonly [Part in keyof Environment]?: Environment[Part] | undefined }
