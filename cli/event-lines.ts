/**
 * Owns: how events look in a terminal and in a log: one line each, as text or JSON.
 * Independent of: where events come from, and where lines go.
 */
import type { NetworkEvent } from '../actors/base/events.ts'
import { escapeControls } from '../codec/sanitize.ts'
import type { TunnelLogEvent } from './tunnel-board.ts'

export type ShownEvent = NetworkEvent | TunnelLogEvent

/** Events that are not shown without --verbose. */
const details = new Set(['dial.scheduled', 'connection.opened', 'connection.lost', 'peer.suspect', 'message.unhandled'])

export interface EventLinesOptions {
  readonly json: boolean
  readonly verbose: boolean
  readonly isTerminal: boolean
}

export class EventLines {
  readonly #options: EventLinesOptions
  readonly #write: (text: string) => void
  readonly #repeats = new Repeats()

  constructor(options: EventLinesOptions, write: (text: string) => void) {
    this.#options = options
    this.#write = write
  }

  show(event: ShownEvent): void {
    const { json, verbose, isTerminal } = this.#options
    if (json) return this.#write(`${JSON.stringify(event)}\n`)
    if (!verbose && details.has(event.type)) return
    const before = this.#repeats.next(event)
    if (before === 'again') return
    if (before > 0) this.#write(`         the last one ${before} times more\n`)
    this.#write(`${line(event, isTerminal)}\n`)
  }
}

/** A peer that is not there fails several times a second: equal failures in a row are shown once, with their number. */
class Repeats {
  #last = ''
  #count = 0

  /** @returns `again`, or how often the last one has come again without being shown */
  next(event: ShownEvent): 'again' | number {
    const { type } = event
    const isFailure = type === 'connection.failed' || type === 'connection.rejected'
    const key = isFailure ? `${type} ${event.peer ?? ''} ${event.cause.message.replace(/:\d+/g, '')}` : ''
    if (key !== '' && key === this.#last) {
      this.#count++
      return 'again'
    }
    const count = this.#count
    this.#last = key
    this.#count = 0
    return count
  }
}

const [green, yellow, red] = [32, 33, 31]

const colours: Readonly<Record<string, number>> = {
  'peer.connected': green,
  'peer.disconnected': yellow,
  'connection.failed': red,
  'connection.rejected': red,
  'network.failed': red,
  'link.reset': red,
  'peer.duplicate': red,
  'tunnel.opened': green,
  'tunnel.closed': yellow,
  'tunnel.refused': red,
}

function line({ type, ...fields }: ShownEvent, isTerminal: boolean): string {
  const time = new Date().toISOString().slice(11, 19)
  const text = Object.entries(fields)
    .map(([name, value]) => `${name}=${shown(value)}`)
    .join(' ')
  const colour = colours[type]
  const name = isTerminal && colour !== undefined ? `\u001b[${colour}m${type}\u001b[0m` : type
  return `${time} ${name} ${escapeControls(text)}`
}

function shown(value: unknown): string {
  if (typeof value === 'string') return /[\s"]/.test(value) ? JSON.stringify(value) : value
  const { message } = (value ?? {}) as { message?: unknown }
  return typeof message === 'string' ? JSON.stringify(message) : JSON.stringify(value)
}
