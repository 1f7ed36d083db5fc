/**
 * Owns: messages and requests of one network: its handlers, its calls, and which link carries them.
 * Independent of: how a link carries them (protocol/native/messages/), and of sessions.
 */
import { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import type { Exchange, ExchangeReceiver, HeldMessage, IncomingRequest } from '../../protocol/exchange.ts'
import { LinkResetError } from '../../protocol/native/lanes/native-lane.ts'
import { onAbort } from '../base/abort-listeners.ts'
import { bounded } from '../base/bounded.ts'
import type { CallOptions } from '../base/bounded.ts'
import { cause, causeOf } from '../base/causes.ts'
import type { Cause } from '../base/causes.ts'
import { checkBoolean, checkCall, checkFunction } from '../base/checks.ts'
import { peerIdOf } from '../base/peer-ref.ts'
import type { PeerRef } from '../base/peer-ref.ts'
import type { PeerTable } from '../config/peer-table.ts'
import type { SessionContext, WaitingCall } from '../session/session-context.ts'
import { sendToAll } from '../base/send-to-all.ts'
import type { Need, SendResults } from '../base/send-to-all.ts'
import { Names, outgoing, tooLong } from './content.ts'
import type { Headers } from './content.ts'
import { MessageHandlers, MessageIterator } from './message-handlers.ts'
import type { Message, MessageHandler } from './message-handlers.ts'
import { RequestCall } from './request-call.ts'
import type { Reply } from './request-call.ts'
import { RequestError } from './request-error.ts'
import { RequestHandlers } from './request-handlers.ts'
import type { RequestHandler, RequestHandlerOptions } from './request-handlers.ts'

export interface MessageOptions extends CallOptions {
  /** The name under which the peer handles it; `''` by default. At most 255 bytes of UTF-8. */
  readonly name?: string | undefined
  /** Text by text, at most 8 KiB encoded. */
  readonly headers?: Headers | undefined
}

export interface SendMessageOptions extends MessageOptions {
  /** Hands the memory of `bytes` over instead of copying it; the view is detached. */
  readonly transfer?: boolean | undefined
}

export type RequestOptions = MessageOptions

export interface MulticastOptions extends MessageOptions {
  /** How many peers must accept the message; without it the call never rejects because of a peer. */
  readonly need?: Need | undefined
}

export interface BroadcastOptions extends MulticastOptions {
  /** Peers that do not get it. */
  readonly except?: readonly PeerRef[] | undefined
}

export interface MessagingContext extends SessionContext {
  readonly peers: PeerTable
  /** Something is to be sent to the peer: it is connected if it is connected on demand. */
  wantPeer(peer: string): void
}

const messageNames = ['name', 'headers', 'signal', 'timeoutMs']
const sendNames = [...messageNames, 'transfer']
const accepted = Promise.resolve()

export class Messaging {
  readonly #context: MessagingContext
  readonly #names = new Names()
  readonly messages: MessageHandlers
  readonly requests: RequestHandlers
  /** Of link 0 of each peer. */
  readonly #exchanges = new Map<string, Exchange>()
  /** Requests of this side that are not settled. */
  readonly #calls = new Set<RequestCall>()
  readonly #waiting: WaitingCall
  /** Why nothing new is accepted; null while it is. */
  #end: Error | null = null
  #isOver = false

  constructor(context: MessagingContext) {
    this.#context = context
    const onFailed = (peer: string, name: string, error: unknown): void => {
      const reason = causeOf(error, 'ERR_HANDLER_FAILED', `the handler of ${JSON.stringify(name)} threw: `)
      context.emit({ type: 'handler.failed', peer, link: 'link:0', session: null, name, cause: reason })
    }
    const { limits } = context.options
    this.messages = new MessageHandlers({
      messageBytesMax: limits.messageBytesMax,
      onOverrun: (peer, name) =>
        context.emit({
          type: 'message.dropped',
          peer,
          cause: cause(
            'ERR_RECEIVE_QUEUE_FULL',
            `messages(${JSON.stringify(name)}) is not read: its messages are dropped`,
          ),
        }),
      onFailed,
      onUnhandled: (peer, name, lengthBytes) => context.emit({ type: 'message.unhandled', peer, name, lengthBytes }),
    })
    this.requests = new RequestHandlers({
      clock: context.environment.clock,
      wheel: context.wheel,
      requestsMax: limits.requestsMax,
      messageBytesMax: limits.messageBytesMax,
      permit: (peer, name) => context.options.permit === null || context.options.permit(peer, name),
      onFailed,
    })
    this.#waiting = {
      get peers() {
        return context.peers.ids()
      },
      connectFailed: (peer, reason) => this.#connectFailed(peer, reason),
    }
    for (const peer of context.peers.ids()) this.#attach(peer)
    context.peers.onChange({
      added: ({ id }) => this.#attach(id),
      removed: ({ id }) => void this.#exchanges.delete(id),
    })
  }

  #attach(peer: string): void {
    const exchange = this.#context.baseLinks.of(peer)[0]?.state.exchange ?? null
    if (exchange === null) return
    this.#exchanges.set(peer, exchange)
    const hold = (): HeldMessage => exchange.holdMessage()
    const receiver: ExchangeReceiver = {
      onMessage: (name, headers, bytes) => this.messages.take(peer, name, headers, bytes, hold),
      onBadMessage: (why) =>
        this.#context.emit({ type: 'message.dropped', peer, cause: cause('ERR_INVALID_VALUE', why) }),
      onRequest: (request: IncomingRequest) => this.requests.run(peer, request),
    }
    exchange.setReceiver(receiver)
  }

  #exchange(peer: string): Exchange | null {
    return this.#exchanges.get(peer) ?? null
  }

  /** @throws StatewireError ERR_UNKNOWN_PEER, ERR_PEER_REMOVED, ERR_DIALECT_UNSUPPORTED, ERR_NETWORK_STOPPED */
  exchangeOf(ref: PeerRef, call: string): { readonly peer: string; readonly exchange: Exchange } {
    this.check(call)
    const peer = typeof ref === 'string' ? ref : peerIdOf(ref)
    const exchange = this.#exchanges.get(peer)
    const { options, peers } = this.#context
    if (exchange !== undefined && peers.has(peer)) {
      if (!exchange.isUp) this.#context.wantPeer(peer)
      return { peer, exchange }
    }
    const which = peer === options.identity ? 'this side itself' : 'not a peer of this network'
    throw new StatewireError(
      'ERR_UNKNOWN_PEER',
      `${formatValue(peer)} is ${which}; there are: ${peers.ids().join(', ') || 'none'}`,
    )
  }

  /** @throws StatewireError ERR_DIALECT_UNSUPPORTED, ERR_NETWORK_STOPPED */
  check(call: string): void {
    if (this.#context.options.dialect !== 'native')
      throw new StatewireError(
        'ERR_DIALECT_UNSUPPORTED',
        `the ampc dialect has no messages, requests and streams, so ${call} is not supported; use a session`,
      )
    if (this.#end !== null) throw this.#end
  }

  send(ref: PeerRef, bytes: Uint8Array | string, options?: SendMessageOptions): Promise<void> {
    try {
      const { peer, exchange } = this.exchangeOf(ref, 'send')
      checkCall(options, 'send', sendNames)
      checkBoolean(options?.transfer, 'transfer of send')
      const message = outgoing(this.#names, bytes, options, 'a message')
      const ownership = options?.transfer === true ? 'transfer' : 'copy'
      if (exchange.trySend(message, ownership)) return accepted
      return this.waitToSend(peer, options, (resolve, reject) =>
        exchange.waitToSend(message, ownership, resolve, reject),
      )
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  /** Encoded once; all links share the copy. */
  multicast(
    refs: readonly PeerRef[],
    bytes: Uint8Array | string,
    options: MulticastOptions,
    call: string,
  ): Promise<SendResults> {
    const { need, signal, timeoutMs, ...content } = options
    const message = outgoing(this.#names, bytes, content, 'a message')
    const { messageBytesMax } = this.#context.options.limits
    if (message.bytes.length > messageBytesMax) throw tooLong(message.bytes.length, messageBytesMax, 'a message')
    const shared = { ...message, bytes: typeof bytes === 'string' ? message.bytes : Buffer.from(message.bytes) }
    const peers: string[] = []
    const exchanges: Exchange[] = []
    for (const ref of refs) {
      const { peer, exchange } = this.exchangeOf(ref, call)
      peers.push(peer)
      exchanges.push(exchange)
    }
    return sendToAll(peers, need, call, (index) => {
      const exchange = exchanges[index]!
      if (exchange.trySend(shared, 'shared')) return null
      return this.waitToSend(peers[index]!, { signal, timeoutMs }, (resolve, reject) =>
        exchange.waitToSend(shared, 'shared', resolve, reject),
      )
    })
  }

  /** A message that could not be accepted at once. Every failure means that it was not sent. */
  async waitToSend(
    peer: string,
    options: CallOptions | undefined,
    start: (resolve: () => void, reject: (error: Error) => void) => () => boolean,
  ): Promise<void> {
    const context = this.#context
    const exchange = this.#exchange(peer)
    const timeoutMs = options?.timeoutMs ?? context.options.limits.sendTimeoutMs
    const fatal = exchange?.isUp === false ? context.fatalCauseOf(peer) : null
    if (fatal !== null) throw new StatewireError(fatal.code, `the message to ${peer} was not sent: ${fatal.message}`)
    const waiting: WaitingCall = { peers: [peer], connectFailed: () => {} }
    try {
      await bounded<void>(
        context,
        { signal: options?.signal, timeoutMs },
        'ERR_SEND_TIMED_OUT',
        `${peer} did not accept a message`,
        (resolve, reject) => {
          const withdraw = start(resolve, reject)
          waiting.connectFailed = (_, { code, message }) => {
            if (exchange?.isUp === true || !withdraw()) return
            reject(new StatewireError(code, `the message to ${peer} was not sent: ${message}`))
          }
          context.waitingCalls.add(waiting)
          return withdraw
        },
        () => context.explainNotSent(peer, exchange?.isUp === true),
      )
    } catch (error) {
      throw error instanceof LinkResetError
        ? new StatewireError('ERR_LINK_RESET', `the message to ${peer} was not sent (${error.reason})`, {
            cause: error,
          })
        : error
    } finally {
      context.waitingCalls.delete(waiting)
    }
  }

  onMessage(name: string, handler: MessageHandler): () => void {
    this.check('onMessage')
    checkFunction(handler, 'the handler of onMessage')
    return this.messages.add(name, handler)
  }

  iterate(name: string, options: { readonly signal?: AbortSignal | undefined } = {}): MessageIterator {
    this.check('messages')
    checkCall(options, 'messages', ['signal'])
    const iterator = new MessageIterator()
    const remove = this.messages.add(name, iterator)
    const { signal } = options
    const isAborted = signal?.aborted === true
    const removeAbort = signal === undefined || isAborted ? null : onAbort(signal, () => iterator.end())
    iterator.onEnd = () => {
      remove()
      removeAbort?.()
    }
    if (isAborted) iterator.end()
    return iterator
  }

  onRequest(name: string, handler: RequestHandler, options?: RequestHandlerOptions): () => void {
    this.check('onRequest')
    checkFunction(handler, 'the handler of onRequest')
    checkCall(options, 'onRequest', ['concurrency'])
    return this.requests.add(name, handler, options)
  }

  request(ref: PeerRef, bytes: Uint8Array | string, options?: RequestOptions): Promise<Reply> {
    try {
      checkCall(options, 'request', messageNames)
      return this.begin(ref, bytes, options).promise
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  /**
   * Begins a request, whose options were checked. @param isReserved the name may belong to the runtime
   * @throws what is wrong with the arguments
   */
  begin(ref: PeerRef, bytes: Uint8Array | string, options: RequestOptions = {}, isReserved = false): RequestCall {
    const { peer, exchange } = this.exchangeOf(ref, 'request')
    const { limits } = this.#context.options
    const name = options.name ?? ''
    const message = outgoing(this.#names, bytes, options, 'a request', isReserved)
    if (message.bytes.length > limits.messageBytesMax)
      throw tooLong(message.bytes.length, limits.messageBytesMax, 'a request')
    const { signal } = options
    if (signal?.aborted === true)
      throw new RequestError('ERR_CANCELLED', `the request to ${peer} was cancelled before it began`, {
        outcome: 'notSent',
        peer,
        cause: signal.reason,
      })
    if (exchange.outstanding >= 2 * limits.requestsMax)
      throw new RequestError('ERR_SEND_QUEUE_FULL', `${exchange.outstanding} requests to ${peer} wait already`, {
        outcome: 'notSent',
        peer,
      })
    const call = new RequestCall({
      peer,
      name,
      message,
      exchange,
      wheel: this.#context.wheel,
      nowMs: this.#context.nowMs,
      timeoutMs: options.timeoutMs ?? limits.requestTimeoutMs,
      signal,
      explain: () => (exchange.isUp ? '' : this.#context.explainNotConnected(peer)),
      onSettled: (settled) => this.#settled(settled),
    })
    this.#calls.add(call)
    if (this.#calls.size === 1) this.#context.waitingCalls.add(this.#waiting)
    const fatal = exchange.isUp ? null : this.#context.fatalCauseOf(peer)
    if (fatal === null) call.send()
    else call.connectFailed(fatal)
    return call
  }

  #settled(call: RequestCall): void {
    this.#calls.delete(call)
    if (this.#calls.size === 0) this.#context.waitingCalls.delete(this.#waiting)
  }

  #connectFailed(peer: string, reason: Cause): void {
    if (this.#exchange(peer)?.isUp === true) return
    for (const call of this.#calls) if (call.peer === peer) call.connectFailed(reason)
  }

  /** Nothing new is sent, and no handler of a request is called any more. What runs may still be answered. */
  drain(error: Error): void {
    this.#end ??= error
    this.requests.refusal = 'this side is shutting down'
  }

  /** The network has ended. */
  end(error: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#end ??= error
    this.messages.end()
    this.requests.end()
    for (const call of this.#calls) call.onAnswer({ status: 'lost', outcome: 'unknown', error })
  }
}

export type { Message }
