/**
 * Owns: how a link gets its next connection: its requests to the reconnector, the address it dials, and its claim at the
 * listener.
 * Independent of: connections, and of what the link does with the one that it gets.
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
  readonly services: LinkContext
  readonly peer: ResolvedPeer
  readonly link: string
  readonly connectionId: number
  readonly ref: AnyActorRef
  /** Gets whoever comes for this link. */
  readonly onHandover: (handover: Handover) => void
}

/** A connection that is being dialled. */
export interface Dialled {
  readonly pipe: Pipe
  /** How long the transport may take to connect. */
  readonly timeoutMs: number
}

/**
 * How long an address may take to connect while its host has another one. The system repeats a lost SYN after 1 s, so one that is
 * reachable answers within 2 s.
 */
const otherAddressAfterMs = 2_000

export class LinkDial {
  readonly #options: LinkDialOptions
  readonly #key: string
  readonly #penalty: ProtocolErrorPenalty
  readonly #addresses: DialAddresses
  #isDialing = false
  #isClaimOpen = false
  /** The reconnector knows this link. */
  #isKnown = false

  constructor(options: LinkDialOptions) {
    this.#options = options
    this.#key = `${options.peer.id} ${options.link}`
    const { backoffMaxMs } = options.services.options.limits
    this.#penalty = new ProtocolErrorPenalty(backoffMaxMs)
    this.#addresses = new DialAddresses(backoffMaxMs)
  }

  request(): void {
    const { services, ref, peer, connectionId } = this.#options
    if (services.dialect.bothMayDial) this.openClaim()
    // A link that the peer does not have, or may not have, is not dialled: whoever hears more from link 0 asks again.
    if (!services.baseLinks.isInUse(peer.id, connectionId)) return
    this.#isDialing = this.#isKnown = true
    this.#post({ type: 'dial.request', key: this.#key, link: ref, host: this.#address.host })
  }

  /** As `request`, and nothing where that has been asked for: asking again counts as a failure. */
  requestOnce(): void {
    if (!this.#isDialing) this.request()
  }

  /** Asks again without waiting for the back-off. */
  retry(): void {
    if (this.#isKnown) this.#post({ type: 'dial.reset', key: this.#key })
    this.request()
  }

  /** The dial is granted: opens the transport to the next of the host's addresses. */
  open(addresses: readonly string[]): Dialled {
    const { services, peer } = this.#options
    const { highWaterMarkBytes, dialTimeoutMs } = services.options.limits
    const { host: name, port } = this.#address
    const { host, isLast } = this.#addresses.next(addresses, services.nowMs())
    const serverName = host === name ? {} : { serverName: name }
    const pipe = services.environment.transport.dial(
      { host, port },
      { highWaterMarkBytes, expectedPeerId: peer.id, ...serverName },
    )
    return { pipe, timeoutMs: isLast ? dialTimeoutMs : Math.min(dialTimeoutMs, otherAddressAfterMs) }
  }

  get #address(): Address {
    const { address, id } = this.#options.peer
    if (address === null) throw new StatewireError('ERR_INTERNAL', `there is no address to dial ${id} at`)
    return address
  }

  /** A granted dial has ended, one way or the other. */
  end(type: 'dial.ended' | 'dial.cancel' = 'dial.ended'): void {
    if (!this.#isDialing) return
    this.#isDialing = false
    this.#post({ type, key: this.#key })
  }

  /** It ended before the connection was up. Another address of the host is dialled at once. @returns whether there is one */
  failed({ cause: { retry }, authenticated }: { readonly cause: Cause; readonly authenticated: boolean }): boolean {
    this.end()
    if (authenticated) this.#addresses.proved()
    const hasOther = this.#addresses.failed(retry === 'cap', this.#options.services.nowMs())
    const triesOther = hasOther && (retry === undefined || retry === 'cap')
    this.judge(triesOther ? 'next' : retry)
    return triesOther
  }

  /** Another connection takes its place. */
  replaced(): void {
    this.end()
    this.#addresses.forget()
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

  readonly #onHandover: ClaimHolder = (handover) => {
    const { services, peer, onHandover } = this.#options
    const leftMs = Math.ceil(this.#penalty.leftMs(services.nowMs()))
    const words =
      leftMs > 0 ? handover.refusal('busy', `the protocol was broken too often; in ${leftMs} ms again`) : null
    if (words === null) {
      onHandover(handover)
      return true
    }
    handover.refuse(words)
    services.emit({
      type: 'connection.rejected',
      remoteAddress: handover.remoteAddress,
      peer: peer.id,
      connectionId: this.#options.connectionId,
      cause: cause('ERR_NOT_ALLOWED', `${peer.id} broke the protocol too often and is not let in for ${leftMs} ms`),
    })
    return false
  }

  /** The connection has proved itself. */
  resetBackoff(): void {
    this.#addresses.proved()
    if (this.#isKnown) this.#post({ type: 'dial.reset', key: this.#key })
  }

  openClaim(): void {
    if (this.#isClaimOpen) return
    this.#isClaimOpen = true
    this.#options.services.acceptRegistry.open(
      { identity: this.#options.peer.id, connectionId: this.#options.connectionId },
      this.#onHandover,
    )
  }

  closeClaim(): void {
    if (!this.#isClaimOpen) return
    this.#isClaimOpen = false
    this.#options.services.acceptRegistry.close(
      { identity: this.#options.peer.id, connectionId: this.#options.connectionId },
      this.#onHandover,
    )
  }

  dispose(): void {
    this.closeClaim()
    this.#post({ type: 'dial.forget', key: this.#key })
  }

  #post(event: AnyEventObject): void {
    const { reconnector } = this.#options.services
    if (reconnector !== null) send(reconnector, event)
  }
}
