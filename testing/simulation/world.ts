/**
 * Owns: one run of a simulation: the parties, the times of the faults, calm, and the end.
 * Independent of: what a seed stands for (plan.ts), what a promise is (model.ts), and what a fault does (faults.ts).
 */
import { Identity } from '../../actors/tls/identity.ts'
import { SimulatedNetwork } from '../simulated-network.ts'
import { checkBalances } from './balances.ts'
import { Faults } from './faults.ts'
import { Judge } from './judge.ts'
import { Member } from './member.ts'
import { MessageModel } from './message-model.ts'
import { StreamModel } from './stream-model.ts'
import { Model } from './model.ts'
import type { Tally } from './model.ts'
import { whatOf } from './calls.ts'
import type { Group, Plan } from './plan.ts'

const names = ['alice', 'bob', 'carol']

/** Keys that are the same in every run, the lesser first. */
const keys: readonly Identity[] = [1, 2, 3]
  .map((seed) => {
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, seed)])
    return Identity.fromPem(`-----BEGIN PRIVATE KEY-----\n${der.toString('base64')}\n-----END PRIVATE KEY-----\n`)
  })
  .sort((a, b) => Buffer.compare(a.publicKey, b.publicKey))

/** The peer is dead after this much silence: the longest time that a fault stays unnoticed. */
const deadAfterMs = 20_000

/** Enough for every long value in spite of breaks. */
const longValuesMs = 120_000
/** Longer than an Ack may wait and than any round trip here takes. */
const restMs = 1000
const restBytes = 40
/** One stream may be opened in vain before the connection is back. */
const lastStreamsMs = 6000
/** Longer than what was sent is in flight. */
const arrivalMs = 100

export class World {
  readonly plan: Plan
  readonly network: SimulatedNetwork
  readonly model = new Model()
  readonly messages: MessageModel
  readonly streams = new StreamModel(this.model, () => this.judge)
  readonly members: Member[]
  readonly faults: Faults
  readonly judge: Judge
  /** Faults are over, and nothing new is sent. */
  isCalm = false
  /** From the end of the faults until all is up and everything has arrived; null if that never happened. */
  healedInMs: number | null = null
  readonly #promises = new Map<string, Map<number, string>>()
  #promiseNumber = 0
  #hasProgressed = true

  constructor(plan: Plan) {
    this.plan = plan
    const losesNothing = !plan.canCrash && !plan.canLeave && !plan.canExpire && !plan.hasTwin && !plan.changesPeers
    this.messages = new MessageModel(this.model, losesNothing)
    const { seed, latencyMs, chunkBytesMax, pathBytes, bytesPerMs } = plan
    this.network = new SimulatedNetwork({ seed, latencyMs, chunkBytesMax, pathBytes, bytesPerMs })
    this.members = names
      .slice(0, plan.peers)
      .map((name, index) => new Member(this, index, name, keys[index] as Identity))
    this.faults = new Faults(this)
    this.judge = new Judge(this)
  }

  async run(): Promise<void> {
    const { clock } = this.network
    this.faults.begin()
    for (const member of this.members) member.start()
    for (const fault of this.plan.faults) {
      if (this.#isBroken) return
      await clock.advance(fault.atMs - clock.nowMs())
      this.faults.cause(fault)
    }
    await clock.advance(Math.max(0, this.plan.chaosMs - clock.nowMs()))
    if (!this.#isBroken && this.plan.cutsLongValues) await this.#longValuesArrive()
    if (!this.#isBroken) await this.#calm()
    if (!this.#isBroken) await this.#end()
  }

  /** While every connection is cut before a long value could be complete. */
  async #longValuesArrive(): Promise<void> {
    const lives = this.model.lives.map((life) => ({ life, values: life.values.length }))
    const hasArrived = ({ life, values }: (typeof lives)[number]): boolean =>
      life.isOver || life.reset !== null || life.got.length >= values - life.count('withdrawn')
    try {
      await this.network.clock.until('the values arrive', () => this.#isBroken || lives.every(hasArrived), longValuesMs)
    } catch {
      const left = lives.filter((one) => !hasArrived(one)).map(({ life }) => life.name)
      this.model.breach('late', `after ${longValuesMs} ms of breaks values had not arrived on ${left.join(', ')}`)
    }
  }

  /** All faults end, and everything must recover within a bound. */
  async #calm(): Promise<void> {
    const { network, members, model, plan } = this
    const { clock } = network
    // Absent processes return, stalled ones resume, partitions end at their own time: that is when calm begins.
    const lastMs = Math.max(0, ...plan.faults.map((fault) => fault.atMs + ('forMs' in fault ? fault.forMs : 0)))
    await clock.advance(Math.max(0, lastMs - clock.nowMs()))
    await clock.until(
      'everybody is back',
      () => members.every(({ isAway, leaving }) => !isAway && leaving === null),
      60_000,
    )
    this.isCalm = true
    this.faults.end()
    network.trace.note('network', 'is calm')
    const calmAtMs = clock.nowMs()
    const boundMs = plan.backoffMaxMs + deadAfterMs + 1000 + (plan.streams === null ? 0 : lastStreamsMs)
    try {
      await clock.until('all is up and drained', () => this.#isBroken || this.#isDrained(), 2 * boundMs)
      if (this.#isBroken) return
      this.healedInMs = clock.nowMs() - calmAtMs
      if (this.healedInMs > boundMs)
        model.breach('late', `all was up and drained after ${this.healedInMs} ms of calm; ${boundMs} are allowed`)
    } catch (error) {
      model.breach('pending', `all was not up and drained after ${2 * boundMs} ms of calm: ${(error as Error).message}`)
    }
  }

  /** One violation is enough: its consequences would only take time. */
  get #isBroken(): boolean {
    return this.model.violations.length > 0
  }

  #isDrained(): boolean {
    if (!this.#hasProgressed) return false
    this.#hasProgressed = false
    return (
      this.members.every(({ isDrained }) => isDrained) &&
      this.plan.groups.every((group) => this.#haveSameSessions(group)) &&
      this.model.lives.every((life) => life.isOver || life.reset !== null || life.got.length === life.count('accepted'))
    )
  }

  /** What the parties of a group have belongs to the same calls. */
  #haveSameSessions(group: Group): boolean {
    const sets = group.parties.map((index) => this.members[index]!.setsOf(whatOf(group)))
    return new Set(sets).size === 1
  }

  async #end(): Promise<void> {
    const { clock, trace } = this.network
    trace.note('network', 'is drained')
    await this.#rest()
    this.judge.isEnding = true
    if (this.plan.ending === 'oneFirst') await this.#oneLeaves()
    await clock.run(Promise.all(this.members.map((member) => member.leave())))
    await clock.advance(deadAfterMs)
    if (clock.timers > 0 || this.network.pipes.length > 0)
      this.model.breach(
        'wrong',
        `all has stopped, and ${clock.timers} timers and ${this.network.pipes.length} pipes are left`,
      )
    for (const [name, promises] of this.#promises)
      for (const what of promises.values()) this.model.breach('pending', `${name}: ${what} was never settled`)
  }

  /**
   * A few more values without a flush: they are acknowledged all the same; then a long silence that breaks nothing.
   */
  async #rest(): Promise<void> {
    const { clock } = this.network
    // Short ones: a long one may take longer than the rest on a slow path.
    for (const member of this.members) for (const traffic of member.traffics) traffic.sendOne(restBytes)
    await clock.advance(restMs)
    // A link that only streams used may still believe in a connection that is gone.
    if (this.plan.streams !== null && this.members.some(({ heldFrames }) => heldFrames > 0))
      await clock.advance(deadAfterMs + restMs)
    for (const member of this.members)
      if (member.heldFrames > 0)
        this.model.breach(
          'wrong',
          `${member.name}: ${member.heldFrames} frames are not acknowledged after ${restMs} ms of rest`,
        )
    checkBalances(this.model, this.members)
    if (this.plan.idleMs === 0) return
    // A link without sessions may still believe in a connection that is gone.
    await clock.advance(deadAfterMs + 10_000)
    this.judge.isIdle = true
    await clock.advance(this.plan.idleMs)
    this.judge.isIdle = false
  }

  /** One says Goodbye on sound connections while all still send: nothing is unknown then, and what it sent arrives. */
  async #oneLeaves(): Promise<void> {
    const { clock } = this.network
    const [first, ...others] = this.members as [Member, ...Member[]]
    this.judge.isGoodbyeClean = true
    for (const member of this.members)
      for (const traffic of member.traffics)
        for (let count = 0; count < 3; count += 1) if (!traffic.isOver) traffic.sendOne()
    const sentByFirst = first.traffics.map(({ life }) => life)
    const flushes = others.flatMap(({ traffics }) =>
      traffics
        .filter(({ life, isOver }) => life.to === first.name && !isOver)
        // A session that another party has closed meanwhile is no session with a Goodbye.
        .map(async (traffic) => ((await traffic.flush()) || traffic.inbox.isClosed ? null : traffic.life)),
    )
    first.hasLeft = true
    await clock.run(first.leave())
    await clock.advance(arrivalMs)
    for (const life of sentByFirst) {
      const accepted = life.count('accepted')
      if (life.got.length < accepted && life.inbox?.isClosed !== true)
        this.model.breach(
          'lost',
          `${life.name}: ${accepted} values were accepted before a Goodbye, ${life.got.length} delivered`,
        )
    }
    for (const other of others)
      if (other.knows(first))
        this.model.breach('wrong', `${other.name} still knows ${first.name}, who has said Goodbye`)
    // A value that waited and was refused for the Goodbye also fails the flush after it.
    const failed = (await clock.run(Promise.all(flushes))).filter(
      (life) => life !== null && (life.reset?.outcomes.notSent ?? 0) === 0,
    )
    for (const life of failed)
      this.model.breach(
        'wrong',
        `${life!.name}: a flush failed by the Goodbye of ${first.name}, which had received it all`,
      )
    this.judge.isGoodbyeClean = false
  }

  conclude(): Tally {
    if (!this.#isBroken) this.messages.conclude()
    if (!this.#isBroken) this.streams.conclude()
    return this.model.conclude(!this.#isBroken)
  }

  // What the parties report.

  /** A promise that must settle, unless its process dies. */
  track<T>(owner: string, what: string, promise: Promise<T>): Promise<T> {
    let promises = this.#promises.get(owner)
    if (promises === undefined) this.#promises.set(owner, (promises = new Map()))
    const number = this.#promiseNumber++
    promises.set(number, what)
    const settled = (): void => void promises.delete(number)
    promise.then(settled, settled)
    return promise
  }

  forgetPromises(owner: string): void {
    this.#promises.delete(owner)
  }

  recordProgress(): void {
    this.#hasProgressed = true
  }
}
