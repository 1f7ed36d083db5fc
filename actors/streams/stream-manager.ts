/**
 * Owns: opening streams to one peer: the calls that wait, which link each stream uses, and failing them together when
 * no connection can be made. The chart is machines/stream-manager.ts.
 * Independent of: streams that are open, and accepting those of the peer.
 */
import { streamManagerActions, streamManagerMachine } from '../../machines/stream-manager.ts'
import type { StreamManagerEvent, StreamManagerFacts } from '../../machines/stream-manager.ts'
import type { DeadlineName } from '../../machines/chart.ts'
import { resetCodes } from '../../codec/native-frames.ts'
import type { ErrorCode } from '../../codec/errors.ts'
import type { BaseLink } from '../link/base-links.ts'
import { cause } from '../base/causes.ts'
import type { Cause } from '../base/causes.ts'
import { onAbort } from '../base/abort-listeners.ts'
import { chartActor } from '../statechart/chart-actor.ts'
import type { ActorPort, Body, ChartLogic } from '../statechart/chart-actor.ts'
import type { WaitingCall } from '../session/session-context.ts'
import type { StreamContext } from './stream-context.ts'
import { nameOf, StreamError } from './stream-error.ts'
import type { StreamOpener } from './stream-options.ts'
import type { Stream } from './stream.ts'
import type { StreamPool } from './stream-pool.ts'

export interface OpenRequest {
  readonly protocol: string
  readonly extra: Buffer
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  readonly serial: boolean
  resolve(stream: Stream): void
  reject(error: Error): void
}

/** One call of `getStream` that is not settled. */
class OpenCall implements StreamOpener {
  readonly request: OpenRequest
  readonly stream: Stream
  /** On a link: its Open has left, or waits for a place. */
  isPlaced = false
  readonly #opening: PeerOpenings
  readonly #removeAbort: (() => void) | undefined

  constructor(opening: PeerOpenings, request: OpenRequest, peer: string) {
    this.#opening = opening
    this.request = request
    const { protocol, extra, timeoutMs, signal } = request
    this.stream = opening.pool.create({ peer, protocol, extra, opener: this }, timeoutMs, () => opening.late(this))
    this.#removeAbort =
      signal === undefined
        ? undefined
        : onAbort(signal, () => this.giveUp('ERR_ABORTED', 'was aborted', resetCodes.application, signal.reason))
  }

  onSent(): void {}

  onAccepted(): void {
    this.#removeAbort?.()
    this.#opening.accepted(this)
    this.request.resolve(this.stream)
  }

  /** Refused, lost, or given up. */
  onFailed(error: StreamError): void {
    this.#removeAbort?.()
    this.#opening.failed(this)
    this.request.reject(error)
    if (this.request.serial) this.#opening.serialFailed(error)
    else this.#opening.place()
  }

  giveUp(code: ErrorCode, why: string, resetCode: number, reason?: unknown): void {
    const { peer, protocol } = this.stream
    const error = new StreamError(code, `${nameOf(peer, protocol)} ${why}`, {
      peer,
      protocol,
      by: 'self',
      ...(reason === undefined ? {} : { cause: reason }),
    })
    this.stream.cancel({ code: resetCode, reason: code }, error)
  }
}

/** The calls for one peer. They outlive the manager, which is an actor and may crash. */
export class PeerOpenings {
  readonly pool: StreamPool
  readonly peer: string
  readonly #context: StreamContext
  /** In the order in which they came. */
  readonly #calls = new Set<OpenCall>()
  readonly #waiting: WaitingCall
  #manager: ActorPort<StreamManagerEvent> | null = null

  constructor(context: StreamContext, pool: StreamPool, peer: string) {
    this.#context = context
    this.pool = pool
    this.peer = peer
    this.#waiting = { peers: [peer], connectFailed: (_, reason) => this.unreachable(reason) }
  }

  get waiting(): number {
    return this.#calls.size
  }

  /** Calls wait, and nothing opens streams to the peer. */
  get isStranded(): boolean {
    return this.#manager === null && this.#calls.size > 0
  }

  get isConnected(): boolean {
    return this.#up().length > 0
  }

  open(request: OpenRequest): void {
    const call = new OpenCall(this, request, this.peer)
    this.#calls.add(call)
    if (this.#calls.size === 1) this.#context.waitingCalls.add(this.#waiting)
    if (!this.isConnected) this.#context.wantPeer(this.peer)
    if (this.#manager === null) this.#context.notifyPeer(this.peer, { type: 'streams.start', openings: this })
    const fatal = this.isConnected ? null : this.#context.fatalCauseOf(this.peer)
    if (fatal !== null) this.unreachable(fatal)
    else if (this.#manager !== null) this.place()
  }

  // The manager.

  started(manager: ActorPort<StreamManagerEvent>): void {
    this.#manager = manager
  }

  ended(manager: ActorPort<StreamManagerEvent>): void {
    if (this.#manager === manager) this.#manager = null
  }

  #up(): BaseLink[] {
    return this.#context.baseLinks.inUse(this.peer).filter(({ state }) => state.isConnected && state.streams !== null)
  }

  /** Puts calls on links: one with a place if there is one, and the fewest streams. */
  place(): void {
    if (this.#manager === null) return
    const up = this.#up()
    if (up.length === 0) return
    let isSerialBusy = [...this.#calls].some(({ isPlaced, request }) => isPlaced && request.serial)
    for (const call of this.#calls) {
      const { serial, protocol, extra } = call.request
      if (call.isPlaced || (serial && isSerialBusy)) continue
      isSerialBusy ||= serial
      const link = bestOf(up)
      call.isPlaced = true
      try {
        call.stream.attach((stream) => link.state.streams!.open({ protocol, extra }, stream), link.linkIndex)
      } catch (error) {
        call.giveUp('ERR_LINK_RESET', `was not opened: ${(error as Error).message}`, resetCodes.application, error)
      }
    }
  }

  accepted(call: OpenCall): void {
    this.failed(call)
    if (call.request.serial) this.place()
  }

  /** The call does not wait any more. */
  failed(call: OpenCall): void {
    this.#calls.delete(call)
    if (this.#calls.size === 0) this.#context.waitingCalls.delete(this.#waiting)
  }

  /** A serial opening failed: everyone who waits learns it, and the next call begins anew. */
  serialFailed(error: StreamError): void {
    this.#manager?.send({ type: 'manager.failed', cause: cause(error.code, error.message) })
  }

  /** Its time is over. */
  late(call: OpenCall): void {
    const { timeoutMs } = call.request
    const link = this.#context.baseLinks.of(this.peer)[call.stream.facts().link ?? -1]
    const { isConnected } = this
    const why = !isConnected
      ? `: it is not connected${this.#context.explainNotConnected(this.peer)}`
      : call.stream.isOpening
        ? ': the peer allows no more streams at once'
        : ': the peer did not decide'
    call.giveUp('ERR_TIMED_OUT', `was not open within ${timeoutMs} ms${why}`, resetCodes['time-out'])
    // A connection that carries nothing else either is made anew.
    if (link?.state.isSuspect === true)
      this.#context.notifyPeer(this.peer, {
        type: 'link.break',
        link: link.id,
        cause: cause('ERR_TIMED_OUT', 'the peer neither answered a stream nor sent anything'),
      })
  }

  unreachable(reason: Cause): void {
    if (this.isConnected) return
    if (this.#manager === null) this.failAll(reason)
    else this.#manager.send({ type: 'manager.failed', cause: reason })
  }

  failAll({ code, message }: Cause): void {
    for (const call of this.#calls) call.giveUp(code as ErrorCode, `was not opened: ${message}`, resetCodes.application)
  }
}

/** The link with a place and the fewest streams. */
function bestOf(links: readonly BaseLink[]): BaseLink {
  let best = links[0]!
  for (const link of links) {
    const [one, other] = [link.state.streams!, best.state.streams!]
    if (one.hasPlace !== other.hasPlace ? one.hasPlace : one.openedHere < other.openedHere) best = link
  }
  return best
}

export interface StreamManagerInput {
  readonly context: StreamContext
  readonly openings: PeerOpenings
}

class StreamManagerBody implements Body {
  readonly #context: StreamContext
  readonly #openings: PeerOpenings
  readonly #port: ActorPort<StreamManagerEvent>
  readonly #unwatch: () => void
  #isConnected = false

  constructor({ context, openings }: StreamManagerInput, port: ActorPort<StreamManagerEvent>) {
    this.#context = context
    this.#openings = openings
    this.#port = port
    this.#unwatch = context.baseLinks.watch(() => this.#linksChanged())
    openings.started(port)
  }

  facts(): StreamManagerFacts {
    return { peer: this.#openings.peer, waiting: this.#openings.waiting }
  }

  deadlineMs(_deadline: DeadlineName): number {
    return this.#context.options.limits.streamOpenTimeoutMs
  }

  dispose(): void {
    this.#unwatch()
    this.#openings.ended(this.#port)
  }

  #linksChanged(): void {
    const { isConnected } = this.#openings
    if (isConnected === this.#isConnected) {
      if (isConnected) this.#openings.place()
      return
    }
    this.#isConnected = isConnected
    this.#port.send({ type: isConnected ? 'manager.connected' : 'manager.disconnected' })
  }

  look(): void {
    this.#isConnected = false
    this.#linksChanged()
  }

  open(): void {
    this.#openings.place()
  }

  fail(event: { cause: Cause }): void {
    this.#openings.ended(this.#port)
    this.#openings.failAll(event.cause)
  }

  giveUp(): void {
    const { peer } = this.#openings
    const { streamOpenTimeoutMs } = this.#context.options.limits
    const why = this.#context.explainNotConnected(peer)
    this.fail({ cause: cause('ERR_TIMED_OUT', `${peer} was not connected within ${streamOpenTimeoutMs} ms${why}`) })
  }
}

export const streamManager: ChartLogic<StreamManagerInput> = chartActor<
  StreamManagerInput,
  StreamManagerBody,
  StreamManagerEvent
>({
  machine: streamManagerMachine,
  host: ({ context }) => context,
  body: StreamManagerBody,
  actions: streamManagerActions,
})
