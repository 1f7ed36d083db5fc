/**
 * Owns: the part of the facade for messages and requests.
 * Independent of: how they travel (../messaging/), sessions, and the lifecycle of the network.
 */
import type { CallOptions } from '../base/bounded.ts'
import type { Methods, ServiceDefinition } from '../services/define-service.ts'
import type { Implementation } from '../services/implementation.ts'
import type { Client } from '../services/service-calls.ts'
import type { ServiceInfo } from '../services/service-list.ts'
import type { PeerRef } from '../base/peer-ref.ts'
import { peerIdOf } from '../base/peer-ref.ts'
import { checkCall } from '../base/checks.ts'
import type { SendResults } from '../base/send-to-all.ts'
import type { Message, MessageHandler } from '../messaging/message-handlers.ts'
import type { BroadcastOptions, MulticastOptions, RequestOptions, SendMessageOptions } from '../messaging/messaging.ts'
import type { Reply } from '../messaging/request-call.ts'
import type { RequestHandler, RequestHandlerOptions } from '../messaging/request-handlers.ts'
import { checkPeerList, Replies, requestAny, requestAnyNames, requestManyNames } from '../messaging/several-peers.ts'
import type { PeerReply, RequestAnyOptions, RequestManyOptions } from '../messaging/several-peers.ts'
import type { Services } from './services.ts'

const multicastNames = ['name', 'headers', 'need', 'signal', 'timeoutMs']

export abstract class NetworkMessages {
  /** @internal */
  protected readonly internals: Services

  protected constructor(services: Services) {
    this.internals = services
  }

  /**
   * Sends a message to a peer. Resolves when it is accepted under back-pressure, not when it is delivered; every
   * failure means that it was not sent. Native only.
   *
   * ```ts
   * await network.send(bob, 'new block', { name: 'blocks.new' })
   * ```
   * @param bytes at most `limits.messageBytesMax` (1 MiB); text is sent as UTF-8. They are copied.
   * @throws StatewireError ERR_UNKNOWN_PEER, ERR_PEER_REMOVED, ERR_INVALID_VALUE, ERR_INVALID_OPTION,
   *   ERR_NOT_TRANSFERABLE, ERR_SEND_TIMED_OUT, ERR_SEND_QUEUE_FULL, ERR_ABORTED, ERR_LINK_RESET, ERR_NETWORK_STOPPED,
   *   ERR_DIALECT_UNSUPPORTED, or the cause that prevents a connection to the peer
   */
  send(peer: PeerRef, bytes: Uint8Array | string, options?: SendMessageOptions): Promise<void> {
    return this.internals.messaging.send(peer, bytes, options)
  }

  /**
   * Calls the handler synchronously with every message of this name, from any peer; `''` is the default name. A handler
   * that throws is reported as `handler.failed` and has no other effect.
   * @returns a function that removes the handler
   * @throws StatewireError ERR_HANDLER_EXISTS, ERR_INVALID_OPTION, ERR_NETWORK_STOPPED, ERR_DIALECT_UNSUPPORTED
   */
  onMessage(name: string, handler: MessageHandler): () => void {
    return this.internals.messaging.onMessage(name, handler)
  }

  /**
   * Iterates over the messages of this name, from any peer, and ends with the network. Unread messages use up the
   * credit of their sender: its further messages wait, its requests and sessions do not.
   * @throws StatewireError as {@link onMessage}
   */
  messages(name: string, options: { readonly signal?: AbortSignal | undefined } = {}): AsyncIterableIterator<Message> {
    return this.internals.messaging.iterate(name, options)
  }

  /**
   * Sends a request and waits for its answer. The handler of the peer runs at most once, however many connections are
   * lost meanwhile. A request without a `timeoutMs` has `limits.requestTimeoutMs` (30 s).
   *
   * ```ts
   * const { bytes } = await network.request(bob, '42', { name: 'blocks.get', timeoutMs: 2_000 })
   * ```
   * @throws RequestError, whose `outcome` says whether a handler may have run: ERR_NO_HANDLER, ERR_REFUSED,
   *   ERR_TOO_LATE, ERR_REMOTE (what the handler threw, as data in `remote`), ERR_CANCELLED, ERR_TIMED_OUT,
   *   ERR_LINK_RESET, ERR_SEND_QUEUE_FULL. StatewireError for invalid arguments, as {@link send}
   */
  request(peer: PeerRef, bytes: Uint8Array | string, options?: RequestOptions): Promise<Reply> {
    return this.internals.messaging.request(peer, bytes, options)
  }

  /**
   * Answers the requests of this name with what the handler returns: bytes or text. What it throws reaches the caller
   * as data: `code`, `message`, and `data` if that is bytes. `signal`, `deadline` and `headers` are made when they are
   * read.
   * @returns a function that removes the handler
   * @throws StatewireError as {@link onMessage}
   */
  onRequest(name: string, handler: RequestHandler, options?: RequestHandlerOptions): () => void {
    return this.internals.messaging.onRequest(name, handler, options)
  }

  /**
   * Sends a request to the peer with the fewest outstanding requests, then the shortest round trip. Where no handler
   * can have run, the next peer is asked; with `idempotent: true` also where one may have.
   * @throws RequestError of the only peer; AllPeersFailedError ERR_ALL_PEERS_FAILED with the error of each
   */
  async requestAny(
    peers: readonly PeerRef[],
    bytes: Uint8Array | string,
    options: RequestAnyOptions = {},
  ): Promise<Reply> {
    checkCall(options, 'requestAny', requestAnyNames)
    const { messaging, options: own, nowMs } = this.internals
    const timeoutMs = options.timeoutMs ?? own.limits.requestTimeoutMs
    return requestAny(messaging, nowMs, peers, bytes, { ...options, timeoutMs })
  }

  /**
   * Sends a request to all these peers and iterates over answers and failures as they come. Ends, and cancels the rest,
   * when there are enough answers.
   *
   * ```ts
   * for await (const reply of network.requestMany(peers, query, { name: 'vote', need: 3 })) …
   * ```
   * @throws StatewireError ERR_ABORTED from the iterator; for invalid arguments at once
   */
  requestMany(
    peers: readonly PeerRef[],
    bytes: Uint8Array | string,
    options: RequestManyOptions = {},
  ): AsyncIterableIterator<PeerReply> {
    checkCall(options, 'requestMany', requestManyNames)
    return new Replies(this.internals.messaging, this.internals.wheel, peers, bytes, options)
  }

  /**
   * Sends one message to all these peers, encoded once. The result says for each peer whether it was accepted; the call
   * does not reject because of one peer. With `need` it resolves as soon as so many have accepted.
   * @throws QuorumError ERR_QUORUM with all results, if `need` cannot be reached; StatewireError as {@link send}
   */
  async multicast(
    peers: readonly PeerRef[],
    bytes: Uint8Array | string,
    options: MulticastOptions = {},
  ): Promise<SendResults> {
    checkCall(options, 'multicast', multicastNames)
    return this.internals.messaging.multicast(checkPeerList(peers, 'multicast'), bytes, options, 'multicast')
  }

  /** As {@link multicast}, to every peer of the network but those in `except`. */
  async broadcast(bytes: Uint8Array | string, options: BroadcastOptions = {}): Promise<SendResults> {
    checkCall(options, 'broadcast', [...multicastNames, 'except'])
    const { except = [], ...rest } = options
    const isNone = Array.isArray(except) && except.length === 0
    const left = new Set(isNone ? [] : checkPeerList(except, 'except of broadcast').map(peerIdOf))
    const peers = this.internals.peers.ids().filter((id) => !left.has(id))
    return this.internals.messaging.multicast(peers, bytes, rest, 'broadcast')
  }

  /**
   * Serves a typed service. Inputs and outputs are checked against its schemas at both sides, and sent as they were
   * passed or returned: each side applies the conversions of its own schema. The implementation may be an instance of a
   * class.
   *
   * ```ts
   * network.serve(blocks, { get: async ({ height }, { peer, signal }) => store.read(height, { signal }) })
   * ```
   * @returns a function that stops serving it
   * @throws StatewireError ERR_HANDLER_EXISTS, ERR_INVALID_OPTION, ERR_NETWORK_STOPPED, ERR_DIALECT_UNSUPPORTED
   */
  serve<const M extends Methods>(
    service: ServiceDefinition<M>,
    implementation: Implementation<M>,
    options?: RequestHandlerOptions,
  ): () => void {
    return this.internals.serviceCalls.serve(service, implementation, options)
  }

  /**
   * Returns a function for each method of a service of a peer. The last argument of a call takes `signal`, `timeoutMs`
   * and `headers`.
   *
   * ```ts
   * const { hash } = await network.client(blocks, bob).get({ height: 42 }, { timeoutMs: 2_000 })
   * ```
   * Calls throw ServiceValidationError ERR_SERVICE_VALUE, which names the fields, and RequestError as {@link request};
   * its `remote.code` is `service-version`, `invalid-input` or `invalid-output` where the service itself refuses.
   * @throws StatewireError ERR_INVALID_OPTION, ERR_NETWORK_STOPPED, ERR_DIALECT_UNSUPPORTED
   */
  client<const M extends Methods>(service: ServiceDefinition<M>, peer: PeerRef): Client<M> {
    return this.internals.serviceCalls.client(service, peer)
  }

  /**
   * Asks a peer which services it serves, with figures of each method.
   * @throws RequestError as {@link request}; ERR_REFUSED if the peer does not permit it; ServiceValidationError
   *   ERR_SERVICE_VALUE if its answer is not a list of services
   */
  services(peer: PeerRef, options?: CallOptions): Promise<readonly ServiceInfo[]> {
    return this.internals.serviceCalls.services(peer, options)
  }
}
