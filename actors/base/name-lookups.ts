/**
 * Owns: the host name lookups of one network: how many run at once, in which order, and when one is given up.
 * Independent of: links and dials, and how a name is resolved (the environment's `names`).
 *
 * A name that is slow or does not resolve must not delay another. Lookups of the same name are coalesced. Names whose
 * last lookup failed go last, and never take the last free place. The system's call cannot be cancelled: after its
 * deadline, a name is not looked up again until that call returns.
 */
import { isUnixPath } from './pipe.ts'
import { isIP } from 'node:net'
import { formatValue, messageOf } from '../../codec/format-value.ts'
import type { Cause } from '../../machines/chart.ts'
import { cause } from './causes.ts'
import type { NameService } from './pipe.ts'
import type { Deadline, TimerWheel } from './timer-wheel.ts'

/** The most names that may wait; each peer has one or a few. */
const waitingMax = 4_096
/** `localhost` is the loopback interface everywhere (RFC 6761, 6.3), so it needs no lookup. */
const loopback: readonly string[] = ['127.0.0.1', '::1']
/** The most addresses used per name; each costs a dial before the name counts as failed. */
const addressesMax = 8

export interface NameLookupsOptions {
  readonly names: NameService
  readonly wheel: TimerWheel
  readonly timeoutMs: number
  /** Concurrent lookups. The system's resolver blocks a thread of the pool that file access uses too. */
  readonly runningMax: number
}

export interface LookupHandlers {
  /** In order of preference; at least one. */
  onAddresses(addresses: readonly string[]): void
  onFailed(cause: Cause): void
}

interface Lookup {
  readonly host: string
  readonly waiting: Set<LookupHandlers>
  /** `overdue`: the deadline has passed, and the name service has not answered. */
  state: 'waiting' | 'running' | 'overdue'
  deadline: Deadline | null
}

export class NameLookups {
  readonly #options: NameLookupsOptions
  readonly #lookups = new Map<string, Lookup>()
  /** Names whose last lookup failed. */
  readonly #failed = new Set<string>()

  constructor(options: NameLookupsOptions) {
    this.#options = options
  }

  /**
   * Finds the addresses of a host. An IP address is its own result; for it and for `localhost` the handler is called
   * synchronously.
   * @returns a function that cancels the request: no handler is called afterwards
   */
  resolve(host: string, handlers: LookupHandlers): () => void {
    if (host === 'localhost' || isIP(host) !== 0 || isUnixPath(host)) {
      handlers.onAddresses(host === 'localhost' ? loopback : [host])
      return () => {}
    }
    const lookup = this.#lookups.get(host) ?? this.#add(host)
    if (lookup === null) {
      handlers.onFailed(
        cause('ERR_NAME_NOT_RESOLVED', `${host} was not resolved: ${waitingMax} other lookups are waiting`),
      )
      return () => {}
    }
    lookup.waiting.add(handlers)
    // Its answer may still arrive; this request waits for it like any other.
    if (lookup.state === 'overdue') lookup.deadline ??= this.#schedule(lookup)
    this.#runNext()
    return () => this.#cancel(lookup, handlers)
  }

  #add(host: string): Lookup | null {
    if (this.#lookups.size >= waitingMax) return null
    const lookup: Lookup = { host, waiting: new Set(), state: 'waiting', deadline: null }
    this.#lookups.set(host, lookup)
    return lookup
  }

  #cancel(lookup: Lookup, handlers: LookupHandlers): void {
    lookup.waiting.delete(handlers)
    if (lookup.waiting.size === 0 && lookup.state === 'waiting') this.#lookups.delete(lookup.host)
  }

  #runNext(): void {
    for (let lookup = this.#next(); lookup !== undefined; lookup = this.#next()) this.#run(lookup)
  }

  /** In order of request, except that names that failed last time come last. */
  #next(): Lookup | undefined {
    const { runningMax } = this.#options
    const lookups = [...this.#lookups.values()]
    const running = lookups.filter(({ state }) => state === 'running')
    if (running.length >= runningMax) return undefined
    const waiting = lookups.filter(({ state }) => state === 'waiting')
    const fresh = waiting.find(({ host }) => !this.#failed.has(host))
    if (fresh !== undefined) return fresh
    const failedRunning = running.filter(({ host }) => this.#failed.has(host)).length
    return failedRunning < Math.max(1, runningMax - 1) ? waiting[0] : undefined
  }

  #run(lookup: Lookup): void {
    lookup.state = 'running'
    lookup.deadline = this.#schedule(lookup)
    const { host } = lookup
    // Inside a promise, so that a name service that throws is handled like one that rejects.
    new Promise<unknown>((resolve) => resolve(this.#options.names.lookup(host))).then(checkAddresses).then(
      (addresses) => this.#settle(lookup, addresses, 'it has no address'),
      (error: unknown) => this.#settle(lookup, [], reasonOf(error)),
    )
  }

  #schedule(lookup: Lookup): Deadline {
    const { wheel, timeoutMs } = this.#options
    return wheel.schedule(timeoutMs, () => {
      lookup.deadline = null
      lookup.state = 'overdue'
      this.#fail(lookup, `no answer within ${timeoutMs} ms`)
      this.#runNext()
    })
  }

  #settle(lookup: Lookup, addresses: readonly string[], reason: string): void {
    lookup.deadline?.cancel()
    this.#lookups.delete(lookup.host)
    if (addresses.length === 0) this.#fail(lookup, reason)
    else {
      this.#failed.delete(lookup.host)
      for (const handlers of takeAll(lookup.waiting)) handlers.onAddresses(addresses)
    }
    this.#runNext()
  }

  #fail(lookup: Lookup, reason: string): void {
    if (this.#failed.size >= waitingMax) this.#failed.clear()
    this.#failed.add(lookup.host)
    const failure = cause('ERR_NAME_NOT_RESOLVED', `${lookup.host} was not resolved: ${reason}`)
    for (const handlers of takeAll(lookup.waiting)) handlers.onFailed(failure)
  }
}

/** The name service is the application's, and `dns.lookup` with `all` finds objects. */
function checkAddresses(found: unknown): readonly string[] {
  if (!Array.isArray(found))
    throw new Error(`the name service must find a list of addresses, got ${formatValue(found)}`)
  const addresses: unknown[] = found.slice(0, addressesMax)
  for (const address of addresses)
    if (typeof address !== 'string' || address === '')
      throw new Error(`the name service must find addresses as texts, got ${formatValue(address)}`)
  return addresses as string[]
}

/** A handler may ask again immediately; it then waits for the next answer. */
function takeAll(waiting: Set<LookupHandlers>): LookupHandlers[] {
  const all = [...waiting]
  waiting.clear()
  return all
}

const meanings: Readonly<Record<string, string>> = {
  ENOTFOUND: 'no such host (ENOTFOUND)',
  ENODATA: 'it has no address (ENODATA)',
  EAI_AGAIN: 'the name server does not answer (EAI_AGAIN)',
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? messageOf(error.code) : ''
  return meanings[code] ?? messageOf(error)
}
