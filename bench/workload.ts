/**
 * The loops that every subject is measured with, and the checks that make a number count. Owns the contents of values,
 * the verification of counts and contents, and the moments at which time is taken.
 * Independent of what carries the values, and of the second process.
 *
 * A run has phases (a warm-up, then the measured one). A phase ends with one marker per lane, which carries the number
 * of values before it. The phase is over at the receiver when every lane's marker has arrived, and its time stops
 * there.
 *
 * Contents: every value has its length, its number in its lane, its lane and its last byte checked; one in 256 (64 KiB:
 * one in 32) is compared completely. Comparing all of them would measure the check.
 */
import { copiedValueBytesMax, type Row } from './rows.ts'
import type { Accept, End } from './subject.ts'

const markerNumber = 0xffff_ffff
const markerBytes = 16

/** Values sent by reference cannot be stamped; eight different ones alternate, and are small enough for a cache. */
const referencedValues = 8

/** Values per tick, so that acknowledgements and credit can come in between. 4,096 small ones are about 300 KiB. */
function burstOf(row: Row): number {
  return row.valueBytes > copiedValueBytesMax ? 16 : 4096
}

export function monotonicUs(): number {
  // The one clock that has the same meaning in both processes.
  return Number(process.hrtime.bigint() / 1000n)
}

function fill(value: Buffer, lane: number): void {
  for (let at = 6; at < value.length - 1; at++) value[at] = (at * 31 + lane * 7) & 0xff
  value[4] = lane & 0xff
  value[5] = lane >>> 8
}

function stamp(value: Buffer, number: number): void {
  value[0] = number & 0xff
  value[1] = (number >>> 8) & 0xff
  value[2] = (number >>> 16) & 0xff
  value[3] = number >>> 24
  value[value.length - 1] = number & 0xff
}

function numberMaskOf(row: Row): number {
  return row.valueBytes > copiedValueBytesMax ? referencedValues - 1 : 0x7fff_ffff
}

/** Makes the values that a client sends. */
class Source {
  readonly #values: Buffer[] = []
  readonly #sent: Float64Array
  readonly #copied: boolean

  constructor(row: Row) {
    this.#copied = row.valueBytes <= copiedValueBytesMax
    this.#sent = new Float64Array(row.lanes)
    if (!this.#copied && row.lanes !== 1) throw new Error('rows of large values have one lane')
    const count = this.#copied ? row.lanes : referencedValues
    for (let index = 0; index < count; index++) {
      const value = Buffer.allocUnsafeSlow(row.valueBytes)
      fill(value, this.#copied ? index : 0)
      stamp(value, index)
      this.#values.push(value)
    }
  }

  next(lane: number): Buffer {
    const number = this.#sent[lane]!
    this.#sent[lane] = number + 1
    if (!this.#copied) return this.#values[number & (referencedValues - 1)]!
    const value = this.#values[lane]!
    stamp(value, number)
    return value
  }

  marker(lane: number): Buffer {
    const marker = Buffer.alloc(markerBytes)
    marker.writeUInt32LE(markerNumber, 0)
    marker.writeUInt32LE(lane, 4)
    marker.writeDoubleLE(this.#sent[lane]!, 8)
    this.#sent[lane] = 0
    return marker
  }
}

export interface Arrived {
  values: number
  endUs: number
}

/** Counts and verifies what arrives. Throws into the subject's call at the first wrong value, which fails the cell. */
export class Sink {
  readonly #row: Row
  readonly #next: Float64Array
  readonly #patterns: Buffer[] = []
  readonly #mask: number
  readonly #wholeEvery: number
  readonly #phaseOver: (arrived: Arrived) => void
  #lanesOver = 0
  #values = 0

  constructor(row: Row, phaseOver: (arrived: Arrived) => void) {
    this.#row = row
    this.#next = new Float64Array(row.lanes)
    this.#mask = numberMaskOf(row)
    this.#wholeEvery = row.valueBytes > copiedValueBytesMax ? 31 : 255
    this.#phaseOver = phaseOver
    for (let lane = 0; lane < row.lanes; lane++) {
      const pattern = Buffer.alloc(row.valueBytes)
      fill(pattern, lane)
      this.#patterns.push(pattern)
    }
  }

  accept(lane: number, value: Uint8Array): void {
    const count = this.#next[lane]!
    const number = count & this.#mask
    const got = value[0]! | (value[1]! << 8) | (value[2]! << 16) | (value[3]! << 24)
    if (
      got !== number ||
      value.length !== this.#row.valueBytes ||
      value[value.length - 1] !== (number & 0xff) ||
      value[4] !== lane
    ) {
      this.#unusual(lane, value, number)
      return
    }
    this.#next[lane] = count + 1
    if ((++this.#values & this.#wholeEvery) === 0) this.#compareWhole(lane, value, number)
  }

  #compareWhole(lane: number, value: Uint8Array, number: number): void {
    const pattern = this.#patterns[lane]!
    stamp(pattern, number)
    if (pattern.compare(value) !== 0)
      throw new Error(`value ${number} of lane ${lane} has other contents than were sent`)
  }

  #unusual(lane: number, value: Uint8Array, number: number): void {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    if (bytes.length !== markerBytes || bytes.readUInt32LE(0) !== markerNumber || bytes.readUInt32LE(4) !== lane) {
      throw new Error(
        `lane ${lane}: expected value ${number}, got ${bytes.length} bytes that begin ${bytes.toString('hex', 0, 8)}`,
      )
    }
    const sent = bytes.readDoubleLE(8)
    const count = this.#next[lane]!
    if (sent !== count) throw new Error(`lane ${lane}: ${sent} values were sent and ${count} came`)
    this.#next[lane] = 0
    if (++this.#lanesOver < this.#row.lanes) return
    const arrived = { values: this.#values, endUs: monotonicUs() }
    this.#lanesOver = 0
    this.#values = 0
    this.#phaseOver(arrived)
  }
}

/** What the server does with a value: verify it, and echo it if the row says so. */
export function serverAccept(row: Row, sink: Sink, end: End): Accept {
  if (row.shape === 'flood') return (lane, value) => sink.accept(lane, value)
  return (lane, value) => {
    // Echoes first: the sink's last call of a phase reports, and the marker must not wait for that.
    end.send(lane, value as Buffer)
    sink.accept(lane, value)
  }
}

/** The client's side of a row. `accept` must be given to the subject before `run` is called. */
export class Driver {
  readonly #row: Row
  readonly #source: Source
  readonly #echoes: Sink
  #end: End | undefined
  #deadlineUs = 0
  #isMarked = false
  #echoed: (arrived: Arrived) => void = () => {}

  constructor(row: Row) {
    this.#row = row
    this.#source = new Source(row)
    this.#echoes = new Sink(row, (arrived) => this.#echoed(arrived))
  }

  accept: Accept = (lane, value) => {
    if (this.#row.shape === 'flood') throw new Error('a client that only sends got a value')
    const over = value.length === markerBytes
    this.#echoes.accept(lane, value)
    if (!over) this.#ping()
  }

  /** Sends for `durationMs`, then the markers. Resolves with the time of the first value. */
  async run(end: End, durationMs: number): Promise<{ startUs: number; echoed: Arrived | undefined; latency?: null }> {
    this.#end = end
    const startUs = monotonicUs()
    this.#deadlineUs = startUs + durationMs * 1000
    if (this.#row.shape === 'flood') {
      await this.#flood(end)
      for (let lane = 0; lane < this.#row.lanes; lane++) {
        if (!end.send(lane, this.#source.marker(lane))) await new Promise<void>((resume) => end.whenWritable(resume))
      }
      return { startUs, echoed: undefined }
    }
    const echoed = await new Promise<Arrived>((resolve) => {
      this.#echoed = resolve
      this.#isMarked = false
      for (let left = this.#row.inFlight ?? 1; left > 0; left--) this.#ping()
    })
    return { startUs, echoed }
  }

  /** With more than one under way the marker goes behind the last of them, once. */
  #ping(): void {
    if (this.#isMarked) return
    this.#isMarked = monotonicUs() >= this.#deadlineUs
    this.#end!.send(0, this.#isMarked ? this.#source.marker(0) : this.#source.next(0))
  }

  #flood(end: End): Promise<void> {
    const lanes = this.#row.lanes
    const burst = burstOf(this.#row)
    const source = this.#source
    let lane = 0
    let left = 0
    return new Promise((resolve, reject) => {
      const pump = (): void => {
        try {
          // A subject that is waited for after each value comes here each time: looking at the clock would be part of
          // it.
          if (left === 0) {
            if (monotonicUs() >= this.#deadlineUs) return resolve()
            left = burst
          }
          while (left > 0) {
            left--
            const writable = end.send(lane, source.next(lane))
            if (++lane === lanes) lane = 0
            if (!writable) return end.whenWritable(pump)
          }
          setImmediate(pump)
        } catch (error) {
          reject(error as Error)
        }
      }
      pump()
    })
  }
}
