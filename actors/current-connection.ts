/**
 * Owns: the one connection that a link has at a time: its number, its actor, and its pipe while it has none.
 * Refuses to know: when there is to be another one, and what the end of one means.
 */
import type { AnyActorRef, AnyEventObject } from '../machines/xstate.ts'
import type { Children } from './children.ts'
import { connection, connectionBody } from './connection.ts'
import type { ConnectionBody, ConnectionInput } from './connection.ts'
import { EarlyPipe } from './early-pipe.ts'
import type { Clock } from './environment.ts'
import { post } from './post.ts'

export class CurrentConnection {
  readonly #children: Children
  readonly #connectionId: number
  #number = 0
  #id: string | null = null
  #ref: AnyActorRef | null = null
  #early: EarlyPipe | null = null

  constructor(children: Children, connectionId: number) {
    this.#children = children
    this.#connectionId = connectionId
  }

  /** Null: there is none. What comes while its actor is made, and before, is of this one already. */
  get id(): string | null {
    return this.#id
  }

  /** Undefined as long as it has no actor. */
  get body(): ConnectionBody | undefined {
    return this.#ref === null ? undefined : connectionBody(this.#ref)
  }

  /** One that did not even get a pipe. @returns its id */
  skip(): string {
    return `connection:${this.#connectionId}.${++this.#number}`
  }

  /** The ClientHello leaves before the actor is made. */
  dial(input: Extract<ConnectionInput, { begins: 'connecting' }>, clock: Clock): void {
    this.#begin()
    this.#early = new EarlyPipe(input.pipe, clock, 1, () => this.#spawn(input))
  }

  accept(input: ConnectionInput): void {
    this.#begin()
    this.#spawn(input)
  }

  send(event: AnyEventObject): void {
    this.#early?.settle()
    if (this.#ref !== null) post(this.#ref, event)
  }

  /** It has ended. @returns its id */
  forget(): string | null {
    this.drop()
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

  /** Ends the pipe of one that has no actor yet; an actor ends with its link. */
  drop(): void {
    this.#early?.drop()
    this.#early = null
  }

  #begin(): void {
    this.#ref = null
    this.#id = this.skip()
  }

  #spawn(input: ConnectionInput): ConnectionBody | undefined {
    this.#early = null
    this.#ref = this.#children.spawn({ id: this.#id as string, kind: 'connection', logic: connection, input, restart: 'temporary' })
    return this.body
  }
}
