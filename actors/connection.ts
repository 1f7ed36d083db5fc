/**
 * Owns: how one socket lives: the pipe, its handshake, and that the pipe is destroyed when the actor ends in any way.
 * Refuses to know: frames, sessions, and what its link does with it. The chart is machines/connection.ts.
 */
import { connectionActions, connectionMachine } from '../machines/connection.ts'
import type { ConnectionFacts } from '../machines/connection.ts'
import type { DeadlineName } from '../machines/chart.ts'
import type { AnyActorRef } from '../machines/xstate.ts'
import type { AcceptorHandshake, Claim, DialerHandshake, HandshakeFault, HandshakeStep } from '../protocol/dialect.ts'
import type { LinkCore } from '../protocol/link-core.ts'
import { bodyOf, chartActor } from './chart-actor.ts'
import type { ActorPort, Body, ChartLogic } from './chart-actor.ts'
import type { Answered, ClaimedPipe, Offer, OpenPipe } from './offer.ts'
import { deaf } from './pipe.ts'
import type { Pipe, PipeHandlers } from './pipe.ts'
import { cause, causeOf, errorOf } from './causes.ts'
import type { Cause } from './causes.ts'
import type { ConnectionContext } from './connection-context.ts'

const nothing: Buffer = Buffer.alloc(0)
/**
 * After this side has ended, so much may still come: what an honest peer has under way is within its replay window, 4 MiB, and one
 * value of 16 MiB that was admitted to it last. Whoever sends more does not listen, and each byte would be decrypted for nothing.
 */
const discardedLengthBytesMax = 24 * 1024 * 1024
/** Records of one byte cost as much each as long ones: so many are five times what the bytes are in full ones. */
const discardedReadsMax = 8_192

export type ConnectionInput = { readonly services: ConnectionContext } & (
  | { readonly begins: 'connecting'; readonly pipe: Pipe; readonly handshake: DialerHandshake; readonly dialTimeoutMs: number }
  | { readonly begins: 'connected'; readonly pipe: Pipe; readonly handshake: AcceptorHandshake }
  | { readonly begins: 'claimed'; readonly claimed: ClaimedPipe; readonly state: LinkCore }
)

/** The events a connection sends to its parent; all carry `connection`, its id. */
export class ConnectionBody implements Body, PipeHandlers {
  readonly #services: ConnectionContext
  readonly #port: ActorPort
  readonly #begins: ConnectionFacts['begins']
  readonly #handshake: DialerHandshake | AcceptorHandshake
  #pipe: Pipe | null
  #claim: Claim | null = null
  #rest: Buffer = nothing
  #greeting: Buffer | null = null
  #cause: Cause | null = null
  #authenticated = false
  #isLeaving = false
  readonly #remoteAddress: string
  readonly #handshakeDeadlineAtMs: number
  readonly #dialTimeoutMs: number
  readonly #state: LinkCore | null
  #agreed: unknown = undefined
  #hasGreeted = false
  #isHandedOn = false
  /** Its link reads it. */
  #isReleased = false
  #answered: Answered | null
  readonly #secured: Promise<void> | null
  #isSecured = false

  constructor(input: ConnectionInput, port: ActorPort) {
    this.#services = input.services
    this.#port = port
    this.#begins = input.begins
    const pipe = input.begins === 'claimed' ? input.claimed.pipe : input.pipe
    this.#handshake = input.begins === 'claimed' ? input.claimed.handshake : input.handshake
    this.#claim = input.begins === 'claimed' ? input.claimed.claim : null
    this.#state = input.begins === 'claimed' ? input.state : null
    this.#answered = input.begins === 'claimed' ? input.claimed.answered : null
    this.#handshakeDeadlineAtMs = input.begins === 'claimed' ? input.claimed.deadlineAtMs : input.services.nowMs() + input.services.options.limits.handshakeTimeoutMs
    this.#dialTimeoutMs = input.begins === 'connecting' ? input.dialTimeoutMs : 0
    this.#pipe = pipe
    this.#remoteAddress = pipe.remoteAddress
    pipe.handle(this)
    // TLS begins while the actor is made; how it went is looked at when the chart has come so far.
    this.#secured = input.begins === 'claimed' ? null : pipe.secure()
    this.#secured?.catch(() => {})
  }

  facts(): ConnectionFacts {
    return { role: this.#begins === 'connecting' ? 'dialer' : 'acceptor', remoteAddress: this.#remoteAddress, begins: this.#begins }
  }

  deadlineMs(deadline: DeadlineName): number {
    const { limits } = this.#services.options
    // A handed-on connection goes on with the time that its handshake had left.
    if (deadline === 'handshakeTimeoutMs' && this.#begins === 'claimed') return this.#handshakeDeadlineAtMs - this.#services.nowMs()
    if (deadline === 'dialTimeoutMs') return this.#dialTimeoutMs
    if (deadline === 'handshakeTimeoutMs' || deadline === 'closeTimeoutMs') return limits[deadline]
    throw new Error(`a connection has no deadline ${deadline}`)
  }

  dispose(): void {
    const pipe = this.#pipe
    this.#pipe = null
    if (pipe === null) return
    pipe.handle(deaf)
    pipe.destroy()
  }

  // What the pipe says.

  onOpen(): void {
    this.#port.send({ type: 'pipe.opened' })
  }

  onSecure(): void {
    if (this.#isSecured) return
    this.#isSecured = true
    this.#port.send({ type: 'pipe.secured' })
  }

  onBytes(bytes: Buffer): void {
    if (this.#authenticated || this.#claim !== null) {
      // Frames before adoption; the pipe is paused, so this is at most what was on its way.
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
      : cause('ERR_HANDSHAKE_REFUSED', `${this.#remoteAddress} closed the connection during the handshake; it may not know this side's key, ${this.#services.options.security === 'plaintext' ? 'speak TLS' : 'not speak TLS'}, or not have asked for the connection yet`)
    this.#port.send({ type: 'pipe.ended', cause: reason })
  }

  onClose(error: Error | null): void {
    this.#pipe = null
    const code = this.#authenticated ? 'ERR_CONNECTION_LOST' : this.#begins === 'connecting' ? 'ERR_CONNECTION_REFUSED' : 'ERR_HANDSHAKE_REFUSED'
    // The first cause counts, so where there is one no other is put into words.
    const reason = this.#cause ?? (error === null ? cause(code, `the connection with ${this.#remoteAddress} ended`) : causeOf(error, code))
    // Of a socket that was let go before it said who it is, its owner hears why only from here: a key that is not invited ends so.
    const isTurnedAway = error !== null && this.#begins === 'connected' && !this.#authenticated && !this.#isLeaving
    this.#port.send({ type: isTurnedAway ? 'pipe.failed' : 'pipe.closed', cause: reason })
  }

  // What the chart does.

  secure(): void {
    const pipe = this.#pipe
    if (pipe === null) return
    // The hello waits inside the pipe, is ready when the other side is proved, and leaves in that very call.
    if ('begin' in this.#handshake) pipe.write([this.#handshake.begin()])
    pipe.expectBytes?.()
    const secured = this.#secured ?? pipe.secure()
    secured.then(
      () => this.onSecure(),
      (error: unknown) => {
        // A carrier that has closed already has said why in `onClose`.
        if (this.#pipe !== null) this.#port.send({ type: 'pipe.failed', cause: causeOf(error, 'ERR_HANDSHAKE_FAILED') })
      },
    )
  }

  greet(): void {
    this.#hasGreeted = 'begin' in this.#handshake
    this.#pipe?.resume()
  }

  tellClaimed(): void {
    if (this.#begins === 'claimed') {
      this.#port.send({ type: 'connection.confirm' })
      return
    }
    this.#port.tell({ type: 'connection.claimed', connection: this.#port.id, offer: this.#offer() })
    // Where its link has taken it in this very call, it reads on.
    this.#pipe?.pause()
  }

  confirm(): void {
    if (this.#answered === null) {
      const { write, rest, agreed } = (this.#handshake as AcceptorHandshake).confirm(this.#state as LinkCore)
      this.#answered = { rest, agreed }
      this.#greeting = write
      // A link that reads at once takes the connection over in this turn, and the answer with it.
      if ((this.#state as LinkCore).readsAtOnce) this.#services.environment.clock.nextTick(() => this.#sendGreeting())
      else this.#sendGreeting()
    }
    const { rest, agreed } = this.#answered
    this.#agreed = agreed
    this.#rest = this.#rest.length === 0 ? rest : Buffer.concat([rest, this.#rest])
  }

  #sendGreeting(): void {
    const greeting = this.#greeting
    this.#greeting = null
    if (greeting !== null) this.#pipe?.write([greeting])
  }

  tellAuthenticated(): void {
    this.#authenticated = true
    this.#port.tell({ type: 'connection.authenticated', connection: this.#port.id })
    if (!this.#isReleased) this.#pipe?.pause()
  }

  handOn(): void {
    this.#isHandedOn = true
  }

  endPipe(): void {
    this.#isLeaving = true
    this.#sendGreeting()
    this.#pipe?.end()
    // What is still on its way to us is of no use any more, and a paused pipe would never end.
    let discardedBytes = 0
    let discardedReads = 0
    const discard = (bytes: Buffer): void => {
      discardedBytes += bytes.length
      discardedReads++
      if (discardedBytes <= discardedLengthBytesMax && discardedReads <= discardedReadsMax) return
      this.#pipe?.pause()
      this.#port.send({ type: 'connection.fail', cause: cause('ERR_CONNECTION_LOST', `${this.#remoteAddress} went on sending after the end`) })
    }
    this.#pipe?.handle({ ...deaf, onBytes: discard, onClose: (error) => this.onClose(error), onEnd: () => {} })
    this.#pipe?.resume()
  }

  destroyPipe(): void {
    this.#isLeaving = true
    const pipe = this.#pipe
    if (pipe === null) {
      // Closed already: the chart must still hear it.
      this.#port.send({ type: 'pipe.closed', cause: this.#cause })
      return
    }
    pipe.handle({ ...deaf, onClose: (error) => this.onClose(error) })
    pipe.destroy(this.#cause === null ? undefined : errorOf(this.#cause))
  }

  /** The first cause counts; what follows from it is noise. */
  noteCause(event: { type: string; cause?: Cause | null; deadline?: DeadlineName }): void {
    if (this.#cause !== null) return
    if (event.type === 'deadline.passed') {
      this.#cause = event.deadline === 'closeTimeoutMs'
        ? cause('ERR_TIMED_OUT', `${this.#remoteAddress} did not take the rest within ${this.#services.options.limits.closeTimeoutMs} ms`)
        : cause('ERR_TIMED_OUT', `no ${event.deadline === 'dialTimeoutMs' ? 'connection' : 'handshake'} with ${this.#remoteAddress} within ${this.deadlineLimitMs(event.deadline)} ms`)
    } else this.#cause = event.cause ?? null
  }

  tellErrored(): void {
    this.#port.tell({ type: 'connection.errored', connection: this.#port.id, remoteAddress: this.#remoteAddress, cause: this.#cause })
  }

  tellClosed(): void {
    if (this.#isHandedOn) return
    const reason = this.#cause ?? cause('ERR_CONNECTION_LOST', `the connection with ${this.#remoteAddress} ended`)
    this.#port.tell({ type: 'connection.closed', connection: this.#port.id, remoteAddress: this.#remoteAddress, cause: reason, authenticated: this.#authenticated })
  }

  /** The link takes the pipe over: from here on bytes go past this actor. It still owns the pipe's end. */
  release(handlers: PipeHandlers): OpenPipe | undefined {
    const pipe = this.#pipe
    if (pipe === null || !this.#authenticated || this.#isLeaving) return undefined
    const rest = this.#rest
    const greeting = this.#greeting
    this.#isReleased = true
    this.#rest = nothing
    this.#greeting = null
    pipe.handle({
      onOpen: () => {},
      // No wrapper: between two processes on one core every further function is a cold one.
      onBytes: handlers.onBytes,
      onDrain: handlers.onDrain,
      onEnd: () => this.onEnd(),
      onClose: (error) => this.onClose(error),
    })
    return { pipe, greeting, rest, agreed: this.#agreed }
  }

  /** A few bytes of the link's own, behind everything that its pump wrote. */
  say(words: Buffer): void {
    this.#sendGreeting()
    this.#pipe?.write([words])
  }

  /** The other side has said why it ends: that counts, and not that its socket then does. */
  expectEnd(reason: Cause): void {
    this.#cause ??= reason
  }

  get remoteAddress(): string {
    return this.#remoteAddress
  }

  /** A dial that has begun its handshake: where two cross, it counts. */
  get hasGreeted(): boolean {
    return this.#hasGreeted && !this.#authenticated
  }

  get claim(): Claim | null {
    return this.#claim
  }

  deadlineLimitMs(deadline: DeadlineName | undefined): number {
    return deadline === 'dialTimeoutMs' ? this.#dialTimeoutMs : this.#services.options.limits.handshakeTimeoutMs
  }

  #apply(step: HandshakeStep): void {
    if (step.write !== undefined) this.#pipe?.write([step.write])
    if (step.refuse !== undefined) return this.#refuse(step.refuse)
    if (step.claim !== undefined) {
      const { identity } = step.claim
      if (this.#pipe?.isAnchoredIn?.(identity) === false) {
        this.#port.send({ type: 'handshake.failed', cause: cause('ERR_UNEXPECTED_PEER', `${this.#remoteAddress} claims to be ${JSON.stringify(identity)}, and its certificate does not prove it`) })
        return
      }
      this.#claim = step.claim
      this.#port.send({ type: 'handshake.claimed' })
    }
    if (step.verified === true) {
      this.#rest = step.rest ?? nothing
      this.#agreed = step.agreed
      this.#port.send({ type: 'handshake.verified' })
    }
  }

  /** The reason goes out, then this side ends; what still comes is read and discarded until the socket is closed. */
  #refuse(fault: HandshakeFault): void {
    this.#pipe?.write([fault.write])
    this.#port.send({ type: 'connection.close', cause: cause('ERR_HANDSHAKE_FAILED', `${this.#remoteAddress} was refused: ${fault.reason}`) })
  }

  #answer(state: LinkCore): void {
    let confirmed
    try {
      confirmed = (this.#handshake as AcceptorHandshake).confirm(state)
    } catch {
      // A bug, and here it would be the listener's. It shows itself again when the connection confirms, and costs that alone.
      return
    }
    this.#answered = { rest: confirmed.rest, agreed: confirmed.agreed }
    this.#pipe?.write([confirmed.write])
  }

  #offer(): Offer {
    const claim = this.#claim as Claim
    return {
      claim,
      remoteAddress: this.#remoteAddress,
      judge: (state, hasOwnDialGreeted) => (this.#handshake as AcceptorHandshake).judge?.(state, hasOwnDialGreeted) ?? null,
      refusal: (name, message) => (this.#handshake as AcceptorHandshake).refusal?.(name, message) ?? null,
      refuse: (fault) => this.#refuse(fault),
      answer: (state) => this.#answer(state),
      take: () => {
        const pipe = this.#pipe
        if (pipe === null) return undefined
        this.#pipe = null
        pipe.handle(deaf)
        this.#port.send({ type: 'connection.handOn' })
        return { pipe, claim, handshake: this.#handshake as AcceptorHandshake, answered: this.#answered, deadlineAtMs: this.#handshakeDeadlineAtMs }
      },
    }
  }
}

/** The body behind a connection actor, for its link: bytes go by plain calls. */
export function connectionBody(ref: AnyActorRef): ConnectionBody | undefined {
  return bodyOf(ref) as ConnectionBody | undefined
}

export const connection: ChartLogic<ConnectionInput> = chartActor<ConnectionInput, ConnectionBody>({
  machine: connectionMachine,
  host: (input) => input.services,
  body: ConnectionBody,
  actions: connectionActions,
})
