/**
 * Owns: how a link closes a working connection in order: the exchange of Goodbyes, and the last bytes of this side.
 * Independent of: how connections are made, and of connections that are lost.
 */
import type { LinkLifecycle } from '../../protocol/link-core.ts'
import { goodbyeSilenceMs } from '../../protocol/native/epoch/goodbye.ts'
import { cause, errorOf } from '../base/causes.ts'
import type { Cause } from '../base/causes.ts'
import type { ActorPort } from '../statechart/chart-actor.ts'
import type { CurrentConnection } from './current-connection.ts'
import type { LinkDial } from './link-dial.ts'
import type { LinkPumps } from './link-pumps.ts'
import type { LinkTimer } from './link-timer.ts'

export interface LinkClosingOptions {
  readonly peer: string
  readonly state: LinkLifecycle
  readonly port: ActorPort
  readonly current: CurrentConnection
  readonly dial: LinkDial
  readonly pumps: LinkPumps
  readonly timer: LinkTimer
}

export class LinkClosing {
  readonly #options: LinkClosingOptions
  #cause: Cause | null = null

  constructor(options: LinkClosingOptions) {
    this.#options = options
  }

  /** Why the link is closing; null if it is not. */
  get cause(): Cause | null {
    return this.#cause
  }

  /**
   * Closes the link.
   * @param isUp whether the current connection is up
   */
  begin(reason: Cause, isUp: boolean): void {
    const { state, dial, pumps, current, port } = this.#options
    dial.closeClaim()
    pumps.out?.flush(true)
    const goodbye = isUp ? state.goodbye(reason.message) : null
    // After a Goodbye the state stays open to read what the peer sent before its answer. `finish` closes it.
    if (goodbye === null) state.close(errorOf(reason))
    this.#cause = reason
    if (current.id === null) port.send({ type: 'connection.closed', cause: reason, authenticated: true })
    else if (goodbye !== null) this.#writeLast(goodbye)
    else current.send({ type: 'connection.close', cause: reason })
  }

  /** Ends the connection with a Goodbye if it is up. The link and its state stay. */
  pause(reason: Cause, isUp: boolean): void {
    const { state, pumps, current } = this.#options
    if (current.id === null) return
    if (!isUp) return current.send({ type: 'connection.fail', cause: reason })
    pumps.out?.flush(true)
    this.#writeLast(state.goodbye(reason.message))
  }

  /** The link's actor has ended. */
  finish(): void {
    if (this.#cause !== null) this.#options.state.close(errorOf(this.#cause))
  }

  /**
   * Closes the connection because the peer violated the protocol, and sends the reason.
   * @returns false if the dialect cannot send a reason; nothing was done then
   */
  closeForViolation(reason: Cause): boolean {
    const goodbye = this.#options.state.protocolBroken(reason.message)
    if (goodbye === null) return false
    this.#options.dial.violated()
    this.#closeConnection(goodbye, reason)
    return true
  }

  /**
   * The peer sent a Goodbye.
   * @param text its reason, as the end of an error message
   */
  answerGoodbye(step: 'answer' | 'finish' | 'protocol-error', text: string): void {
    const { peer, state, pumps, current } = this.#options
    const saidGoodbye = cause('ERR_CONNECTION_LOST', `${peer} said Goodbye${text}`)
    if (step === 'answer') {
      pumps.out?.flush(true)
      current.body?.expectEnd(saidGoodbye)
      // The peer closes the connection after its last Ack.
      this.#writeLast(state.goodbye(''))
    } else if (step === 'finish') {
      // The peer answered this side's Goodbye, or both sides sent one at the same time. Report this side's reason.
      current.body?.setCloseTimeout(goodbyeSilenceMs)
      this.#closeConnection(state.finalAck(), this.#cause ?? saidGoodbye)
    } else {
      state.protocolBroken('')
      const reason = cause('ERR_CONNECTION_LOST', `${peer} reports that this side violated the protocol${text}`)
      this.#closeConnection(null, reason, 'wait')
    }
  }

  /** Writes the last bytes of this side on the current connection; the pump writes nothing after them. */
  #writeLast(bytes: Buffer | null): void {
    const { pumps, current, timer } = this.#options
    pumps.out?.detach()
    if (bytes !== null && bytes.length > 0) current.body?.writeLast(bytes)
    timer.set()
  }

  #closeConnection(bytes: Buffer | null, reason: Cause, retry?: Cause['retry']): void {
    const { pumps, current, dial } = this.#options
    this.#writeLast(bytes)
    pumps.into?.detach()
    dial.adjustBackoff(retry)
    current.send({ type: 'connection.close', cause: reason })
  }
}
