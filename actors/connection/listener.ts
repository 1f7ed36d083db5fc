/**
 * Owns: the bound port and the inbound handshakes: admission before any cost, one child per socket, and the handover of
 * a socket to the link that waits for it.
 * Independent of: links; it finds them through the accept registry. The chart is machines/listener.ts.
 */
import { listenerActions, listenerMachine } from '../../machines/listener.ts'
import type { ListenerEvent, ListenerFacts } from '../../machines/listener.ts'
import type { DeadlineName } from '../../machines/chart.ts'
import type { HandshakeFault } from '../../protocol/dialect.ts'
import { Admission } from '../../protocol/admission.ts'
import type { AdmitInfo } from '../config/admission-options.ts'
import { chartActor } from '../statechart/chart-actor.ts'
import type { ActorPort, Body, ChartLogic } from '../statechart/chart-actor.ts'
import { connection } from './connection.ts'
import type { Handover } from './handover.ts'
import { formatUrl } from '../config/urls.ts'
import { noopHandlers } from '../base/pipe.ts'
import type { Address, Pipe, PipeListener } from '../base/pipe.ts'
import { cause, causeOf, errorOf } from '../base/causes.ts'
import type { Cause } from '../base/causes.ts'
import type { Deadline } from '../base/timer-wheel.ts'
import type { ConnectionContext } from './connection-context.ts'
import { send } from '../statechart/send.ts'

export interface ListenerInput {
  readonly context: ConnectionContext
  readonly address: Address
  /** The address that was bound first: a restarted listener binds it again instead of another free port. */
  readonly bound: { address: Address | null }
}

/**
 * The delay before a connection that the peer closed silently is reported. In a simultaneous open the peer drops its
 * own dial, and the other connection opens within a few round trips. 1 s covers a slow network.
 */
const simultaneousOpenMs = 1_000
/** The maximum number of delayed reports. Beyond it, connections are reported immediately. */
const unreportedMax = 64

const reasons = {
  'address-pending': 'too many handshakes from this address are under way',
  'address-rate': 'this address connects too often',
  pending: 'too many handshakes are under way',
}

class ListenerBody implements Body {
  readonly #context: ConnectionContext
  readonly #input: ListenerInput
  readonly #port: ActorPort<ListenerEvent<Pipe, Handover>>
  readonly #admission: Admission
  #listener: PipeListener | null = null
  /** Inbound connections that were accepted or refused, and have not ended yet. */
  readonly #decided = new Set<string>()
  /** Delayed reports of connections that were closed silently. */
  readonly #unreported = new Set<Deadline>()
  #number = 0
  #cause: Cause = { code: 'ERR_LISTEN_FAILED', message: 'unknown' }
  #disposed = false

  constructor(input: ListenerInput, port: ActorPort<ListenerEvent<Pipe, Handover>>) {
    this.#context = input.context
    this.#input = input
    this.#port = port
    this.#admission = new Admission(input.context.options.limits, input.context.peerAddresses)
  }

  /** On plain TCP an identity is claimed, not proven. */
  get #provesIdentity(): boolean {
    return this.#context.options.security === 'tls'
  }

  facts(): ListenerFacts {
    const address = this.#input.bound.address ?? this.#input.address
    return { address: formatUrl(address, this.#context.options.security), handshakes: this.#port.children.size }
  }

  deadlineMs(deadline: DeadlineName): number {
    if (deadline === 'bindTimeoutMs') return this.#context.options.limits.bindTimeoutMs
    throw new Error(`the listener has no deadline ${deadline}`)
  }

  dispose(): void {
    this.#disposed = true
    for (const deadline of this.#unreported) deadline.cancel()
    this.unbind()
  }

  bind(): void {
    const { transport } = this.#context.environment
    const address = this.#input.bound.address ?? this.#input.address
    transport
      .listen(address, this.#context.options.limits, {
        onPipe: (pipe) => this.#onPipe(pipe),
        onError: (error) => this.#port.send({ type: 'listener.failed', cause: causeOf(error, 'ERR_LISTEN_FAILED') }),
      })
      .then(
        (listener) => {
          if (this.#disposed) return void listener.close()
          this.#listener = listener
          this.#input.bound.address = listener.address
          this.#port.send({
            type: 'listener.bound',
            address: formatUrl(listener.address, this.#context.options.security),
          })
        },
        (error: unknown) =>
          this.#port.send({
            type: 'listener.failed',
            cause: causeOf(
              error,
              'ERR_LISTEN_FAILED',
              `${formatUrl(address, this.#context.options.security)} cannot be bound: `,
            ),
          }),
      )
      .catch(() => {})
  }

  /** Reads no bytes and never waits, so the accept loop is not delayed. */
  #onPipe(pipe: Pipe): void {
    if (this.#disposed) return destroyQuietly(pipe)
    const id = this.#admitPipe(pipe)
    if (id !== null) this.#port.send({ type: 'pipe.accepted', id, pipe })
  }

  /** @returns the id of its connection, or null if it was refused */
  #admitPipe(pipe: Pipe): string | null {
    if (!this.#context.options.admission.isAddressAllowed(pipe.remoteHost)) {
      destroyQuietly(pipe)
      this.#reject(pipe.remoteAddress, null, cause('ERR_NOT_ALLOWED', `${pipe.remoteHost} is not in allowAddresses`))
      return null
    }
    const id = `connection:in.${++this.#number}`
    const decision = this.#admission.ask(id, pipe.remoteHost, this.#context.nowMs())
    if (!decision.admitted) {
      destroyQuietly(pipe)
      this.#reject(pipe.remoteAddress, null, cause('ERR_ADMISSION_LIMIT', reasons[decision.reason]))
      return null
    }
    if ('evict' in decision) {
      send(this.#port.children.get(decision.evict), {
        type: 'connection.fail',
        cause: cause(
          'ERR_ADMISSION_LIMIT',
          'too many handshakes are under way: the oldest was closed for a newer connection',
        ),
      })
    }
    return id
  }

  admit({ id, pipe }: { id: string; pipe: Pipe }): void {
    const handshake = this.#context.dialect.createAcceptorHandshake()
    this.#port.children.spawn({
      id,
      kind: 'connection',
      logic: connection,
      input: { context: this.#context, begins: 'connected', pipe, handshake },
      restart: 'temporary',
    })
  }

  refusePipe({ id, pipe }: { id: string; pipe: Pipe }): void {
    this.#admission.settle(id, false)
    destroyQuietly(pipe)
  }

  /** The peer has claimed a link. Only claims that a link is waiting for are accepted. */
  place(event: { connection: string; handover: Handover }): void {
    const { connection: id, handover } = event
    const holder = this.#context.peers.isAllowed(handover.claim.identity)
      ? this.#context.acceptRegistry.find(handover.claim)
      : undefined
    if (holder !== undefined) {
      if (this.#context.options.admission.admit === null)
        return this.decide({ connection: id, handover, refused: null })
      if (this.#provesIdentity) this.#admission.prove(id)
      this.#askApplication(id, handover, this.#context.options.admission.admit)
      return
    }
    const { identity, linkIndex } = handover.claim
    const isKnown = this.#context.peers.isAllowed(identity)
    const reason = isKnown
      ? cause(
          'ERR_NOT_REQUESTED',
          `unexpected inbound connection: nothing is waiting for connection ${linkIndex} of ${JSON.stringify(identity)}`,
        )
      : cause('ERR_UNKNOWN_PEER', `${JSON.stringify(identity)} is not a peer of this network`)
    this.#decided.add(id)
    // A known peer that connects too early will retry. It has not misbehaved, so it gets its token back.
    this.#admission.settle(id, isKnown, isKnown && this.#provesIdentity)
    // Over TLS an unknown key does not get this far: its connection is closed without one byte.
    const refusal = this.#refusalFor(handover)
    if (refusal === null) send(this.#port.children.get(id), { type: 'connection.fail', cause: reason })
    else handover.refuse(refusal)
    this.#reject(handover.remoteAddress, identity, reason, linkIndex)
  }

  #refusalFor(handover: Handover): HandshakeFault | null {
    const { identity, linkIndex } = handover.claim
    const { options, peers } = this.#context
    if (identity === options.identity) return handover.refusal('self', 'this key belongs to this side')
    if (!peers.isAllowed(identity)) return handover.refusal('not-allowed', 'this key does not belong to a peer')
    if (linkIndex < options.connectionParallelism)
      return handover.refusal('stopping', 'nothing is waiting for this connection')
    return handover.refusal('no-such-link', `this side has only ${options.connectionParallelism} links`)
  }

  /** Has a deadline, and an error counts as a refusal: a bug in the application must not admit a peer. */
  #askApplication(id: string, handover: Handover, admit: (info: AdmitInfo) => boolean | Promise<boolean>): void {
    const { identity: peer, linkIndex } = handover.claim
    const decide = (refused: Cause | null): void => {
      deadline.cancel()
      this.#port.send({ type: 'admission.decided', connection: id, handover, refused })
    }
    const { admitTimeoutMs } = this.#context.options.limits
    const deadline = this.#context.wheel.schedule(admitTimeoutMs, () =>
      decide(
        cause('ERR_NOT_ALLOWED', `admit() did not answer for ${JSON.stringify(peer)} within ${admitTimeoutMs} ms`),
      ),
    )
    Promise.resolve()
      .then(() => admit({ peer, linkIndex, remoteAddress: handover.remoteAddress }))
      .then(
        (isAccepted) =>
          decide(isAccepted === true ? null : cause('ERR_NOT_ALLOWED', `admit() refused ${JSON.stringify(peer)}`)),
        (error: unknown) =>
          decide(cause('ERR_NOT_ALLOWED', `admit() threw for ${JSON.stringify(peer)}: ${causeOf(error).message}`)),
      )
  }

  /** Only the first answer counts. After the deadline the connection is gone. */
  decide(event: { connection: string; handover: Handover; refused: Cause | null }): void {
    const { connection: id, handover, refused } = event
    if (this.#port.children.get(id) === undefined || this.#decided.has(id)) return
    this.#decided.add(id)
    const holder = refused === null ? this.#context.acceptRegistry.find(handover.claim) : undefined
    const isAccepted = holder?.(handover) ?? false
    this.#admission.settle(id, isAccepted, isAccepted && this.#provesIdentity)
    if (holder !== undefined) return
    const reason =
      refused ??
      cause(
        'ERR_NOT_REQUESTED',
        `connection ${handover.claim.linkIndex} of ${JSON.stringify(handover.claim.identity)} is no longer needed`,
      )
    const refusal = handover.refusal(
      refused === null ? 'stopping' : 'not-allowed',
      refused === null ? '' : 'not allowed',
    )
    if (refusal === null) send(this.#port.children.get(id), { type: 'connection.fail', cause: reason })
    else handover.refuse(refusal)
    this.#reject(handover.remoteAddress, handover.claim.identity, reason, handover.claim.linkIndex)
  }

  forget(event: { connection?: string; id?: string }): void {
    const id = event.connection ?? event.id
    if (id === undefined) return
    this.#decided.delete(id)
    this.#admission.settle(id, false)
  }

  /** Reports a connection that failed before it was decided, once. */
  recordFailed(event: { connection: string; remoteAddress: string; cause: Cause | null }): void {
    const reason = event.cause
    if (reason === null || this.#decided.has(event.connection)) return
    this.#decided.add(event.connection)
    const sinceMs = this.#admission.sinceMs(event.connection)
    const mayBeSimultaneous = reason.code === 'ERR_HANDSHAKE_REFUSED' && this.#context.dialect.bothMayDial
    if (sinceMs === undefined || !mayBeSimultaneous || this.#unreported.size >= unreportedMax)
      return this.#reject(event.remoteAddress, null, reason)
    this.#rejectUnlessConnected(event.remoteAddress, sinceMs, reason)
  }

  /**
   * Does not report a connection that the peer closed because it has another one: it dialled twice, or both sides
   * dialled.
   */
  #rejectUnlessConnected(remoteAddress: string, sinceMs: number, reason: Cause): void {
    const deadline = this.#context.wheel.schedule(simultaneousOpenMs, () => {
      this.#unreported.delete(deadline)
      if (this.#context.peerAddresses.connectedAtMs(hostOf(remoteAddress)) < sinceMs)
        this.#reject(remoteAddress, null, reason)
    })
    this.#unreported.add(deadline)
  }

  #reject(remoteAddress: string, peer: string | null, reason: Cause, linkIndex?: number): void {
    const link = linkIndex === undefined ? {} : { linkIndex }
    this.#context.emit({ type: 'connection.rejected', remoteAddress, peer, ...link, cause: reason })
  }

  notifyListening(event: { address: string }): void {
    this.#port.tell({ type: 'listener.listening', address: event.address })
  }

  recordFailure(event: { cause?: Cause }): void {
    this.#cause =
      event.cause ??
      cause(
        'ERR_LISTEN_FAILED',
        `${formatUrl(this.#input.address, this.#context.options.security)} was not bound in time`,
      )
  }

  notifyFailed(): void {
    this.#port.tell({ type: 'listener.failed', cause: this.#cause })
  }

  unbind(): void {
    const listener = this.#listener
    this.#listener = null
    if (listener !== null) listener.close().catch(() => {})
  }

  fail(): never {
    throw errorOf(this.#cause)
  }
}

/** Strips the port: "127.0.0.1:40112" gives 127.0.0.1, and "[::1]:40112" gives ::1. */
function hostOf(remoteAddress: string): string {
  return remoteAddress.slice(0, remoteAddress.lastIndexOf(':')).replace(/^\[|\]$/g, '')
}

function destroyQuietly(pipe: Pipe): void {
  pipe.handle(noopHandlers)
  pipe.destroy()
}

export const listener: ChartLogic<ListenerInput> = chartActor<
  ListenerInput,
  ListenerBody,
  ListenerEvent<Pipe, Handover>
>({
  machine: listenerMachine,
  host: (input) => input.context,
  body: ListenerBody,
  actions: listenerActions,
})
