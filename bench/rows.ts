/**
 * The rows of the table and the bars they are held to. Owns names, sizes, lanes, units and limits.
 * Refuses to know how a row is run (workload.ts) or printed (report.ts).
 */

export interface Row {
  readonly name: string
  readonly title: string
  /** flood: one direction, as fast as back-pressure allows. pingPong: one value in flight, echoed by the server. */
  readonly shape: 'flood' | 'pingPong'
  readonly valueBytes: number
  readonly lanes: number
  /**
   * Both ends on one core: a round trip between two cores measures how fast the machine wakes an idle one, which is
   * several times the cost of the library and flips with the kernel's mood.
   */
  readonly oneCore: boolean
  readonly unit: 'values/s' | 'round trips/s' | 'MiB/s'
}

export interface Bar {
  readonly id: string
  readonly row: string
  readonly subject: string
  readonly against: string
  /** Least ratio of the median rates, subject to baseline. */
  readonly limit: number
}

/** Values up to this size are stamped in place and copied by the subject; larger ones are sent by reference. */
export const copiedValueBytesMax = 16 * 1024

export const rows: readonly Row[] = [
  { name: 'one-way', title: 'one-way, 64 B', shape: 'flood', valueBytes: 64, lanes: 1, oneCore: false, unit: 'values/s' },
  { name: 'lanes', title: '64 lanes, 64 B', shape: 'flood', valueBytes: 64, lanes: 64, oneCore: false, unit: 'values/s' },
  { name: 'rtt', title: 'round trips on one core, 64 B', shape: 'pingPong', valueBytes: 64, lanes: 1, oneCore: true, unit: 'round trips/s' },
  { name: '64KiB', title: 'one-way, 64 KiB', shape: 'flood', valueBytes: 64 * 1024, lanes: 1, oneCore: false, unit: 'MiB/s' },
]

export const bars: readonly Bar[] = [
  { id: 'P1-plain', row: 'one-way', subject: 'statewire', against: 'raw-view', limit: 0.3 },
  { id: 'P2-plain', row: 'lanes', subject: 'statewire', against: 'raw-view', limit: 0.3 },
  { id: 'P3-plain', row: 'rtt', subject: 'statewire', against: 'raw-view', limit: 0.93 },
  { id: 'P4-plain', row: '64KiB', subject: 'statewire', against: 'raw-view', limit: 0.9 },
]

export function rowNamed(name: string): Row {
  const row = rows.find((each) => each.name === name)
  if (row === undefined) throw new Error(`no row is called ${name}; the rows are ${rows.map((each) => each.name).join(', ')}`)
  return row
}

/** Rate in the unit of the row. */
export function rateOf(row: Row, values: number, elapsedUs: number): number {
  const valuesPerSecond = values / (elapsedUs / 1e6)
  return row.unit === 'MiB/s' ? (valuesPerSecond * row.valueBytes) / (1024 * 1024) : valuesPerSecond
}
