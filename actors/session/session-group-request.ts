/**
 * Owns: a makeSessions or openControlChannel call as the facade passes it to the actors: its options, and how it is
 * settled.
 * Independent of: how it is served (session-group.ts).
 */
import type { StatewireError } from '../../codec/errors.ts'
import type { ControlChannel } from './control-channel.ts'
import type { Session } from './session.ts'

/** Passed through mailboxes as an opaque value. */
export class SessionGroupRequest {
  readonly purpose: 'sessions' | 'control'
  readonly count: number
  /** Native: which calls of the peers it is paired with. */
  readonly name: string
  readonly peers: readonly string[]
  readonly timeoutMs: number
  readonly agreePrfKeys: boolean
  readonly #resolve: (result: Session[] | ControlChannel) => void
  readonly #reject: (error: Error) => void
  /** Called when the request is settled. Removes the abort listener. */
  onSettled: () => void = () => {}
  /** Set by the session group that serves the request. */
  onAbort: (error: StatewireError) => void = () => {}
  isSettled = false

  constructor(options: {
    purpose: 'sessions' | 'control'
    count: number
    name: string
    peers: readonly string[]
    timeoutMs: number
    agreePrfKeys: boolean
    resolve: (result: Session[] | ControlChannel) => void
    reject: (error: Error) => void
  }) {
    this.purpose = options.purpose
    this.count = options.count
    this.name = options.name
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

  /** The caller has aborted: rejects the call immediately and ends what was begun for it. */
  abort(error: StatewireError): void {
    this.reject(error)
    this.onAbort(error)
  }

  toJSON(): string {
    return `<request for ${this.purpose === 'control' ? 'a control channel' : `${this.count} sessions`} with ${this.peers.join(', ')}>`
  }
}
