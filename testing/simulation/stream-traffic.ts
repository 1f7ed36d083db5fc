/**
 * Owns: what an application does to have streams: it opens them, permits them or not, serves them, gives up at times.
 * Independent of: what is done with a stream (stream-end.ts), and why things break.
 */
import type { Network } from '../../actors/network/network.ts'
import type { Channel } from '../../actors/streams/channel.ts'
import type { Permission, StreamRequest } from '../../actors/streams/accepted-streams.ts'
import { StreamError } from '../../actors/streams/stream-error.ts'
import type { Stream } from '../../actors/streams/stream.ts'
import { StatewireError } from '../../codec/errors.ts'
import { resetCodes } from '../../codec/native-frames.ts'
import type { SimulatedProcess } from '../simulated-node.ts'
import { Chance } from './chance.ts'
import type { Member } from './member.ts'
import { failureCode } from './message-model.ts'
import { isPeerGone, isRefusedAtTimes } from './peer-changes.ts'
import { extraOf, numberOf } from './stream-bytes.ts'
import { StreamEnd } from './stream-end.ts'
import type { SimulatedStream, StreamProtocol } from './stream-model.ts'
import type { World } from './world.ts'

const fewAtOnce = 2
const burstMax = 8
/** Interval between two checks for calm, when everything is opened. */
const idleMs = 100
/** Timers run late by a slot of the wheel and a tick. */
const lateMs = 20
const protocols: readonly StreamProtocol[] = ['plain', 'plain', 'asked', 'asked', 'asked', 'few', 'values', 'nobody']

export interface StreamTrafficOptions {
  readonly world: World
  readonly member: Member
  readonly network: Network
  readonly process: SimulatedProcess
  readonly chance: Chance
}

/** Of one process, with all its peers. */
export class StreamTraffic {
  readonly ends = new Set<StreamEnd>()
  readonly #options: StreamTrafficOptions
  readonly #peers: readonly PeerOpenings[]

  constructor(options: StreamTrafficOptions) {
    const { world, member, network } = options
    this.#options = options
    network.onStream('plain', (stream) => this.end(stream, 1, null))
    network.onStream<number>('asked', (stream, context) => this.#serve('asked', stream, stream.extra, context), {
      permit: (request) => this.#permit(request),
    })
    network.onStream('few', (stream) => this.#serve('few', stream, stream.extra), { concurrency: fewAtOnce })
    network.onChannel('values', (channel) => this.#serve('values', channel, channel.extra))
    this.#peers = world.members.filter((other) => other !== member).map((peer) => new PeerOpenings(options, this, peer))
  }

  get isDrained(): boolean {
    return this.#peers.every(({ isDrained }) => isDrained) && [...this.ends].every(({ isDone }) => isDone)
  }

  /** One end of a stream is in the hands of the application. */
  end(flow: Stream | Channel, index: 0 | 1, life: SimulatedStream | null): void {
    const { world, member, process } = this.#options
    this.ends.add(
      new StreamEnd({
        world,
        owner: member.name,
        process,
        flow,
        index,
        life,
        chanceOf: (number) => new Chance(world.plan.seed, 11, number, index),
        identify: (number, stream) => {
          const found = world.streams.find(member.name, 'plain', number)
          if (found !== null) world.streams.served(found, stream, undefined)
          return found
        },
      }),
    )
  }

  #permit({ extra, signal }: StreamRequest): Permission<number> | Promise<Permission<number>> {
    const { world, member, process } = this.#options
    const life = world.streams.find(member.name, 'asked', numberOf(extra))
    if (life === null) return false
    const chance = new Chance(world.plan.seed, 12, life.number)
    world.streams.asked(life)
    const yes = (): Permission<number> => {
      life.decision = 'yes'
      return chance.is(0.5) ? true : { context: life.number }
    }
    const no = (): boolean => {
      life.decision = { code: resetCodes.refused, reason: 'not permitted' }
      return false
    }
    const fail = (): Error => {
      const code = chance.is(0.5) ? chance.whole(256, 0xffff) : null
      const reason = `${failureCode} ${life.number}`
      life.decision = { code: code ?? resetCodes.refused, reason }
      return Object.assign(new Error(reason), code === null ? {} : { streamErrorCode: code })
    }
    const later = (): Promise<void> =>
      new Promise((resolve) => process.clock.setTimeout(resolve, chance.spread(1, 200)))
    const way = world.isCalm || life.isKept ? 0 : chance.whole(0, 13)
    if (way < 6) return yes()
    if (way < 9) return later().then(yes)
    if (way === 9) return no()
    if (way === 10) return later().then(no)
    if (way === 11) throw fail()
    if (way === 12) return later().then(() => Promise.reject(fail()))
    // It decides only when nobody waits any more.
    return new Promise((resolve) => signal.addEventListener('abort', () => resolve(true)))
  }

  #serve(protocol: StreamProtocol, flow: Stream | Channel, extra: Buffer, context?: number): unknown {
    const { world, member } = this.#options
    const life = world.streams.find(member.name, protocol, numberOf(extra))
    if (life === null) return
    world.network.trace.note(member.name, `serves stream ${life.number}`)
    world.streams.served(life, 'stream' in flow ? flow.stream : flow, context)
    this.end(flow, 1, life)
    const chance = new Chance(world.plan.seed, 13, life.number)
    if (world.isCalm || life.isKept || !chance.is(0.05)) return
    const error = new Error(`${failureCode} ${life.number}`)
    life.sides[1].resets.push({ code: 0, reason: error.message })
    if (chance.is(0.5)) throw error
    return Promise.reject(error)
  }
}

class PeerOpenings {
  readonly #options: StreamTrafficOptions
  readonly #traffic: StreamTraffic
  readonly #peer: Member
  #left: number
  #pending = 0
  #keeps: boolean
  /** A stream that was opened in calm has ended as it should. */
  #last: SimulatedStream | null = null

  constructor(options: StreamTrafficOptions, traffic: StreamTraffic, peer: Member) {
    const { chance, world } = options
    const { perPeer, keepsSome } = world.plan.streams!
    this.#options = options
    this.#traffic = traffic
    this.#peer = peer
    this.#left = chance.whole(0, perPeer)
    this.#keeps = keepsSome
    this.#soon()
  }

  get isDrained(): boolean {
    return this.#pending === 0 && this.#last?.sides[0].closed?.how === 'finished'
  }

  #soon(): void {
    const { chance, process, world } = this.#options
    process.clock.setTimeout(() => this.#some(), world.isCalm || this.#left === 0 ? idleMs : chance.spread(1, 60))
  }

  #some(): void {
    const { chance, world, network, member } = this.#options
    if (member.network !== network || member.isAway || this.isDrained) return
    if (world.isCalm) this.#lastOnes()
    else
      for (let count = Math.min(this.#left, chance.whole(1, burstMax)); count > 0; count -= 1) {
        this.#left -= 1
        void this.#open(chance.oneOf(protocols), this.#keeps && chance.is(0.3))
      }
    this.#soon()
  }

  /** One at a time, until one has ended as it should. */
  #lastOnes(): void {
    if (this.#pending > 0 || (this.#last !== null && this.#last.sides[0].closed === null)) return
    void this.#open(this.#options.chance.oneOf(['asked', 'plain', 'values'] as const), false).then((life) => {
      this.#last = life
    })
  }

  #patience(): { readonly timeoutMs: number; readonly signal?: AbortSignal } {
    const { chance, world, process } = this.#options
    if (world.isCalm || !chance.is(0.3)) return { timeoutMs: 5000 }
    const forMs = chance.spread(1, 300)
    if (chance.is(0.5)) return { timeoutMs: forMs }
    const controller = new AbortController()
    process.clock.setTimeout(() => controller.abort(), forMs)
    return { timeoutMs: 5000, signal: controller.signal }
  }

  /** @returns the stream, or null if it was not opened */
  async #open(protocol: StreamProtocol, keeps: boolean): Promise<SimulatedStream | null> {
    const { world, network, member, process, chance } = this.#options
    const isKept = keeps && protocol !== 'few' && protocol !== 'nobody'
    if (isKept) this.#keeps = false
    const life = world.streams.begin(protocol, isKept, member.name, this.#peer.name)
    const hasExtra = protocol !== 'plain' && (protocol !== 'nobody' || chance.is(0.5))
    const extra = hasExtra ? extraOf(life.number, chance.spread(4, 1000)) : null
    const serial = chance.is(world.plan.streams!.serials)
    const options = { ...this.#patience(), ...(serial ? { serial } : {}), ...(extra === null ? {} : { extra }) }
    world.network.trace.note(member.name, `opens stream ${life.number} '${protocol}'`)
    const { id } = this.#peer.key
    const startedMs = world.network.clock.nowMs()
    this.#pending += 1
    const opening: Promise<Stream | Channel> =
      protocol === 'values' ? network.getChannel(id, protocol, options) : network.getStream(id, protocol, options)
    extra?.fill(0xee)
    try {
      const flow = await world.track(member.name, `the opening of stream ${life.number}`, opening)
      if (process.isDead) return null
      this.#settled(life, startedMs, options.timeoutMs)
      world.network.trace.note(member.name, `has stream ${life.number}`)
      world.streams.accepted(life, 'stream' in flow ? flow.stream : flow)
      this.#traffic.end(flow, 0, life)
      return life
    } catch (error) {
      if (process.isDead) return null
      this.#settled(life, startedMs, options.timeoutMs)
      this.#failed(life, error as Error, startedMs, options)
      return null
    }
  }

  /** In time: stalls of the process delay its timers. */
  #settled(life: SimulatedStream, startedMs: number, timeoutMs: number): void {
    const { world, member } = this.#options
    this.#pending -= 1
    world.recordProgress()
    const tookMs = world.network.clock.nowMs() - startedMs
    const stalledMs = world.plan.faults.reduce(
      (sum, fault) => sum + (fault.kind === 'stall' && fault.node === member.index ? fault.forMs : 0),
      0,
    )
    if (tookMs > timeoutMs + stalledMs + lateMs)
      world.model.breach(
        'late',
        `the opening of stream ${life.number} at ${member.name} was settled after ${tookMs} of ${timeoutMs} ms`,
      )
  }

  #failed(
    life: SimulatedStream,
    error: Error,
    startedMs: number,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): void {
    const { world, member, network } = this.#options
    const text = error.message.replace(/[a-v0-9]{52}/g, '…')
    world.network.trace.note(member.name, `does not get stream ${life.number}: ${text}`)
    const { code } = error as { readonly code?: string }
    if (error instanceof StreamError && error.by !== 'self')
      return world.streams.notOpened(life, error, world.plan.memoryBudgetBytes !== null)
    life.opened = 'failed'
    const isStopped = member.network !== network || member.isAway
    const waitedMs = world.network.clock.nowMs() - startedMs
    const { plan } = world
    const isExplained =
      // A call with `serial` failed, and all that waited with it.
      (plan.streams!.serials > 0 && text.includes('was not opened: the stream')) ||
      (isStopped && code === 'ERR_NETWORK_STOPPED') ||
      (code === 'ERR_TIMED_OUT' && (waitedMs > options.timeoutMs - lateMs || text.includes('was not connected'))) ||
      (code === 'ERR_ABORTED' && options.signal?.aborted === true) ||
      (plan.changesPeers && (isPeerGone(error) || isRefusedAtTimes(plan))) ||
      (plan.memoryBudgetBytes !== null && code === 'ERR_MEMORY_BUDGET')
    if (!(error instanceof StatewireError) || !isExplained)
      world.model.breach('wrong', `stream ${life.number} was not opened at ${member.name} without a cause: ${text}`)
  }
}
