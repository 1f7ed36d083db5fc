/**
 * Owns: how a link asks for its next connection: its requests to the reconnector, and its claim at the listener.
 * Refuses to know: connections, and what the link does with the one that it gets.
 */
import type { AnyActorRef } from '../machines/xstate.ts'
import type { ClaimHolder } from './claims.ts'
import type { Cause } from '../machines/chart.ts'
import type { Services } from './services.ts'

export interface LinkDialOptions {
  readonly services: Services
  readonly peer: string
  readonly link: string
  readonly connectionId: number
  readonly ref: AnyActorRef
  /** Gets whoever comes for this link. */
  readonly onOffer: ClaimHolder
}

export class LinkDial {
  readonly #options: LinkDialOptions
  readonly #key: string
  #isDialing = false
  #isClaimOpen = false

  constructor(options: LinkDialOptions) {
    this.#options = options
    this.#key = `${options.peer} ${options.link}`
  }

  request(): void {
    const { services, ref } = this.#options
    this.#isDialing = true
    if (services.dialect.bothMayDial) this.openClaim()
    services.reconnector?.send({ type: 'dial.request', key: this.#key, link: ref })
  }

  /** A granted dial has ended, one way or the other. */
  end(type: 'dial.ended' | 'dial.cancel' = 'dial.ended'): void {
    if (!this.#isDialing) return
    this.#isDialing = false
    this.#tell(type)
  }

  /** What came to nothing means more than that for the next try. */
  judge(retry: Cause['retry']): void {
    if (retry !== undefined) this.#options.services.reconnector?.send({ type: 'dial.judged', key: this.#key, retry })
  }

  /** The connection has proved itself. */
  resetBackoff(): void {
    this.#tell('dial.reset')
  }

  openClaim(): void {
    if (this.#isClaimOpen) return
    this.#isClaimOpen = true
    this.#options.services.claims.open({ identity: this.#options.peer, connectionId: this.#options.connectionId }, this.#options.onOffer)
  }

  closeClaim(): void {
    if (!this.#isClaimOpen) return
    this.#isClaimOpen = false
    this.#options.services.claims.close({ identity: this.#options.peer, connectionId: this.#options.connectionId }, this.#options.onOffer)
  }

  dispose(): void {
    this.closeClaim()
    this.#tell('dial.forget')
  }

  #tell(type: string): void {
    this.#options.services.reconnector?.send({ type, key: this.#key })
  }
}
