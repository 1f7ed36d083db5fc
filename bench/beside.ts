/**
 * The row of an echo beside a flood: lane 0 sends long values as fast as back-pressure allows, and on lane 1 one short
 * value at a time goes to the server and back. Owns both loops, their checks, and the latencies.
 * Independent of what carries the values, and of the second process.
 *
 * A phase ends with a marker on each lane, which carries the number of values before it.
 */
import { monotonicUs, type Arrived } from './workload.ts'
import type { Row } from './rows.ts'
import type { Accept, End } from './subject.ts'

const [bulkLane, echoLane] = [0, 1]
const markerBytes = 16
const markerNumber = 0xffff_ffff
/** Two different long values alternate. */
const bulkValues = 2
/** Where long values are checked: comparing all of 16 MiB would be the slowest thing that the server does. */
const samples = 61

export interface Latency {
  p50Us: number
  p99Us: number
  echoes: number
}

function byteAt(number: number, at: number): number {
  return (at * 31 + (at >>> 16) * 7 + number) & 0xff
}

function bulkValue(row: Row, number: number): Buffer {
  const value = Buffer.allocUnsafeSlow(row.bulkBytes as number)
  for (let at = 0; at < value.length; at++) value[at] = byteAt(number, at)
  return value
}

function marker(count: number): Buffer {
  const bytes = Buffer.alloc(markerBytes)
  bytes.writeUInt32LE(markerNumber, 0)
  bytes.writeDoubleLE(count, 8)
  return bytes
}

/** Counts and verifies what arrives; throws at the first wrong value. Reports when both markers have come. */
export class BesideSink {
  readonly #row: Row
  readonly #phaseOver: (arrived: Arrived) => void
  readonly #counts = [0, 0]
  #lanesOver = 0

  constructor(row: Row, phaseOver: (arrived: Arrived) => void) {
    this.#row = row
    this.#phaseOver = phaseOver
  }

  accept(lane: number, value: Uint8Array): void {
    const count = this.#counts[lane]!
    if (value.length === markerBytes) return this.#marker(lane, count, Buffer.from(value))
    const lengthBytes = lane === bulkLane ? this.#row.bulkBytes : this.#row.valueBytes
    if (value.length !== lengthBytes) throw new Error(`lane ${lane}: value ${count} has ${value.length} bytes`)
    const number = lane === bulkLane ? count % bulkValues : count
    const step = Math.max(1, Math.floor((value.length - 1) / samples))
    for (let at = 0; at < value.length; at += step)
      if (value[at] !== byteAt(number, at)) throw new Error(`lane ${lane}: value ${count} is wrong at byte ${at}`)
    this.#counts[lane] = count + 1
  }

  #marker(lane: number, count: number, bytes: Buffer): void {
    const sent = bytes.readDoubleLE(8)
    if (bytes.readUInt32LE(0) !== markerNumber || sent !== count)
      throw new Error(`lane ${lane}: ${sent} values were sent and ${count} came`)
    this.#lanesOver++
    if (this.#lanesOver < 2) return
    const values = this.#counts[echoLane]!
    this.#lanesOver = this.#counts[bulkLane] = this.#counts[echoLane] = 0
    this.#phaseOver({ values, endUs: monotonicUs() })
  }
}

export function besideServerAccept(sink: BesideSink, end: End): Accept {
  return (lane, value) => {
    if (lane === echoLane) end.send(lane, value as Buffer)
    sink.accept(lane, value)
  }
}

export class BesideDriver {
  readonly #row: Row
  readonly #bulk: readonly Buffer[]
  readonly #echo: Buffer
  #latenciesUs: number[] = []
  #sentAtUs = 0
  #onEcho: (value: Uint8Array) => void = () => {}

  constructor(row: Row) {
    this.#row = row
    this.#bulk = Array.from({ length: bulkValues }, (_, number) => bulkValue(row, number))
    this.#echo = Buffer.alloc(row.valueBytes)
  }

  accept: Accept = (lane, value) => {
    if (lane !== echoLane) throw new Error(`lane ${lane}: the server sends only echoes`)
    this.#onEcho(value)
  }

  async run(end: End, durationMs: number): Promise<{ startUs: number; echoed: Arrived; latency: Latency }> {
    const startUs = monotonicUs()
    const deadlineUs = startUs + durationMs * 1000
    const [, echoed] = await Promise.all([this.#flood(end, deadlineUs), this.#echoes(end, deadlineUs)])
    const sorted = this.#latenciesUs.sort((a, b) => a - b)
    const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
    return { startUs, echoed, latency: { p50Us: at(0.5), p99Us: at(0.99), echoes: sorted.length } }
  }

  async #flood(end: End, deadlineUs: number): Promise<void> {
    let count = 0
    while (monotonicUs() < deadlineUs) {
      const isTaken = end.send(bulkLane, this.#bulk[count++ % bulkValues]!)
      await new Promise<void>((resume) => (isTaken ? setImmediate(resume) : end.whenWritable(resume)))
    }
    if (!end.send(bulkLane, marker(count))) await new Promise<void>((resume) => end.whenWritable(resume))
  }

  /** An echo that began before the deadline counts. */
  #echoes(end: End, deadlineUs: number): Promise<Arrived> {
    this.#latenciesUs = []
    return new Promise((resolve) => {
      let count = 0
      const send = (): void => {
        this.#sentAtUs = monotonicUs()
        if (this.#sentAtUs >= deadlineUs) {
          end.send(echoLane, marker(count))
          return
        }
        for (let at = 0; at < this.#echo.length; at++) this.#echo[at] = byteAt(count, at)
        count++
        end.send(echoLane, this.#echo)
      }
      this.#onEcho = (value) => {
        const nowUs = monotonicUs()
        if (value.length === markerBytes) return resolve({ values: count, endUs: nowUs })
        if (value.length !== this.#row.valueBytes || value[0] !== byteAt(count - 1, 0))
          throw new Error(`a wrong echo of value ${count - 1}`)
        this.#latenciesUs.push(nowUs - this.#sentAtUs)
        send()
      }
      send()
    })
  }
}
