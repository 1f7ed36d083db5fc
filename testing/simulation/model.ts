/**
 * Owns: what every sender was promised, what every receiver got, and the violations.
 * Independent of: networks and time. The runner reports events to it.
 *
 * A life is what one side sends on one session to one peer, from its creation to its end. Values carry the number of
 * their life and their position in it, so a received value is compared with the promise that was given for it.
 */
import type { OutcomeCounts, ResetReason } from '../../protocol/native/epoch/outcomes.ts'

export type Promised = 'pending' | 'accepted' | 'withdrawn' | 'ended'

export type Violation = {
  readonly kind: 'lost' | 'duplicated' | 'reordered' | 'pending' | 'wrong' | 'reset' | 'late'
  readonly sentence: string
}

/** Where the values of one session arrive, at one process. */
export class Inbox {
  readonly owner: string
  life: Life | null = null
  /** The application closed the session or the network; what comes later is dropped. */
  isClosed = false
  constructor(owner: string) {
    this.owner = owner
  }
}

export class Life {
  readonly number: number
  readonly from: string
  readonly to: string
  readonly name: string
  readonly values: Promised[] = []
  /** Positions of the values that the application read, or that were queued when its process died; in order. */
  readonly got: number[] = []
  inbox: Inbox | null = null
  /** A flush that was called after this many values has resolved. */
  flushed = 0
  reset: { readonly reason: ResetReason; readonly outcomes: OutcomeCounts } | null = null
  /** Ended without outcomes: closed by either application, or its process has died. */
  isOver = false

  constructor(number: number, from: string, to: string, name: string) {
    this.number = number
    this.from = from
    this.to = to
    this.name = name
  }

  count(state: Promised): number {
    let count = 0
    for (const value of this.values) if (value === state) count += 1
    return count
  }
}

export interface Tally {
  sent: number
  acked: number
  unknown: number
  notSent: number
  withdrawn: number
  delivered: number
}

/** One call of makeSessions at each of several parties: what a party learned when its call resolved. */
export interface MadeSessions {
  readonly party: string
  /** The name of the calls, and all parties: what every call of the set must agree on. */
  readonly what: string
  readonly ids: readonly string[]
}

export class Model {
  readonly violations: Violation[] = []
  readonly lives: Life[] = []
  readonly #livesAt = new Map<string, Life>()
  readonly #inboxesAt = new Map<string, Inbox>()
  /** By session id: the calls of the set, and the parties whose calls resolved with it. */
  readonly #made = new Map<string, { readonly what: string; readonly parties: Set<string> }>()

  /** A call of makeSessions has resolved. */
  made({ party, what, ids }: MadeSessions): void {
    for (const [index, id] of ids.entries()) {
      const found = this.#made.get(id) ?? { what, parties: new Set() }
      this.#made.set(id, found)
      if (found.what !== what)
        this.breach('wrong', `session ${id} belongs to ${found.what} at one party and to ${what} at ${party}`)
      if (found.parties.has(party)) this.breach('wrong', `${party} was given session ${id} twice`)
      if (!id.endsWith(`.${index}`)) this.breach('wrong', `session ${index} of ${party} has the id ${id}`)
      found.parties.add(party)
    }
  }

  /** A session was made at one side: what it sends there, and where it receives. The other side may exist already. */
  begin(from: string, to: string, session: string): { readonly life: Life; readonly inbox: Inbox } {
    const life = new Life(this.lives.length, from, to, `session ${session} ${from}→${to} #${this.lives.length}`)
    this.lives.push(life)
    const inbox = new Inbox(from)
    const sendsAt = `${session} ${from} ${to}`
    const receivesAt = `${session} ${to} ${from}`
    this.#livesAt.set(sendsAt, life)
    this.#inboxesAt.set(receivesAt, inbox)
    this.#join(life, this.#inboxesAt.get(sendsAt))
    this.#join(this.#livesAt.get(receivesAt), inbox)
    return { life, inbox }
  }

  #join(life: Life | undefined, inbox: Inbox | undefined): void {
    if (life === undefined || inbox === undefined) return
    life.inbox = inbox
    inbox.life = life
  }

  breach(kind: Violation['kind'], sentence: string): void {
    this.violations.push({ kind, sentence })
  }

  /** A value reached an application or its queue. */
  got(inbox: Inbox, number: number, place: number): void {
    const life = this.lives[number]
    if (life === undefined || life.to !== inbox.owner)
      return this.breach('wrong', `${inbox.owner} got a value that was not sent to it (life ${number}, place ${place})`)
    if (inbox.life !== life)
      return this.breach('wrong', `${life.name}: value ${place} came on another session than it was sent on`)
    const last = life.got.at(-1) ?? -1
    if (place <= last) {
      const isTwice = life.got.includes(place)
      return this.breach(
        isTwice ? 'duplicated' : 'reordered',
        `${life.name}: value ${place} was delivered ${isTwice ? 'twice' : `after value ${last}`}`,
      )
    }
    for (let between = last + 1; between < place; between += 1) {
      if (life.values[between] !== 'withdrawn')
        this.breach(
          'lost',
          `${life.name}: value ${between} (${life.values[between]!}) was passed over, value ${place} came next`,
        )
    }
    if (life.values[place] === 'withdrawn')
      this.breach(
        'wrong',
        `${life.name}: value ${place} was delivered although its sender was told that it was not sent`,
      )
    life.got.push(place)
  }

  /**
   * @param isOver nothing more can happen; otherwise the run stopped at its first violation, and the rest is not judged
   */
  conclude(isOver: boolean): Tally {
    const tally: Tally = { sent: 0, acked: 0, unknown: 0, notSent: 0, withdrawn: 0, delivered: 0 }
    for (const life of this.lives) {
      this.#count(life, tally)
      if (isOver) this.#judge(life)
    }
    return tally
  }

  #count(life: Life, tally: Tally): void {
    tally.sent += life.values.length
    tally.delivered += life.got.length
    tally.withdrawn += life.count('withdrawn')
    tally.acked += life.reset?.outcomes.acked ?? (life.isOver ? 0 : life.count('accepted'))
    tally.unknown += life.reset?.outcomes.unknown ?? 0
    tally.notSent += life.reset?.outcomes.notSent ?? 0
  }

  #judge(life: Life): void {
    const { name, reset } = life
    const got = life.got.length
    const accepted = life.count('accepted')
    const ended = life.count('ended')
    // Closed by its reader, or never made there: makeSessions failed, or the process ended before.
    const isDropped = life.inbox === null || life.inbox.isClosed
    if (!isDropped && life.flushed > 0) {
      const confirmed = life.values.slice(0, life.flushed).filter((value) => value === 'accepted').length
      if (got < confirmed)
        this.breach('lost', `${name}: flush said that ${confirmed} values had arrived, and ${got} did`)
    }
    if (reset !== null) {
      const { acked, unknown, notSent } = reset.outcomes
      const outcomes = `${acked} acknowledged, ${unknown} unknown, ${notSent} not sent (${reset.reason})`
      if (acked + unknown + notSent !== accepted + ended)
        this.breach('wrong', `${name}: outcomes were ${outcomes}, for ${accepted + ended} values`)
      if (!isDropped && got < acked)
        this.breach('lost', `${name}: outcomes were ${outcomes}, and ${got} values were delivered`)
      if (got > acked + unknown)
        this.breach('wrong', `${name}: outcomes were ${outcomes}, and ${got} values were delivered`)
    } else if (!life.isOver) {
      if (life.inbox?.isClosed !== true && got !== accepted)
        this.breach(
          'lost',
          `${name}: ${accepted} values were accepted, ${got} delivered, and nobody was told of the others`,
        )
      if (ended > 0) this.breach('wrong', `${name}: ${ended} values were refused for an end that nobody else heard of`)
    }
  }
}
