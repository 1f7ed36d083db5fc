/**
 * Owns: a session as the application uses it: send, receive, iterate, handle; timeouts and abort signals of its calls.
 * Independent of: links, connections and frames; a lane is an opaque handle.
 */
import { encodedLength } from '../../codec/encode-value.ts'
import { peerKeyOf } from '../base/peer-ref.ts'
import type { PeerRef } from '../base/peer-ref.ts'
import { sendToAll } from '../base/send-to-all.ts'
import type { Need, SendResults } from '../base/send-to-all.ts'
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
   * Hands the value's memory over instead of copying it, as `postMessage` does: its view is detached once the value is
   * accepted. For Bytes, VecRing16, VecRing32 and VecRing64 that own all of their memory.
   */
  readonly transfer?: boolean
}

const sendNames = ['signal', 'timeoutMs', 'transfer']

/** A session's lane to one peer, and the link state that carries it. */
export interface Channel {
  readonly lane: Lane
  readonly state: LinkCore
}

/**
 * Keys for a pseudo-random function: `mine` is shared with the next party in the ring, `previous` with the previous
 * one.
 */
export interface PrfKeys {
  readonly mine: Uint8Array
  readonly previous: Uint8Array
}

export interface FlushOptions extends CallOptions {
  /** The peers whose acknowledgements to wait for; all peers of the session by default. */
  readonly peers?: readonly string[] | undefined
}

export interface SessionInput {
  readonly context: SessionContext
  readonly id: string
  readonly index: number
  readonly channels: ReadonlyMap<string, Channel>
  readonly prf: PrfKeys | null
  /** Called when the session is over: it was closed here (null), or its last lane ended with this error. */
  readonly onClosed: (error: Error | null) => void
}

/** Returned by `send` if the value is accepted immediately, so that nothing is allocated. */
const accepted: Promise<void> = Promise.resolve()

/**
 * A session: an ordered channel of typed values to each of its peers. All parties create it together.
 *
 * `send` resolves when the value is accepted under back-pressure, not when it is delivered. The value is copied before
 * `send` returns, so its memory can be reused immediately; `{ transfer: true }` hands the memory over instead.
 *
 * ```ts
 * const [session] = await network.makeSessions({ count: 1 })
 * await session.send('bob', { type: 'Bytes', value: Buffer.from('hello') })
 * const reply = await session.receive('bob', { timeoutMs: 5_000 })
 * ```
 */
export class Session {
  /**
   * Native: the same text at all parties of the session, and at no other session. In ampc its number on the wire, as
   * text.
   */
  readonly id: string
  /** The position in its `makeSessions` call, from 0. */
  readonly index: number
  readonly peers: readonly string[]
  /** The next and the previous party, in the order of identities. */
  readonly ring: Ring
  /** Keys agreed with the neighbours in the ring, if `makeSessions` was called with `agreePrfKeys`. */
  readonly prf: PrfKeys | null
  readonly #context: SessionContext
  readonly #channels: ReadonlyMap<string, Channel>
  readonly #onClosed: (error: Error | null) => void
  #liveLanes = 0
  /** Pending calls of `send`, by peer. */
  readonly #sending = new Map<Promise<void>, string>()
  #lastPeer: PeerRef | null = null
  #lastChannel: Channel | null = null
  #closed = false

  constructor(input: SessionInput) {
    this.id = input.id
    this.index = input.index
    this.peers = [...input.channels.keys()]
    this.ring = ringAround(input.context.options.identity, this.peers)
    this.prf = input.prf
    this.#context = input.context
    this.#channels = input.channels
    this.#onClosed = input.onClosed
    for (const { lane } of input.channels.values()) {
      if (lane.end !== null) continue
      this.#liveLanes++
      lane.onEnded = (error) => this.#laneEnded(error)
    }
  }

  /**
   * Sends a value to a peer. Resolves when the value is accepted, and waits while the connection is down or blocked.
   *
   * In the native dialect a value of more than 64 KiB leaves in Pieces, and is accepted with its last. Once the first
   * has left, the value is not withdrawn: `signal` and `timeoutMs` have no effect any more, and the call settles when
   * the value is accepted or the session ends. Closing the session drops the rest.
   *
   * If you do not await the call, misuse surfaces as an unhandled rejection. A failed delivery does not; use {@link
   * ended}.
   * @throws StatewireError ERR_UNKNOWN_PEER, ERR_INVALID_VALUE, ERR_NOT_TRANSFERABLE (the view is not detached then),
   *   ERR_SEND_QUEUE_FULL, ERR_SEND_TIMED_OUT (never handed to a connection: safe to send again), ERR_ABORTED, or the
   *   error that ended the session
   */
  send(peer: PeerRef, value: NetworkValue, options?: SendOptions): Promise<void> {
    // Life of a byte 1/12.
    try {
      const channel = this.#channel(peer)
      if (options !== undefined) checkSend(options, 'send', sendNames)
      if (channel.state.trySend(channel.lane, value, options?.transfer, true)) return accepted
      return this.#waitToSend(channel, peerKeyOf(peer), value, options)
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  /**
   * Sends a value if it can be accepted immediately, for loops at full speed. Otherwise returns false: await `send`
   * instead. A value of more than 64 KiB (native) is accepted with its first Piece; if you close the session before
   * `flush` has resolved, the rest may be dropped.
   * @throws like `send`
   */
  trySend(peer: PeerRef, value: NetworkValue, options?: Pick<SendOptions, 'transfer'>): boolean {
    const channel = this.#channel(peer)
    if (options !== undefined) checkSend(options, 'trySend', ['transfer'])
    if (channel.lane.end !== null) throw channel.lane.end
    return channel.state.trySend(channel.lane, value, options?.transfer)
  }

  /**
   * Sends the same value to every peer of the session. The result says for each peer whether it was accepted; the call
   * does not reject because of one peer. With `need` it resolves as soon as so many have accepted.
   * @throws QuorumError ERR_QUORUM with all results, if `need` cannot be reached; StatewireError ERR_INVALID_OPTION,
   *   ERR_INVALID_VALUE
   */
  async broadcast(
    value: NetworkValue,
    options?: CallOptions & { readonly need?: Need | undefined },
  ): Promise<SendResults> {
    checkCall(options, 'broadcast', ['signal', 'timeoutMs', 'need'])
    const { need, ...call } = options ?? {}
    // A value that no peer can be sent is the caller's mistake, and is found before the first is sent.
    encodedLength(value)
    return sendToAll(this.peers, need, 'broadcast', (index) => {
      const peer = this.peers[index]!
      const channel = this.#channel(peer)
      if (channel.lane.end !== null) throw channel.lane.end
      if (channel.state.trySend(channel.lane, value, false, true)) return null
      return this.#waitToSend(channel, peer, value, call)
    })
  }

  /**
   * Resolves when the runtimes of `peers` (default: all) have acknowledged everything sent so far: the values are in
   * their queues, or their handlers have returned or thrown.
   * @throws LinkResetError with the outcomes; StatewireError ERR_SESSION_RESET if the peer closed the session before it
   *   had acknowledged everything (the rest was dropped, or its acknowledgement was not sent); ERR_DIALECT_UNSUPPORTED
   *   (ampc has no acknowledgements), ERR_UNKNOWN_PEER, ERR_INVALID_OPTION, ERR_TIMED_OUT, ERR_ABORTED
   */
  async flush(options?: FlushOptions): Promise<void> {
    checkCall(options, 'flush', ['signal', 'timeoutMs', 'peers'])
    const { nowMs } = this.#context
    const startedAtMs = nowMs()
    const channels = this.#channelsOf(options?.peers)
    const sending = [...this.#sending].flatMap(([sent, peer]) => (channels.has(peer) ? [sent] : []))
    if (sending.length > 0) {
      await this.#bounded<void>(
        options,
        'ERR_TIMED_OUT',
        `earlier values of session ${this.id} were not accepted`,
        (resolve) => {
          // A failed send rejects for its own caller.
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
        this.#context,
        rest,
        'ERR_TIMED_OUT',
        `${peer} did not acknowledge everything sent on session ${this.id}`,
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
   * Returns the next value of a peer, in order. Without `timeoutMs` it waits for as long as the session lives.
   * @throws ConnectionLostError once for each broken connection, at its place between the values (mode `reconnect`);
   *   StatewireError ERR_TIMED_OUT, ERR_ABORTED, ERR_HANDLER_SET, or the error that ended the session
   */
  receive(peer: PeerRef, options?: CallOptions): Promise<NetworkValue> {
    let channel: Channel
    // Life of a byte 12/12.
    try {
      channel = this.#channel(peer)
      checkCall(options, 'receive')
      const value = channel.lane.take()
      if (value !== undefined) return Promise.resolve(value)
    } catch (error) {
      return Promise.reject(error as Error)
    }
    return this.#bounded<NetworkValue>(
      options,
      'ERR_TIMED_OUT',
      `no value from ${String(peer)} on session ${this.id}`,
      (resolve, reject) => channel.lane.wait({ resolve, reject }),
    )
  }

  /**
   * Iterates over the values of a peer. Ends normally when either side closes the session, drains the peer or shuts its
   * network down. `return` ends it immediately and leaves unread values in place.
   * @throws what `receive` throws: lost values, an abort, a handler that is set
   */
  values(peer: PeerRef, options?: { readonly signal?: AbortSignal | undefined }): SessionValues {
    const { lane } = this.#channel(peer)
    checkCall(options, 'values', ['signal'])
    return new SessionValues({
      context: this.#context,
      lane,
      what: `no value from ${String(peer)} on session ${this.id}`,
      signal: options?.signal,
    })
  }

  /**
   * Calls `handler` for every value of a peer, synchronously and without queueing: the fastest way to read. Null
   * removes it.
   *
   * A handler that throws, or returns a promise that rejects, ends the session with this peer and nothing else. A
   * pending `receive` rejects with ERR_HANDLER_SET. Use {@link ended} to learn when no more values come.
   */
  handle(peer: PeerRef, handler: LaneHandler | null, options?: HandlerOptions): void {
    const { lane } = this.#channel(peer)
    if (handler !== null) checkFunction(handler, 'the handler')
    checkCall(options, 'handle', ['onLost', 'borrow'])
    if (options?.onLost !== undefined) checkFunction(options.onLost, 'onLost')
    checkBoolean(options?.borrow, 'borrow')
    lane.setHandler(handler, options)
  }

  /**
   * Calls `listener` as soon as a connection breaks. `receive` reports the same loss at its place between the values.
   */
  onConnectionLost(listener: (peer: string, loss: ConnectionLostError) => void): void {
    checkFunction(listener, 'the listener of onConnectionLost')
    for (const [peer, { lane }] of this.#channels) lane.onLoss = (loss) => listener(peer, loss)
  }

  /**
   * Resolves with the error that ended the session with a peer, once it is over. Values received before can still be
   * read.
   *
   * The error is a LinkResetError with the outcomes of what was sent, or a StatewireError: ERR_SESSION_RESET (the peer
   * ended it), ERR_SESSION_CLOSED (this side did), ERR_HANDLER_FAILED and others.
   * @throws StatewireError ERR_UNKNOWN_PEER if the peer is not part of the session
   */
  ended(peer: PeerRef): Promise<Error> {
    try {
      return this.#channel(peer).lane.whenEnded()
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  /** The number of unread values of a peer. */
  unread(peer: PeerRef): number {
    return this.#channel(peer).lane.unreadValues
  }

  /**
   * Closes the session. In the native dialect its peers get ERR_SESSION_RESET; in ampc they are not notified. In mode
   * `fail`, closing the last session of a `makeSessions` call also closes its connections.
   */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    const error = new StatewireError('ERR_SESSION_CLOSED', `session ${this.id} was closed`)
    for (const { lane, state } of this.#channels.values()) state.closeLane(lane, error, true)
    this.#onClosed(null)
  }

  /** False once every lane has ended. */
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

  #channel(peer: PeerRef): Channel {
    // Many values in a row go to the same peer: comparing a name with itself is cheaper than a lookup.
    if (peer === this.#lastPeer) return this.#lastChannel as Channel
    const channel = this.#channels.get(typeof peer === 'string' ? peer : peerKeyOf(peer))
    if (channel === undefined) throw unknownPeer(peer, this.peers)
    this.#lastPeer = peer
    this.#lastChannel = channel
    return channel
  }

  #waitToSend(channel: Channel, peer: string, value: NetworkValue, options: SendOptions | undefined): Promise<void> {
    const timeoutMs = options?.timeoutMs ?? this.#context.options.limits.sendTimeoutMs
    const sending = this.#bounded<void>(
      { ...options, timeoutMs },
      'ERR_SEND_TIMED_OUT',
      `${peer} did not accept a value of session ${this.id}`,
      (resolve, reject) => channel.state.waitToSend(channel.lane, value, resolve, reject, options?.transfer),
      () => this.#context.explainNotSent(peer, channel.state.isConnected),
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
    start: (resolve: (value: T) => void, reject: (error: Error) => void) => () => boolean | void,
    why?: () => string,
  ): Promise<T> {
    return bounded(this.#context, options, code, what, start, why)
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
