/**
 * Owns: when a link may dial: immediately after an established connection, with a growing delay after failures, and
 * never more than `dialsMax` dials at a time. The chart is machines/reconnector.ts.
 * Independent of: sockets, and whether a dial is needed. It only grants what was requested.
 */
import { reconnectorActions, reconnectorMachine } from '../../machines/reconnector.ts'
import type { ReconnectorEvent, ReconnectorFacts } from '../../machines/reconnector.ts'
import type { DeadlineName } from '../../machines/chart.ts'
import type { AnyActorRef } from '../../machines/xstate.ts'
import { backoffMs } from '../../protocol/backoff.ts'
import type { Cause } from '../base/causes.ts'
import { chartActor } from '../statechart/chart-actor.ts'
import type { ActorPort, Body, ChartLogic } from '../statechart/chart-actor.ts'
import type { LinkContext } from './link-context.ts'
import type { Deadline } from '../base/timer-wheel.ts'
import { send } from '../statechart/send.ts'

export interface ReconnectorInput {
  readonly context: LinkContext
}

/** Enough attempts to reach the cap of the back-off with any factor. */
const attemptsAtCap = 1000

interface Entry {
  link: AnyActorRef
  host: string
  /** Failures since the last working connection. */
  attempts: number
  waiting: Deadline | null
  /** Requested, and neither granted nor cancelled. */
  isRequested: boolean
  /** Cancels the pending lookup of its host. */
  stopLookup: (() => void) | null
  /** The addresses of its host, as last resolved. */
  addresses: readonly string[]
  /** The next dial uses another address of the host: immediately, and without a lookup. */
  usesNextAddress: boolean
  /** Due, but delayed because `dialsMax` dials are in progress. */
  isDue: boolean
  /** Granted, and not ended. */
  isDialing: boolean
}

/** The longest delay between dials of a peer that is being drained: a drain or a shutdown takes seconds. */
const urgentBackoffMaxMs = 250

class ReconnectorBody implements Body {
  readonly #context: LinkContext
  readonly #port: ActorPort<ReconnectorEvent<AnyActorRef>>
  readonly #entries = new Map<string, Entry>()
  /** Peers that are being drained. */
  readonly #urgentPeers = new Set<string>()
  #dialing = 0
  /** The chart was notified that no dial may begin. */
  #isSaturated = false

  constructor(input: ReconnectorInput, port: ActorPort<ReconnectorEvent<AnyActorRef>>) {
    this.#context = input.context
    this.#port = port
  }

  facts(): ReconnectorFacts {
    const { dialsMax } = this.#context.options.limits
    return { dialsMax, dialing: this.#dialing, links: this.#entries.size }
  }

  deadlineMs(deadline: DeadlineName): number {
    throw new Error(`the reconnector has no deadline ${deadline}`)
  }

  dispose(): void {
    for (const entry of this.#entries.values()) stop(entry)
    this.#entries.clear()
  }

  enqueue(event: { key: string; link: AnyActorRef; host: string }): void {
    const { limits } = this.#context.options
    const entry = this.#entries.get(event.key) ?? newEntry(event.link, event.host)
    this.#entries.set(event.key, entry)
    entry.link = event.link
    stop(entry)
    entry.isRequested = true
    const { usesNextAddress, host } = entry
    entry.usesNextAddress = false
    entry.host = event.host
    if (usesNextAddress) {
      // Another address of the same host, or another URL of the peer.
      if (host === event.host) return this.grant({ key: event.key, addresses: entry.addresses })
      return this.resolve(event)
    }
    // The first dial, and the first one after an established connection, start immediately. `attempts` counts the
    // failures since then.
    const maxMs = Math.min(limits.backoffMaxMs, this.#isUrgent(event.key) ? urgentBackoffMaxMs : Infinity)
    const delayMs = entry.attempts === 0 ? 0 : this.#backoffMs(entry.attempts - 1, maxMs)
    entry.attempts++
    const [peer, link] = event.key.split(' ') as [string, string]
    const { attempts: attempt } = entry
    this.#context.emit({ type: 'dial.scheduled', peer, link, host: event.host, delayMs, attempt })
    if (delayMs === 0) return this.resolve(event)
    entry.waiting = this.#context.wheel.schedule(delayMs, () => {
      entry.waiting = null
      this.#port.send({ type: 'dial.due', key: event.key })
    })
  }

  #backoffMs(attempt: number, maxMs: number): number {
    const { backoffMinMs, backoffFactor: factor } = this.#context.options.limits
    const fraction = this.#context.environment.random.fraction()
    return backoffMs(attempt, fraction, { minMs: Math.min(backoffMinMs, maxMs), maxMs, factor })
  }

  /**
   * The peer is being drained and has little time left to acknowledge. Pending dials begin now, and later ones wait
   * less.
   */
  hurry(event: { peer: string }): void {
    this.#urgentPeers.add(event.peer)
    for (const [key, entry] of this.#entries) {
      if (entry.waiting === null || !this.#isUrgent(key)) continue
      entry.waiting.cancel()
      entry.waiting = null
      this.#port.send({ type: 'dial.due', key })
    }
  }

  #isUrgent(key: string): boolean {
    return this.#urgentPeers.has(key.slice(0, key.indexOf(' ')))
  }

  /** Resolves the name before a dial slot is taken, so that a slow lookup does not delay other dials. */
  resolve(event: { key: string }): void {
    const { key } = event
    const entry = this.#entries.get(key)
    if (entry === undefined || !entry.isRequested) return
    let isNow = true
    const stopLookup = this.#context.lookups.resolve(entry.host, {
      onAddresses: (addresses) => {
        if (isNow) this.grant({ key, addresses })
        else this.#port.send({ type: 'dial.resolved', key, addresses })
      },
      // Through the chart, so that a bug below ends this actor and not the caller.
      onFailed: (reason) => this.#port.send({ type: 'dial.unresolved', key, cause: reason }),
    })
    isNow = false
    entry.stopLookup = stopLookup
  }

  giveUp(event: { key: string; cause: Cause }): void {
    const entry = this.#entries.get(event.key)
    if (entry === undefined || !entry.isRequested) return
    stop(entry)
    send(entry.link, { type: 'dial.unresolved', cause: event.cause })
  }

  grant(event: { key: string; addresses: readonly string[] }): void {
    const entry = this.#entries.get(event.key)
    if (entry === undefined || !entry.isRequested) return
    entry.addresses = event.addresses
    entry.isDue = true
    this.grantWaiting()
  }

  /** Grants in order of requests; a Map keeps it. */
  grantWaiting(): void {
    const { dialsMax } = this.#context.options.limits
    for (const entry of this.#entries.values()) {
      if (!entry.isDue) continue
      if (this.#dialing >= dialsMax) {
        this.#isSaturated = true
        this.#port.send({ type: 'slots.used' })
        return
      }
      entry.isDue = entry.isRequested = false
      entry.isDialing = true
      this.#dialing++
      send(entry.link, { type: 'dial.granted', addresses: entry.addresses })
    }
  }

  cancel(event: { key: string }): void {
    const entry = this.#entries.get(event.key)
    if (entry === undefined) return
    stop(entry)
    this.end(event)
  }

  end(event: { key: string }): void {
    const entry = this.#entries.get(event.key)
    if (entry === undefined || !entry.isDialing) return
    entry.isDialing = false
    this.#dialing--
    if (!this.#isSaturated) return
    this.#isSaturated = false
    this.#port.send({ type: 'slots.free' })
  }

  /**
   * The connection works. An overloaded peer that accepts and then closes does not get here, so it is not flooded with
   * dials.
   */
  reset(event: { key: string }): void {
    const entry = this.#entries.get(event.key)
    if (entry !== undefined) entry.attempts = 0
  }

  /**
   * Adjusts the back-off after a failed dial:
   *
   * - `next`: the host has another address.
   * - `now`: what failed will not fail again, so the next dial does not wait.
   * - `free`: a simultaneous open, which is no failure, so the back-off does not grow. It does not return to zero
   *   either, because the connection that stays may hang until it times out.
   * - `wait`: the connection was up and ended with an error, so the next dial is delayed.
   * - `cap`, `stale`: the configuration has to change, or another process to end, so the next dial waits for the cap
   *   of the back-off.
   */
  judge(event: { key: string; retry: NonNullable<Cause['retry']> }): void {
    const entry = this.#entries.get(event.key)
    if (entry === undefined) return
    entry.usesNextAddress = event.retry === 'next'
    if (event.retry === 'next') return
    if (event.retry === 'now') entry.attempts = 0
    else if (event.retry === 'free') entry.attempts = Math.max(1, entry.attempts - 1)
    else if (event.retry === 'wait') entry.attempts = Math.max(1, entry.attempts)
    else entry.attempts = attemptsAtCap
  }

  forget(event: { key: string }): void {
    this.cancel(event)
    this.#entries.delete(event.key)
  }

  stopAll(): void {
    this.dispose()
  }
}

function newEntry(link: AnyActorRef, host: string): Entry {
  return {
    link,
    host,
    attempts: 0,
    waiting: null,
    stopLookup: null,
    isRequested: false,
    addresses: [],
    usesNextAddress: false,
    isDue: false,
    isDialing: false,
  }
}

/** Withdraws the request: cancels its timer and its lookup. */
function stop(entry: Entry): void {
  entry.waiting?.cancel()
  entry.waiting = null
  entry.stopLookup?.()
  entry.stopLookup = null
  entry.isRequested = entry.isDue = false
}

export const reconnector: ChartLogic<ReconnectorInput> = chartActor<
  ReconnectorInput,
  ReconnectorBody,
  ReconnectorEvent<AnyActorRef>
>({
  machine: reconnectorMachine,
  host: (input) => input.context,
  body: ReconnectorBody,
  actions: reconnectorActions,
})
