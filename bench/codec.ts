/**
 * Owns: the speed of the codec: encode and decode of every value type, the frame reader and writer, and the limit that
 * a ring vector costs no more than twice a plain memory copy of the same size.
 * Independent of: sockets.
 *
 * Ratios are medians over interleaved rounds: absolute figures of a shared machine mean little, and other load in one
 * round must not decide.
 */
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { Bench } from 'tinybench'
import {
  decodeBody,
  decodeValue,
  encodedLength,
  encodeFrame,
  encodeValue,
  FrameReader,
  FrameWriter,
  type NetworkValue,
  type NetworkVecElement,
} from '../codec/index.ts'

const help = `Usage: codec [--quick] [--json FILE]

Encodes and decodes every value type, prints values/s and MiB/s, and holds vectors of 4,096 elements against a memory copy.

  --quick      shorter rounds, under 3 s; the figures are rougher
  --json FILE  also write the figures to FILE
  --help       this text

Exit code: 0 if every BAR line passes, 1 if one fails, 2 for wrong arguments.`

const ratioLimit = 2
const vectorElements = 4_096

interface Row {
  name: string
  lengthBytes: number
  valuesPerSecond: number
  mebibytesPerSecond: number
}
interface Bar {
  id: string
  pass: boolean
  ratio: number
  limit: number
  against: string
}

/** Runs one operation; `lengthBytes` is the encoded length, to give rates in MiB/s. */
interface Subject {
  name: string
  lengthBytes: number
  run: () => number
}

/** Keeps results alive, so that the compiler cannot remove the work; printed at the end. */
let checksum = 0

const samples: NetworkValue[] = [
  { type: 'PrfKey', value: new Uint8Array(16).fill(1) },
  { type: 'RingElementBit', value: true },
  { type: 'RingElement16', value: 0x1234 },
  { type: 'RingElement32', value: 0x12345678 },
  { type: 'RingElement48', value: 0x123456789abc },
  { type: 'RingElement64', value: 0x123456789abcdef0n },
  { type: 'StateChecksum', value: { irises: 1n << 60n, graph: 7n } },
  { type: 'PrfCheck', value: 1n << 120n },
  { type: 'Bytes', value: new Uint8Array(64).fill(1) },
  { type: 'VecRing16', value: new Uint16Array(vectorElements).fill(0x1234) },
  { type: 'VecRing32', value: new Uint32Array(vectorElements).fill(0x12345678) },
  { type: 'VecRing48', value: new Float64Array(vectorElements).fill(0x123456789abc) },
  { type: 'VecRing64', value: new BigUint64Array(vectorElements).fill(0x123456789abcdef0n) },
  { type: 'VecRingBit', value: { bits: vectorElements, packed: new Uint8Array(vectorElements / 8).fill(0x5a) } },
  {
    type: 'NetworkVec',
    value: Array.from({ length: 16 }, (_, index): NetworkVecElement =>
      index % 2 === 0 ? { type: 'RingElement32', value: index } : { type: 'Bytes', value: new Uint8Array(64) },
    ),
  },
]

function valueSubjects(value: NetworkValue): [encode: Subject, decode: Subject] {
  const encoded = encodeValue(value)
  const lengthBytes = encodedLength(value)
  return [
    { name: `${value.type} encode`, lengthBytes, run: () => encodeValue(value).length },
    { name: `${value.type} decode`, lengthBytes, run: () => decodeValue(encoded).type.length },
  ]
}

/** A copy of the same size into a fresh buffer: the minimum for any encoder that returns a buffer. */
function memoryCopy(lengthBytes: number): Subject {
  const source = Buffer.alloc(lengthBytes, 1)
  return {
    name: `memcpy ${String(lengthBytes)} bytes`,
    lengthBytes,
    run: () => {
      const copy = Buffer.allocUnsafe(lengthBytes)
      source.copy(copy)
      return copy[0]!
    },
  }
}

const framesPerChunk = 949 // of 69 bytes: one read of 64 KiB

function frameSubjects(): Subject[] {
  const value: NetworkValue = { type: 'Bytes', value: new Uint8Array(60).fill(1) }
  const chunk = Buffer.concat(Array.from({ length: framesPerChunk }, () => encodeFrame(3, value)))
  const readerOf = (decode: boolean) =>
    new FrameReader(
      { maxMessageLengthBytes: 2 ** 20 },
      {
        onFrame(lane, descriptor, buffer, bodyStart, bodyEnd) {
          checksum += decode ? decodeBody(descriptor, buffer, bodyStart, bodyEnd).type.length : lane
          return false
        },
      },
    )
  const [plain, decoding, writer] = [readerOf(false), readerOf(true), new FrameWriter()]
  return [
    {
      name: `read ${String(framesPerChunk)} frames`,
      lengthBytes: chunk.length,
      run: () => {
        plain.push(chunk)
        return 0
      },
    },
    {
      name: `read + decode ${String(framesPerChunk)} frames`,
      lengthBytes: chunk.length,
      run: () => {
        decoding.push(chunk)
        return 0
      },
    },
    {
      name: `write ${String(framesPerChunk)} frames`,
      lengthBytes: chunk.length,
      run: () => {
        for (let count = 0; count < framesPerChunk; count += 1) writer.writeFrame(3, value)
        return writer.take().length
      },
    },
  ]
}

/**
 * Median seconds for one run of each subject. Small subjects run many times per sample; otherwise the timer would be
 * measured.
 */
function measure(subjects: Subject[], timeMs: number): number[] {
  const bench = new Bench({ time: timeMs, warmupTime: timeMs / 2, iterations: 5, warmupIterations: 2, throws: true })
  const repeats = subjects.map(({ lengthBytes }) =>
    Math.max(1, Math.min(500, Math.floor(200_000 / (lengthBytes + 100)))),
  )
  for (const [index, { name, run }] of subjects.entries()) {
    const count = repeats[index]!
    bench.add(name, () => {
      let sum = 0
      for (let repeat = 0; repeat < count; repeat += 1) sum += run()
      checksum += sum
    })
  }
  return bench.runSync().map(({ name, result }, index) => {
    if (!('latency' in result)) throw new Error(`no result for ${name}: ${result.state}`)
    return result.latency.p50 / 1_000 / repeats[index]!
  })
}

function median(values: number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)]!
}

function rowsOf(subjects: Subject[], timeMs: number): Row[] {
  const seconds = measure(subjects, timeMs)
  return subjects.map(({ name, lengthBytes }, index) => ({
    name,
    lengthBytes,
    valuesPerSecond: 1 / seconds[index]!,
    mebibytesPerSecond: lengthBytes / seconds[index]! / 2 ** 20,
  }))
}

function barsOf(type: 'VecRing32' | 'VecRing64', rounds: number, timeMs: number): Bar[] {
  const value = samples.find((sample) => sample.type === type)!
  const subjects = [...valueSubjects(value), memoryCopy(encodedLength(value))]
  const ratios: [number[], number[]] = [[], []]
  for (let round = 0; round < rounds; round += 1) {
    const [encode, decode, copy] = measure(subjects, timeMs) as [number, number, number]
    ratios[0].push(encode / copy)
    ratios[1].push(decode / copy)
  }
  return (['encode', 'decode'] as const).map((direction, index) => {
    const ratio = median(ratios[index]!)
    return { id: `codec-${type}-${direction}`, pass: ratio <= ratioLimit, ratio, limit: ratioLimit, against: 'memcpy' }
  })
}

function main(): number {
  let options: { quick?: boolean; json?: string; help?: boolean }
  try {
    options = parseArgs({
      options: { quick: { type: 'boolean' }, json: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    }).values
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${help}`)
    return 2
  }
  if (options.help === true) {
    console.log(help)
    return 0
  }
  const quick = options.quick === true
  const rows = rowsOf(
    [
      ...samples.flatMap(valueSubjects),
      memoryCopy(4 * vectorElements + 5),
      memoryCopy(8 * vectorElements + 5),
      ...frameSubjects(),
    ],
    quick ? 20 : 300,
  )
  console.log('subject                        bytes        values/s       MiB/s')
  for (const { name, lengthBytes, valuesPerSecond, mebibytesPerSecond } of rows) {
    console.log(
      `${name.padEnd(27)} ${String(lengthBytes).padStart(8)} ${Math.round(valuesPerSecond).toLocaleString('en').padStart(15)} ${mebibytesPerSecond.toFixed(1).padStart(11)}`,
    )
  }
  const frames = rows
    .slice(-3)
    .map(
      ({ name, valuesPerSecond }) =>
        `${name.replace(/ \d+ frames/, '')} ${((valuesPerSecond * framesPerChunk) / 1e6).toFixed(1)} M/s`,
    )
  console.log(`frames of 69 bytes: ${frames.join(' · ')}`)
  const bars = (['VecRing32', 'VecRing64'] as const).flatMap((type) => barsOf(type, quick ? 3 : 7, quick ? 20 : 150))
  for (const { id, pass, ratio, limit, against } of bars) {
    console.log(
      `BAR ${id} ${pass ? 'pass' : 'fail'} ratio=${ratio.toFixed(2)} limit=${limit.toFixed(1)} against=${against}`,
    )
  }
  console.log(`checksum ${String(checksum % 1_000_003)}`)
  if (options.json !== undefined) {
    const machine = { cpu: cpus()[0]?.model ?? 'unknown', node: process.version, quick }
    writeFileSync(options.json, `${JSON.stringify({ machine, rows, bars }, undefined, 2)}\n`)
  }
  return bars.every(({ pass }) => pass) ? 0 : 1
}

process.exitCode = main()
