/**
 * Owns: how a link asks for its next connection: its requests to the reconnector, and its claim at the listener.
 * Refuses to know: connections, and what the link does with the one that it gets.
 */
import type { AnyActorRef, AnyEventObject } from '../machines/xstate.ts'
import { BreachPenalty } from '../protocol/breach-penalty.ts'
import type { ClaimHolder } from './claims.ts'
import type { Offer } from './offer.ts'
import { post } from './post.ts'
import { cause } from './causes.ts'
import type { Cause } from './causes.ts'
import type { LinkContext } from './link-context.ts'

export interface LinkDialOptions {
  readonly services: LinkContext
  readonly peer: string
  readonly link: string
  readonly connectionId: number
  readonly ref: AnyActorRef
  /** Gets whoever comes for this link. */
  readonly onOffer: (offer: Offer) => void
}

export class LinkDial {
  readonly #options: LinkDialOptions
  readonly #key: string
  readonly #penalty: BreachPenalty
  #isDialing = false
  #isClaimOpen = false
  /** The reconnector knows this link. */
  #isKnown = false

  constructor(options: LinkDialOptions) {
    this.#options = options
    this.#key = `${options.peer} ${options.link}`
    this.#penalty = new BreachPenalty(options.services.options.limits.backoffMaxMs)
  }

  request(): void {
    const { services, ref, peer, connectionId } = this.#options
    if (services.dialect.bothMayDial) this.openClaim()
    // A link that the peer does not have, or may not have, is not dialled: whoever hears more from link 0 asks again.
    if (!services.baseLinks.isInUse(peer, connectionId)) return
    this.#isDialing = this.#isKnown = true
    this.#post({ type: 'dial.request', key: this.#key, link: ref })
  }

  /** As `request`, and nothing where that has been asked for: asking again counts as a failure. */
  requestOnce(): void {
    if (!this.#isDialing) this.request()
  }

  /** A granted dial has ended, one way or the other. */
  end(type: 'dial.ended' | 'dial.cancel' = 'dial.ended'): void {
    if (!this.#isDialing) return
    this.#isDialing = false
    this.#post({ type, key: this.#key })
  }

  /** What came to nothing means more than that for the next try. */
  judge(retry: Cause['retry']): void {
    if (retry !== undefined) this.#post({ type: 'dial.judged', key: this.#key, retry })
  }

  /** The peer broke the protocol. This side waits before it dials, and lets nobody in who does it again and again. */
  breached(): void {
    this.judge('wait')
    this.#penalty.note(this.#options.services.nowMs())
  }

  readonly #onOffer: ClaimHolder = (offer) => {
    const { services, peer, onOffer } = this.#options
    const leftMs = Math.ceil(this.#penalty.leftMs(services.nowMs()))
    const words = leftMs > 0 ? offer.refusal('busy', `the protocol was broken too often; in ${leftMs} ms again`) : null
    if (words === null) {
      onOffer(offer)
      return true
    }
    offer.refuse(words)
    services.emit({ type: 'connection.rejected', remoteAddress: offer.remoteAddress, peer, cause: cause('ERR_NOT_ALLOWED', `${peer} broke the protocol too often and is not let in for ${leftMs} ms`) })
    return false
  }

  /** The connection has proved itself. */
  resetBackoff(): void {
    if (this.#isKnown) this.#post({ type: 'dial.reset', key: this.#key })
  }

  openClaim(): void {
    if (this.#isClaimOpen) return
    this.#isClaimOpen = true
    this.#options.services.claims.open({ identity: this.#options.peer, connectionId: this.#options.connectionId }, this.#onOffer)
  }

  closeClaim(): void {
    if (!this.#isClaimOpen) return
    this.#isClaimOpen = false
    this.#options.services.claims.close({ identity: this.#options.peer, connectionId: this.#options.connectionId }, this.#onOffer)
  }

  dispose(): void {
    this.closeClaim()
    this.#post({ type: 'dial.forget', key: this.#key })
  }

  #post(event: AnyEventObject): void {
    const { reconnector } = this.#options.services
    if (reconnector !== null) post(reconnector, event)
  }
}
