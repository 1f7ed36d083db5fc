/**
 * Owns: the links of a session group (its own, or the permanent links of its peers), and which of them are ready.
 * Independent of: sessions and their validation, and how links come up.
 */
import type { AnyActorRef, AnyEventObject } from '../../machines/xstate.ts'
import { AmpcLink } from '../../protocol/ampc/ampc-link.ts'
import type { LinkCore } from '../../protocol/link-core.ts'
import type { OnConnectionLost } from '../config/options.ts'
import type { SessionContext } from './session-context.ts'

export interface GroupLink {
  readonly peer: string
  readonly id: string
  /** Its index among the group's links to the peer, from 0. It decides which sessions the link carries. */
  readonly number: number
  readonly linkIndex: number
  readonly state: LinkCore
}

export interface SessionGroupLinksOptions {
  readonly context: SessionContext
  readonly groupId: string
  readonly purpose: 'sessions' | 'control'
  readonly peers: readonly string[]
  readonly linksPerPeer: number
  readonly mode: OnConnectionLost
  readonly notifyPeer: (peer: string, event: AnyEventObject) => void
}

export class SessionGroupLinks {
  readonly #options: SessionGroupLinksOptions
  readonly #links: GroupLink[] = []
  readonly #ready = new Set<string>()
  readonly #failed = new Set<string>()

  constructor(options: SessionGroupLinksOptions) {
    this.#options = options
  }

  get all(): readonly GroupLink[] {
    return this.#links
  }

  get readyCount(): number {
    return this.#ready.size
  }

  isReady(link: GroupLink): boolean {
    return this.#ready.has(`${link.peer} ${link.id}`)
  }

  get areAllReady(): boolean {
    return this.#ready.size === this.#links.length
  }

  get haveAllFailed(): boolean {
    return this.#failed.size === this.#links.length
  }

  /**
   * Creates the states of links that only this group uses. Lanes can be opened before `requestOwn` starts to connect.
   */
  createOwn(): void {
    const { context, groupId, purpose, peers, linksPerPeer } = this.#options
    const { dialect, options } = context
    for (const peer of peers) {
      for (let number = 0; number < linksPerPeer; number++) {
        const framing =
          purpose === 'control' ? dialect.control() : dialect.sessions(options.limits.maxMessageLengthBytes)
        this.#links.push({
          peer,
          number,
          linkIndex: this.#firstConnectionId() + number,
          id: `link:${groupId}.${number}`,
          state: new AmpcLink(framing, options.limits),
        })
      }
    }
  }

  /** @param replyTo gets the events of the links */
  requestOwn(replyTo: AnyActorRef): void {
    for (const { peer, id, linkIndex, state } of this.#links) {
      const spec = { id, linkIndex, state, onConnectionLost: 'fail' as const }
      this.#options.notifyPeer(peer, { type: 'link.open', request: { spec, replyTo } })
    }
  }

  /** In mode `reconnect` the permanent links use the ids from 0, so a control channel uses the next one. */
  #firstConnectionId(): number {
    const { onConnectionLost, connectionParallelism } = this.#options.context.options
    return onConnectionLost === 'reconnect' ? connectionParallelism : 0
  }

  /** Uses the permanent links. How many a peer has is known once its first link is up, so this is called again then. */
  useBase(): void {
    const { context, peers, linksPerPeer } = this.#options
    this.#links.length = 0
    this.#ready.clear()
    for (const peer of peers) {
      for (const { id, linkIndex, state, isReady } of context.baseLinks.inUse(peer).slice(0, linksPerPeer)) {
        this.#links.push({ peer, number: linkIndex, linkIndex, id, state })
        if (isReady) this.#ready.add(`${peer} ${id}`)
      }
    }
  }

  /** @returns false if the link does not belong to this group */
  recordReady(peer: string, id: string): boolean {
    if (this.#options.mode !== 'fail') this.useBase()
    else if (this.#links.some((link) => link.peer === peer && link.id === id)) this.#ready.add(`${peer} ${id}`)
    else return false
    return true
  }

  recordDown(peer: string, id: string): void {
    this.#ready.delete(`${peer} ${id}`)
  }

  recordFailed(peer: string, id: string): void {
    this.#failed.add(`${peer} ${id}`)
  }
}
