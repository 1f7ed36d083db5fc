/**
 * Owns: the environment of a real process: system clock, system random source, TCP, the system's resolver, and the log
 * on `diagnostics_channel`.
 * Independent of: what the runtime does with them.
 */
import { randomBytes } from 'node:crypto'
import dns from 'node:dns'
import { performance } from 'node:perf_hooks'
import type { Clock, Environment, Random } from '../base/environment.ts'
import { channelLog } from '../base/log.ts'
import type { NameService, Transport } from '../base/pipe.ts'
import { TcpTransport } from '../transport/tcp-pipe.ts'

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

/** Resolves names like other programs on this system: hosts file, nsswitch, DNS. */
export const systemNames: NameService = {
  lookup: (host) =>
    new Promise((resolve, reject) => {
      dns.lookup(host, { all: true }, (error, found) =>
        error === null ? resolve(found.map(({ address }) => address)) : reject(error),
      )
    }),
}

/**
 * Creates the environment of a real process: system clock, system random source, TCP, the system's resolver, and a log
 * on `diagnostics_channel`.
 */
export function systemEnvironment(overrides: Partial<Environment> = {}): Environment {
  const transport: Transport = overrides.transport ?? new TcpTransport()
  const names = transport.names ?? systemNames
  return { clock: systemClock, random: systemRandom, log: channelLog, names, ...overrides, transport }
}
