/**
 * Owns: how a running swarm looks: a table that is redrawn in place on a terminal, one line every second otherwise.
 * Independent of: processes and peers; it draws reports.
 */
import type { ConnectionState, PairReport, PeerReport } from './reports.ts'
import { cut, padEnd, padStart, plainLength, styleFor } from './style.ts'
import type { Style } from './style.ts'

/** One frame to draw. */
export interface Scene {
  readonly phase: string
  /** Since the first round began. */
  readonly runningMs: number
  readonly durationMs: number
  readonly killEveryMs: number
  readonly crashEveryMs: number
  readonly crashes: number
  readonly kills: number
  readonly peers: number
  readonly reports: readonly PeerReport[]
  /** Peers without a process, and why. Their old reports, and reports of connections to them, are not shown. */
  readonly down: ReadonlyMap<number, string>
}

const marks: Readonly<Record<ConnectionState, string>> = { opening: '·', open: '●', lost: '○', failed: '✕' }

interface Rates {
  readonly valuesPerSecond: number
  readonly mebibytesPerSecond: number
}

/** Rates between two frames, smoothed a little so that they are readable. */
export class RateMeter {
  readonly #last = new Map<number, { atMs: number; values: number; bytes: number; rates: Rates }>()

  measure(report: PeerReport, nowMs: number): Rates {
    const values = report.valuesReceived
    const bytes = report.bytesReceived
    const last = this.#last.get(report.number)
    // A process that was started again counts from 0.
    const isNew = last === undefined || values < last.values
    if (isNew || nowMs <= last.atMs) {
      const rates = isNew ? { valuesPerSecond: 0, mebibytesPerSecond: 0 } : last.rates
      this.#last.set(report.number, { atMs: nowMs, values, bytes, rates })
      return rates
    }
    const seconds = (nowMs - last.atMs) / 1000
    const smooth = (before: number, now: number): number => (before === 0 ? now : before * 0.6 + now * 0.4)
    const rates = {
      valuesPerSecond: smooth(last.rates.valuesPerSecond, (values - last.values) / seconds),
      mebibytesPerSecond: smooth(last.rates.mebibytesPerSecond, (bytes - last.bytes) / seconds / 1024 / 1024),
    }
    this.#last.set(report.number, { atMs: nowMs, values, bytes, rates })
    return rates
  }
}

const header = ['peer', 'connections', 'sessions', 'values/s', 'MiB/s', 'verified', 'redials', 're-asked', 'last error']
const leftAligned = new Set([0, 1, header.length - 1])
/** How much of an id of 52 characters is shown, enough to distinguish peers. */
const idShown = 7
/** The least that is shown of the last error. */
const errorColumnsMin = 20

/**
 * The table as lines, none wider than `columns`. If the state of every connection does not fit, open ones are counted;
 * if the errors do not fit beside it, the last one is below.
 */
export function drawTable(scene: Scene, meter: RateMeter, nowMs: number, columns: number, style: Style): string[] {
  const reports = shownReports(scene)
  const numbers = [...reports.map(({ number }) => number), ...scene.down.keys()].sort((a, b) => a - b)
  const reportOf = new Map(reports.map((report) => [report.number, report]))
  const drawOne = (number: number): string[] => {
    const report = reportOf.get(number)
    return report === undefined
      ? drawDown(number, scene.down.get(number) ?? '', style)
      : drawRow(report, meter.measure(report, nowMs), style)
  }
  let rows = numbers.map(drawOne)
  const hasRoom = (): boolean =>
    Math.max(...align(rows.map((row) => row.slice(0, -1))).map(plainLength)) + errorColumnsMin <= columns
  if (!hasRoom()) {
    rows = rows.map((row, index) => {
      const report = reportOf.get(numbers[index] as number)
      return report === undefined ? row : row.with(1, countConnections(report, style))
    })
  }
  const below: string[] = []
  if (!hasRoom()) {
    rows = rows.map((row) => row.slice(0, -1))
    const report =
      reports.find(({ problems }) => problems.length > 0) ?? reports.findLast(({ lastError }) => lastError !== null)
    below.push(
      report === undefined
        ? ''
        : `${style.dim(`last error of ${report.number}:`)} ${report.problems.length > 0 ? style.bad(report.lastError ?? '') : (report.lastError ?? '')}`,
    )
  }
  const [names = '', ...body] = align(rows)
  return [title(scene, style), faults(scene, style), '', style.dim(names), ...body, '', ...below, legend(style)].map(
    (text) => cut(text, columns),
  )
}

/** The reports of the peers that run. Their reports of connections to other peers are out of date: those are lost. */
function shownReports({ reports, down }: Scene): PeerReport[] {
  const shownPair = (pair: PairReport): PairReport =>
    down.has(pair.peer) ? { ...pair, connections: pair.connections.map(() => 'lost' as const) } : pair
  return reports
    .filter(({ number }) => !down.has(number))
    .map((report) => ({ ...report, pairs: report.pairs.map(shownPair) }))
}

/** A peer without a process has no figures. */
function drawDown(number: number, why: string, style: Style): string[] {
  return [style.bold(String(number)), style.warn(why), '-', '-', '-', '-', '-', '-', '']
}

function drawRow(report: PeerReport, rates: Rates, style: Style): string[] {
  const total = (figure: (pair: PairReport) => number): number =>
    report.pairs.reduce((sum, pair) => sum + figure(pair), 0)
  const noticed = (count: number): string => (count > 0 ? style.warn(whole(count)) : '0')
  const wrong = total((pair) => pair.roundsWrong)
  return [
    `${style.bold(String(report.number))} ${style.dim(report.id.slice(0, idShown))}`,
    report.pairs
      .map((pair) => `${style.dim(String(pair.peer))}${pair.connections.map((state) => paint(state, style)).join('')}`)
      .join(' '),
    String(report.sessions),
    whole(rates.valuesPerSecond),
    rates.mebibytesPerSecond.toFixed(1),
    wrong > 0 ? style.bad(`${wrong} wrong`) : style.good(whole(total((pair) => pair.roundsVerified))),
    noticed(total((pair) => pair.reconnects)),
    noticed(total((pair) => pair.piecesAskedAgain)),
    report.problems.length > 0 ? style.bad(report.lastError ?? '') : style.dim(report.lastError ?? ''),
  ]
}

function countConnections(report: PeerReport, style: Style): string {
  const states = report.pairs.flatMap((pair) => pair.connections)
  const open = states.filter((state) => state === 'open').length
  const text = `${open} of ${states.length} open`
  return open === states.length ? style.good(text) : style.warn(text)
}

/** The header and the rows, as lines. A row may lack the last columns. */
function align(rows: readonly (readonly string[])[]): string[] {
  const cells = [header.slice(0, rows[0]?.length ?? header.length), ...rows]
  const widths = header.map((_, column) => Math.max(...cells.map((row) => plainLength(row[column] ?? ''))))
  return cells.map((row) =>
    row
      .map((cell, column) =>
        leftAligned.has(column) ? padEnd(cell, widths[column] ?? 0) : padStart(cell, widths[column] ?? 0),
      )
      .join('  '),
  )
}

function title(scene: Scene, style: Style): string {
  const { phase, runningMs, durationMs, peers } = scene
  const clock = runningMs === 0 ? '' : `  ${(runningMs / 1000).toFixed(1)} s of ${(durationMs / 1000).toFixed(0)} s`
  return `${style.bold('statewire swarm')}  ${peers} peers  ${style.bold(phase)}${clock}`
}

/** What is broken on purpose, and how often so far. */
function faults({ killEveryMs, crashEveryMs, crashes, kills }: Scene, style: Style): string {
  const every = (periodMs: number): string => (periodMs < 1000 ? `${periodMs} ms` : `${periodMs / 1000} s`)
  const parts = [
    ...(killEveryMs === 0 ? [] : [`every ${every(killEveryMs)} a socket is destroyed (${kills})`]),
    ...(crashEveryMs === 0 ? [] : [`every ${every(crashEveryMs)} a process is killed (${crashes})`]),
  ]
  return style.dim(parts.length === 0 ? 'nothing is broken on purpose' : parts.join(', '))
}

function legend(style: Style): string {
  return (
    style.dim(`connections to each peer: `) +
    (['open', 'lost', 'failed', 'opening'] as const)
      .map((state) => `${paint(state, style)} ${style.dim(state === 'lost' ? 'lost, dialling again' : state)}`)
      .join('  ')
  )
}

function paint(state: ConnectionState, style: Style): string {
  const mark = marks[state]
  return state === 'open'
    ? style.good(mark)
    : state === 'failed'
      ? style.bad(mark)
      : state === 'lost'
        ? style.warn(mark)
        : style.dim(mark)
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** One line, for output that is not a terminal. */
export function drawLine(scene: Scene, meter: RateMeter, nowMs: number): string {
  const reports = shownReports(scene)
  const rates = reports.map((report) => meter.measure(report, nowMs))
  const sum = (figures: readonly number[]): number => figures.reduce((total, figure) => total + figure, 0)
  const pairs = reports.flatMap((report) => report.pairs)
  // A connection counts once, at the side that dials.
  const dialled = reports.flatMap((report) => report.pairs.filter((pair) => pair.peer < report.number))
  const states = dialled.flatMap((pair) => pair.connections)
  const lastError = reports.map((report) => report.problems.at(-1)).find((problem) => problem !== undefined)
  return [
    `${(scene.runningMs / 1000).toFixed(1).padStart(6)} s ${scene.phase.padEnd(8)}`,
    `peers ${reports.length}/${scene.peers}`,
    `connections ${states.filter((state) => state === 'open').length}/${states.length}`,
    `${whole(sum(rates.map((rate) => rate.valuesPerSecond)))} values/s`,
    `${sum(rates.map((rate) => rate.mebibytesPerSecond)).toFixed(1)} MiB/s`,
    `verified ${whole(sum(pairs.map((pair) => pair.roundsVerified)))}`,
    `kills ${scene.kills}`,
    ...(scene.crashEveryMs === 0 ? [] : [`crashes ${scene.crashes}`]),
    `reconnects ${sum(dialled.map((pair) => pair.reconnects))}`,
    `asked again ${whole(sum(pairs.map((pair) => pair.piecesAskedAgain)))}`,
    ...(lastError === undefined ? [] : [`problem: ${lastError}`]),
  ].join('  ')
}

interface Output {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
  write(text: string): unknown
}

const redrawEveryMs = 200
/** Redraws per plain line. */
const redrawsALine = 5

/** Draws until it is stopped. On a terminal the last frame stays. */
export function formatValue(output: Output, scene: () => Scene): { stop(): void } {
  const meter = new RateMeter()
  const style = styleFor(output)
  const isTerminal = output.isTTY === true
  let draws = 0
  let linesDrawn = 0
  const draw = (isLast: boolean): void => {
    const now = scene()
    // One line less than there are rows: the cursor is on the last one.
    const lines = isTerminal
      ? drawTable(now, meter, Date.now(), (output.columns ?? 80) - 1, style).slice(0, (output.rows ?? 24) - 1)
      : [drawLine(now, meter, Date.now())]
    draws++
    if (!isTerminal) {
      if (isLast || draws % redrawsALine === 0) output.write(`${lines.join('')}\n`)
      return
    }
    const up = linesDrawn === 0 ? '' : `\u001B[${linesDrawn}A`
    output.write(
      `\u001B[?25l${up}${lines.map((line) => `\r${line}\u001B[K\n`).join('')}\u001B[J${isLast ? '\u001B[?25h' : ''}`,
    )
    linesDrawn = lines.length
  }
  const timer = setInterval(() => draw(false), redrawEveryMs)
  return {
    stop() {
      clearInterval(timer)
      draw(true)
    },
  }
}
