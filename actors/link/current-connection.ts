/**
 * Owns: the current connection of a link (at most one): its number and its actor.
 * Independent of: when a new connection is made, and what the end of one means.
 */
import type { AnyActorRef, AnyEventObject } from '../../machines/xstate.ts'
import type { Children } from '../statechart/children.ts'
import { connection, connectionBody } from '../connection/connection.ts'
import type { ConnectionBody, ConnectionInput } from '../connection/connection.ts'
import { send } from '../statechart/send.ts'

export class CurrentConnection {
  readonly #children: Children
  readonly #linkIndex: number
  #number = 0
  #id: string | null = null
  #ref: AnyActorRef | null = null

  constructor(children: Children, linkIndex: number) {
    this.#children = children
    this.#linkIndex = linkIndex
  }

  /** Null if there is no connection. Set before its actor starts, so that events during the start count as its own. */
  get id(): string | null {
    return this.#id
  }

  /** The number of connections so far, including the current one. */
  get number(): number {
    return this.#number
  }

  get body(): ConnectionBody | undefined {
    return this.#ref === null ? undefined : connectionBody(this.#ref)
  }

  /**
   * Uses up a number for a connection that failed before it had a pipe.
   * @returns its id
   */
  skip(): string {
    return `connection:${this.#linkIndex}.${++this.#number}`
  }

  /** Starts an actor that owns the pipe in `input`. */
  begin(input: ConnectionInput): void {
    this.#ref = null
    const id = this.skip()
    this.#id = id
    this.#ref = this.#children.spawn({ id, kind: 'connection', logic: connection, input, restart: 'temporary' })
  }

  send(event: AnyEventObject): void {
    if (this.#ref !== null) send(this.#ref, event)
  }

  /**
   * The connection has ended.
   * @returns its id
   */
  forget(): string | null {
    const id = this.#id
    this.#id = this.#ref = null
    return id
  }

  /**
   * Stops the actor immediately, without an event.
   * @returns its id
   */
  stop(): string | null {
    const id = this.forget()
    if (id !== null) this.#children.stop(id)
    return id
  }
}
