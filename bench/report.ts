/**
 * From cells to figures: medians, the table, the verdict of each bar. Owns how numbers are summed up and written.
 * Independent of how they were measured and where they are printed.
 */
import type { Cell } from './cell.ts'
import { bars, takesPart, type Bar, type Row } from './rows.ts'

export interface Summary {
  subject: string
  row: string
  rounds: number
  rate: number
  rateMin: number
  rateMax: number
  cpuUsPerValue: number
  /** Medians of the rounds; null unless the row is beside a flood. */
  p50Us: number | null
  p99Us: number | null
}

export interface Verdict {
  id: string
  passed: boolean
  /** Null when one of the two was not measured. */
  ratio: number | null
  cpuRatio: number | null
  limit: number
  cpuLimit: number | null
  /** What was compared, of the subject and of the baseline; null: the rate. */
  figure: 'p50Us' | 'p99Us' | null
  own: number | null
  base: number | null
  against: string
  rounds: number
}

export function median(numbers: readonly number[]): number {
  if (numbers.length === 0) throw new Error('no median of nothing')
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export function summarise(cells: readonly Cell[]): Summary[] {
  const groups = new Map<string, Cell[]>()
  for (const cell of cells) {
    const key = `${cell.subject}\n${cell.row}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [cell])
    else group.push(cell)
  }
  return [...groups.values()].map((group) => {
    const rates = group.map((cell) => cell.rate)
    const latencies = group.flatMap(({ latency }) => (latency === null ? [] : [latency]))
    return {
      subject: group[0]!.subject,
      row: group[0]!.row,
      rounds: group.length,
      rate: median(rates),
      rateMin: Math.min(...rates),
      rateMax: Math.max(...rates),
      cpuUsPerValue: median(group.map((cell) => cell.cpuUsPerValue)),
      p50Us: latencies.length === 0 ? null : median(latencies.map(({ p50Us }) => p50Us)),
      p99Us: latencies.length === 0 ? null : median(latencies.map(({ p99Us }) => p99Us)),
    }
  })
}

export function writeRate(row: Row, rate: number): string {
  if (row.unit === 'MiB/s') return `${Math.round(rate).toLocaleString('en-US')} MiB/s`
  const per = row.unit === 'round trips/s' ? '/s' : ' values/s'
  if (rate >= 1e6) return `${(rate / 1e6).toFixed(2)} M${per}`
  return `${(rate / 1e3).toFixed(1)} k${per}`
}

/** Three significant digits, from 0.05 µs for a small value to 50 µs for a round trip. */
export function writeCpu(cpuUs: number): string {
  return `${cpuUs.toFixed(cpuUs < 1 ? 3 : 1)} µs`
}

/** A markdown table that is readable in a terminal: one line per row, one column per subject. */
export function writeTable(summaries: readonly Summary[], rows: readonly Row[], subjects: readonly string[]): string {
  const header = ['', ...subjects.flatMap((subject) => [subject, 'min – max', 'CPU a value'])]
  const lines = rows.map((row) => [
    row.title,
    ...subjects.flatMap((subject) => {
      const found = summaries.find((summary) => summary.row === row.name && summary.subject === subject)
      if (found === undefined) return [takesPart(subject, row) ? 'failed' : '–', '–', '–']
      return [
        writeRate(row, found.rate),
        `${bare(row, found.rateMin)} – ${bare(row, found.rateMax)}`,
        writeCpu(found.cpuUsPerValue),
      ]
    }),
  ])
  const widths = header.map((_, column) => Math.max(3, ...[header, ...lines].map((line) => line[column]!.length)))
  const pad = (line: readonly string[]): string =>
    `| ${line.map((text, column) => (column === 0 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!))).join(' | ')} |`
  const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [pad(header), rule, ...lines.map(pad)].join('\n')
}

function bare(row: Row, rate: number): string {
  return writeRate(row, rate).replace(/ values\/s| MiB\/s|\/s/, '')
}

/** The bars of what was requested: a bar whose subject or row was left out by the user is not judged. */
export function judge(summaries: readonly Summary[], rows: readonly Row[], subjects: readonly string[]): Verdict[] {
  const isRow = (name: string): boolean => rows.some((row) => row.name === name)
  return bars
    .filter(
      (bar) =>
        isRow(bar.row) &&
        isRow(bar.againstRow ?? bar.row) &&
        subjects.includes(bar.subject) &&
        subjects.includes(bar.against),
    )
    .map((bar) => verdictOf(bar, summaries))
}

function verdictOf(bar: Bar, summaries: readonly Summary[]): Verdict {
  const ours = summaries.find((summary) => summary.row === bar.row && summary.subject === bar.subject)
  const theirs = summaries.find(
    (summary) => summary.row === (bar.againstRow ?? bar.row) && summary.subject === bar.against,
  )
  const { figure = 'rate' } = bar
  const [own, base] = [ours?.[figure] ?? null, theirs?.[figure] ?? null]
  const ratio = own === null || base === null ? null : own / base
  const cpuRatio = ours === undefined || theirs === undefined ? null : ours.cpuUsPerValue / theirs.cpuUsPerValue
  return {
    id: bar.id,
    passed:
      ratio !== null &&
      (figure === 'rate' ? ratio >= bar.limit : ratio <= bar.limit) &&
      (bar.cpuLimit === undefined || (cpuRatio as number) <= bar.cpuLimit),
    ratio,
    cpuRatio,
    limit: bar.limit,
    cpuLimit: bar.cpuLimit ?? null,
    figure: bar.figure ?? null,
    own,
    base,
    against: bar.against,
    rounds: Math.min(ours?.rounds ?? 0, theirs?.rounds ?? 0),
  }
}

/** Near 1.0, the rate on a noisy machine decides nothing, so those lines also show the steadier CPU ratio. */
export function writeBar(verdict: Verdict): string {
  const ratio = verdict.ratio === null ? 'none' : verdict.ratio.toFixed(2)
  const isCpuOfUse = (verdict.limit >= 0.9 && verdict.figure === null) || verdict.cpuLimit !== null
  const cpu =
    isCpuOfUse && verdict.cpuRatio !== null
      ? ` cpu_ratio=${verdict.cpuRatio.toFixed(2)}${verdict.cpuLimit === null ? '' : ` cpu_limit=${verdict.cpuLimit}`}`
      : ''
  const latency =
    verdict.figure === null || verdict.own === null || verdict.base === null
      ? ''
      : ` us=${verdict.own.toFixed(0)} against_us=${verdict.base.toFixed(0)}`
  const result = verdict.passed ? 'pass' : 'fail'
  return `BAR ${verdict.id} ${result} ratio=${ratio} limit=${verdict.limit.toFixed(2)} against=${verdict.against} rounds=${verdict.rounds}${cpu}${latency}`
}
