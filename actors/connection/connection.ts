/**
 * Owns: the life of one socket: the pipe, its handshake, and that the pipe is destroyed however the actor ends.
 * Independent of: frames, sessions, and what its link does with it. The chart is machines/connection.ts.
 *
 * A pipe has one owner at a time. A dialled pipe belongs to a connection of its link from the start. An accepted pipe
 * belongs to a connection of the listener until the peer has claimed a link. That connection is then a Handover: the
 * link that takes it moves the pipe into a connection of its own. After `release`, bytes go directly to the link's
 * pumps, but the connection still handles the end of the pipe.
 */
import { StatewireError } from '../../codec/errors.ts'
import { connectionActions, connectionMachine } from '../../machines/connection.ts'
import type { ConnectionEvent, ConnectionFacts } from '../../machines/connection.ts'
import type { DeadlineName } from '../../machines/chart.ts'
import type { AnyActorRef } from '../../machines/xstate.ts'
import type {
  AcceptorHandshake,
  Claim,
  DialerHandshake,
  HandshakeFault,
  HandshakeStep,
} from '../../protocol/dialect.ts'
import type { LinkCore } from '../../protocol/link-core.ts'
import { bodyOf, chartActor } from '../statechart/chart-actor.ts'
import type { ActorPort, Body, ChartLogic } from '../statechart/chart-actor.ts'
import { DiscardLimit } from './discard-limit.ts'
import { AuthenticatedPipe } from './handover.ts'
import type { Handover } from './handover.ts'
import { noopHandlers } from '../base/pipe.ts'
import type { Pipe, PipeHandlers } from '../base/pipe.ts'
import { cause, causeOf, errorOf } from '../base/causes.ts'
import type { Cause } from '../base/causes.ts'
import { endedInHandshake, identityNotProved, timedOut } from './connection-causes.ts'
import type { ConnectionContext } from './connection-context.ts'

const nothing: Buffer = Buffer.alloc(0)
export type ConnectionInput = { readonly context: ConnectionContext } & (
  | {
      readonly begins: 'connecting'
      readonly pipe: Pipe
      readonly handshake: DialerHandshake
      readonly dialTimeoutMs: number
    }
  | { readonly begins: 'connected'; readonly pipe: Pipe; readonly handshake: AcceptorHandshake }
  | { readonly begins: 'authenticated'; readonly taken: AuthenticatedPipe }
)

/** The actor's body. All events to its parent carry `connection`, its id. */
export class ConnectionBody implements Body, PipeHandlers, Handover {
  readonly #context: ConnectionContext
  readonly #port: ActorPort<ConnectionEvent>
  readonly #begins: ConnectionFacts['begins']
  /** Null for a connection taken from the listener: its handshake is complete. */
  readonly #handshake: DialerHandshake | AcceptorHandshake | null
  readonly #remoteAddress: string
  /** Null once the pipe is closed or has another owner. */
  #pipe: Pipe | null
  #claim: Claim | null = null
  /** Bytes received after the handshake. */
  #rest: Buffer = nothing
  #agreed: unknown = undefined
  #cause: Cause | null = null
  #hasSentHello = false
  #isSecured = false
  #authenticated = false
  #isHandedOver = false
  #isLeaving = false
  readonly #dialTimeoutMs: number
  /** If it differs from the limit. */
  #closeTimeoutMs: number | null = null

  constructor(input: ConnectionInput, port: ActorPort<ConnectionEvent>) {
    this.#context = input.context
    this.#port = port
    this.#begins = input.begins
    this.#dialTimeoutMs = input.begins === 'connecting' ? input.dialTimeoutMs : 0
    if (input.begins === 'authenticated') {
      const { pipe, agreed, rest } = input.taken
      this.#handshake = null
      this.#pipe = pipe
      this.#agreed = agreed
      this.#isSecured = true
      this.#rest = rest
    } else {
      this.#handshake = input.handshake
      this.#pipe = input.pipe
    }
    this.#remoteAddress = this.#pipe.remoteAddress
    this.#pipe.handle(this)
  }

  facts(): ConnectionFacts {
    return {
      role: this.#begins === 'connecting' ? 'dialer' : 'acceptor',
      remoteAddress: this.#remoteAddress,
      tls: this.#context.options.security === 'plaintext' ? 'off' : this.#isSecured ? 'established' : 'pending',
      isAuthenticated: this.#authenticated,
      begins: this.#begins,
    }
  }

  deadlineMs(deadline: DeadlineName): number {
    const { limits } = this.#context.options
    if (deadline === 'dialTimeoutMs') return this.#dialTimeoutMs
    if (deadline === 'closeTimeoutMs') return this.#closeTimeoutMs ?? limits.closeTimeoutMs
    // Armed once: it covers TLS and the handshake.
    if (deadline === 'handshakeTimeoutMs') return Math.max(1, limits[deadline] - (this.#pipe?.waitedMs ?? 0))
    throw new Error(`a connection has no deadline ${deadline}`)
  }

  dispose(): void {
    const pipe = this.#pipe
    this.#pipe = null
    if (pipe === null) return
    pipe.handle(noopHandlers)
    pipe.destroy()
  }

  // Events of the pipe.

  onOpen(): void {
    this.#port.send({ type: 'pipe.opened' })
  }

  onBytes(bytes: Buffer): void {
    if (this.#handshake === null || this.#authenticated || this.#claim !== null) {
      // Frames received before a link reads them. The pipe is paused, so this is bounded by what was in flight.
      this.#rest = Buffer.concat([this.#rest, bytes])
      return
    }
    try {
      this.#apply(this.#handshake.feed(bytes))
    } catch (error) {
      this.#port.send({ type: 'handshake.failed', cause: causeOf(error, 'ERR_HANDSHAKE_FAILED') })
    }
  }

  onDrain(): void {}

  onEnd(): void {
    const reason = this.#authenticated
      ? cause('ERR_CONNECTION_LOST', `${this.#remoteAddress} closed the connection`)
      : endedInHandshake(this.#remoteAddress, this.#context.options.security)
    this.#port.send({ type: 'pipe.ended', cause: reason })
  }

  onClose(error: Error | null): void {
    this.#pipe = null
    const code = this.#authenticated
      ? 'ERR_CONNECTION_LOST'
      : this.#begins === 'connecting'
        ? 'ERR_CONNECTION_REFUSED'
        : 'ERR_HANDSHAKE_REFUSED'
    // Only the first cause is reported.
    const reason =
      this.#cause ??
      (error === null ? cause(code, `the connection with ${this.#remoteAddress} ended`) : causeOf(error, code))
    // A socket rejected before it was authenticated, for example for its key. Its owner learns the cause only from
    // here.
    const isTurnedAway = error !== null && this.#begins === 'connected' && !this.#authenticated && !this.#isLeaving
    this.#port.send({ type: isTurnedAway ? 'pipe.failed' : 'pipe.closed', cause: reason })
  }

  // Actions of the chart.

  secure(): void {
    this.#pipe?.secure().then(
      () => {
        this.#isSecured = true
        this.#port.send({ type: 'pipe.secured' })
      },
      (error: unknown) => {
        // If the pipe has closed already, `onClose` has reported the cause.
        const reason = causeOf(error, 'ERR_HANDSHAKE_FAILED')
        if (this.#pipe !== null) this.#port.send({ type: 'pipe.failed', cause: reason })
      },
    )
  }

  greet(): void {
    const handshake = this.#handshake
    if (handshake !== null && 'begin' in handshake) {
      this.#pipe?.write([handshake.begin()])
      this.#hasSentHello = true
    }
    this.#pipe?.resume()
  }

  notifyClaimed(): void {
    this.#pipe?.pause()
    this.#port.tell({ type: 'connection.claimed', connection: this.#port.id, handover: this })
  }

  notifyAuthenticated(): void {
    this.#authenticated = true
    this.#pipe?.pause()
    this.#port.tell({ type: 'connection.authenticated', connection: this.#port.id })
  }

  handOn(): void {
    this.#isHandedOver = true
  }

  endPipe(): void {
    this.#isLeaving = true
    this.#pipe?.end()
    // Discards what is still in flight. A paused pipe would never end.
    const limit = new DiscardLimit()
    const discard = (bytes: Buffer): void => {
      if (!limit.isExceededBy(bytes.length)) return
      this.#pipe?.pause()
      this.#port.send({
        type: 'connection.fail',
        cause: cause(
          'ERR_CONNECTION_LOST',
          `${this.#remoteAddress} kept sending after this side had ended the connection`,
        ),
      })
    }
    this.#pipe?.handle({ ...noopHandlers, onBytes: discard, onClose: (error) => this.onClose(error), onEnd: () => {} })
    this.#pipe?.resume()
  }

  destroyPipe(): void {
    this.#isLeaving = true
    const pipe = this.#pipe
    if (pipe === null) {
      // Closed already, but the chart still needs the event.
      this.#port.send({ type: 'pipe.closed', cause: this.#cause })
      return
    }
    pipe.handle({ ...noopHandlers, onClose: (error) => this.onClose(error) })
    pipe.destroy(this.#cause === null ? undefined : errorOf(this.#cause))
  }

  /** Records the first cause only. Later ones are consequences of it. */
  recordCause(event: { type: string; cause?: Cause | null; deadline?: DeadlineName }): void {
    if (this.#cause !== null) return
    const { type, deadline } = event
    this.#cause =
      type === 'deadline.passed'
        ? timedOut(this.#remoteAddress, deadline, this.#configuredMs(deadline))
        : (event.cause ?? null)
  }

  notifyErrored(): void {
    this.#port.tell({
      type: 'connection.errored',
      connection: this.#port.id,
      remoteAddress: this.#remoteAddress,
      cause: this.#cause,
    })
  }

  notifyClosed(): void {
    if (this.#isHandedOver) return
    const reason = this.#cause ?? cause('ERR_CONNECTION_LOST', `the connection with ${this.#remoteAddress} ended`)
    this.#port.tell({
      type: 'connection.closed',
      connection: this.#port.id,
      remoteAddress: this.#remoteAddress,
      cause: reason,
      authenticated: this.#authenticated,
    })
  }

  /** Sends bytes directly to these callbacks from now on. The actor still handles the end of the pipe. */
  release(onBytes: PipeHandlers['onBytes'], onDrain: PipeHandlers['onDrain']): AuthenticatedPipe | undefined {
    const pipe = this.#pipe
    if (pipe === null || !this.#authenticated || this.#isLeaving) return undefined
    const rest = this.#rest
    this.#rest = nothing
    const onEnd = (): void => this.onEnd()
    pipe.handle({ ...noopHandlers, onBytes, onDrain, onEnd, onClose: (error) => this.onClose(error) })
    return new AuthenticatedPipe(pipe, this.#agreed, rest)
  }

  /** Writes bytes of the link after everything that its pump wrote. */
  writeLast(bytes: Buffer): void {
    this.#pipe?.write([bytes])
  }

  /** How long the other side has for its FIN after that of this side. */
  setCloseTimeout(ms: number): void {
    this.#closeTimeoutMs = ms
  }

  /** The peer has announced the end and its reason, which is reported instead of the closed socket. */
  expectEnd(reason: Cause): void {
    this.#cause ??= reason
  }

  get remoteAddress(): string {
    return this.#remoteAddress
  }

  /** True for a dial whose hello was sent and is not answered. It decides a simultaneous open. */
  get hasSentHello(): boolean {
    return this.#hasSentHello && !this.#authenticated
  }

  #configuredMs(deadline: DeadlineName | undefined): number {
    const { handshakeTimeoutMs, closeTimeoutMs } = this.#context.options.limits
    if (deadline === 'dialTimeoutMs') return this.#dialTimeoutMs
    return deadline === 'closeTimeoutMs' ? (this.#closeTimeoutMs ?? closeTimeoutMs) : handshakeTimeoutMs
  }

  #apply(step: HandshakeStep): void {
    if (step.write !== undefined) this.#pipe?.write([step.write])
    if (step.refuse !== undefined) return this.refuse(step.refuse)
    if (step.claim !== undefined) {
      const { identity } = step.claim
      if (this.#pipe?.isAnchoredIn?.(identity) === false) return this.#refuseIdentity(identity)
      this.#claim = step.claim
      this.#port.send({ type: 'handshake.claimed' })
    }
    if (step.verified === true) {
      this.#rest = step.rest ?? nothing
      this.#agreed = step.agreed
      this.#port.send({ type: 'handshake.verified' })
    }
  }

  #refuseIdentity(identity: string): void {
    const reason = identityNotProved(this.#remoteAddress, identity)
    const refusal = this.refusal('identity', 'The key in the hello is not the key of the certificate.')
    if (refusal === null) return this.#port.send({ type: 'handshake.failed', cause: reason })
    this.#pipe?.write([refusal.write])
    this.#port.send({ type: 'connection.close', cause: reason })
  }

  // The Handover: a dialer that has identified itself and claimed a link, for the listener and that link.

  get claim(): Claim {
    if (this.#claim === null) throw new StatewireError('ERR_INTERNAL', 'a connection was handed over before its claim')
    return this.#claim
  }

  judge(state: LinkCore, hasSentHello: boolean): HandshakeFault | null {
    return this.#acceptor.judge?.(state, hasSentHello) ?? null
  }

  refusal(...[name, message]: Parameters<Handover['refusal']>): HandshakeFault | null {
    return this.#acceptor.refusal?.(name, message) ?? null
  }

  /** Writes the reason, then ends this side. Incoming bytes are discarded until the socket is closed. */
  refuse(fault: HandshakeFault): void {
    this.#pipe?.write([fault.write])
    const reason = cause('ERR_HANDSHAKE_FAILED', `${this.#remoteAddress} was refused: ${fault.reason}`)
    this.#port.send({ type: 'connection.close', cause: reason })
  }

  take(state: LinkCore): AuthenticatedPipe | undefined {
    const pipe = this.#pipe
    if (pipe === null || this.#isLeaving) return undefined
    let answer
    try {
      answer = this.#acceptor.confirm(state)
    } catch (error) {
      // An internal error ends this connection, not the link.
      this.#port.send({ type: 'connection.fail', cause: causeOf(error) })
      return undefined
    }
    pipe.write([answer.write])
    this.#pipe = null
    pipe.handle(noopHandlers)
    this.#port.send({ type: 'connection.handOn' })
    const rest = this.#rest.length === 0 ? answer.rest : Buffer.concat([answer.rest, this.#rest])
    return new AuthenticatedPipe(pipe, answer.agreed, rest)
  }

  get #acceptor(): AcceptorHandshake {
    if (this.#begins !== 'connected') throw new StatewireError('ERR_INTERNAL', 'this connection was not accepted')
    return this.#handshake as AcceptorHandshake
  }

  /** It travels in events, so inspectors serialize it. */
  toJSON(): string {
    return `<connection with ${this.#remoteAddress}>`
  }
}

/** The body of a connection actor. Its link calls it directly for bytes. */
export function connectionBody(ref: AnyActorRef): ConnectionBody | undefined {
  return bodyOf(ref) as ConnectionBody | undefined
}

export const connection: ChartLogic<ConnectionInput> = chartActor<ConnectionInput, ConnectionBody, ConnectionEvent>({
  machine: connectionMachine,
  host: (input) => input.context,
  body: ConnectionBody,
  actions: connectionActions,
})
