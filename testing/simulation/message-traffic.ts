/**
 * Owns: what an application does with messages and requests: it sends and asks, takes and answers, gives up at times.
 * Independent of: sessions, and why things break.
 */
import type { Network } from '../../actors/network/network.ts'
import type { RequestContext } from '../../actors/messaging/request-handlers.ts'
import { RequestError } from '../../actors/messaging/request-error.ts'
import { StatewireError } from '../../codec/errors.ts'
import type { Chance } from './chance.ts'
import type { Member } from './member.ts'
import { isPeerGone } from './peer-changes.ts'
import { failureCode } from './message-model.ts'
import type { World } from './world.ts'

const asks = 'ask'
/** Messages of one name have a handler, those of the other an iterator. */
const names = ['handled', 'iterated'] as const
/** Number, place and length. */
const headBytes = 12
/** Less than a run may take to recover: some handlers end only when their caller gives up. */
const patienceMs = 10_000
/** Interval between two checks for calm, when everything is sent. */
const idleMs = 100
/** Some of them wait for credit, for room, or for a connection. */
const burstMax = 8

export interface MessageTrafficOptions {
  readonly world: World
  readonly member: Member
  readonly network: Network
  readonly chance: Chance
  /** Runs in the process of this application. */
  readonly later: (callback: () => void, delayMs: number) => void
}

/** Of one process, with all its peers. */
export class MessageTraffic {
  readonly #options: MessageTrafficOptions
  readonly #peers: readonly PeerTraffic[]
  readonly #readPauseMs: number

  constructor(options: MessageTrafficOptions) {
    const { world, member, network, chance } = options
    this.#options = options
    this.#readPauseMs = chance.is(0.6) ? 0 : chance.spread(1, 60)
    network.onMessage(names[0], ({ bytes }) => this.#got(names[0], bytes))
    void this.#read()
    network.onRequest(asks, (request) => this.#answer(request))
    this.#peers = world.members.filter((other) => other !== member).map((peer) => new PeerTraffic(options, peer))
  }

  get isDrained(): boolean {
    return this.#peers.every(({ isDrained }) => isDrained)
  }

  #got(name: string, bytes: Buffer): void {
    const { world, member } = this.#options
    const found = read(bytes)
    if (found === null)
      return world.model.breach('wrong', `${member.name} got a message '${name}' that nobody sent like that`)
    world.network.trace.note(member.name, `gets message ${found.place} of #${found.number}`)
    world.messages.got(member.name, name, found.number, found.place)
    world.recordProgress()
  }

  async #read(): Promise<void> {
    const { world, network, later } = this.#options
    for await (const { bytes } of network.messages(names[1])) {
      this.#got(names[1], bytes)
      if (this.#readPauseMs > 0 && !world.isCalm)
        await new Promise<void>((resolve) => later(resolve, this.#readPauseMs))
    }
  }

  async #answer(request: RequestContext): Promise<Buffer> {
    const { world, member, chance, later } = this.#options
    const found = read(request.bytes)
    if (found === null) {
      world.model.breach('wrong', `${member.name} got a request that nobody sent like that`)
      return Buffer.alloc(0)
    }
    world.network.trace.note(member.name, `answers request #${found.number}`)
    world.messages.ran(member.name, found.number)
    const way = world.isCalm ? 0 : chance.whole(0, 9)
    // A handler that ends only when its caller has given up.
    if (way === 9) await new Promise<void>((resolve) => request.signal.addEventListener('abort', () => resolve()))
    else if (way > 5) await new Promise<void>((resolve) => later(resolve, chance.spread(1, 100)))
    if (way === 5) throw Object.assign(new Error('on purpose'), { code: failureCode })
    return written(found.number, found.place, found.place)
  }
}

class PeerTraffic {
  readonly #options: MessageTrafficOptions
  readonly #peer: Member
  readonly #lives: readonly number[]
  #left: number
  #pending = 0
  #isAnswered = false
  /** After an answer in calm nothing can be lost any more. A message is sent again if the queue was full. */
  #sendsLast = false

  constructor(options: MessageTrafficOptions, peer: Member) {
    const { world, member, chance } = options
    this.#options = options
    this.#peer = peer
    this.#left = chance.whole(0, world.plan.messagesPerPeer)
    this.#lives = names.map((name) => world.messages.begin(member.name, peer.name, name))
    this.#soon()
  }

  get isDrained(): boolean {
    const { lives } = this.#options.world.messages
    const haveArrived = this.#lives.every((life) => lives[life]!.got.at(-1) === lives[life]!.states.length - 1)
    return this.#pending === 0 && this.#sendsLast && haveArrived
  }

  #soon(): void {
    const { chance, later, world } = this.#options
    later(() => this.#some(), world.isCalm ? 1 : this.#left === 0 ? idleMs : chance.spread(1, 60))
  }

  #some(): void {
    const { chance, world, network, member } = this.#options
    if (member.network !== network || member.isAway) return
    if (world.isCalm) return this.#lastOnes()
    for (let count = Math.min(this.#left, chance.whole(1, burstMax)); count > 0; count -= 1) {
      this.#left -= 1
      if (chance.is(0.5)) this.#send(chance.whole(0, 1))
      else void this.#ask()
    }
    this.#soon()
  }

  #lastOnes(): void {
    if (this.#isAnswered) {
      this.#sendsLast = true
      for (const index of names.keys()) this.#send(index)
      return
    }
    void this.#ask().then((isAnswered) => {
      this.#isAnswered = isAnswered
      this.#soon()
    })
  }

  #drawnBytes(): number {
    const { chance, world } = this.#options
    return chance.spread(headBytes, Math.max(100, world.plan.messageBytesMax))
  }

  #patience(): { readonly timeoutMs?: number; readonly signal?: AbortSignal } {
    const { chance, world, later } = this.#options
    if (world.isCalm) return {}
    if (!chance.is(0.3)) return { timeoutMs: patienceMs }
    const forMs = chance.spread(1, 300)
    if (chance.is(0.5)) return { timeoutMs: forMs }
    const controller = new AbortController()
    later(() => controller.abort(), forMs)
    return { signal: controller.signal }
  }

  #send(index: number): void {
    const { world, network, member, chance } = this.#options
    const name = names[index]!
    const life = this.#lives[index]!
    const { states } = world.messages.lives[life]!
    const place = states.length
    states.push('pending')
    this.#pending += 1
    const bytes = written(life, place, this.#drawnBytes())
    const id = this.#peer.key.id
    const options = { name, ...this.#patience() }
    const isShared = chance.is(0.3)
    const sent = isShared ? this.#multicast(id, bytes, options) : network.send(id, bytes, options)
    // Shared memory belongs to the message until it is sent.
    if (!isShared) bytes.fill(0xee)
    world.track(member.name, `message ${place} of #${life}`, sent).then(
      () => this.#settle(() => (states[place] = 'accepted')),
      () => {
        this.#settle(() => (states[place] = 'withdrawn'))
        if (this.#sendsLast && member.network === network) this.#options.later(() => this.#send(index), idleMs)
      },
    )
  }

  async #multicast(id: string, bytes: Buffer, options: { readonly name: string }): Promise<void> {
    const result = (await this.#options.network.multicast([id], bytes, options)).get(id)
    if (result?.ok !== true) throw result?.error ?? new Error('no result')
  }

  #settle(change: () => void): void {
    change()
    this.#pending -= 1
    this.#options.world.recordProgress()
  }

  /** @returns whether it was answered */
  async #ask(): Promise<boolean> {
    const { world, network, member, chance } = this.#options
    const number = world.messages.ask(member.name, this.#peer.name)
    const answerBytes = world.isCalm ? headBytes : this.#drawnBytes()
    const bytes = written(number, answerBytes, this.#drawnBytes())
    world.network.trace.note(member.name, `asks request #${number}`)
    const options = { name: asks, ...this.#patience() }
    this.#pending += 1
    const asked = network.request(this.#peer.key.id, bytes, options)
    if (chance.is(0.5)) bytes.fill(0xee)
    try {
      const reply = await world.track(member.name, `request #${number}`, asked)
      const found = read(reply.bytes)
      if (found?.number !== number || reply.bytes.length !== answerBytes)
        world.model.breach('wrong', `request #${number} of ${member.name} got the answer of another one`)
      this.#settle(() => world.messages.ended(number, 'ok', ''))
      return true
    } catch (error) {
      this.#settle(() => this.#failed(number, error as Error, options))
      return false
    }
  }

  #failed(number: number, error: Error, options: { readonly signal?: AbortSignal }): void {
    const { world, member, network } = this.#options
    const isRunning = member.network === network && !member.isAway
    if (!(error instanceof RequestError)) {
      const isStopped = error instanceof StatewireError && error.code === 'ERR_NETWORK_STOPPED' && !isRunning
      const isAborted = options.signal?.aborted === true
      const isGone = world.plan.changesPeers && isPeerGone(error)
      if (!isStopped && !isAborted && !isGone)
        world.model.breach('wrong', `request #${number} of ${member.name}: ${error.message}`)
      return
    }
    const { outcome, code, remote } = error
    if (outcome === 'remote' && remote?.code !== failureCode)
      world.model.breach('wrong', `request #${number} of ${member.name} failed at its handler: ${error.message}`)
    world.messages.ended(number, outcome, code)
  }
}

function written(number: number, place: number, lengthBytes: number): Buffer {
  const bytes = Buffer.alloc(Math.max(headBytes, lengthBytes), (number * 31 + place * 7 + 1) & 0xff)
  bytes.writeUInt32LE(number, 0)
  bytes.writeUInt32LE(place, 4)
  bytes.writeUInt32LE(bytes.length, 8)
  return bytes
}

/** @returns null if it was not written here, or was changed */
function read(bytes: Buffer): { readonly number: number; readonly place: number } | null {
  if (bytes.length < headBytes || bytes.readUInt32LE(8) !== bytes.length) return null
  const [number, place] = [bytes.readUInt32LE(0), bytes.readUInt32LE(4)]
  const fill = (number * 31 + place * 7 + 1) & 0xff
  return bytes.subarray(headBytes).every((byte) => byte === fill) ? { number, place } : null
}
