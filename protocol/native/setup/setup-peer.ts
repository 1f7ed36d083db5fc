/**
 * Owns: session set-up with one peer: the order of calls under each name, open Wants, and the attempts with their
 * lanes. The peer with the greater id (G) assigns session ids, the other (L) asks for them.
 * Independent of: the other peers of a call; {@link SetupEvents} passes on what concerns the whole call.
 */
import { ProtocolError, StatewireError } from '../../../codec/errors.ts'
import type { SetupFrame } from '../../../codec/setup-frames.ts'
import { Attempt, linksUsed, sessionsOnLink } from './attempt.ts'
import type { PendingCall } from './attempt.ts'
import { countsError, misplaced, refusedError } from './setup-errors.ts'
import type {
  AgreeFrame,
  MadeFrame,
  MakeFrame,
  RefuseFrame,
  SentWant,
  SetupPort,
  SetupProgress,
  WantFrame,
} from './setup-port.ts'

/** How many Wants of one peer may be open. */
export const openWantsMax = 64

/** What a peer reports about a call. */
export interface SetupEvents<Lane> {
  /** The attempt is paired: a Make or Made came on each of its links. */
  paired(call: PendingCall<Lane>): void
  /** An Agree came for an attempt. */
  agreed(call: PendingCall<Lane>): void
  failed(call: PendingCall<Lane>, error: StatewireError): void
  /** A lane of the attempt has ended. Not called from within an event of this side. */
  laneEnded(attempt: Attempt<Lane>, peer: SetupPeer<Lane>): void
}

/** A Want without an answer. `own` is null where the peer sent it. */
interface OpenWant<Lane> {
  readonly frame: WantFrame
  readonly own: { readonly call: PendingCall<Lane>; readonly sent: SentWant } | null
}

export class SetupPeer<Lane> {
  readonly id: string
  readonly #port: SetupPort<Lane>
  readonly #events: SetupEvents<Lane>
  #nextK: number
  /** By name, oldest first. */
  readonly #calls = new Map<string, PendingCall<Lane>[]>()
  /** By name. */
  readonly #openWants = new Map<string, OpenWant<Lane>>()
  /** By k: attempts that are not void and whose call is not done. */
  readonly #attempts = new Map<number, Attempt<Lane>>()
  /**
   * By k: the links whose Make has not come yet, after a Make was refused for a limit. They get the same answer: one of
   * `withdrawn` may arrive first and would keep the peer's call waiting.
   */
  readonly #limited = new Map<number, Set<number>>()
  /** Names for which there may be something to do. */
  readonly #dirtyNames = new Set<string>()

  constructor(id: string, port: SetupPort<Lane>, firstK: number, events: SetupEvents<Lane>) {
    this.id = id
    this.#port = port
    this.#nextK = firstK
    this.#events = events
  }

  get calls(): PendingCall<Lane>[] {
    return [...this.#calls.values()].flat()
  }

  enqueue(call: PendingCall<Lane>): void {
    const { name } = call.request
    const calls = this.#calls.get(name)
    if (calls === undefined) this.#calls.set(name, [call])
    else calls.push(call)
    this.#dirtyNames.add(name)
  }

  /** The call is done: its lanes belong to the application. */
  settle(call: PendingCall<Lane>): void {
    const attempt = call.attempts.get(this.id)
    if (attempt !== undefined) {
      attempt.isLiving = false
      this.#attempts.delete(attempt.k)
    }
    this.#dequeue(call)
  }

  /** The call has failed. */
  drop(call: PendingCall<Lane>): void {
    const { name } = call.request
    const attempt = call.attempts.get(this.id)
    if (attempt !== undefined) this.voidAttempt(attempt)
    const want = this.#openWants.get(name)
    if (want !== undefined && want.own?.call === call) {
      this.#openWants.delete(name)
      if (!want.own.sent.withdraw()) this.#refuse(0, want.frame.k, 'withdrawn')
    }
    this.#dequeue(call)
  }

  /** @param deadLink a link whose epoch has ended: its lanes end without a frame */
  voidAttempt(attempt: Attempt<Lane>, deadLink: number | null = null): void {
    if (!attempt.isLiving) return
    const { call, k } = attempt
    attempt.isLiving = false
    this.#attempts.delete(k)
    call.attempts.delete(this.id)
    if (attempt.isPaired && deadLink === null) call.pairedBefore.add(this.id)
    call.set = null
    this.#dirtyNames.add(call.request.name)
    if (attempt.unopened > 0) this.#port.releaseWindows(attempt.unopened, attempt.windowBytes)
    for (const [link, lanes] of attempt.lanes) if (link !== deadLink) this.#port.resetLanes(link, lanes)
  }

  sendAgree(attempt: Attempt<Lane>, set: bigint): void {
    this.#port.send(0, { type: 'Agree', k: attempt.k, set })
  }

  progress(call: PendingCall<Lane>): SetupProgress {
    const attempt = call.attempts.get(this.id)
    if (attempt !== undefined) return attempt.isPaired ? 'paired' : 'being set up'
    if (this.#oldest(call.request.name) !== call) return 'waiting for an earlier call'
    return call.pairedBefore.has(this.id) ? 'waiting again' : 'waiting for the peer'
  }

  linkUp(): void {
    for (const name of this.#openWants.keys()) this.#dirtyNames.add(name)
  }

  linkReset(link: number): void {
    for (const attempt of this.#attempts.values()) if (attempt.uses(link)) this.voidAttempt(attempt, link)
    for (const k of this.#limited.keys()) this.#isLimited(k, link)
    if (link !== 0) return
    this.#limited.clear()
    for (const [name, want] of this.#openWants) {
      want.own?.sent.withdraw()
      this.#dirtyNames.add(name)
    }
    this.#openWants.clear()
  }

  linksChanged(): void {
    for (const attempt of this.#attempts.values()) if (attempt.links !== this.#port.links) this.voidAttempt(attempt)
    this.linkUp()
  }

  /** Sends what can be sent now. To be called after each event of this peer. */
  advance(): void {
    const { isGreater } = this.#port
    for (const name of this.#dirtyNames) {
      if (!isGreater && (!this.#port.isUp(0) || this.#openWants.size >= openWantsMax)) return
      this.#dirtyNames.delete(name)
      const call = this.#oldest(name)
      if (call === undefined || call.attempts.has(this.id)) continue
      const want = this.#openWants.get(name)
      if (isGreater && want !== undefined) this.#meet(call, want)
      else if (!isGreater && want === undefined) this.#sendWant(call)
    }
  }

  /** Throws ProtocolError, and has changed nothing then. */
  onFrame(link: number, frame: SetupFrame): void {
    const isFromGreater = !this.#port.isGreater
    switch (frame.type) {
      case 'Want':
        if (isFromGreater) throw misplaced(frame, this.id, link, 'only the peer with the lesser id sends it')
        this.#onWant(link, frame)
        return
      case 'Make':
        if (!isFromGreater) throw misplaced(frame, this.id, link, 'only the peer with the greater id sends it')
        this.#onMake(link, frame)
        return
      case 'Made':
        if (isFromGreater) throw misplaced(frame, this.id, link, 'only the peer with the lesser id sends it')
        this.#onMade(link, frame)
        return
      case 'Refuse':
        this.#onRefuse(frame)
        return
      case 'Agree':
        this.#onAgree(link, frame)
    }
  }

  #onWant(link: number, frame: WantFrame): void {
    if (link !== 0) throw misplaced(frame, this.id, link, 'it belongs on link 0')
    if (this.#openWants.has(frame.name) || this.#findOpen(frame.k) !== undefined || this.#attempts.has(frame.k))
      throw new ProtocolError(
        'ERR_WANT_REPEATED',
        `${this.id} sent Want number ${frame.k} before the Want of that name or number had its answer.`,
      )
    if (this.#openWants.size >= openWantsMax)
      throw new ProtocolError('ERR_WANT_LIMIT', `${this.id} has ${openWantsMax} open Wants and sent another one.`)
    this.#openWants.set(frame.name, { frame, own: null })
    this.#dirtyNames.add(frame.name)
  }

  #onMake(link: number, frame: MakeFrame): void {
    const { k, firstId } = frame
    const open = this.#findOpen(k)
    let attempt = this.#attempts.get(k)
    const call = attempt?.call ?? open?.own?.call
    const ids = this.#port.ids(link)
    if (call === undefined) {
      ids.make(firstId, null)
      this.#refuse(link, k, this.#isLimited(k, link) ? 'limit' : 'withdrawn')
      return
    }
    const { count, name } = call.request
    const links = attempt?.links ?? this.#port.links ?? 1
    if (link >= linksUsed(count, links)) throw misplaced(frame, this.id, link, 'its sessions do not use this link')
    if (attempt !== undefined && (attempt.confirmed.has(link) || attempt.peerCallId !== frame.callId))
      throw new ProtocolError('ERR_MAKE_REPEATED', `${this.id} sent another Make number ${k} on link ${link}.`)
    const lanes = sessionsOnLink(link, count, links)
    ids.make(firstId, lanes)
    if (attempt === undefined) {
      this.#openWants.delete(name)
      const windowBytes = this.#reserve(call, () => {
        ids.refuse(firstId)
        this.#refuse(link, k, 'limit')
        this.#limited.set(k, new Set(Array(linksUsed(count, links)).keys()))
        this.#isLimited(k, link)
      })
      if (windowBytes === null) return
      attempt = this.#begin(k, call, frame.callId, links, windowBytes)
    }
    this.#open(attempt, link, firstId, lanes, frame.windowBytes)
    this.#port.send(link, { type: 'Made', k, windowBytes: attempt.windowBytes })
    if (attempt.isLiving) this.#confirm(attempt, link)
  }

  #onMade(link: number, frame: MadeFrame): void {
    const attempt = this.#attempts.get(frame.k)
    if (attempt === undefined) return
    if (!attempt.uses(link)) throw misplaced(frame, this.id, link, 'its sessions do not use this link')
    if (attempt.confirmed.has(link))
      throw new ProtocolError('ERR_MAKE_REPEATED', `${this.id} sent another Made number ${frame.k} on link ${link}.`)
    this.#port.grantCredit(attempt.lanes.get(link) as readonly Lane[], frame.windowBytes)
    this.#confirm(attempt, link)
  }

  #onRefuse(frame: RefuseFrame): void {
    const open = this.#findOpen(frame.k)
    const attempt = this.#attempts.get(frame.k)
    const call = attempt?.call ?? open?.own?.call
    if (open !== undefined) {
      this.#openWants.delete(open.frame.name)
      this.#dirtyNames.add(open.frame.name)
    }
    if (call === undefined) return
    if (frame.reason !== 'withdrawn')
      this.#events.failed(call, refusedError(call.request.name, this.id, call.request.count, frame))
    else if (attempt !== undefined) this.voidAttempt(attempt)
  }

  #onAgree(link: number, frame: AgreeFrame): void {
    if (link !== 0) throw misplaced(frame, this.id, link, 'it belongs on link 0')
    const attempt = this.#attempts.get(frame.k)
    if (attempt === undefined) return
    attempt.agreedSet = frame.set
    this.#events.agreed(attempt.call)
  }

  #sendWant(call: PendingCall<Lane>): void {
    const { count, name } = call.request
    const frame: WantFrame = { type: 'Want', k: this.#nextK, callId: call.id, count, name }
    this.#nextK = (this.#nextK + 1) >>> 0
    const tries = (call.wants.get(this.id) ?? 0) + 1
    call.wants.set(this.id, tries)
    this.#openWants.set(name, { frame, own: { call, sent: this.#port.sendWant(frame, tries) } })
  }

  /** The oldest call here and the open Want of its name. */
  #meet(call: PendingCall<Lane>, want: OpenWant<Lane>): void {
    const { count, name } = call.request
    const { k, callId, count: peerCount } = want.frame
    if (peerCount !== count) {
      this.#openWants.delete(name)
      this.#refuse(0, k, 'counts-differ', count)
      this.#events.failed(call, countsError(name, this.id, count, peerCount))
      return
    }
    const links = this.#port.links ?? 1
    const used = [...Array(linksUsed(count, links)).keys()]
    // Each linkUp tries again.
    if (!used.every((link) => this.#port.isUp(link))) return
    this.#openWants.delete(name)
    const lacking = used.find((link) => !this.#port.ids(link).has(sessionsOnLink(link, count, links)))
    const windowBytes = this.#reserve(call, () => this.#refuse(0, k, 'limit'), lacking)
    if (windowBytes === null) return
    const attempt = this.#begin(k, call, callId, links, windowBytes)
    for (const link of used) {
      const lanes = sessionsOnLink(link, count, links)
      const firstId = this.#port.ids(link).take(lanes)
      this.#open(attempt, link, firstId, lanes, 0)
      this.#port.send(link, { type: 'Make', k, callId: call.id, firstId, windowBytes })
      // The write has failed and ended the epoch of a link.
      if (!attempt.isLiving) return
    }
  }

  /** @returns null if it is refused: the call has failed then */
  #reserve(call: PendingCall<Lane>, refuse: () => void, linkWithoutIds?: number): number | null {
    const { count } = call.request
    try {
      if (linkWithoutIds !== undefined) this.#port.ids(linkWithoutIds).take(count)
      return this.#port.reserveWindows(count)
    } catch (error) {
      if (!(error instanceof StatewireError)) throw error
      refuse()
      this.#events.failed(call, error)
      return null
    }
  }

  #begin(k: number, call: PendingCall<Lane>, peerCallId: bigint, links: number, windowBytes: number): Attempt<Lane> {
    const attempt = new Attempt(k, call, peerCallId, links, windowBytes)
    this.#attempts.set(k, attempt)
    call.attempts.set(this.id, attempt)
    return attempt
  }

  #open(attempt: Attempt<Lane>, link: number, firstId: number, count: number, creditBytes: number): void {
    const { windowBytes } = attempt
    const onEnded = (): void => {
      if (attempt.isLiving) this.#events.laneEnded(attempt, this)
    }
    attempt.lanes.set(link, this.#port.openLanes({ link, firstId, count, windowBytes, creditBytes, onEnded }))
  }

  #confirm(attempt: Attempt<Lane>, link: number): void {
    attempt.confirmed.add(link)
    if (attempt.isPaired) this.#events.paired(attempt.call)
  }

  #refuse(link: number, k: number, reason: RefuseFrame['reason'], ownCount = 0): void {
    this.#port.send(link, { type: 'Refuse', k, reason, ownCount })
  }

  /** The link is not asked about again: its Make has come, or is lost. */
  #isLimited(k: number, link: number): boolean {
    const links = this.#limited.get(k)
    const isLimited = links?.delete(link) === true
    if (links?.size === 0) this.#limited.delete(k)
    return isLimited
  }

  #oldest(name: string): PendingCall<Lane> | undefined {
    return this.#calls.get(name)?.[0]
  }

  #dequeue(call: PendingCall<Lane>): void {
    const { name } = call.request
    const left = (this.#calls.get(name) ?? []).filter((each) => each !== call)
    if (left.length === 0) this.#calls.delete(name)
    else this.#calls.set(name, left)
    this.#dirtyNames.add(name)
  }

  #findOpen(k: number): OpenWant<Lane> | undefined {
    for (const want of this.#openWants.values()) if (want.frame.k === k) return want
    return undefined
  }
}
