/**
 * Owns: a makeSessions or openControlChannel call as the facade hands it to the actors: what is asked for, and how it is settled.
 * Independent of: how it is served (session-group.ts).
 */
import type { StatewireError } from '../../codec/errors.ts'
import type { ControlChannel } from './control-channel.ts'
import type { Session } from './session.ts'

/** Travels through mailboxes as an opaque value. */
export class SessionGroupRequest {
  readonly purpose: 'sessions' | 'control'
  readonly count: number
  readonly peers: readonly string[]
  readonly timeoutMs: number
  readonly agreePrfKeys: boolean
  readonly #resolve: (result: Session[] | ControlChannel) => void
  readonly #reject: (error: Error) => void
  /** Runs when the request is settled: takes signal listeners away. */
  onSettled: () => void = () => {}
  /** Set by the batch that serves the request. */
  onAbort: (error: StatewireError) => void = () => {}
  isSettled = false

  constructor(options: {
    purpose: 'sessions' | 'control'
    count: number
    peers: readonly string[]
    timeoutMs: number
    agreePrfKeys: boolean
    resolve: (result: Session[] | ControlChannel) => void
    reject: (error: Error) => void
  }) {
    this.purpose = options.purpose
    this.count = options.count
    this.peers = options.peers
    this.timeoutMs = options.timeoutMs
    this.agreePrfKeys = options.agreePrfKeys
    this.#resolve = options.resolve
    this.#reject = options.reject
  }

  resolve(result: Session[] | ControlChannel): void {
    if (this.isSettled) return
    this.isSettled = true
    this.onSettled()
    this.#resolve(result)
  }

  reject(error: Error): void {
    if (this.isSettled) return
    this.isSettled = true
    this.onSettled()
    this.#reject(error)
  }

  /** The caller has given up: it hears at once, and whatever was begun for it ends. */
  abort(error: StatewireError): void {
    this.reject(error)
    this.onAbort(error)
  }

  toJSON(): string {
    return `<request for ${this.purpose === 'control' ? 'a control channel' : `${this.count} sessions`} with ${this.peers.join(', ')}>`
  }
}
