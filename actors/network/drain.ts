/**
 * Owns: how links are drained: no new values are accepted, accepted ones are acknowledged or reported, then Goodbye,
 * all within a time limit.
 * Independent of: who requested it, and what happens to sessions, which end with their links.
 */
import { goodbyeSilenceMs } from '../../protocol/native/epoch/goodbye.ts'
import { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import type { DeliveryReports, LinkCore } from '../../protocol/link-core.ts'
import { checkTimeoutMs, invalid } from '../base/checks.ts'
import { causeOf, errorOf } from '../base/causes.ts'
import type { Cause } from '../base/causes.ts'
import type { Services } from './services.ts'
import { send } from '../statechart/send.ts'

/**
 * What became of the values that `send` had accepted for this peer and that were not acknowledged when the drain began.
 */
export interface DrainReport {
  readonly peer: string
  readonly acked: number
  /** Handed to a connection, and neither acknowledged nor certainly lost. */
  readonly unknown: number
  /** Certainly not received: safe to send again. */
  readonly notSent: number
}

export interface DrainOptions {
  /** The time limit in milliseconds, including the Goodbye; `limits.shutdownTimeoutMs` by default. */
  readonly timeoutMs?: number | undefined
  /** Sent to the peer with the Goodbye and reported in its `link.reset`. At most 256 bytes of UTF-8. */
  readonly reason?: string | undefined
}

/** The part of the limit reserved for the Goodbye and its answer, which take a round trip. */
function goodbyeTimeoutMs(services: Services, limitMs: number): number {
  return Math.min(services.options.limits.closeTimeoutMs, limitMs / 10)
}

function reportsOf(states: Iterable<LinkCore>): DeliveryReports[] {
  return [...states].flatMap(({ deliveries, end }) => (deliveries !== null && end === null ? [deliveries] : []))
}

/**
 * Refuses new values from now on. Calls back when all accepted values are acknowledged, or when the time is up.
 *
 * A link that is down has all of the time to come back. A link that is up leaves some of it for its Goodbye.
 */
export function drainLinks(
  services: Services,
  peer: string,
  states: Iterable<LinkCore>,
  reason: Cause,
  limitMs: number,
  onSettled: () => void,
): void {
  const links = new Set(reportsOf(states))
  for (const state of links) state.leave(errorOf(reason))
  if (links.size === 0) return onSettled()
  let isOver = false
  const settle = (): void => {
    if (isOver) return
    isOver = true
    deadline.cancel()
    onSettled()
  }
  const restMs = goodbyeTimeoutMs(services, limitMs)
  let deadline = services.wheel.schedule(limitMs - restMs, () => {
    if ([...links].some(({ isConnected }) => isConnected)) settle()
    else deadline = services.wheel.schedule(restMs, settle)
  })
  for (const state of links) {
    state.whenAllAcked(() => {
      links.delete(state)
      if (links.size === 0) settle()
    })
  }
  if (links.size > 0) send(services.reconnector ?? undefined, { type: 'dial.hurry', peer })
}

/** The error of every later call for the peer. The peer itself only gets the reason. */
export function drainedError(peer: string, reason?: string): StatewireError {
  return new StatewireError(
    'ERR_PEER_DRAINED',
    `${peer} was removed, and this network accepts nothing new for it${reason === undefined ? '' : `: ${reason}`}`,
  )
}

/** @returns what became of the values that are accepted for the peer by now, when it is called */
export function drainReport(services: Services, peer: string): () => DrainReport {
  const links = reportsOf(services.baseLinks.of(peer).map(({ state }) => state))
  const before = links.map((state) => ({ accepted: state.acceptedValues(), ...state.lost }))
  return () => {
    let [accepted, unknown, notSent] = [0, 0, 0]
    for (const [index, { lost }] of links.entries()) {
      accepted += before[index]?.accepted ?? 0
      unknown += lost.unknown - (before[index]?.unknown ?? 0)
      notSent += lost.notSent - (before[index]?.notSent ?? 0)
    }
    return { peer, acked: Math.max(0, accepted - unknown - notSent), unknown, notSent }
  }
}

/** @returns whether all values that were accepted for the peer were acknowledged before the time was up */
export function whenAcked(services: Services, peer: string, limitMs: number): Promise<boolean> {
  const links = new Set(reportsOf(services.baseLinks.of(peer).map(({ state }) => state)))
  if (links.size === 0) return Promise.resolve(true)
  return new Promise((resolve) => {
    const deadline = services.wheel.schedule(limitMs, () => resolve(false))
    const settled = (link: DeliveryReports): void => {
      links.delete(link)
      if (links.size > 0) return
      deadline.cancel()
      resolve(true)
    }
    for (const link of links) link.whenAllAcked(() => settled(link))
  })
}

/**
 * Ends the relation with one peer.
 * @param drainMs how long accepted values may take to be acknowledged; @param limitMs how long all of it may take
 * @param close asks the peer's actor to say Goodbye within that many milliseconds
 */
export function closePeer(
  services: Services,
  peer: string,
  reason: Cause,
  drainMs: number,
  limitMs: number,
  close: (withinMs: number) => void,
): Promise<DrainReport> {
  const states = services.baseLinks.of(peer).map(({ state }) => state)
  const links = reportsOf(states)
  const report = drainReport(services, peer)
  const drained = causeOf(drainedError(peer, reason.message))
  const startedAtMs = services.nowMs()
  return new Promise((resolve) => {
    drainLinks(services, peer, states, drained, drainMs, () => {
      const leftMs = Math.max(startedAtMs + limitMs - services.nowMs(), 1)
      // A silent peer is given up in time, and then its socket is closed.
      const restMs = Math.min(goodbyeSilenceMs + services.options.limits.closeTimeoutMs, leftMs)
      close(restMs)
      // An actor that was set aside, or is late, cannot say Goodbye any more.
      const deadline = services.wheel.schedule(restMs + graceMs, () => {
        for (const state of links) state.close(errorOf(drained))
      })
      Promise.all(links.map(({ whenClosed }) => whenClosed)).then(
        () => {
          deadline.cancel()
          resolve(report())
        },
        () => {},
      )
    })
  })
}

/** Added to the deadline that the peer's actor has, which should pass first. */
const graceMs = 50

/** @throws StatewireError ERR_DIALECT_UNSUPPORTED, ERR_INVALID_OPTION */
export function checkDrain(services: Services, { timeoutMs, reason }: DrainOptions, call: string): void {
  if (services.options.dialect !== 'native')
    throw new StatewireError(
      'ERR_DIALECT_UNSUPPORTED',
      `${call} needs acknowledgements, which the ampc dialect does not have`,
    )
  checkTimeoutMs(timeoutMs, 'timeoutMs', false)
  if (reason !== undefined && (typeof reason !== 'string' || Buffer.byteLength(reason) > 256))
    throw invalid(`reason must be a string of at most 256 bytes, got ${formatValue(reason)}`)
}
