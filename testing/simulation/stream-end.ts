/**
 * Owns: what an application does with one end of a stream or channel: it writes, reads, and ends it, each in its way.
 * Independent of: how it was opened, and what must hold (stream-model.ts).
 */
import type { Channel } from '../../actors/streams/channel.ts'
import type { Stream } from '../../actors/streams/stream.ts'
import type { SimulatedProcess } from '../simulated-node.ts'
import type { Chance } from './chance.ts'
import { failureCode } from './message-model.ts'
import { bytesOf, numberBytes, valueOfStream } from './stream-bytes.ts'
import type { SimulatedStream, StreamModel, StreamSide } from './stream-model.ts'
import type { World } from './world.ts'

/** How it ends its part of a stream. */
type Ending = 'end' | 'reset' | 'destroy' | 'error' | 'endAndDestroy'

const endings: readonly Ending[] = ['end', 'end', 'end', 'end', 'end', 'reset', 'destroy', 'error', 'endAndDestroy']
const readings = ['flowing', 'flowing', 'slow', 'inParts', 'late'] as const
/** Interval between two checks for calm. */
const idleMs = 50
const valueBytesMax = 300

export interface StreamEndOptions {
  readonly world: World
  readonly owner: string
  readonly process: SimulatedProcess
  readonly flow: Stream | Channel
  readonly chanceOf: (number: number) => Chance
  /** Null for a stream whose opener writes its number. */
  readonly life: SimulatedStream | null
  readonly index: 0 | 1
  /** The number of a stream without a question has arrived. */
  readonly identify: (number: number, stream: Stream) => SimulatedStream | null
}

export class StreamEnd {
  readonly #options: StreamEndOptions
  life: SimulatedStream | null = null
  #chance: Chance
  #unitsLeft = 0
  #ending: Ending = 'end'
  #early: Buffer[] = []
  #isOver = false
  #isReading = false
  #hasNumber = false

  constructor(options: StreamEndOptions) {
    this.#options = options
    const { flow, life, world, owner } = options
    // Until its number is known.
    this.#chance = options.chanceOf(0)
    flow.on('error', (error: Error) => this.#when(() => this.#failed(error)))
    flow.on('end', () => this.#when(() => this.#ended()))
    const what = `a stream '${flow.protocol}'`
    // A channel closes after its stream, once its values are read.
    const isClosed = this.#tracked(`the close event of ${what}`)
    flow.on('close', () => (isClosed(), this.#when(() => this.#over())))
    void world.track(owner, `the end of ${what}`, flow.closed).then((reason) => this.#when(() => this.#closed(reason)))
    if (life !== null) this.#begin(life)
    else this.#read('flowing')
  }

  /** Nothing more happens here, or it stays as it is. */
  get isDone(): boolean {
    const { life } = this
    return this.#isOver || (life !== null && life.isKept && this.#unitsLeft === 0 && life.isQuiet)
  }

  get #stream(): Stream {
    const { flow } = this.#options
    return 'stream' in flow ? flow.stream : flow
  }

  get #isChannel(): boolean {
    return 'stream' in this.#options.flow
  }

  get #side(): StreamSide | null {
    return this.life?.sides[this.#options.index] ?? null
  }

  get #model(): StreamModel {
    return this.#options.world.streams
  }

  /** What Node runs of a process that is dead does not count. */
  #when(callback: () => void): void {
    if (this.#options.process.isDead) return
    callback()
    this.#options.world.recordProgress()
  }

  #later(callback: () => void, delayMs: number): void {
    const { process, world } = this.#options
    process.clock.setTimeout(() => this.#when(callback), world.isCalm ? Math.min(delayMs, 1) : delayMs)
  }

  /** @returns what is to be called for it in the end */
  #tracked(what: string): () => void {
    const { world, owner } = this.#options
    let settled = (): void => {}
    void world.track(owner, what, new Promise<void>((resolve) => (settled = resolve)))
    return settled
  }

  #note(what: string): void {
    const { world, owner } = this.#options
    world.network.trace.note(owner, `stream ${this.life?.number ?? '?'} ${what}`)
  }

  #begin(life: SimulatedStream): void {
    const { chanceOf, world, index } = this.#options
    this.life = life
    const chance = (this.#chance = chanceOf(life.number))
    const { bytesMax } = world.plan.streams!
    const most = this.#isChannel ? Math.max(1, Math.floor(bytesMax / valueBytesMax)) : bytesMax
    this.#unitsLeft = chance.is(0.1) ? 0 : chance.is(0.15) ? most : chance.spread(1, most)
    if (life.isNumbered && index === 0) this.#unitsLeft = Math.max(numberBytes, this.#unitsLeft)
    this.#ending = world.isCalm || life.isKept ? 'end' : chance.oneOf(endings)
    const isCut = this.#ending !== 'end' && this.#ending !== 'endAndDestroy' && chance.is(0.5)
    if (isCut) this.#later(() => this.#end(), chance.spread(1, 100))
    if (!this.#isReading) this.#read(chance.oneOf(readings))
    this.#write()
  }

  // Reading.

  #read(how: (typeof readings)[number]): void {
    const { flow, world } = this.#options
    this.#isReading = true
    if (how === 'flowing') return void flow.on('data', (unit: unknown) => this.#when(() => this.#got(unit)))
    if (how === 'late' && !world.isCalm) {
      if (!this.#isOver) this.#later(() => this.#read('late'), idleMs)
      return
    }
    let isWaiting = false
    const partBytes = this.#chance.spread(1, 5000)
    const take = (): void => {
      isWaiting = false
      if (this.#isOver) return
      // No part is left, or the end: without a length all of it is taken.
      const part = how === 'inParts' && !world.isCalm && !this.#isChannel ? (flow.read(partBytes) as unknown) : null
      const unit = part ?? (flow.read() as unknown)
      if (unit === null) return
      this.#got(unit)
      soon()
    }
    const soon = (): void => {
      if (isWaiting || this.#isOver) return
      isWaiting = true
      this.#later(take, this.#chance.spread(1, 40))
    }
    flow.on('readable', () => this.#when(soon))
    soon()
  }

  #got(unit: unknown): void {
    if (this.life === null) return this.#gotEarly(unit as Buffer)
    this.#note(`gets ${unit instanceof Buffer ? unit.length : 'a value'}`)
    this.#model.got(this.life, this.#options.index, unit)
  }

  /** Of a stream whose number has not arrived. */
  #gotEarly(bytes: Buffer): void {
    this.#early.push(bytes)
    const all = Buffer.concat(this.#early)
    if (all.length < numberBytes || this.#hasNumber) return
    this.#hasNumber = true
    const life = this.#options.identify(all.readUInt32LE(0), this.#stream)
    if (life === null) return
    this.life = life
    this.#got(all)
    this.#begin(life)
  }

  #ended(): void {
    this.#note('has ended')
    if (this.life !== null) this.#model.ended(this.life, this.#options.index)
    else this.#options.world.model.breach('lost', `${this.#options.owner}: a stream ended before its number`)
  }

  // Writing.

  #write(): void {
    const { flow, index } = this.#options
    const { life } = this
    const side = this.#side
    if (life === null || side === null || this.#isOver || side.resets.length > 0 || side.hasEnded) return
    if (flow.destroyed || !flow.writable) return
    if (this.#unitsLeft === 0) {
      if (!life.isKept) this.#end()
      return
    }
    const isCorked = this.#chance.is(0.1)
    if (isCorked) flow.cork()
    let hasRoom = true
    for (let writes = isCorked ? 3 : 1; writes > 0 && this.#unitsLeft > 0; writes -= 1) {
      const units = this.#isChannel ? 1 : this.#chance.spread(1, this.#unitsLeft)
      const from = side.written
      side.written += units
      this.#unitsLeft -= units
      const settled = this.#tracked(`a write on stream ${life.number}`)
      if (this.#isChannel)
        hasRoom = flow.write(valueOfStream(life.number, index, from, this.#chance.spread(1, valueBytesMax)), settled)
      else {
        const bytes = bytesOf(life.number, index, from, units, life.isNumbered && index === 0)
        // It belongs to the stream until it is accepted.
        hasRoom = flow.write(bytes, () => (bytes.fill(0xee), settled()))
      }
    }
    if (isCorked) flow.uncork()
    const next = (): void => this.#when(() => this.#write())
    if (!hasRoom && this.#chance.is(0.8)) flow.once('drain', next)
    else this.#later(next, this.#chance.is(0.5) ? 0 : this.#chance.spread(1, 30))
  }

  /** In the way that was drawn. */
  #end(): void {
    const { flow } = this.#options
    const side = this.#side
    if (side === null || this.#isOver || side.resets.length > 0 || side.hasEnded || flow.destroyed) return
    const how = this.#ending
    this.#note(`is ended here: ${how}`)
    const reason = `${failureCode} ${this.life?.number ?? ''}`
    const code = this.#chance.oneOf([256, 1000, 0xffff])
    if (how === 'reset') {
      side.resets.push({ code, reason })
      this.#stream.reset(code, reason)
    } else if (how === 'destroy') {
      side.resets.push({ code: 0, reason: 'closed' })
      flow.destroy()
    } else if (how === 'error') {
      const isCoded = this.#chance.is(0.5)
      side.resets.push({ code: isCoded ? code : 0, reason })
      flow.destroy(Object.assign(new Error(reason), isCoded ? { streamErrorCode: code } : {}))
    } else {
      side.hasEnded = true
      flow.end(
        how === 'end'
          ? undefined
          : (error?: Error | null) =>
              this.#when(() => {
                // Called, too, when it could not be ended.
                if (flow.destroyed || (error ?? null) !== null) return
                side.resets.push({ code: 0, reason: 'closed' })
                flow.destroy()
              }),
      )
    }
  }

  // The end.

  #failed(error: Error): void {
    this.#note(`fails: ${error.message.replace(/[a-v0-9]{52}/g, '…')}`)
    if (this.life !== null) this.#model.failed(this.life, this.#options.index, error)
  }

  #closed(reason: Awaited<Stream['closed']>): void {
    const { how, by, code, bytesRead, bytesWritten } = reason
    this.#note(`is over: ${how} by ${by}, ${code ?? 'no code'}, ${bytesRead} read, ${bytesWritten} written`)
    if (this.life !== null) this.#model.closed(this.life, this.#options.index, reason)
  }

  #over(): void {
    this.#isOver = true
    if (this.life !== null) this.#model.over(this.life, this.#options.index)
  }
}
