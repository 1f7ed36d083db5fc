/**
 * Owns: when a link may dial: at once after an established connection, later and later after failures, and never more
 * than `dialsMax` at a time. The Reconnector of the first design; the chart is machines/reconnector.ts.
 * Refuses to know: sockets, and whether a dial is wanted: it grants only what was asked for.
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
  readonly services: LinkContext
}

/** So many that the back-off is at its cap, whatever its factor. */
const attemptsAtCap = 1000

interface Entry {
  link: AnyActorRef
  host: string
  /** Failures since the last proof of life. */
  attempts: number
  waiting: Deadline | null
  /** Asked for, and neither granted nor cancelled. */
  isWanted: boolean
  /** Cancels the lookup of its host that is under way. */
  stopLookup: (() => void) | null
  /** Of its host, as they were found last. */
  addresses: readonly string[]
  /** Another address of its host comes next: at once, and without another lookup. */
  isNext: boolean
  /** Due, and held back by the cap. */
  isDue: boolean
  /** Granted, and not ended. */
  isDialing: boolean
}

/** The longest wait between dials of a peer that this side is about to leave: a drain and a shutdown take seconds. */
const hurriedMaxMs = 250

class ReconnectorBody implements Body {
  readonly #services: LinkContext
  readonly #port: ActorPort<ReconnectorEvent<AnyActorRef>>
  readonly #entries = new Map<string, Entry>()
  /** Peers that this side is about to leave. */
  readonly #hurried = new Set<string>()
  #dialing = 0
  /** The chart was told that no dial may begin. */
  #isSaturated = false

  constructor(input: ReconnectorInput, port: ActorPort<ReconnectorEvent<AnyActorRef>>) {
    this.#services = input.services
    this.#port = port
  }

  facts(): ReconnectorFacts {
    const { dialsMax } = this.#services.options.limits
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
    const { limits } = this.#services.options
    const entry = this.#entries.get(event.key) ?? newEntry(event.link, event.host)
    this.#entries.set(event.key, entry)
    entry.link = event.link
    stop(entry)
    entry.isWanted = true
    if (entry.isNext && entry.host === event.host) {
      entry.isNext = false
      return this.grant({ key: event.key, addresses: entry.addresses })
    }
    entry.isNext = false
    entry.host = event.host
    // The first dial, and the first after an established connection, need no wait. `attempts` counts what came to nothing since.
    const maxMs = Math.min(limits.backoffMaxMs, this.#isHurried(event.key) ? hurriedMaxMs : Infinity)
    const delayMs = entry.attempts === 0 ? 0 : this.#backoffMs(entry.attempts - 1, maxMs)
    entry.attempts++
    if (delayMs === 0) return this.resolve(event)
    entry.waiting = this.#services.wheel.schedule(delayMs, () => {
      entry.waiting = null
      this.#port.send({ type: 'dial.due', key: event.key })
    })
  }

  #backoffMs(attempt: number, maxMs: number): number {
    const { backoffMinMs, backoffFactor: factor } = this.#services.options.limits
    const fraction = this.#services.environment.random.fraction()
    return backoffMs(attempt, fraction, { minMs: Math.min(backoffMinMs, maxMs), maxMs, factor })
  }

  /** The peer has little time left to acknowledge what it was sent: dials that wait begin now, and later ones wait less. */
  hurry(event: { peer: string }): void {
    this.#hurried.add(event.peer)
    for (const [key, entry] of this.#entries) {
      if (entry.waiting === null || !this.#isHurried(key)) continue
      entry.waiting.cancel()
      entry.waiting = null
      this.#port.send({ type: 'dial.due', key })
    }
  }

  #isHurried(key: string): boolean {
    return this.#hurried.has(key.slice(0, key.indexOf(' ')))
  }

  /** Before a place among the dials is taken: a name that is slow to resolve holds up no dial. */
  resolve(event: { key: string }): void {
    const { key } = event
    const entry = this.#entries.get(key)
    if (entry === undefined || !entry.isWanted) return
    let isNow = true
    const stopLookup = this.#services.lookups.resolve(entry.host, {
      onAddresses: (addresses) => {
        if (isNow) this.grant({ key, addresses })
        else this.#port.send({ type: 'dial.resolved', key, addresses })
      },
      // By way of the chart: a bug below costs this actor, and not whoever asked for the name.
      onFailed: (reason) => this.#port.send({ type: 'dial.unresolved', key, cause: reason }),
    })
    isNow = false
    entry.stopLookup = stopLookup
  }

  giveUp(event: { key: string; cause: Cause }): void {
    const entry = this.#entries.get(event.key)
    if (entry === undefined || !entry.isWanted) return
    stop(entry)
    send(entry.link, { type: 'dial.unresolved', cause: event.cause })
  }

  grant(event: { key: string; addresses: readonly string[] }): void {
    const entry = this.#entries.get(event.key)
    if (entry === undefined || !entry.isWanted) return
    entry.addresses = event.addresses
    entry.isDue = true
    this.grantWaiting()
  }

  /** In order of asking: a Map keeps it. */
  grantWaiting(): void {
    const { dialsMax } = this.#services.options.limits
    for (const entry of this.#entries.values()) {
      if (!entry.isDue) continue
      if (this.#dialing >= dialsMax) {
        this.#isSaturated = true
        this.#port.send({ type: 'slots.used' })
        return
      }
      entry.isDue = entry.isWanted = false
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

  /** The connection has proved itself: a full peer that accepts and hangs up does not get here, so it causes no storm. */
  reset(event: { key: string }): void {
    const entry = this.#entries.get(event.key)
    if (entry !== undefined) entry.attempts = 0
  }

  /**
   * `next`: the host has another address. `free`: no failure (the dials crossed), so the back-off does not grow; but the dial that stays may hang, so this side does
   * not come again at once, again and again, until that one has timed out. `wait`: the connection was up and ended by a fault, so
   * the next dial is not at once. `cap`, `stale`: a matter of configuration, so tried again at the cap only.
   */
  judge(event: { key: string; retry: NonNullable<Cause['retry']> }): void {
    const entry = this.#entries.get(event.key)
    if (entry === undefined) return
    entry.isNext = event.retry === 'next'
    if (event.retry === 'next') return
    if (event.retry === 'free') entry.attempts = Math.max(1, entry.attempts - 1)
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
    isWanted: false,
    addresses: [],
    isNext: false,
    isDue: false,
    isDialing: false,
  }
}

/** It is not asked for any more: nothing that was begun for it goes on. */
function stop(entry: Entry): void {
  entry.waiting?.cancel()
  entry.waiting = null
  entry.stopLookup?.()
  entry.stopLookup = null
  entry.isWanted = entry.isDue = false
}

export const reconnector: ChartLogic<ReconnectorInput> = chartActor<
  ReconnectorInput,
  ReconnectorBody,
  ReconnectorEvent<AnyActorRef>
>({
  machine: reconnectorMachine,
  host: (input) => input.services,
  body: ReconnectorBody,
  actions: reconnectorActions,
})
