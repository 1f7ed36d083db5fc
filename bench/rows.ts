/**
 * The rows of the table and their bars. Owns names, sizes, lanes, units and limits.
 * Independent of how a row is run (workload.ts) or printed (report.ts).
 */

export interface Row {
  readonly name: string
  readonly title: string
  /**
   * flood: one direction, as fast as back-pressure allows. pingPong: values echoed by the server. beside: one echo at a
   * time on lane 1, beside a flood of values of `bulkBytes` on lane 0 (beside.ts).
   */
  readonly shape: 'flood' | 'pingPong' | 'beside'
  readonly bulkBytes?: number
  readonly valueBytes: number
  readonly lanes: number
  /** pingPong: values in flight at a time; 1 by default. */
  readonly inFlight?: number
  /**
   * Connections over which the lanes are spread; 1 by default. A row with more is only for subjects that support it.
   */
  readonly connections?: number
  /**
   * Both ends on one core: a round trip between two cores measures how fast the machine wakes an idle core, which costs
   * several times as much as the library.
   */
  readonly oneCore: boolean
  readonly unit: 'values/s' | 'round trips/s' | 'MiB/s'
}

export interface Bar {
  readonly id: string
  readonly row: string
  readonly subject: string
  readonly against: string
  /** The row of the baseline, if it is a different one: measures what more of something costs. */
  readonly againstRow?: string
  /** What is compared; the rate by default. Latencies are of the echoes of a row `beside`. */
  readonly figure?: 'p50Us' | 'p99Us'
  /** Least ratio of the median rates, subject to baseline; greatest ratio of latencies. */
  readonly limit: number
  /** Greatest ratio of CPU per value. */
  readonly cpuLimit?: number
}

/** Values up to this size are stamped in place and copied by the subject; larger ones are sent by reference. */
export const copiedValueBytesMax = 16 * 1024

export const rows: readonly Row[] = [
  {
    name: 'one-way',
    title: 'one-way, 64 B',
    shape: 'flood',
    valueBytes: 64,
    lanes: 1,
    oneCore: false,
    unit: 'values/s',
  },
  {
    name: 'lanes',
    title: '64 lanes, 64 B',
    shape: 'flood',
    valueBytes: 64,
    lanes: 64,
    oneCore: false,
    unit: 'values/s',
  },
  {
    name: 'rtt',
    title: 'round trips on one core, 64 B',
    shape: 'pingPong',
    valueBytes: 64,
    lanes: 1,
    oneCore: true,
    unit: 'round trips/s',
  },
  {
    name: '64KiB',
    title: 'one-way, 64 KiB',
    shape: 'flood',
    valueBytes: 64 * 1024,
    lanes: 1,
    oneCore: false,
    unit: 'MiB/s',
  },
  {
    name: '1MiB',
    title: 'one-way, 1 MiB',
    shape: 'flood',
    valueBytes: 1024 * 1024,
    lanes: 1,
    oneCore: false,
    unit: 'MiB/s',
  },
  {
    name: 'echo',
    title: 'echo, 64 in flight, 64 B',
    shape: 'pingPong',
    valueBytes: 64,
    lanes: 1,
    inFlight: 64,
    oneCore: false,
    unit: 'round trips/s',
  },
  {
    name: 'beside',
    title: 'echo of 64 B beside a flood of 16 MiB',
    shape: 'beside',
    valueBytes: 64,
    bulkBytes: 16 * 1024 * 1024,
    lanes: 2,
    oneCore: false,
    unit: 'round trips/s',
  },
  {
    name: 'lanes-8',
    title: '64 lanes on 8 connections',
    shape: 'flood',
    valueBytes: 64,
    lanes: 64,
    connections: 8,
    oneCore: false,
    unit: 'values/s',
  },
  {
    name: 'lanes-64',
    title: '64 lanes on 64 connections',
    shape: 'flood',
    valueBytes: 64,
    lanes: 64,
    connections: 64,
    oneCore: false,
    unit: 'values/s',
  },
]

export const bars: readonly Bar[] = [
  { id: 'P1-plain', row: 'one-way', subject: 'statewire', against: 'raw-view', limit: 0.3 },
  { id: 'P2-plain', row: 'lanes', subject: 'statewire', against: 'raw-view', limit: 0.3 },
  { id: 'P3-plain', row: 'rtt', subject: 'statewire', against: 'raw-view', limit: 0.93 },
  { id: 'P4-plain', row: '64KiB', subject: 'statewire', against: 'raw-view', limit: 0.9 },
  { id: 'P1', row: 'one-way', subject: 'statewire-tls', against: 'raw-tls', limit: 0.5 },
  { id: 'P2', row: 'lanes', subject: 'statewire-tls', against: 'raw-tls', limit: 0.5 },
  { id: 'P3', row: 'rtt', subject: 'statewire-tls', against: 'raw-tls', limit: 0.93 },
  { id: 'P4', row: '64KiB', subject: 'statewire-tls', against: 'raw-tls', limit: 1 },
  { id: 'P5', row: '1MiB', subject: 'statewire-tls', against: 'raw-tls', limit: 1 },
  { id: 'P6', row: 'echo', subject: 'statewire-tls', against: 'raw-tls', limit: 0.6 },
  { id: 'P14', row: 'echo', subject: 'statewire-tls-requests', against: 'raw-tls', limit: 0.3 },
  { id: 'P11', row: 'one-way', subject: 'statewire-tls-awaited', against: 'statewire-tls', limit: 0.8 },
  { id: 'P12-8', row: 'lanes-8', subject: 'statewire-tls', against: 'statewire-tls', againstRow: 'lanes', limit: 0.8 },
  {
    id: 'P12-64',
    row: 'lanes-64',
    subject: 'statewire-tls',
    against: 'statewire-tls',
    againstRow: 'lanes',
    limit: 0.8,
  },
  ...(['p50Us', 'p99Us'] as const).map((figure) => ({
    id: `P18-${figure.slice(0, 3)}`,
    row: 'beside',
    subject: 'statewire-tls',
    against: 'raw-tls-mux',
    figure,
    limit: 1.5,
  })),
]

export function rowNamed(name: string): Row {
  const row = rows.find((each) => each.name === name)
  if (row === undefined)
    throw new Error(`no row is called ${name}; the rows are ${rows.map((each) => each.name).join(', ')}`)
  return row
}

/** Subjects that run only in the rows of their own bars. */
const variants: ReadonlySet<string> = new Set(['statewire-tls-awaited', 'statewire-tls-requests', 'raw-tls-mux'])

/**
 * Which cells exist: a row of many connections is for subjects that support it, a row beside a flood for lanes that
 * take turns, a variant for its own bar.
 */
export function takesPart(subject: string, row: Row): boolean {
  if (row.connections === undefined && row.shape !== 'beside' && !variants.has(subject)) return true
  return bars.some((bar) => bar.row === row.name && (bar.subject === subject || bar.against === subject))
}

/** Rate in the unit of the row. */
export function rateOf(row: Row, values: number, elapsedUs: number): number {
  const valuesPerSecond = values / (elapsedUs / 1e6)
  return row.unit === 'MiB/s' ? (valuesPerSecond * row.valueBytes) / (1024 * 1024) : valuesPerSecond
}
