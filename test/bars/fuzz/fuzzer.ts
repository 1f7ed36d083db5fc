/**
 * Owns: the run: which state gets which stream, what is kept, what is too slow, and how a finding is minimised.
 * Independent of: any state, and how a finding is printed.
 */
import { Dice } from './dice.ts'
import { createStream } from './mutate.ts'
import type { Stream } from './mutate.ts'
import { Trace } from './target.ts'
import type { Target } from './target.ts'
import { Progress } from './watchdog.ts'

const hangMs = 50
const streamsPerBatch = 16
const keptStreamsMax = 100
const keptBytesMax = 2048
/** Two large frames and some small ones. */
const streamBytesMax = 300_000
const shrinkRunsMax = 3000
/** Most frames are shorter, and only whole frames can be removed between others. */
const shortFrameLengthBytes = 40

export interface Finding {
  readonly kind: 'crash' | 'hang'
  readonly target: string
  readonly stream: number
  /** Of the dice that cut the stream and choose what the application does. */
  readonly dice: number
  readonly input: Buffer
  readonly what: string
}

interface Case {
  readonly target: number
  readonly input: Buffer
  readonly dice: number
  readonly stream: number
}

export interface FuzzResult {
  readonly frames: number
  readonly streams: number
  readonly behaviours: number
  readonly outcomes: ReadonlyMap<string, number>
  readonly states: number
  readonly findings: readonly Finding[]
  readonly keptStreams: number
}

export class Fuzzer {
  readonly #targets: readonly Target[]
  readonly #dice: Dice
  readonly #kept: readonly Stream[][]
  readonly #trace = new Trace()
  /** Coverage is not recorded while a finding is minimised. */
  readonly #scrap = new Trace()
  readonly #ends: number[] = []
  readonly #reached = new Set<number>()
  readonly #findings: Finding[] = []
  /** One bug shows up thousands of times in a state. */
  readonly #told = new Set<string>()
  readonly #findingsMax: number
  /** The position of the run and the memory of its streams; another thread may watch both. */
  readonly progress: Progress
  #streams = 0

  constructor(targets: readonly Target[], seed: number, findingsMax = 10) {
    this.#targets = targets
    this.#dice = new Dice(seed)
    this.#kept = targets.map(() => [])
    this.#findingsMax = findingsMax
    this.progress = new Progress(
      streamsPerBatch * streamBytesMax,
      targets.map(({ name }) => name),
    )
    let end = 0
    for (const { weight } of targets) this.#ends.push((end += weight))
  }

  get frames(): number {
    return this.#trace.frames
  }

  get isFull(): boolean {
    return this.#findings.length >= this.#findingsMax
  }

  result(): FuzzResult {
    const { frames, behaviours, outcomes } = this.#trace
    return {
      frames,
      behaviours,
      outcomes,
      streams: this.#streams,
      states: this.#reached.size,
      findings: this.#findings,
      keptStreams: this.#kept.reduce((sum, { length }) => sum + length, 0),
    }
  }

  /** Several streams in one block of memory. They are timed together, and individually only if the total was long. */
  batch(): void {
    const cases: Case[] = []
    const { arena } = this.progress
    let arenaEnd = 0
    const startedMs = performance.now()
    for (let count = 0; count < streamsPerBatch; count++) {
      const target = this.#drawTarget()
      const { seeds, framesMax } = this.#targets[target] as Target
      const kept = this.#kept[target] as Stream[]
      const stream = createStream(this.#dice, seeds, kept, framesMax)
      const start = arenaEnd
      for (const frame of stream)
        if (arenaEnd + frame.length <= start + streamBytesMax) arenaEnd += frame.copy(arena, arenaEnd)
      const one: Case = {
        target,
        input: arena.subarray(start, arenaEnd),
        dice: this.#dice.next(),
        stream: this.#streams++,
      }
      cases.push(one)
      this.#reached.add(target)
      this.progress.begins(start, arenaEnd, one.dice, target)
      const error = this.#run(one, this.#trace)
      if (error !== null) this.#crashed(one, error)
      else if (this.#trace.isNew && one.input.length <= keptBytesMax) this.#keep(kept, stream)
    }
    if (performance.now() - startedMs > hangMs) this.#lookForHang(cases)
  }

  /** Each once, then by weight. */
  #drawTarget(): number {
    if (this.#streams < this.#targets.length) return this.#streams
    const at = this.#dice.below(this.#ends.at(-1) as number)
    return this.#ends.findIndex((end) => at < end)
  }

  #keep(kept: Stream[], stream: Stream): void {
    const copied = stream.map((frame) => Buffer.from(frame))
    if (kept.length < keptStreamsMax) kept.push(copied)
    else kept[this.#dice.below(keptStreamsMax)] = copied
  }

  /** @returns an error that must not be thrown, or null */
  #run({ target, input, dice }: Case, trace: Trace, stackLines = 0): Error | null {
    trace.begin(target)
    // Most streams end with an error, and capturing its stack costs more than everything before.
    const usualStackLines = Error.stackTraceLimit
    Error.stackTraceLimit = stackLines
    try {
      ;(this.#targets[target] as Target).run(input, new Dice(dice), trace)
      return null
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    } finally {
      Error.stackTraceLimit = usualStackLines
    }
  }

  /** The minimum of three: other load and garbage collection are not the stream's fault. */
  #lookForHang(cases: readonly Case[]): void {
    for (const one of cases) {
      const elapsedMs = this.#leastMs(one, 3)
      if (elapsedMs > hangMs)
        this.#note({
          kind: 'hang',
          ...this.#describe(one),
          input: Buffer.from(one.input),
          what: `took ${elapsedMs.toFixed(0)} ms`,
        })
    }
  }

  #leastMs(one: Case, times: number): number {
    let leastMs = Infinity
    for (let time = 0; time < times && leastMs > hangMs; time++) {
      const startedMs = performance.now()
      this.#run(one, this.#scrap)
      leastMs = Math.min(leastMs, performance.now() - startedMs)
    }
    return leastMs
  }

  #crashed(one: Case, error: Error): void {
    const signature = signatureOf(error)
    const same = `${one.target} ${signature}`
    if (this.isFull || this.#told.has(same)) return
    this.#told.add(same)
    const smallest = this.#shrink(one, signature)
    const told = this.#run({ ...one, input: smallest }, this.#scrap, 12) ?? error
    this.#note({ kind: 'crash', ...this.#describe(one), input: smallest, what: told.stack ?? told.message })
  }

  #describe({ target, stream, dice }: Case): Pick<Finding, 'target' | 'stream' | 'dice'> {
    return { target: (this.#targets[target] as Target).name, stream, dice }
  }

  #note(finding: Finding): void {
    if (!this.isFull) this.#findings.push(finding)
  }

  /** Removes halves, quarters … bytes, then every short length, for as long as the same error occurs. */
  #shrink(one: Case, signature: string): Buffer {
    let input = Buffer.from(one.input)
    let runs = 0
    for (const sizeBytes of removedLengths(input.length)) {
      for (let at = 0; at < input.length && runs < shrinkRunsMax; runs++) {
        const smaller = Buffer.concat([input.subarray(0, at), input.subarray(at + sizeBytes)])
        const error = this.#run({ ...one, input: smaller }, this.#scrap)
        if (error !== null && signatureOf(error) === signature) input = smaller
        else at += sizeBytes
      }
    }
    return input
  }
}

function removedLengths(lengthBytes: number): number[] {
  const lengths: number[] = []
  for (let half = Math.ceil(lengthBytes / 2); half > 1; half = Math.ceil(half / 2)) lengths.push(half)
  for (let short = shortFrameLengthBytes; short >= 1; short--) lengths.push(short)
  return lengths
}

/** Two errors are the same if their messages are equal, numbers aside. */
function signatureOf(error: Error): string {
  return `${error.constructor.name} ${error.message.replace(/\d+/g, '#')}`
}

/** Runs one input of a finding again. Throws what it throws. */
export function replay(targets: readonly Target[], name: string, input: Buffer, dice: number): Trace {
  const target = targets.find((candidate) => candidate.name === name)
  if (target === undefined)
    throw new Error(`there is no state '${name}'; there are:\n${targets.map((candidate) => candidate.name).join('\n')}`)
  const trace = new Trace()
  trace.begin(targets.indexOf(target))
  target.run(input, new Dice(dice), trace)
  return trace
}
