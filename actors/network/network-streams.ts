/**
 * Owns: the part of the facade for streams and channels.
 * Independent of: how they travel (../streams/), messages and sessions.
 */
import { formatValue } from '../../codec/format-value.ts'
import { checkCall, checkFunction, invalid } from '../base/checks.ts'
import type { CallOptions } from '../base/bounded.ts'
import type { PeerRef } from '../base/peer-ref.ts'
import type { StreamHandler, StreamHandlerOptions } from '../streams/accepted-streams.ts'
import { builtinName, ping, serveBuiltin } from '../streams/builtin-protocols.ts'
import type { BuiltinProtocol, PingResult } from '../streams/builtin-protocols.ts'
import { Channel } from '../streams/channel.ts'
import type { GetStreamOptions } from '../streams/stream-calls.ts'
import type { Stream } from '../streams/stream.ts'
import { NetworkMessages } from './network-messages.ts'

export interface PingOptions extends CallOptions {
  /** Round trips to measure, one after the other; 5 by default, at most 1,000. */
  readonly count?: number | undefined
}

const pingsMax = 1000
const defaultPings = 5

export abstract class NetworkStreams extends NetworkMessages {
  /**
   * Opens a stream to a peer: bytes in both directions. It is handed out once the peer has accepted the protocol.
   * Native only.
   *
   * ```ts
   * const stream = await network.getStream(bob, 'files/1', { extra: 'photo.jpg', timeoutMs: 5_000 })
   * await pipeline(stream, createWriteStream('photo.jpg'))
   * ```
   * @param protocol 1 to 255 bytes of UTF-8, as the peer gives it to `onStream`
   * @throws StreamError ERR_NO_PROTOCOL, ERR_STREAM_REFUSED, ERR_STREAM_OVERLOADED, ERR_TIMED_OUT, ERR_ABORTED,
   *   ERR_LINK_RESET, ERR_MEMORY_BUDGET, ERR_NETWORK_STOPPED, or the cause that prevents a connection to the peer;
   *   StatewireError ERR_UNKNOWN_PEER, ERR_PEER_REMOVED, ERR_INVALID_OPTION, ERR_DIALECT_UNSUPPORTED
   */
  getStream(peer: PeerRef, protocol: string, options?: GetStreamOptions): Promise<Stream> {
    return this.internals.streams.getStream(peer, protocol, options)
  }

  /**
   * Serves streams of a protocol. `permit` decides before a stream is accepted; then the handler gets it. A handler
   * that throws resets its stream, and nothing else.
   *
   * ```ts
   * network.onStream('files/1', (stream) => pipeline(createReadStream(String(stream.extra)), stream, () => {}), {
   *   permit: ({ peer }) => friends.has(peer),
   * })
   * ```
   * @returns a function that stops serving it; open streams go on
   * @throws StatewireError ERR_HANDLER_EXISTS, ERR_INVALID_OPTION, ERR_NETWORK_STOPPED, ERR_DIALECT_UNSUPPORTED
   */
  onStream<Context = undefined>(
    protocol: string,
    handler: StreamHandler<Context>,
    options?: StreamHandlerOptions<Context>,
  ): () => void {
    return this.internals.streams.onStream(protocol, handler, options)
  }

  /**
   * Opens a channel to a peer: MessagePack values in both directions, over one stream.
   *
   * ```ts
   * const channel = await network.getChannel<Job>(bob, 'jobs')
   * await channel.send({ id: 1 })
   * for await (const done of channel) …
   * ```
   * @throws as {@link getStream}
   */
  async getChannel<Value = unknown>(
    peer: PeerRef,
    protocol: string,
    options?: GetStreamOptions,
  ): Promise<Channel<Value>> {
    return this.#channel<Value>(await this.internals.streams.getStream(peer, protocol, options))
  }

  /** Serves channels of a protocol. As {@link onStream}. */
  onChannel<Value = unknown, Context = undefined>(
    protocol: string,
    handler: (channel: Channel<Value>, context: Context) => unknown,
    options?: StreamHandlerOptions<Context>,
  ): () => void {
    checkFunction(handler, 'the handler of onChannel')
    return this.internals.streams.onStream<Context>(
      protocol,
      (stream, context) => handler(this.#channel<Value>(stream), context),
      options,
    )
  }

  #channel<Value>(stream: Stream): Channel<Value> {
    return new Channel<Value>(stream, this.internals.options.limits.maxMessageLengthBytes)
  }

  /**
   * Serves a protocol of the runtime, which is off until then: `ping` for {@link ping}, `echo`, `discard`, `time`. The
   * option `permit` of the network decides who may use it, under the name `statewire/ping`, for example.
   * @returns a function that stops serving it
   * @throws as {@link onStream}
   */
  enable(protocol: BuiltinProtocol): () => void {
    return serveBuiltin(this.internals.streams, this.internals.environment.clock, protocol)
  }

  /**
   * Measures round trips to a peer that has enabled `ping`.
   * @throws as {@link getStream}
   */
  async ping(peer: PeerRef, options: PingOptions = {}): Promise<PingResult> {
    checkCall(options, 'ping', ['count', 'signal', 'timeoutMs'])
    const { count = defaultPings, ...call } = options
    if (!Number.isSafeInteger(count) || count < 1 || count > pingsMax)
      throw invalid(`count of ping must be a whole number from 1 to ${pingsMax}, got ${formatValue(count)}`)
    const { streams, nowMs } = this.internals
    return ping(await streams.getStream(peer, builtinName('ping'), call, true), count, nowMs)
  }
}
