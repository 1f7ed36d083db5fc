/**
 * Owns: what an application holds of a session: send, receive, iterate, handle; deadlines and signals of its calls.
 * Refuses to know: links, connections, frames: to it a lane is an opaque handle.
 */
import { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import type { NetworkValue } from '../../codec/values.ts'
import type { ConnectionLostError, HandlerOptions, Lane, LaneHandler } from '../../protocol/lane.ts'
import type { LinkCore } from '../../protocol/link-core.ts'
import { ringAround } from '../../protocol/ampc/party-ring.ts'
import type { Ring } from '../../protocol/ampc/party-ring.ts'
import { bounded } from '../base/bounded.ts'
import type { CallOptions } from '../base/bounded.ts'
import { checkBoolean, checkCall, checkFunction, invalid } from '../base/checks.ts'
import type { SessionContext } from './session-context.ts'
import { SessionValues } from './session-values.ts'

export interface SendOptions extends CallOptions {
  /**
   * Hands the value's memory over instead of copying it, as `postMessage` does: its view is detached when the value is accepted.
   * For Bytes, VecRing16, VecRing32 and VecRing64 that own all of their memory.
   */
  readonly transfer?: boolean
}

const sendNames = ['signal', 'timeoutMs', 'transfer']

/** A session's lane to one peer, and the link state it rides on. */
export interface Channel {
  readonly lane: Lane
  readonly state: LinkCore
}

/** Keys for a pseudo-random function: one's own, which the next party has too, and that of the previous party. */
export interface PrfKeys {
  readonly mine: Uint8Array
  readonly previous: Uint8Array
}

export interface FlushOptions extends CallOptions {
  /** Whose acknowledgements to wait for; all peers of the session by default. */
  readonly peers?: readonly string[] | undefined
}

export interface SessionInput {
  readonly services: SessionContext
  readonly id: number
  readonly index: number
  readonly channels: ReadonlyMap<string, Channel>
  readonly prf: PrfKeys | null
  /** The session is over: it was closed here (null), or its last lane ended with this error. */
  readonly onClosed: (error: Error | null) => void
}

/** `await send` in the common case: accepted at once, so nothing is allocated. */
const accepted: Promise<void> = Promise.resolve()

/**
 * An ordered lane of typed values to each of its peers, which all parties open alike.
 *
 * `send` resolves when the value is accepted under back-pressure, not when it is delivered. The value is copied before `send`
 * returns, so its memory may be changed or reused at once; `{ transfer: true }` hands the memory over instead.
 */
export class Session {
  /** The number on the wire. */
  readonly id: number
  /** The place in its batch. */
  readonly index: number
  readonly peers: readonly string[]
  /** Who comes next and who came before in the order of identities. */
  readonly ring: Ring
  /** Keys agreed with the neighbours in the ring, when `makeSessions` was asked for them. */
  readonly prf: PrfKeys | null
  readonly #services: SessionContext
  readonly #channels: ReadonlyMap<string, Channel>
  readonly #onClosed: (error: Error | null) => void
  #liveLanes = 0
  /** Calls of `send` whose value is not accepted yet. */
  readonly #sending = new Map<Promise<void>, string>()
  #lastPeer: string | null = null
  #lastChannel: Channel | null = null
  #closed = false

  constructor(input: SessionInput) {
    this.id = input.id
    this.index = input.index
    this.peers = [...input.channels.keys()]
    this.ring = ringAround(input.services.options.identity, this.peers)
    this.prf = input.prf
    this.#services = input.services
    this.#channels = input.channels
    this.#onClosed = input.onClosed
    for (const { lane } of input.channels.values()) {
      if (lane.end !== null) continue
      this.#liveLanes++
      lane.onEnded = (error) => this.#laneEnded(error)
    }
  }

  /**
   * Byte path 1/12: a value for a peer. Resolves when accepted; waits while the link is down or blocked. Of a call that is not
   * awaited, misuse is an unhandled rejection; that it could not be sent any more is none: {@link ended} tells.
   * @throws StatewireError ERR_UNKNOWN_PEER, ERR_INVALID_VALUE, ERR_NOT_TRANSFERABLE (the view is not detached then),
   * ERR_SEND_QUEUE_FULL, ERR_SEND_TIMED_OUT (never handed to a connection: safe to send again), ERR_ABORTED, or why the session
   * is over
   */
  send(peer: string, value: NetworkValue, options?: SendOptions): Promise<void> {
    try {
      const channel = this.#channel(peer)
      if (options !== undefined) checkSend(options, 'send', sendNames)
      if (channel.state.trySend(channel.lane, value, options?.transfer)) return accepted
      return this.#waitToSend(channel, peer, value, options)
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  /**
   * As `send`, for a loop at full speed: false means that the value was not taken; await `send` of it instead.
   * @throws as `send`
   */
  trySend(peer: string, value: NetworkValue, options?: Pick<SendOptions, 'transfer'>): boolean {
    const channel = this.#channel(peer)
    if (options !== undefined) checkSend(options, 'trySend', ['transfer'])
    if (channel.lane.end !== null) throw channel.lane.end
    return channel.state.trySend(channel.lane, value, options?.transfer)
  }

  /** The same value to every peer of the session; resolves when all have accepted it. It is copied for each: no `transfer`. */
  async broadcast(value: NetworkValue, options?: CallOptions): Promise<void> {
    checkCall(options, 'broadcast')
    await Promise.all(this.peers.map((peer) => this.send(peer, value, options)))
  }

  /**
   * Resolves when everything sent so far to `peers` (default: all) has been acknowledged by their runtimes: it is in their
   * queues, or their handlers have returned or thrown.
   * @throws LinkResetError with the outcomes, or StatewireError ERR_SESSION_RESET if the peer closed the session before it
   * acknowledged everything: the rest was dropped, or its acknowledgement was not sent any more;
   * ERR_DIALECT_UNSUPPORTED (ampc acknowledges nothing), ERR_UNKNOWN_PEER, ERR_INVALID_OPTION, ERR_TIMED_OUT, ERR_ABORTED
   */
  async flush(options?: FlushOptions): Promise<void> {
    checkCall(options, 'flush', ['signal', 'timeoutMs', 'peers'])
    const { nowMs } = this.#services
    const startedAtMs = nowMs()
    const channels = this.#channelsOf(options?.peers)
    const sending = [...this.#sending].flatMap(([sent, peer]) => (channels.has(peer) ? [sent] : []))
    if (sending.length > 0) {
      await this.#bounded<void>(
        options,
        'ERR_TIMED_OUT',
        `what was sent before on session ${this.id} did not leave`,
        (resolve) => {
          // Whoever called send hears of those that fail.
          void Promise.allSettled(sending).then(() => resolve())
          return () => {}
        },
      )
    }
    const rest =
      options?.timeoutMs === undefined
        ? options
        : { ...options, timeoutMs: Math.max(0, Math.ceil(options.timeoutMs - (nowMs() - startedAtMs))) }
    const acked = (peer: string, { lane, state }: Channel): Promise<void> =>
      bounded<void>(
        this.#services,
        rest,
        'ERR_TIMED_OUT',
        `${peer} did not acknowledge what was sent on session ${this.id}`,
        (resolve, reject) => state.whenAcked(lane, resolve, reject),
      )
    await Promise.all([...channels].map(([peer, channel]) => acked(peer, channel)))
  }

  #channelsOf(peers: readonly string[] | undefined): ReadonlyMap<string, Channel> {
    if (peers === undefined) return this.#channels
    if (!Array.isArray(peers) || peers.length === 0)
      throw invalid(`peers of flush must be a list of at least one peer, got ${formatValue(peers)}`)
    return new Map((peers as readonly string[]).map((peer) => [peer, this.#channel(peer)]))
  }

  /**
   * Byte path 12/12: the next value of a peer, in order. Without `timeoutMs` it waits as long as the session lives.
   * @throws ConnectionLostError once for each broken connection, at its place between the values (mode `reconnect`);
   * StatewireError ERR_TIMED_OUT, ERR_ABORTED, ERR_HANDLER_SET, or why the session is over
   */
  receive(peer: string, options?: CallOptions): Promise<NetworkValue> {
    const channel = this.#channels.get(peer)
    if (channel === undefined) return Promise.reject(unknownPeer(peer, this.peers))
    try {
      checkCall(options, 'receive')
      const value = channel.lane.take()
      if (value !== undefined) return Promise.resolve(value)
    } catch (error) {
      return Promise.reject(error as Error)
    }
    return this.#bounded<NetworkValue>(
      options,
      'ERR_TIMED_OUT',
      `no value from ${peer} on session ${this.id}`,
      (resolve, reject) => channel.lane.wait({ resolve, reject }),
    )
  }

  /**
   * Iterates over the values of a peer. Ends normally when either side closes the session, drains the peer or shuts its
   * network down in an orderly way; `return` ends it at once and takes no value away.
   * @throws what `receive` throws: a loss, an abort, a handler that is set
   */
  values(peer: string, options?: { readonly signal?: AbortSignal | undefined }): SessionValues {
    const { lane } = this.#channel(peer)
    checkCall(options, 'values', ['signal'])
    return new SessionValues({
      context: this.#services,
      lane,
      what: `no value from ${peer} on session ${this.id}`,
      signal: options?.signal,
    })
  }

  /**
   * Full speed: every value by plain call, nothing queued. A handler that throws, or returns a promise that
   * rejects, ends this session's lane to this peer and nothing else. A `receive` that waits is rejected with ERR_HANDLER_SET; {@link ended} tells when no more come.
   */
  handle(peer: string, handler: LaneHandler | null, options?: HandlerOptions): void {
    const { lane, state } = this.#channel(peer)
    if (handler !== null) checkFunction(handler, 'the handler')
    checkCall(options, 'handle', ['onLost', 'borrow'])
    if (options?.onLost !== undefined) checkFunction(options.onLost, 'onLost')
    checkBoolean(options?.borrow, 'borrow')
    try {
      lane.setHandler(handler, options)
    } catch (error) {
      // It threw at a value that waited: as at any other, its lane ends and nothing else.
      state.closeLane(
        lane,
        new StatewireError(
          'ERR_HANDLER_FAILED',
          `the handler of session ${this.id} threw: ${error instanceof Error ? error.message : String(error)}`,
          { cause: error },
        ),
        true,
      )
    }
  }

  /** Hears of every broken connection at once; `receive` tells it at its place between the values. */
  onConnectionLost(listener: (peer: string, loss: ConnectionLostError) => void): void {
    checkFunction(listener, 'the listener of onConnectionLost')
    for (const [peer, { lane }] of this.#channels) lane.onLoss = (loss) => listener(peer, loss)
  }

  /**
   * Resolves, once the session with a peer is over, with why: LinkResetError with the outcomes of what was sent, or
   * StatewireError ERR_SESSION_RESET (the peer ended it), ERR_SESSION_CLOSED (this side did), ERR_HANDLER_FAILED and others. What
   * came before can still be received. Rejects for a peer that the session does not have.
   */
  ended(peer: string): Promise<Error> {
    const channel = this.#channels.get(peer)
    return channel === undefined ? Promise.reject(unknownPeer(peer, this.peers)) : channel.lane.whenEnded()
  }

  /** Unread values of a peer. */
  unread(peer: string): number {
    return this.#channel(peer).lane.unreadValues
  }

  /** Ends the session here. In the native dialect its peers hear ERR_SESSION_RESET; in ampc nobody is told. When the last session of a batch is closed, its connections end. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    const error = new StatewireError('ERR_SESSION_CLOSED', `session ${this.id} was closed`)
    for (const { lane, state } of this.#channels.values()) state.closeLane(lane, error, true)
    this.#onClosed(null)
  }

  /** False once every lane of it has ended. */
  get isLive(): boolean {
    return this.#liveLanes > 0
  }

  #laneEnded(error: Error): void {
    if (--this.#liveLanes === 0 && !this.#closed) this.#onClosed(error)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  toString(): string {
    return `session ${this.id} with ${this.peers.join(', ')}`
  }

  toJSON(): string {
    return `<session ${this.id}>`
  }

  #channel(peer: string): Channel {
    // Values go to one peer many times in a row: comparing a name with itself costs less than looking it up.
    if (peer === this.#lastPeer) return this.#lastChannel as Channel
    const channel = this.#channels.get(peer)
    if (channel === undefined) throw unknownPeer(peer, this.peers)
    this.#lastPeer = peer
    this.#lastChannel = channel
    return channel
  }

  #waitToSend(channel: Channel, peer: string, value: NetworkValue, options: SendOptions | undefined): Promise<void> {
    const timeoutMs = options?.timeoutMs ?? this.#services.options.limits.sendTimeoutMs
    const sending = this.#bounded<void>(
      { ...options, timeoutMs },
      'ERR_SEND_TIMED_OUT',
      `${peer} did not take a value of session ${this.id}`,
      (resolve, reject) => {
        const withdraw = channel.state.waitToSend(channel.lane, value, resolve, reject, options?.transfer)
        return () => void withdraw()
      },
      () => this.#services.explainNotSent(peer, channel.state.isConnected),
    )
    const settled = (): void => void this.#sending.delete(sending)
    this.#sending.set(sending, peer)
    sending.then(settled, settled)
    return sending
  }

  #bounded<T>(
    options: CallOptions | undefined,
    code: 'ERR_TIMED_OUT' | 'ERR_SEND_TIMED_OUT',
    what: string,
    start: (resolve: (value: T) => void, reject: (error: Error) => void) => () => void,
    why?: () => string,
  ): Promise<T> {
    return bounded(this.#services, options, code, what, start, why)
  }
}

function checkSend(options: object, call: string, names: readonly string[]): void {
  checkCall(options, call, names)
  checkBoolean((options as SendOptions).transfer, `transfer of ${call}`)
}

function unknownPeer(peer: unknown, peers: readonly string[]): StatewireError {
  return new StatewireError(
    'ERR_UNKNOWN_PEER',
    `${formatValue(peer)} is not a peer of this session; there are: ${peers.join(', ')}`,
  )
}
