/**
 * Owns: how `statewire tunnel ps` shows figures: units, rates, columns, the screen of a terminal.
 * Independent of: running peers (tunnel-attach.test.ts).
 */
import { describe, expect, it } from 'vitest'
import {
  connectionLine,
  connectionTable,
  formatAge,
  formatBytes,
  screenLines,
  tunnelTable,
  withRates,
} from '../../cli/tunnel-table.ts'
import type { ConnectionRow } from '../../cli/tunnel-board.ts'

const row = (id: number, bytes: number, more: Partial<ConnectionRow> = {}): ConnectionRow => ({
  id,
  side: 'open',
  name: 'db',
  peer: 'mu2amng6'.repeat(6),
  address: '127.0.0.1:53412',
  ageMs: 61_000,
  bytesSent: bytes,
  bytesReceived: bytes,
  state: 'open',
  ...more,
})

describe('the figures of tunnel ps', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1536, '1.5 KiB'],
    [150 * 1024, '150 KiB'],
    [3 * 1024 ** 3, '3.0 GiB'],
  ])('%d bytes are shown as %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text))

  it.each([
    [999, '0s'],
    [59_999, '59s'],
    [61_000, '1m01s'],
    [3_600_000, '1h00m'],
    [90_000_000, '1d01h'],
  ])('%d ms are shown as %s', (ageMs, text) => expect(formatAge(ageMs)).toBe(text))

  it('the rate is what was carried both ways between two looks, and for a new connection since it opened', () => {
    const [known, fresh] = withRates([row(1, 100)], [row(1, 600), row(2, 50, { ageMs: 100 })], 500)
    expect([known?.bytesPerSecond, fresh?.bytesPerSecond]).toEqual([2000, 1000])
  })

  it('a table has a line of heads, one line for each connection, and columns that are aligned', () => {
    const rows = withRates([], [row(1, 100), row(12, 5 * 1024 ** 2, { state: 'half-closed' })], 1000)
    expect(connectionTable(rows)).toEqual([
      'ID  NAME  SIDE  PEER       ADDRESS            AGE     SENT  RECEIVED        RATE  STATE',
      ' 1  db    open  mu2amng6…  127.0.0.1:53412  1m01s    100 B     100 B     200 B/s  open',
      '12  db    open  mu2amng6…  127.0.0.1:53412  1m01s  5.0 MiB   5.0 MiB  10.0 MiB/s  half-closed',
    ])
    expect(connectionLine(rows[0]!)).toBe('1  db  open  mu2amng6…  127.0.0.1:53412  1m01s  100 B  100 B  200 B/s  open')
  })

  it('a tunnel without connections is in the table of tunnels', () => {
    const tunnel = { side: 'expose', name: 'db', peer: null, address: 'unix:/run/db', connections: 0 } as const
    expect(tunnelTable([{ ...tunnel, served: 3, refused: 1 }])).toEqual([
      'NAME  SIDE    PEER  ADDRESS       OPEN  SERVED  REFUSED',
      'db    expose  -     unix:/run/db     0       3        1',
    ])
  })

  it('control characters in names are shown as escapes', () => {
    const rows = withRates([], [row(1, 1, { name: 'a\u001b[2Jb' })], 1000)
    expect(connectionTable(rows).join('')).not.toContain('\u001b')
    expect(connectionLine(rows[0]!)).not.toContain('\u001b')
  })

  it('a screen has lines of its own width, and counts those that do not fit', () => {
    const rows = withRates(
      [],
      [1, 2, 3, 4, 5, 6].map((id) => row(id, 10)),
      1000,
    )
    const [columns, height] = [40, 8]
    const lines = screenLines({ tunnels: [], connections: rows }, rows, { columns, height, time: '12:00:00' })
    // eslint-disable-next-line no-control-regex
    const plain = lines.map((line) => line.replace(/\u001b\[\d+m/g, ''))
    expect(plain).toHaveLength(height)
    expect(new Set(plain.map((line) => line.length))).toEqual(new Set([columns]))
    expect(plain[0]).toContain('open connections: 6  120 B/s')
    expect(plain.at(-1)).toContain('… and 3 more lines')
    expect(lines[4]).toContain('\u001b[32m')
  })
})
