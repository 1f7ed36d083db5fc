/**
 * Owns: what an application does on one session with one peer: it sends, reads at its own pace and flushes; and how the
 * session ends for it.
 * Independent of: other sessions, and why things break.
 */
import type { Session } from '../../actors/session/session.ts'
import type { NetworkValue } from '../../codec/values.ts'
import { StatewireError } from '../../codec/errors.ts'
import { LinkResetError } from '../../protocol/native/lanes/native-lane.ts'
import type { Chance } from './chance.ts'
import type { Inbox, Life, Promised } from './model.ts'
import { bytesOf, isDetached, isTransferable, placeOf, reuse, valueOf } from './payload.ts'
import { isPeerGone } from './peer-changes.ts'
import type { Reuse } from './payload.ts'
import type { World } from './world.ts'

export interface SessionTrafficOptions {
  readonly world: World
  readonly session: Session
  /** Names for people, and the id by which the network knows the peer. */
  readonly me: string
  readonly peer: string
  readonly peerId: string
  /** The link that carries the session, and this side's epoch of it. */
  readonly link: number
  readonly epoch: bigint
  readonly chance: Chance
  readonly values: number
  readonly valueBytesMax: number
  /** Runs in the process of this application. */
  readonly later: (callback: () => void, delayMs: number) => void
  /** Closes the session, with all its peers. */
  readonly close: () => void
  readonly onOver: () => void
}

/** Interval between two checks for calm, when everything is sent. */
const idleMs = 100

/** Error codes of `send` that mean the value was certainly not sent. */
const withdrawals = new Set(['ERR_SEND_TIMED_OUT', 'ERR_ABORTED', 'ERR_SEND_QUEUE_FULL'])

export class SessionTraffic {
  readonly life: Life
  readonly inbox: Inbox
  isOver = false
  /** The last flush, after all values, has resolved. */
  isFlushed = false
  readonly #options: SessionTrafficOptions
  readonly #hasHandler: boolean
  /** Pause between two reads, for a slow reader; 0 for one that keeps up. */
  readonly #readPauseMs: number
  /** The value that was read last is checked again at the next one, unless the application overwrites it. */
  #kept: NetworkValue | null = null
  readonly #overwritesRead: boolean
  /** It reads nothing until calm has come. */
  readonly #readsLate: boolean
  #left: number
  #pending = 0
  #isLastSent = false
  #isLastFlushCalled = false

  constructor(options: SessionTrafficOptions) {
    const { world, session, me, peer, chance } = options
    this.#options = options
    this.#left = options.values
    this.#hasHandler = chance.is(0.5)
    this.#readPauseMs = chance.is(0.6) ? 0 : chance.spread(1, 60)
    this.#overwritesRead = chance.is(0.3)
    this.#readsLate = !this.#hasHandler && chance.is(0.2) && !world.plan.cutsLongValues
    const { life, inbox } = world.model.begin(me, peer, session.id)
    this.life = life
    this.inbox = inbox
    if (this.#hasHandler) {
      session.handle(options.peerId, (value) => this.#got(value))
      void session.ended(options.peerId).then((error) => this.end(error))
    } else void this.#read()
    this.#sendSoon()
  }

  // Receiving.

  #got(value: NetworkValue): void {
    const { world } = this.#options
    const found = placeOf(value)
    if (found === null)
      return world.model.breach(
        'wrong',
        `${this.#options.me} got a value on session ${this.#options.session.id} that nobody sent like that`,
      )
    world.network.trace.note(this.#options.me, `gets ${found.place} of #${found.life}`)
    world.model.got(this.inbox, found.life, found.place)
    world.recordProgress()
    if (this.#kept !== null && placeOf(this.#kept) === null)
      world.model.breach('wrong', `${this.#options.me}: a value of #${found.life} changed after it was read`)
    this.#kept = this.#overwritesRead ? null : value
    if (this.#overwritesRead) bytesOf(value)?.fill(0xdd)
  }

  async #read(): Promise<void> {
    const { session, peerId, world, later } = this.#options
    while (this.#readsLate && !world.isCalm && !this.isOver)
      await new Promise<void>((resolve) => later(resolve, idleMs))
    try {
      for (;;) {
        this.#got(await session.receive(peerId))
        if (this.#readPauseMs > 0 && !world.isCalm)
          await new Promise<void>((resolve) => later(resolve, this.#readPauseMs))
      }
    } catch (error) {
      this.end(error as Error)
    }
  }

  /** The process has died: what its queue held was acknowledged, and is lost with it. */
  bury(): void {
    const { session, peerId } = this.#options
    if (!this.isOver) this.life.isOver = true
    this.isOver = true
    if (!this.inbox.isClosed)
      for (let count = session.unread(peerId); count > 0; count -= 1)
        session.receive(peerId).then(
          (value) => this.#got(value),
          () => {},
        )
  }

  // Sending.

  #sendSoon(): void {
    const { chance, later, world } = this.#options
    const pauseMs = world.isCalm ? 1 : this.#left === 0 ? idleMs : chance.is(0.3) ? 0 : chance.spread(1, 60)
    later(() => this.#sendSome(), pauseMs)
  }

  #sendSome(): void {
    const { chance, world, session } = this.#options
    if (this.isOver) return
    // One last value when calm has come: it proves that the link is really up.
    if (world.isCalm && !this.#isLastSent) {
      this.#isLastSent = true
      this.#left = 1
    }
    for (
      let count = Math.min(this.#left, chance.is(0.3) ? chance.whole(2, 12) : 1);
      count > 0 && !this.isOver;
      count -= 1
    ) {
      this.#left -= 1
      this.sendOne()
    }
    if (this.isOver) return
    if (!world.isCalm && this.#left > 0 && chance.is(0.005)) {
      world.network.trace.note(this.#options.me, `closes session ${session.id}`)
      this.#options.close()
      return
    }
    if (this.#left > 0 || !world.isCalm) {
      if (this.#left > 0 && chance.is(0.15)) void this.flush()
      this.#sendSoon()
      return
    }
    this.#flushLast()
  }

  #drawnBytes(): number {
    const { chance, world, valueBytesMax } = this.#options
    if (world.plan.cutsLongValues && chance.is(0.3)) return valueBytesMax
    return chance.is(0.2) ? 0 : chance.spread(8, valueBytesMax)
  }

  sendOne(lengthBytes = this.#drawnBytes()): void {
    const { chance, world, session, peerId } = this.#options
    const { life } = this
    const place = life.values.length
    const value = valueOf(life.number, place, lengthBytes)
    const transfer = chance.is(0.15) && isTransferable(value)
    const memory: Reuse = transfer ? 'kept' : chance.oneOf<Reuse>(['kept', 'overwritten', 'detached'])
    try {
      if (session.trySend(peerId, value, { transfer })) {
        if (transfer && !isDetached(value))
          world.model.breach('wrong', `${life.name}: value ${place} was handed over and is not detached`)
        reuse(value, memory)
        life.values.push('accepted')
        world.network.trace.note(this.#options.me, `sends ${place} of #${life.number}`)
        return
      }
    } catch (error) {
      // Refused while the peer is drained; the outcomes come with the end of the link.
      if (isPeerGone(error)) return
      return this.end(error as Error)
    }
    life.values.push('pending')
    world.network.trace.note(this.#options.me, `wants to send ${place} of #${life.number}`)
    this.#pending += 1
    const timeoutMs = !world.isCalm && chance.is(0.1) ? chance.spread(1, 200) : 10_000_000
    const settle = (state: Promised): void => {
      life.values[place] = state
      this.#pending -= 1
      if (this.#pending === 0 && world.isCalm) this.#flushLast()
    }
    const sent = session.send(peerId, value, { timeoutMs, transfer })
    reuse(value, memory)
    world.track(this.#options.me, `send of ${place} of #${life.number}`, sent).then(
      () => settle('accepted'),
      (error: Error) => {
        const isWithdrawn = (error instanceof StatewireError && withdrawals.has(error.code)) || isPeerGone(error)
        settle(isWithdrawn ? 'withdrawn' : 'ended')
        if (!isWithdrawn) this.end(error)
      },
    )
  }

  get session(): Session {
    return this.#options.session
  }

  /** @returns whether everything sent by now is acknowledged */
  flush(): Promise<boolean> {
    const { world, session, me, peerId } = this.#options
    const upTo = this.life.values.length
    const flushed = session.flush({ peers: [peerId] })
    return world.track(me, `flush of #${this.life.number}`, flushed).then(
      () => {
        this.life.flushed = Math.max(this.life.flushed, upTo)
        world.network.trace.note(me, `has flushed ${upTo} of #${this.life.number}`)
        return true
      },
      (error: Error) => {
        this.end(error)
        return false
      },
    )
  }

  /** Once all is calm and nothing waits. */
  #flushLast(): void {
    if (this.#isLastFlushCalled || this.isOver || this.#pending > 0 || this.#left > 0) return
    this.#isLastFlushCalled = true
    void this.flush().then(() => {
      this.isFlushed = !this.isOver
      this.#options.world.recordProgress()
    })
  }

  // The end.

  /** The application closes the session now: what comes later is dropped. */
  closing(): void {
    if (!this.isOver) {
      this.life.isOver = true
      this.#over()
    }
    this.inbox.isClosed = true
  }

  /** The network reported that it is over. */
  end(error: Error): void {
    if (this.isOver) return
    const { world, me, peer, link, epoch } = this.#options
    world.network.trace.note(
      me,
      `session ${this.#options.session.id} (#${this.life.number}) is over: ${error.message.replace(/[a-v0-9]{52}/g, peer)}`,
    )
    if (error instanceof LinkResetError) {
      this.life.reset = { reason: error.reason, outcomes: error.outcomes }
      world.judge.reset({
        node: me,
        peer,
        link,
        epoch,
        reason: error.reason,
        outcomes: error.outcomes,
      })
    } else this.life.isOver = true
    this.#over()
  }

  #over(): void {
    this.isOver = true
    this.isFlushed = false
    this.#options.onOver()
  }
}
