/**
 * Owns: the peers of a running network: adding and removing them, and whether each is wanted.
 * Independent of: how their actors and links do it; sessions, messages and requests.
 */
import { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import { bounded } from '../base/bounded.ts'
import type { CallOptions } from '../base/bounded.ts'
import { cause } from '../base/causes.ts'
import type { Cause } from '../base/causes.ts'
import { checkCall, checkObject, invalid } from '../base/checks.ts'
import { peerIdOf } from '../base/peer-ref.ts'
import type { PeerRef } from '../base/peer-ref.ts'
import { resolvePeer } from '../config/options.ts'
import { formatUrl } from '../config/urls.ts'
import type { PeerOption, ResolvedPeer } from '../config/options.ts'
import { checkPlaces, peerNames } from '../config/option-places.ts'
import type { WaitingCall } from '../session/session-context.ts'
import { checkDrain, closePeer, drainReport, whenAcked } from './drain.ts'
import type { DrainOptions, DrainReport } from './drain.ts'
import { linkMetrics } from './metrics.ts'
import type { LinkMetrics } from './metrics.ts'
import { Peer } from './peer-handle.ts'
import type { PeerControl, PeerState } from './peer-handle.ts'
import type { PeerFailure } from './peer-records.ts'
import type { Services } from './services.ts'

export interface AllowedReport {
  readonly added: readonly string[]
  /** Who was cut off, and why. */
  readonly removed: readonly { readonly peer: string; readonly reason: string }[]
}

/** Said to a peer that `setAllowed` left out. */
const notAllowed = 'it is not in the list of allowed peers any more'

export class Peers implements PeerControl {
  readonly #services: Services
  readonly #checkRunning: () => void
  /** Rejects the pending calls that include a peer. */
  readonly #abortCalls: (error: StatewireError, peer: string) => void
  readonly #handles = new Map<string, Peer>()
  readonly #removals = new Map<string, Promise<DrainReport>>()
  /** Calls of `connect` that wait. */
  readonly #connecting = new Set<(error: Error) => void>()

  constructor(services: Services, checkRunning: () => void, abortCalls: (error: StatewireError, peer: string) => void) {
    this.#services = services
    this.#checkRunning = checkRunning
    this.#abortCalls = abortCalls
  }

  get all(): Peer[] {
    return this.#services.peers.ids().map((id) => this.#handle(id))
  }

  get(ref: PeerRef): Peer | undefined {
    const id = typeof ref === 'string' ? ref : peerIdOf(ref)
    return this.#services.peers.has(id) ? this.#handle(id) : undefined
  }

  #handle(id: string): Peer {
    let handle = this.#handles.get(id)
    if (handle === undefined) this.#handles.set(id, (handle = new Peer(id, this)))
    return handle
  }

  add(option: PeerOption): Peer {
    this.#checkRunning()
    const { options, peers } = this.#services
    this.#checkRunTime('add')
    checkPlaces(checkObject(option, 'the peer'), peerNames, 'an option of a peer', 'peer.')
    const resolved = resolvePeer(option, 'peer', options)
    if (peers.isLeaving(resolved.id))
      throw new StatewireError('ERR_PEER_DRAINED', `${resolved.id} is being removed: await its remove() first`)
    const known = peers.get(resolved.id)
    if (known !== undefined) this.#merge(known, resolved)
    else this.#admit(resolved)
    return this.#handle(resolved.id)
  }

  /** Peers change at run time only where links are permanent. */
  #checkRunTime(call: string): void {
    const { onConnectionLost } = this.#services.options
    if (onConnectionLost === 'fail')
      throw new StatewireError(
        'ERR_DIALECT_UNSUPPORTED',
        `${call} is not supported with onConnectionLost: 'fail', where each makeSessions has connections of its own`,
      )
  }

  #admit(resolved: ResolvedPeer): void {
    const { options, peers } = this.#services
    if (resolved.role === 'acceptor' && options.listen === null)
      throw invalid(
        `peer.urls is missing: ${formatValue(resolved.id)} has no urls, and this side does not listen, so neither could ` +
          'dial the other; give it urls, or set listen',
      )
    peers.add(resolved)
    this.#services.startPeer(resolved)
    this.#services.emit({ type: 'peer.added', peer: resolved.id })
  }

  #merge(known: ResolvedPeer, { addresses, role }: ResolvedPeer): void {
    const fresh = addresses.filter((one) => !known.addresses.some((it) => it.host === one.host && it.port === one.port))
    if (fresh.length === 0) return
    known.addresses = [...known.addresses, ...fresh]
    if (this.#services.options.dialect === 'native') known.role = role
    this.#services.notifyPeer(known.id, { type: 'link.resume' })
  }

  setAllowed(ids: readonly string[]): AllowedReport {
    this.#checkRunning()
    this.#checkRunTime('setAllowed')
    if (!Array.isArray(ids)) throw invalid(`setAllowed takes a list of ids, got ${formatValue(ids)}`)
    const { options, peers } = this.#services
    const allowed = new Set(ids.map((id) => peerIdOf(id)))
    // Everything is checked before anything changes.
    const added = [...allowed].flatMap((id, index) => {
      if (peers.has(id)) return []
      const resolved = resolvePeer({ id }, `ids[${index}]`, options)
      if (options.listen === null)
        throw invalid(`ids[${index}] is not a peer yet, and this side does not listen: add it with its urls`)
      if (peers.isLeaving(id)) throw new StatewireError('ERR_PEER_DRAINED', `${id} is being removed: await that first`)
      return [resolved]
    })
    const removed = peers.ids().filter((id) => !allowed.has(id))
    for (const id of removed) {
      peers.leave(id, 'cut')
      void this.#remove(this.#handle(id), { timeoutMs: options.limits.closeTimeoutMs, reason: notAllowed }, false)
    }
    for (const resolved of added) this.#admit(resolved)
    return { added: added.map(({ id }) => id), removed: removed.map((peer) => ({ peer, reason: notAllowed })) }
  }

  // What a handle asks.

  stateOf(peer: string): PeerState {
    const { baseLinks, peers, records } = this.#services
    if (records.isErrored(peer)) return 'errored'
    const links = baseLinks.of(peer)
    if (links.some(({ state }) => state.isConnected))
      return links.some(({ state }) => state.isConnected && !state.isSuspect) ? 'connected' : 'suspect'
    const desired = peers.get(peer)?.desired
    if (desired === undefined) return 'removed'
    return desired === 'wanted' ? 'connecting' : desired
  }

  urlsOf(peer: string): readonly string[] {
    const { peers, options } = this.#services
    return (peers.get(peer)?.addresses ?? []).map((address) => formatUrl(address, options.security))
  }

  addressOf(peer: string): string | null {
    return this.#services.records.addressOf(peer)
  }

  rttMsOf(peer: string): number | null {
    return this.#services.baseLinks.of(peer)[0]?.state.roundTripMs ?? null
  }

  lastFailureOf(peer: string): PeerFailure | null {
    return this.#services.records.lastFailureOf(peer)
  }

  linksOf(peer: string): readonly LinkMetrics[] {
    return this.#services.baseLinks.of(peer).map(linkMetrics)
  }

  /** What is to be sent connects a peer that is connected on demand. */
  want(peer: string): void {
    const resolved = this.#services.peers.get(peer)
    if (resolved?.desired !== 'idle') return
    this.#desire(resolved, 'wanted')
  }

  #desire(resolved: ResolvedPeer, desired: ResolvedPeer['desired']): void {
    if (resolved.desired === desired) return
    resolved.desired = desired
    this.#services.notifyPeer(resolved.id, { type: 'link.resume' })
  }

  async connect(handle: Peer, options: CallOptions | undefined): Promise<void> {
    checkCall(options, 'connect')
    const resolved = this.#known(handle, 'connect')
    const { baseLinks, fatalFailures, waitingCalls } = this.#services
    this.#desire(resolved, 'wanted')
    const { id } = handle
    if (baseLinks.areReady([id])) return
    const fatal = fatalFailures.of(id)
    if (fatal !== null) throw new StatewireError(fatal.code, `${id} is not connected: ${fatal.message}`)
    let removeCall = (): void => {}
    try {
      await bounded<void>(
        this.#services,
        options,
        'ERR_TIMED_OUT',
        `${id} was not connected`,
        (resolve, reject) => {
          const unwatch = baseLinks.watch(() => {
            if (handle.isRemoved) reject(new StatewireError('ERR_PEER_REMOVED', `${id} was removed`))
            else if (baseLinks.areReady([id])) resolve()
          })
          const call: WaitingCall = {
            peers: [id],
            connectFailed: (_, { code, message }) =>
              reject(new StatewireError(code, `${id} is not connected: ${message}`)),
          }
          waitingCalls.add(call)
          this.#connecting.add(reject)
          removeCall = () => {
            unwatch()
            waitingCalls.delete(call)
            this.#connecting.delete(reject)
          }
          return () => {}
        },
        () => this.#services.explainNotConnected(id),
      )
    } finally {
      removeCall()
    }
  }

  /** The network stops: calls of `connect` that wait end. */
  end(error: Error): void {
    for (const reject of this.#connecting) reject(error)
  }

  async disconnect(handle: Peer, options: DrainOptions = {}): Promise<DrainReport> {
    checkCall(options, 'disconnect', ['timeoutMs', 'reason'])
    const resolved = this.#known(handle, 'disconnect')
    checkDrain(this.#services, options, 'disconnect')
    const reason = options.reason ?? 'the application disconnected this peer'
    return this.#pause(resolved, 'disconnected', reason, options.timeoutMs)
  }

  /** A peer on demand has had no traffic for a while. */
  rest(peer: string): void {
    const resolved = this.#services.peers.get(peer)
    if (resolved === undefined || resolved.desired === 'disconnected') return
    void this.#pause(resolved, 'idle', 'there was no traffic', undefined)
  }

  async #pause(
    resolved: ResolvedPeer,
    desired: 'disconnected' | 'idle',
    reason: string,
    timeoutMs: number | undefined,
  ): Promise<DrainReport> {
    const { id } = resolved
    const services = this.#services
    const limitMs = timeoutMs ?? services.options.limits.shutdownTimeoutMs
    const report = drainReport(services, id)
    let settled: DrainReport | null = null
    resolved.desired = desired
    if (this.#isAnyUp(id)) {
      // What is accepted from here to the Goodbye is not part of the report.
      if (await whenAcked(services, id, limitMs)) settled = report()
      // `connect()` was called meanwhile.
      if (resolved.desired !== desired) return settled ?? report()
    }
    services.notifyPeer(id, { type: 'link.pause', cause: cause('ERR_CONNECTION_LOST', reason) })
    await new Promise<void>((resolve) => {
      const settle = (): void => {
        deadline.cancel()
        unwatch()
        resolve()
      }
      const deadline = services.wheel.schedule(services.options.limits.closeTimeoutMs * 4, settle)
      const look = (): void => {
        if (!this.#isAnyUp(id) || resolved.desired !== desired) settle()
      }
      const unwatch = services.baseLinks.watch(look)
      look()
    })
    return settled ?? report()
  }

  #isAnyUp(peer: string): boolean {
    return this.#services.baseLinks.of(peer).some(({ state }) => state.isConnected && state.end === null)
  }

  remove(handle: Peer, options: DrainOptions = {}): Promise<DrainReport> {
    try {
      checkCall(options, 'remove', ['timeoutMs', 'reason'])
      checkDrain(this.#services, options, 'remove')
      const known = this.#removals.get(handle.id)
      if (known !== undefined) return known
      this.#known(handle, 'remove')
      this.#services.peers.leave(handle.id, 'drains')
      return this.#remove(handle, options, true)
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  #remove(handle: Peer, options: DrainOptions, drains: boolean): Promise<DrainReport> {
    const { id } = handle
    const services = this.#services
    const reason: Cause = { code: 'ERR_PEER_DRAINED', message: options.reason ?? 'the application removed this peer' }
    const limitMs = options.timeoutMs ?? services.options.limits.shutdownTimeoutMs
    const removing = closePeer(services, id, reason, drains ? limitMs : 1, limitMs, (withinMs) =>
      services.notifyPeer(id, { type: 'peer.close', cause: reason, withinMs }),
    ).then((counts) => {
      handle.removed()
      this.#handles.delete(id)
      this.#removals.delete(id)
      services.stopPeer(id)
      services.peers.remove(id)
      services.records.disconnected(id, 'goodbye')
      services.records.forget(id)
      services.emit({ type: 'peer.removed', reason: reason.message, ...counts })
      return counts
    })
    this.#removals.set(id, removing)
    this.#abortCalls(new StatewireError('ERR_PEER_DRAINED', `${id} is being removed: ${reason.message}`), id)
    return removing
  }

  reconnectNow(handle: Peer): void {
    const { id, desired } = this.#known(handle, 'reconnectNow')
    if (desired === 'wanted') this.#services.notifyPeer(id, { type: 'link.retry' })
  }

  /** @throws StatewireError ERR_PEER_REMOVED, ERR_NETWORK_STOPPED, ERR_DIALECT_UNSUPPORTED */
  #known(handle: Peer, call: string): ResolvedPeer {
    this.#checkRunning()
    this.#checkRunTime(call)
    const id = peerIdOf(handle)
    const resolved = this.#services.peers.get(id)
    if (resolved === undefined || this.#services.peers.isLeaving(id))
      throw new StatewireError('ERR_PEER_REMOVED', `${id} was removed from this network: add it again`)
    return resolved
  }
}
