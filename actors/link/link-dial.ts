/**
 * Owns: how a link gets its next connection: its requests to the reconnector, the address it dials, and its claim at
 * the listener.
 * Independent of: connections, and what the link does with the one it gets.
 */
import { StatewireError } from '../../codec/errors.ts'
import type { AnyActorRef, AnyEventObject } from '../../machines/xstate.ts'
import { ProtocolErrorPenalty } from '../../protocol/protocol-error-penalty.ts'
import type { ClaimHolder } from '../connection/accept-registry.ts'
import type { Handover } from '../connection/handover.ts'
import { cause } from '../base/causes.ts'
import type { Cause } from '../base/causes.ts'
import { DialAddresses } from './dial-addresses.ts'
import type { LinkContext } from './link-context.ts'
import type { ResolvedPeer } from '../config/options.ts'
import type { Address, Pipe } from '../base/pipe.ts'
import { send } from '../statechart/send.ts'

export interface LinkDialOptions {
  readonly context: LinkContext
  readonly peer: ResolvedPeer
  readonly link: string
  readonly linkIndex: number
  readonly ref: AnyActorRef
  /** Called for an inbound connection to this link. */
  readonly onHandover: (handover: Handover) => void
}

/** A connection that is being dialled. */
export interface Dialled {
  readonly pipe: Pipe
  /** The time limit for the transport to connect. */
  readonly timeoutMs: number
}

/**
 * The time limit for one address while its host has others. The system repeats a lost SYN after 1 s, so a reachable
 * address answers within 2 s.
 */
const otherAddressAfterMs = 2_000

/** One URL of the peer, and the addresses that its host has. */
interface Place {
  readonly address: Address
  readonly addresses: DialAddresses
}

export class LinkDial {
  readonly #options: LinkDialOptions
  readonly #key: string
  readonly #penalty: ProtocolErrorPenalty
  /** Where the peer may be, in the order in which its URLs are tried. */
  #places: readonly Place[] = []
  /** The addresses of the peer that `#places` were made for. */
  #placesOf: readonly Address[] = []
  /** The place that is dialled in this round. */
  #turn = 0
  #isDialing = false
  #isClaimOpen = false
  /** The reconnector has an entry for this link. */
  #isRegistered = false

  constructor(options: LinkDialOptions) {
    this.#options = options
    this.#key = `${options.peer.id} ${options.link}`
    const { backoffMaxMs } = options.context.options.limits
    this.#penalty = new ProtocolErrorPenalty(backoffMaxMs)
  }

  request(): void {
    const { context, ref, peer, linkIndex } = this.#options
    if (context.dialect.bothMayDial) this.openClaim()
    // Not dialled unless the peer has this link. It is requested again when the hello on link 0 announces it.
    if (!context.baseLinks.isInUse(peer.id, linkIndex)) return
    this.#isDialing = this.#isRegistered = true
    this.#post({ type: 'dial.request', key: this.#key, link: ref, host: this.#place.address.host })
  }

  /** Like `request`, but does nothing if a dial is already requested: a second request would count as a failure. */
  requestOnce(): void {
    if (!this.#isDialing) this.request()
  }

  /** Requests a dial without waiting for the back-off. */
  retry(): void {
    if (this.#isRegistered) this.#post({ type: 'dial.reset', key: this.#key })
    this.request()
  }

  /** The dial was granted: opens the transport to the next address of the host. */
  open(addresses: readonly string[]): Dialled {
    const { context, peer } = this.#options
    const { highWaterMarkBytes, dialTimeoutMs } = context.options.limits
    const place = this.#place
    const { host: name, port } = place.address
    const { host, isLast } = place.addresses.next(addresses, context.nowMs())
    const serverName = host === name ? {} : { serverName: name }
    const pipe = context.environment.transport.dial(
      { host, port },
      { highWaterMarkBytes, expectedPeerId: peer.id, ...serverName },
    )
    const hasOther = !isLast || this.#turn + 1 < this.#places.length
    return { pipe, timeoutMs: hasOther ? Math.min(dialTimeoutMs, otherAddressAfterMs) : dialTimeoutMs }
  }

  get #place(): Place {
    const { addresses, id } = this.#options.peer
    if (addresses !== this.#placesOf) {
      const known = this.#places
      const { backoffMaxMs } = this.#options.context.options.limits
      this.#placesOf = addresses
      this.#turn = 0
      this.#places = addresses.map(
        (address) =>
          known.find((place) => place.address === address) ?? { address, addresses: new DialAddresses(backoffMaxMs) },
      )
    }
    const place = this.#places[this.#turn]
    if (place === undefined) throw new StatewireError('ERR_INTERNAL', `${id} has no address to dial`)
    return place
  }

  /** The connection works: its place is the first to be tried from now on. */
  #proved(): void {
    const place = this.#places[this.#turn]
    if (place === undefined) return
    place.addresses.proved()
    this.#places = [place, ...this.#places.filter((other) => other !== place)]
    this.#turn = 0
  }

  /** Goes on to the next place of this round. @returns whether there is one */
  #nextPlace(): boolean {
    const hasNext = this.#turn + 1 < this.#places.length
    this.#turn = hasNext ? this.#turn + 1 : 0
    return hasNext
  }

  /** The host name was not resolved. @returns whether another place is dialled at once */
  unresolved(): boolean {
    const hasNext = this.#nextPlace()
    if (hasNext) this.adjustBackoff('next')
    return hasNext
  }

  /** A granted dial has ended, successfully or not. */
  end(type: 'dial.ended' | 'dial.cancel' = 'dial.ended'): void {
    if (!this.#isDialing) return
    this.#isDialing = false
    this.#post({ type, key: this.#key })
  }

  /**
   * The dial failed before the connection was up. If the host has another address, that one is dialled immediately.
   * @returns whether it has
   */
  failed({ cause: { retry }, authenticated }: { readonly cause: Cause; readonly authenticated: boolean }): boolean {
    this.end()
    if (authenticated || retry === 'now') this.#proved()
    const place = this.#places[this.#turn]
    const hasOtherAddress = place?.addresses.failed(retry === 'cap', this.#options.context.nowMs()) ?? false
    const mayTryOther = retry === undefined || retry === 'cap'
    const triesOther = mayTryOther && (hasOtherAddress || this.#nextPlace())
    this.adjustBackoff(triesOther ? 'next' : retry)
    return triesOther
  }

  /** Another connection replaces the one that was dialled. */
  replaced(): void {
    this.end()
    this.#places[this.#turn]?.addresses.forget()
  }

  /** Adjusts the back-off of the next dial, if the cause of the failure says so. */
  adjustBackoff(retry: Cause['retry']): void {
    if (retry !== undefined) this.#post({ type: 'dial.judged', key: this.#key, retry })
  }

  /**
   * The peer violated the protocol. This side waits before it dials again, and rejects the peer's connections if this
   * happens repeatedly.
   */
  violated(): void {
    this.adjustBackoff('wait')
    this.#penalty.note(this.#options.context.nowMs())
  }

  readonly #onHandover: ClaimHolder = (handover) => {
    const { context, peer, onHandover } = this.#options
    const leftMs = Math.ceil(this.#penalty.leftMs(context.nowMs()))
    if (peer.desired === 'disconnected') {
      const busy = handover.refusal('busy', 'this side is disconnected from the peer at present')
      if (busy !== null) handover.refuse(busy)
      return true
    }
    const fault =
      leftMs > 0 ? handover.refusal('busy', `the protocol was violated too often; try again in ${leftMs} ms`) : null
    if (fault === null) {
      onHandover(handover)
      return true
    }
    handover.refuse(fault)
    context.emit({
      type: 'connection.rejected',
      remoteAddress: handover.remoteAddress,
      peer: peer.id,
      linkIndex: this.#options.linkIndex,
      cause: cause('ERR_NOT_ALLOWED', `${peer.id} violated the protocol too often and is refused for ${leftMs} ms`),
    })
    return false
  }

  /** The connection works. */
  resetBackoff(): void {
    this.#proved()
    if (this.#isRegistered) this.#post({ type: 'dial.reset', key: this.#key })
  }

  openClaim(): void {
    if (this.#isClaimOpen) return
    this.#isClaimOpen = true
    this.#options.context.acceptRegistry.open(
      { identity: this.#options.peer.id, linkIndex: this.#options.linkIndex },
      this.#onHandover,
    )
  }

  closeClaim(): void {
    if (!this.#isClaimOpen) return
    this.#isClaimOpen = false
    this.#options.context.acceptRegistry.close(
      { identity: this.#options.peer.id, linkIndex: this.#options.linkIndex },
      this.#onHandover,
    )
  }

  dispose(): void {
    this.closeClaim()
    this.#post({ type: 'dial.forget', key: this.#key })
  }

  #post(event: AnyEventObject): void {
    const { reconnector } = this.#options.context
    if (reconnector !== null) send(reconnector, event)
  }
}
