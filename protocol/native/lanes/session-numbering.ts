/**
 * Owns: the session ids of one link in one epoch (docs/protocol.md): which come next, which have ended, what
 * the peer said about sessions that this side has not made yet, and how many this side may be ahead.
 * Independent of: what a session does, credit beyond the first, other links (except for the one rule that joins them).
 *
 * Both peers make their sessions in the same order, so an id means the same on both sides and needs no negotiation. A
 * Credit tells the peer that a session exists; each side remembers a bounded number of sessions that it has not made
 * itself.
 */
import { ProtocolError, StatewireError } from '../../../codec/errors.ts'
import { windowBytesMax } from '../../../codec/hello.ts'
import { resetCodes, sessionLanesEnd } from '../../../codec/native-frames.ts'
import { Deque } from '../../deque.ts'

/** Sessions that one side may be ahead of the other on a link. */
export const earlySessionsMax = 1024

/** What the peer has said about a session before this side made it. */
export interface EarlySession {
  /** The sum of its Credits. */
  creditBytes: number
  /** Its Reset, if it closed the session already; the body as it came. */
  reset: { readonly code: number; readonly reason: string } | null
}

/** Frames that announce a session to the peer. They are held back while too many are unanswered. */
export interface Announcement {
  readonly id: number
  readonly kind: 'credit' | 'reset'
}

/** The state of a session on this side. `early`: a Credit or a Reset for it is remembered. */
export type SessionPlace = 'open' | 'over' | 'early'

/** A session group takes the same ids on all links to a peer: it begins at the greatest of their next ids. */
export function firstIdOfBatch(nextIds: readonly number[], count: number): number {
  const first = Math.max(...nextIds)
  if (first + count > sessionLanesEnd) {
    throw new StatewireError(
      'ERR_SESSION_IDS_USED_UP',
      `${count} sessions were asked for; the next id is ${first} and ids end at ${sessionLanesEnd}.`,
    )
  }
  return first
}

/** The link that carries session `index` of a group. `links` is the number in use when the group takes its ids. */
export function linkOfSession(index: number, links: number): number {
  return index % links
}

export class LinkSessions {
  #nextId = 0
  readonly #open = new Set<number>()
  readonly #early = new Map<number, EarlySession>()
  /** Announced by this side and not answered by the peer: the peer remembers each of them. */
  readonly #unanswered = new Set<number>()
  readonly #held = new Deque<Announcement>()
  readonly #heldIds = new Map<number, Announcement>()

  /**
   * The first id that a session group may take on this link. It skips ids that the peer made, closed again, and that
   * this side never made: the peer gave them up (a session needs both sides), and a group that took them would stay one
   * call behind.
   */
  get nextId(): number {
    let next = this.#nextId
    for (const [id, { reset }] of this.#early) if (id >= next && reset?.code === resetCodes.application) next = id + 1
    return next
  }

  /**
   * A session group takes the ids `first … first + count - 1` on all links to the peer, and makes those of `ids` on
   * this link. All other ids below its end count as closed. `first` is not below {@link nextId}.
   * @returns what to send: the peer waits for sessions that this side skips, and those it gave up itself count there as
   *   unanswered until it receives their Reset
   */
  takeBatch(first: number, count: number, ids: readonly number[]): Announcement[] {
    if (first < this.#nextId)
      throw new StatewireError(
        'ERR_INTERNAL',
        `A session group begins at ${first}; ids below ${this.#nextId} are taken.`,
      )
    this.#nextId = first + count
    for (const id of ids) this.#open.add(id)
    const awaited: Announcement[] = []
    for (const id of this.#early.keys()) {
      if (id >= this.#nextId || this.#open.has(id)) continue
      this.#early.delete(id)
      awaited.push(...this.creditedLate(id))
    }
    return awaited
  }

  /**
   * The peer's Credit for a session that has ended here. If this side never made it, because it took other ids or makes
   * it on another link, the peer waits for it and gets a Reset. One that was made and closed was reset already, and its
   * peer may get a second Reset, because the ids that were made are not remembered forever.
   */
  creditedLate(id: number): Announcement[] {
    return this.#unanswered.has(id) || this.#heldIds.has(id) ? [] : [{ id, kind: 'reset' }]
  }

  placeOf(id: number): SessionPlace {
    if (id >= this.#nextId) return 'early'
    return this.#open.has(id) ? 'open' : 'over'
  }

  /**
   * A Credit for a session that is not made here yet. Throws ProtocolError ERR_EARLY_SESSIONS beyond 1,024 of them, and
   * ERR_CREDIT_OVERFLOW.
   */
  rememberCredit(id: number, creditBytes: number): void {
    const early = this.#remember(id)
    early.creditBytes += creditBytes
    if (early.creditBytes > windowBytesMax)
      throw new ProtocolError(
        'ERR_CREDIT_OVERFLOW',
        `Session ${id} was granted ${early.creditBytes} bytes before it was made here; a balance is at most 2^31 - 1.`,
      )
  }

  /** A Reset for a session that is not made here yet. Throws ProtocolError ERR_EARLY_SESSIONS. */
  rememberReset(id: number, reset: { readonly code: number; readonly reason: string }): void {
    this.#remember(id).reset = reset
  }

  /**
   * This side makes the session. `early` is what the peer sent for it before; it is forgotten with this call.
   * `announce`: its first Credit is sent now. Otherwise it waits, because the peer remembers too many already, and
   * {@link answered} returns it later.
   */
  make(id: number): { readonly early: EarlySession | null; readonly announce: boolean } {
    const early = this.#early.get(id) ?? null
    // The peer has made it already, so it does not have to remember it.
    if (early !== null) this.#early.delete(id)
    else if (this.#unanswered.size < earlySessionsMax) this.#unanswered.add(id)
    else {
      const announcement: Announcement = { id, kind: 'credit' }
      this.#held.push(announcement)
      this.#heldIds.set(id, announcement)
      return { early, announce: false }
    }
    return { early, announce: true }
  }

  /**
   * This side has closed the session. @returns whether its Reset is sent now. If its Credit still waits, the Reset
   * replaces it: the peer must get a frame for the session in either case.
   */
  close(id: number): boolean {
    this.#open.delete(id)
    const held = this.#heldIds.get(id)
    if (held === undefined) return true
    this.#heldIds.set(id, { id, kind: 'reset' })
    return false
  }

  /** The peer has closed the session: this side sends nothing more on it. @returns what may be sent now */
  closedByPeer(id: number): Announcement[] {
    this.#open.delete(id)
    this.#heldIds.delete(id)
    return this.answered(id)
  }

  /**
   * The peer's first Credit for this session, or its Reset for one that has ended here: the peer has made it and no
   * longer has to remember it.
   * @returns what may be sent now
   */
  answered(id: number): Announcement[] {
    this.#unanswered.delete(id)
    const held = this.#heldIds.get(id)
    const ready: Announcement[] = []
    if (held !== undefined) {
      this.#heldIds.delete(id)
      ready.push(held)
    }
    while (this.#unanswered.size < earlySessionsMax) {
      const next = this.#held.shift()
      if (next === undefined) break
      const current = this.#heldIds.get(next.id)
      // Answered in the meantime, and sent then.
      if (current === undefined) continue
      this.#heldIds.delete(next.id)
      this.#unanswered.add(next.id)
      ready.push(current)
    }
    return ready
  }

  /** Announcements that wait. */
  get held(): number {
    return this.#heldIds.size
  }

  #remember(id: number): EarlySession {
    let early = this.#early.get(id)
    if (early === undefined) {
      if (this.#early.size >= earlySessionsMax) {
        throw new ProtocolError(
          'ERR_EARLY_SESSIONS',
          `The peer is ${earlySessionsMax} sessions ahead already; session ${id} would be one more.`,
        )
      }
      early = { creditBytes: 0, reset: null }
      this.#early.set(id, early)
    }
    return early
  }
}
