/**
 * Owns: the calls of `makeSessions` and `openControlChannel`: their options, and which of them are pending.
 * Independent of: how they are served; the supervisor gets a request for each call.
 */
import { peerKeyOf } from '../base/peer-ref.ts'
import type { PeerRef } from '../base/peer-ref.ts'
import { drainedError } from './drain.ts'
import { StatewireError } from '../../codec/errors.ts'
import { maxUint16 } from '../../codec/constants.ts'
import { nameLengthBytesMax } from '../../codec/message-frames.ts'
import { formatValue } from '../../codec/format-value.ts'
import type { AnyActorRef } from '../../machines/xstate.ts'
import { onAbort } from '../base/abort-listeners.ts'
import { checkBoolean, checkCall, checkTimeoutMs, invalid } from '../base/checks.ts'
import type { ControlChannel } from '../session/control-channel.ts'
import { SessionGroupRequest } from '../session/session-group-request.ts'
import type { Session } from '../session/session.ts'
import { send } from '../statechart/send.ts'
import type { Services } from './services.ts'

export interface MakeSessionsOptions {
  /** The number of sessions, 1 to `limits.sessionsPerPeerMax`. Every party calls with the same number. */
  readonly count: number
  /**
   * Native only: calls of the same name find each other; at most 255 bytes of UTF-8, `''` by default. Calls of one name
   * run in order, calls of different names at the same time.
   */
  readonly name?: string | undefined
  /** The peers of the sessions; all configured peers by default. Every party must name the same set of parties. */
  readonly peers?: readonly PeerRef[] | undefined
  /** The time limit in milliseconds; `limits.makeSessionsTimeoutMs` by default. */
  readonly timeoutMs?: number | undefined
  /** Aborts the call, which then rejects with ERR_ABORTED. Other calls are not affected. */
  readonly signal?: AbortSignal | undefined
  /** Also agree on a random key with each neighbour in the ring, as `session.prf`. All parties must set it alike. */
  readonly agreePrfKeys?: boolean | undefined
}

/** The sessions of one call: at least one. */
export type Sessions = [Session, ...Session[]]

export type OpenControlChannelOptions = Omit<MakeSessionsOptions, 'count' | 'name' | 'agreePrfKeys'>

export interface SessionCallsOptions {
  readonly ref: AnyActorRef
  readonly services: Services
  /** Throws if the network has ended. */
  readonly checkRunning: () => void
}

export class SessionCalls {
  readonly #options: SessionCallsOptions
  readonly #pending = new Set<SessionGroupRequest>()

  constructor(options: SessionCallsOptions) {
    this.#options = options
  }

  async makeSessions(options: MakeSessionsOptions): Promise<Sessions> {
    if (options === undefined) throw invalid('makeSessions takes an object of options, got undefined')
    checkCall(options, 'makeSessions', ['count', 'name', 'peers', 'timeoutMs', 'signal', 'agreePrfKeys'])
    checkBoolean(options.agreePrfKeys, 'agreePrfKeys')
    const most = Math.min(this.#options.services.options.limits.sessionsPerPeerMax, maxUint16)
    if (!Number.isSafeInteger(options.count) || options.count < 1 || options.count > most)
      throw invalid(`count must be a whole number from 1 to ${most}, got ${formatValue(options.count)}`)
    this.#checkName(options.name)
    return (await this.#request('sessions', options.count, options)) as Sessions
  }

  async openControlChannel(options: OpenControlChannelOptions): Promise<ControlChannel> {
    checkCall(options, 'openControlChannel', ['peers', 'timeoutMs', 'signal'])
    if (this.#options.services.options.dialect === 'native')
      throw new StatewireError(
        'ERR_DIALECT_UNSUPPORTED',
        'the native dialect has no control channel; use a session instead',
      )
    return (await this.#request('control', 1, options)) as ControlChannel
  }

  /** Rejects the pending calls with the error: all of them, or those that include a peer. */
  abort(error: StatewireError, peer?: string): void {
    for (const request of this.#pending) if (peer === undefined || request.peers.includes(peer)) request.abort(error)
  }

  #request(
    purpose: 'sessions' | 'control',
    count: number,
    options: Omit<MakeSessionsOptions, 'count'>,
  ): Promise<Session[] | ControlChannel> {
    const { ref, services } = this.#options
    const peers = this.#checkPeers(options.peers === undefined ? services.peers.ids() : options.peers)
    checkTimeoutMs(options.timeoutMs, 'timeoutMs', false)
    const timeoutMs = options.timeoutMs ?? services.options.limits.makeSessionsTimeoutMs
    const signal = options.signal
    if (signal?.aborted === true)
      throw new StatewireError('ERR_ABORTED', 'aborted before it began', { cause: signal.reason })
    this.#options.checkRunning()
    for (const peer of peers) services.wantPeer(peer)
    return new Promise((resolve, reject) => {
      const request = new SessionGroupRequest({
        purpose,
        count,
        name: options.name ?? '',
        peers,
        timeoutMs,
        agreePrfKeys: options.agreePrfKeys ?? false,
        resolve,
        reject,
      })
      const abort = (): void =>
        request.abort(
          new StatewireError(
            'ERR_ABORTED',
            `aborted: ${purpose === 'control' ? 'the control channel' : 'the sessions'} were not made`,
            { cause: signal?.reason },
          ),
        )
      const removeAbort = signal === undefined ? undefined : onAbort(signal, abort)
      this.#pending.add(request)
      request.onSettled = () => {
        this.#pending.delete(request)
        removeAbort?.()
      }
      send(ref, { type: purpose === 'control' ? 'control.open' : 'sessions.make', request })
    })
  }

  #checkName(name: unknown): void {
    if (name === undefined) return
    if (this.#options.services.options.dialect !== 'native')
      throw new StatewireError(
        'ERR_DIALECT_UNSUPPORTED',
        'the ampc dialect has no names for makeSessions: every party makes its calls in the same order',
      )
    if (typeof name !== 'string') throw invalid(`name must be a string, got ${formatValue(name)}`)
    const bytes = Buffer.from(name, 'utf8')
    if (bytes.toString('utf8') !== name)
      throw invalid(`name must be well-formed text, got ${formatValue(name)} with a lone surrogate`)
    if (bytes.length > nameLengthBytesMax)
      throw invalid(`name must have at most ${nameLengthBytesMax} bytes of UTF-8, got ${bytes.length}`)
  }

  #checkPeers(refs: readonly PeerRef[]): readonly string[] {
    const { services } = this.#options
    if (!Array.isArray(refs)) throw invalid(`peers must be a list, got ${formatValue(refs)}`)
    const peers = (refs as readonly PeerRef[]).map(peerKeyOf)
    for (const [index, peer] of peers.entries()) {
      if (!services.peers.has(peer)) throw this.#unknownPeer(peer, index)
      if (peers.indexOf(peer) !== index)
        throw invalid(`peers[${index}] is ${formatValue(peer)}, which is in the list already`)
    }
    if (peers.length === 0) throw invalid('peers must name at least one peer, got an empty list')
    return peers
  }

  #unknownPeer(peer: string, index: number): StatewireError {
    const { peers } = this.#options.services
    if (peers.isLeaving(peer)) return drainedError(peer)
    return new StatewireError(
      'ERR_UNKNOWN_PEER',
      `peers[${index}] is ${formatValue(peer)}, which is not a peer of this network; there are: ` +
        peers.ids().join(', '),
    )
  }
}
