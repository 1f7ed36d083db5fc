/**
 * Owns: what the progress of examples/send-file looks like. Independent of: transfers.
 */
import { describe, expect, it } from 'vitest'
import { bar, line, Meter } from '../../examples/send-file/progress.ts'

describe('the progress of send-file', () => {
  const meter = (name: string): Meter => {
    const it = new Meter(name, 100 * 1024 * 1024, 0, 0)
    it.done = 45 * 1024 * 1024
    it.sample(4_000)
    return it
  }

  it('the bar shows rate and time left, and never wraps', () => {
    expect(bar(meter('photo.bin'), 80)).toMatchInlineSnapshot(
      `"photo.bin [#######.........]  45%  11.3 MiB/s  0:05 left  45.0 MiB of 100.0 MiB"`,
    )
    expect(bar(meter('photo.bin'), 40)).toMatchInlineSnapshot(`"[####.....]  45%  11.3 MiB/s  0:05 left"`)
    expect(bar(meter('photo.bin'), 20)).toMatchInlineSnapshot(`"45%  11.3 MiB/s  0…"`)
    for (const name of ['photo.bin', 'a'.repeat(200), '写真'.repeat(20)])
      for (let columns = 5; columns < 200; columns++)
        expect(Array.from(bar(meter(name), columns)).length, `${columns} columns`).toBeLessThan(columns)
  })

  it('without a terminal it is a line', () => {
    expect(line(meter('photo.bin'))).toMatchInlineSnapshot(
      `"photo.bin: 45%, 45.0 MiB of 100.0 MiB, 11.3 MiB/s, 0:05 left"`,
    )
    expect(line(new Meter('x', 0, 0, 0))).toBe('x: 100%, 0 B of 0 B, -')
  })
})
