/**
 * Owns: E3, the cost of resumption for 64-byte values at full speed: extra bytes on the wire, and speed compared with
 * the same runtime without acknowledgements and without a retransmit buffer.
 * Independent of: how acknowledgements are scheduled.
 */
import { TlsPipe } from '../../../actors/tls/tls-pipe.ts'
import type { NetworkValue } from '../../../codec/index.ts'
import { AckSchedule } from '../../../protocol/native/epoch/ack-schedule.ts'
import { RetransmitBuffer } from '../../../protocol/native/epoch/retransmit-buffer.ts'
import { eventually, median } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { linkStateOf, makeSessionPairs, startTlsPair, stopTlsPair } from './tls-pair.ts'

/** 64 bytes on the wire, including the frame header of 9 bytes. */
const value: NetworkValue = { type: 'Bytes', value: Buffer.alloc(55, 7) }
const gulp = 500

export interface Round {
  readonly values: number
  readonly seconds: number
  readonly cpuSeconds: number
  /** Bytes on the wire besides the values, in both directions: acknowledgements, Credit, Ping and Pong. */
  readonly overheadBytes: number
}

/**
 * KeyedQueue off retransmission and acknowledgement, to show the wire without resumption. @returns a function that
 * restores both
 */
function withoutResumption(): () => void {
  const schedule = AckSchedule.prototype
  const window = RetransmitBuffer.prototype
  const { counted } = schedule
  const isWorthSending = schedule.isWorthSending
  const { push, ack } = window
  const dueAtMs = Object.getOwnPropertyDescriptor(schedule, 'dueAtMs') as PropertyDescriptor
  schedule.counted = () => false
  schedule.isWorthSending = () => false
  Object.defineProperty(schedule, 'dueAtMs', { get: () => null, configurable: true })
  window.push = () => {}
  window.ack = () => 0
  return () => {
    Object.assign(schedule, { counted, isWorthSending })
    Object.defineProperty(schedule, 'dueAtMs', dueAtMs)
    Object.assign(window, { push, ack })
  }
}

/** Plaintext bytes written to the TLS sockets of this process. */
function meterWire(): { bytes: number; stop: () => void } {
  const { write } = TlsPipe.prototype
  const meter = { bytes: 0, stop: () => void (TlsPipe.prototype.write = write) }
  TlsPipe.prototype.write = function (parts, onFlushed) {
    for (const { length } of parts) meter.bytes += length
    return write.call(this, parts, onFlushed)
  }
  return meter
}

async function run(values: number, isTwoWay: boolean): Promise<Round> {
  const pair = await startTlsPair()
  const [[ofAcceptor, ofDialer]] = (await makeSessionPairs(pair, 1)) as [
    [import('../../../index.ts').Session, import('../../../index.ts').Session],
  ]
  const { acceptor, dialer } = pair
  const meter = meterWire()
  let arrived = 0
  const ways = isTwoWay ? 2 : 1
  const send = async (session: typeof ofDialer, peer: string): Promise<void> => {
    for (let sent = 0; sent < values;) {
      for (const end = Math.min(values, sent + gulp); sent < end; sent++)
        if (!session.trySend(peer, value)) await session.send(peer, value)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  try {
    ofAcceptor.handle(dialer.identity, () => void arrived++, { borrow: true })
    ofDialer.handle(acceptor.identity, () => void arrived++, { borrow: true })
    const sentBefore =
      linkStateOf(dialer, acceptor.identity).counters.bytesSent +
      linkStateOf(acceptor, dialer.identity).counters.bytesSent
    meter.bytes = 0
    const cpu = process.cpuUsage()
    const startedMs = performance.now()
    await Promise.all([send(ofDialer, acceptor.identity), isTwoWay ? send(ofAcceptor, dialer.identity) : undefined])
    await eventually('all values arrive', () => arrived === ways * values, 60_000)
    const seconds = (performance.now() - startedMs) / 1000
    const { user, system } = process.cpuUsage(cpu)
    const sentBytes =
      linkStateOf(dialer, acceptor.identity).counters.bytesSent +
      linkStateOf(acceptor, dialer.identity).counters.bytesSent -
      sentBefore
    return { values: ways * values, seconds, cpuSeconds: (user + system) / 1e6, overheadBytes: meter.bytes - sentBytes }
  } finally {
    meter.stop()
    await stopTlsPair(pair)
  }
}

export interface Comparison {
  readonly withBytes: number
  readonly withoutBytes: number
  readonly valuesPerSecond: number
  /** Shares of the speed that resumption costs, by CPU time and by wall clock. */
  readonly loss: number
  readonly wallLoss: number
}

/** Rounds with and without resumption alternate, and so does their order, so that other load affects both equally. */
export async function compareResumption(rounds: number, values: number, isTwoWay: boolean): Promise<Comparison> {
  const withIt: Round[] = []
  const without: Round[] = []
  const plain = async (): Promise<void> => {
    const restore = withoutResumption()
    try {
      without.push(await run(values, isTwoWay))
    } finally {
      restore()
    }
  }
  const resumable = async (): Promise<void> => void withIt.push(await run(values, isTwoWay))
  await resumable()
  await plain()
  withIt.length = without.length = 0
  for (let round = 0; round < rounds; round++)
    for (const turn of round % 2 === 0 ? [resumable, plain] : [plain, resumable]) await turn()
  const perValue = (all: readonly Round[]): number =>
    median(all.map(({ overheadBytes, values: count }) => overheadBytes / count))
  // Compares neighbouring rounds, which saw the same state of the machine.
  const ratio = (of: (round: Round) => number): number =>
    median(withIt.map((round, index) => of(without[index] as Round) / of(round)))
  return {
    withBytes: perValue(withIt),
    withoutBytes: perValue(without),
    valuesPerSecond: median(withIt.map(({ values: count, seconds }) => count / seconds)),
    loss: 1 - ratio(({ cpuSeconds }) => cpuSeconds),
    wallLoss: 1 - ratio(({ seconds }) => seconds),
  }
}

export async function ackOverhead({ isQuick, progress }: BarContext): Promise<readonly Bar[]> {
  const bars: Bar[] = []
  for (const [id, isTwoWay] of [
    ['E3-one-way', false],
    ['E3-two-way', true],
  ] as const) {
    progress(`${id} ${isQuick ? 5 : 25} rounds with resumption and without`)
    const { withBytes, withoutBytes, valuesPerSecond, loss, wallLoss } = await compareResumption(
      isQuick ? 5 : 25,
      isQuick ? 200_000 : 400_000,
      isTwoWay,
    )
    const addedBytes = withBytes - withoutBytes
    const passed = addedBytes <= 0.5 && withBytes <= 0.5 && valuesPerSecond >= 100_000 && loss <= 0.03
    bars.push({
      id,
      passed,
      figures: {
        added_bytes: addedBytes,
        control_bytes: withBytes,
        control_bytes_without: withoutBytes,
        values_per_s: Math.round(valuesPerSecond),
        loss_cpu: loss,
        loss_wall: wallLoss,
      },
      notes: [],
    })
  }
  return bars
}
