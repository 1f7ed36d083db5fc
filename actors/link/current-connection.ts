/**
 * Owns: the one connection that a link has at a time: its number and its actor.
 * Independent of: when there is to be another one, and what the end of one means.
 */
import type { AnyActorRef, AnyEventObject } from '../../machines/xstate.ts'
import type { Children } from '../statechart/children.ts'
import { connection, connectionBody } from '../connection/connection.ts'
import type { ConnectionBody, ConnectionInput } from '../connection/connection.ts'
import { send } from '../statechart/send.ts'

export class CurrentConnection {
  readonly #children: Children
  readonly #connectionId: number
  #number = 0
  #id: string | null = null
  #ref: AnyActorRef | null = null

  constructor(children: Children, connectionId: number) {
    this.#children = children
    this.#connectionId = connectionId
  }

  /** Null: there is none. What comes while its actor is made is of this one already. */
  get id(): string | null {
    return this.#id
  }

  /** How many there were, this one included. */
  get number(): number {
    return this.#number
  }

  get body(): ConnectionBody | undefined {
    return this.#ref === null ? undefined : connectionBody(this.#ref)
  }

  /** One that did not even get a pipe. @returns its id */
  skip(): string {
    return `connection:${this.#connectionId}.${++this.#number}`
  }

  /** A new actor, which owns the pipe in `input`. */
  begin(input: ConnectionInput): void {
    this.#ref = null
    const id = this.skip()
    this.#id = id
    this.#ref = this.#children.spawn({ id, kind: 'connection', logic: connection, input, restart: 'temporary' })
  }

  send(event: AnyEventObject): void {
    if (this.#ref !== null) send(this.#ref, event)
  }

  /** It has ended. @returns its id */
  forget(): string | null {
    const id = this.#id
    this.#id = this.#ref = null
    return id
  }

  /** Ends it now, without an event. @returns its id */
  stop(): string | null {
    const id = this.forget()
    if (id !== null) this.#children.stop(id)
    return id
  }
}
