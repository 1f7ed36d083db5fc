/**
 * Owns: the streams of one network: opening them, who accepts them, and their charts for inspectors.
 * Independent of: how a link carries them (protocol/native/streams/), of sessions and messages.
 */
import { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import { causeOf } from '../base/causes.ts'
import { checkBoolean, checkCall, checkFunction } from '../base/checks.ts'
import type { CallOptions } from '../base/bounded.ts'
import { peerIdOf } from '../base/peer-ref.ts'
import type { PeerRef } from '../base/peer-ref.ts'
import type { ChartPool } from '../statechart/chart-pool.ts'
import { AcceptedStreams } from './accepted-streams.ts'
import type { StreamHandler, StreamHandlerOptions } from './accepted-streams.ts'
import { checkExtra, checkProtocol } from './protocol-name.ts'
import type { StreamContext } from './stream-context.ts'
import { nameOf, StreamError } from './stream-error.ts'
import { PeerOpenings } from './stream-manager.ts'
import { StreamPool } from './stream-pool.ts'
import type { StreamMember } from './stream-pool.ts'
import type { Stream } from './stream.ts'

export interface GetStreamOptions extends CallOptions {
  /** Sent along with the question, for `permit` and the handler: at most 64 KiB. Text is sent as UTF-8. */
  readonly extra?: Uint8Array | string | undefined
  /**
   * One stream at a time: a serial call begins when the one before it is accepted, and one that fails makes all calls
   * to the peer that wait fail with it, as in kulfi.
   */
  readonly serial?: boolean | undefined
}

/** Calls that may wait for one peer. More are taken for a peer that does not answer. */
const waitingMax = 65_536

const getStreamNames = ['extra', 'serial', 'signal', 'timeoutMs']

interface PeerStreams {
  readonly pool: StreamPool
  readonly openings: PeerOpenings
}

export class StreamCalls {
  readonly #context: StreamContext
  readonly accepted: AcceptedStreams
  readonly #peers = new Map<string, PeerStreams>()
  readonly #watchers = new Set<(peer: string, pool: ChartPool<StreamMember>) => void>()
  /** Why nothing new is accepted; null while it is. */
  #end: Error | null = null

  constructor(context: StreamContext) {
    this.#context = context
    this.accepted = new AcceptedStreams({
      openTimeoutMs: context.options.limits.streamOpenTimeoutMs,
      permit: (peer, name) => this.#isPermitted(peer, name),
      onFailed: (peer, protocol, link, error) => this.#failed(peer, protocol, link, error),
    })
    for (const peer of context.peers.ids()) this.#attach(peer)
    context.peers.onChange({
      added: ({ id }) => this.#attach(id),
      removed: ({ id }) => this.#detach(id),
    })
  }

  #isPermitted(peer: string, name: string): boolean {
    const { permit } = this.#context.options
    if (permit === null) return true
    try {
      return permit(peer, name)
    } catch (error) {
      this.#failed(peer, name, 0, error)
      return false
    }
  }

  #failed(peer: string, protocol: string, link: number, error: unknown): void {
    const reason = causeOf(error, 'ERR_HANDLER_FAILED', `a handler of the stream ${JSON.stringify(protocol)} threw: `)
    this.#context.emit({
      type: 'handler.failed',
      peer,
      link: `link:${link}`,
      session: null,
      name: protocol,
      cause: reason,
    })
  }

  #attach(peer: string): void {
    const { wheel, options, baseLinks } = this.#context
    const links = baseLinks.of(peer)
    if (!links.some(({ state }) => state.streams !== null)) return
    const pool = new StreamPool({
      wheel,
      closeTimeoutMs: options.limits.closeTimeoutMs,
      onFailed: (stream, error) => this.#failed(peer, stream.protocol, stream.facts().link ?? 0, error),
    })
    this.#peers.set(peer, { pool, openings: new PeerOpenings(this.#context, pool, peer) })
    for (const { state, linkIndex } of links)
      state.streams?.setAcceptor((port, opening) => this.accepted.open(peer, linkIndex, pool, port, opening))
    for (const watcher of this.#watchers) watcher(peer, pool.charts)
  }

  /** Its links have ended, and the open streams with them. */
  #detach(peer: string): void {
    const streams = this.#peers.get(peer)
    this.#peers.delete(peer)
    streams?.openings.failAll({ code: 'ERR_PEER_REMOVED', message: `${peer} was removed from this network` })
  }

  /** The pools of all peers, now and later, with their peers. @returns a function that stops the calls */
  watchPools(watcher: (peer: string, pool: ChartPool<StreamMember>) => void): () => void {
    for (const [peer, { pool }] of this.#peers) watcher(peer, pool.charts)
    this.#watchers.add(watcher)
    return () => void this.#watchers.delete(watcher)
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

  /** Calls that wait for the peer, and no manager does anything for them; null if there are none. */
  stranded(peer: string): PeerOpenings | null {
    const openings = this.#peers.get(peer)?.openings
    return openings?.isStranded === true ? openings : null
  }

  #streamsOf(peer: string): PeerStreams {
    const streams = this.#peers.get(peer)
    if (streams !== undefined) return streams
    const { options, peers } = this.#context
    const which = peer === options.identity ? 'this side itself' : 'not a peer of this network'
    throw new StatewireError(
      'ERR_UNKNOWN_PEER',
      `${formatValue(peer)} is ${which}; there are: ${peers.ids().join(', ') || 'none'}`,
    )
  }

  async getStream(ref: PeerRef, protocol: string, options: GetStreamOptions = {}, isReserved = false): Promise<Stream> {
    this.check('getStream')
    checkCall(options, 'getStream', getStreamNames)
    const { serial = false, signal, timeoutMs = this.#context.options.limits.streamOpenTimeoutMs } = options
    checkBoolean(options.serial, 'serial of getStream')
    checkProtocol(protocol, isReserved)
    const extra = checkExtra(options.extra)
    const peer = peerIdOf(ref)
    const { openings } = this.#streamsOf(peer)
    if (signal?.aborted === true)
      throw new StreamError('ERR_ABORTED', `${nameOf(peer, protocol)} was aborted before it began`, {
        peer,
        protocol,
        by: 'self',
        cause: signal.reason,
      })
    if (openings.waiting >= waitingMax)
      throw new StatewireError('ERR_SEND_QUEUE_FULL', `${waitingMax} calls of getStream wait for ${peer} already`)
    return new Promise<Stream>((resolve, reject) =>
      openings.open({ protocol, extra, timeoutMs, signal, serial, resolve, reject }),
    )
  }

  onStream<Context = undefined>(
    protocol: string,
    handler: StreamHandler<Context>,
    options: StreamHandlerOptions<Context> = {},
    isReserved = false,
  ): () => void {
    this.check('onStream')
    checkFunction(handler, 'the handler of onStream')
    checkCall(options, 'onStream', ['permit', 'concurrency'])
    return this.accepted.add(protocol, handler, options, isReserved)
  }

  /** No stream is opened or accepted any more. Open streams go on until their links say Goodbye. */
  drain(error: Error): void {
    this.#end ??= error
    this.accepted.refusal = 'this side is shutting down'
    for (const { openings } of this.#peers.values())
      openings.failAll({ code: 'ERR_NETWORK_STOPPED', message: error.message })
  }

  /** The network has ended. */
  end(error: Error): void {
    this.drain(error)
    this.accepted.end()
    for (const { pool } of this.#peers.values()) pool.charts.endAll()
  }
}
