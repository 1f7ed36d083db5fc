/**
 * Owns: how tunnels and their connections look as a table: columns, units, rates between two looks, colours.
 * Independent of: where the figures come from, and of terminals.
 */
import { escapeControls } from '../codec/sanitize.ts'
import type { TunnelDescription } from '../tunnel/index.ts'
import type { ConnectionRow } from './tunnel-board.ts'

/** What the running peer answers to `tunnels`. */
export interface TunnelFigures {
  readonly tunnels: readonly TunnelDescription[]
  readonly connections: readonly ConnectionRow[]
}

export interface RatedRow extends ConnectionRow {
  /** Both ways together, between the two looks. */
  readonly bytesPerSecond: number
}

const bytesPerUnit = 1024
const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
/** Three digits at least are shown. */
const wholeFrom = 100
const shownIdLength = 8

export function formatBytes(bytes: number): string {
  let [value, unit] = [bytes, 0]
  while (value >= bytesPerUnit && unit < units.length - 1) {
    value /= bytesPerUnit
    unit++
  }
  return `${unit === 0 || value >= wholeFrom ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

export function formatAge(ageMs: number): string {
  const seconds = Math.floor(ageMs / 1000)
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600), Math.floor(seconds / 60)]
  if (days > 0) return `${days}d${two(hours % 24)}h`
  if (hours > 0) return `${hours}h${two(minutes % 60)}m`
  return minutes > 0 ? `${minutes}m${two(seconds % 60)}s` : `${seconds}s`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}

/** @param elapsedMs between the two looks; a connection that is new has had its age */
export function withRates(
  before: readonly ConnectionRow[],
  now: readonly ConnectionRow[],
  elapsedMs: number,
): readonly RatedRow[] {
  const earlier = new Map(before.map((row) => [row.id, row.bytesSent + row.bytesReceived]))
  return now.map((row) => {
    const known = earlier.get(row.id)
    const overMs = Math.max(1, known === undefined ? Math.min(elapsedMs, row.ageMs) : elapsedMs)
    return { ...row, bytesPerSecond: ((row.bytesSent + row.bytesReceived - (known ?? 0)) * 1000) / overMs }
  })
}

const tunnelHeads = ['NAME', 'SIDE', 'PEER', 'ADDRESS', 'OPEN', 'SERVED', 'REFUSED']
const connectionHeads = ['ID', 'NAME', 'SIDE', 'PEER', 'ADDRESS', 'AGE', 'SENT', 'RECEIVED', 'RATE', 'STATE']

export function tunnelTable(tunnels: readonly TunnelDescription[]): readonly string[] {
  const rows = tunnels.map(({ name, side, peer, address, connections, served, refused }) => [
    name,
    side,
    shortId(peer),
    address,
    String(connections),
    String(served),
    String(refused),
  ])
  return table(tunnelHeads, rows)
}

export function connectionTable(rows: readonly RatedRow[]): readonly string[] {
  return table(connectionHeads, rows.map(cellsOf))
}

/** One connection as a line of a log. */
export function connectionLine(row: RatedRow): string {
  return cellsOf(row)
    .map((cell) => escapeControls(cell))
    .join('  ')
}

function cellsOf(row: RatedRow): readonly string[] {
  return [
    String(row.id),
    row.name,
    row.side,
    shortId(row.peer),
    row.address,
    formatAge(row.ageMs),
    formatBytes(row.bytesSent),
    formatBytes(row.bytesReceived),
    `${formatBytes(row.bytesPerSecond)}/s`,
    row.state,
  ]
}

function shortId(peer: string | null): string {
  if (peer === null) return '-'
  return peer.length > shownIdLength ? `${peer.slice(0, shownIdLength)}…` : peer
}

/** Numbers are aligned to the right. */
const rightAligned = new Set(['ID', 'OPEN', 'SERVED', 'REFUSED', 'AGE', 'SENT', 'RECEIVED', 'RATE'])

/** The first line has the heads. */
function table(heads: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const clean = [heads, ...rows].map((row) => row.map((cell) => escapeControls(cell)))
  const widths = heads.map((_, column) => Math.max(...clean.map((row) => row[column]!.length)))
  return clean.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column]!
        return rightAligned.has(heads[column]!) ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd(),
  )
}

const styles = { dim: 2, head: 7, green: 32, yellow: 33 } as const

function styled(text: string, style: keyof typeof styles): string {
  return `\u001b[${styles[style]}m${text}\u001b[0m`
}

/** The whole screen of a terminal: every line is as wide as it, and what does not fit is counted. */
export function screenLines(
  figures: TunnelFigures,
  rows: readonly RatedRow[],
  { columns, height, time }: { readonly columns: number; readonly height: number; readonly time: string },
): readonly string[] {
  const cut = (line: string): string => line.slice(0, columns).padEnd(columns)
  const rate = rows.reduce((sum, { bytesPerSecond }) => sum + bytesPerSecond, 0)
  const [tunnelHead = '', ...tunnels] = tunnelTable(figures.tunnels)
  const [head = '', ...connections] = connectionTable(rows)
  const title = `${time}  open connections: ${rows.length}  ${formatBytes(rate)}/s  Ctrl-C ends it`
  const lines = [
    styled(cut(title), 'dim'),
    styled(cut(tunnelHead), 'head'),
    ...tunnels.map(cut),
    cut(''),
    styled(cut(head), 'head'),
    ...connections.map((line, index) => styled(cut(line), rows[index]?.state === 'open' ? 'green' : 'yellow')),
  ]
  if (lines.length <= height) return lines
  const shown = Math.max(0, height - 1)
  return [...lines.slice(0, shown), cut(`… and ${lines.length - shown} more lines`)]
}
