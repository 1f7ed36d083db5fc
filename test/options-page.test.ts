/**
 * Owns: that docs/options.md names every option and every limit, no others, with the defaults and ranges that the code
 * has.
 * Independent of: what any of them is for.
 *
 * The names come from the code itself: an unknown name is refused with a list of the known ones.
 */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { Identity } from '../actors/tls/identity.ts'
import { defaultLimits } from '../actors/config/limits.ts'
import type { Limits } from '../actors/config/limits.ts'
import { createNetwork } from '../actors/network/create-network.ts'
import { resolveOptions } from '../actors/config/options.ts'
import type { Session } from '../actors/session/session.ts'
import { NativeScene } from './support/native-scene.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const page = readFileSync(path.join(root, 'docs', 'options.md'), 'utf8')

/** Cells of the rows of the tables under a heading, up to the next heading of its rank or above. */
function rowsUnder(heading: string): string[][] {
  const rank = heading.indexOf(' ')
  const [, after = ''] = page.split(`\n${heading}\n`)
  const section = after.split(new RegExp(String.raw`^#{1,${rank}} `, 'm'))[0] ?? ''
  return section
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.slice(2, -2).split(' | '))
}

const plain = (cell = ''): string => cell.replaceAll('`', '')
const namesIn = (rows: string[][]): string[] => rows.map(([name]) => plain(name))
const grouped = (value: number): string => value.toLocaleString('en-US')

async function namesThatExist(call: () => unknown): Promise<string[]> {
  try {
    await call()
  } catch (error) {
    return /there are: (.*)$/.exec((error as Error).message)?.[1]?.split(', ') ?? []
  }
  return []
}

const [own, other] = [Identity.generate(), Identity.generate()]
const native = { identity: own, peers: [{ id: other.id, urls: 'tls://127.0.0.1:1' }] }
const ampc = { identity: 'bob', security: 'plaintext', peers: [] } as const
const stranger = { noSuchName: 1 }

describe('the options in docs/options.md', () => {
  it.each<[string, () => unknown]>([
    ['## `createNetwork(config)`', () => createNetwork({ ...native, ...stranger })],
    [
      '### A peer in `peers`',
      () => createNetwork({ ...native, peers: [{ ...native.peers[0], ...stranger } as never] }),
    ],
    ['### `tls` (ampc)', () => createNetwork({ ...ampc, security: 'tls', tls: stranger as never })],
    ['### The second argument: `createNetwork(config, runtime)`', () => createNetwork(native, stranger as never)],
  ])('docs/options.md lists exactly the options that the code accepts under %s', async (heading, call) => {
    // A section with subsections: its table is the one before them.
    const rows = heading.startsWith('## ')
      ? rowsUnder(heading).slice(0, (await namesThatExist(call)).length)
      : rowsUnder(heading)
    expect(namesIn(rows).sort()).toEqual((await namesThatExist(call)).sort())
  })

  it.each(['dialect', 'security', 'onConnectionLost', 'connectionParallelism', 'memoryBudgetBytes'] as const)(
    'docs/options.md states the default of the option %s',
    (name) => {
      const value = resolveOptions(native)[name]
      const [, , said] = rowsUnder('## `createNetwork(config)`').find(([cell]) => plain(cell) === name) ?? []
      expect(plain(said).split(' ')[0]).toBe(typeof value === 'number' ? grouped(value) : value)
    },
  )

  it('docs/options.md states the default of onConnectionLost in the ampc dialect', () => {
    expect(page).toContain(`ampc: \`'${resolveOptions(ampc).onConnectionLost}'\` (the default there)`)
  })
})

describe('the limits in docs/options.md', () => {
  const rows = rowsUnder('## `limits`')
  const table = new Map(rows.map(([name, unit, value, range]) => [plain(name), { unit, value, range }]))
  const limitNames = Object.keys(defaultLimits) as (keyof Limits)[]

  it('docs/options.md lists every limit once', () => {
    expect(namesIn(rows).sort()).toEqual([...limitNames].sort())
  })

  it.each(limitNames)('docs/options.md states the default of the limit %s', (name) => {
    const [figure, shortFigure, shortUnit] = (table.get(name)?.value ?? '').split(/[ ()]+/)
    expect(figure).toBe(grouped(defaultLimits[name]))
    if (shortFigure !== undefined && shortFigure !== '')
      expect(Number(shortFigure) * (shortUnit === 'MiB' ? 2 ** 20 : 2 ** 10)).toBe(defaultLimits[name])
  })

  it.each(limitNames)('docs/options.md gives the limit %s the unit that its name ends in', (name) => {
    const unit = table.get(name)?.unit
    expect([unit === 'ms', unit === 'bytes']).toEqual([name.endsWith('Ms'), /Bytes(Max)?$/.test(name)])
  })

  it.each(limitNames)('docs/options.md states the range of the limit %s', (name) => {
    const [, low, high, fractions] =
      /^(?:from )?([\d,]+)(?: to ([\d,]+))?(, fractions too)?$/.exec(table.get(name)?.range ?? '') ?? []
    const number = (text: string): number => Number(text.replaceAll(',', ''))
    // Move the related limit out of the way.
    const partners: Partial<Limits> =
      name === 'backoffMinMs'
        ? { backoffMaxMs: 2 ** 31 - 1 }
        : name === 'backoffMaxMs'
          ? { backoffMinMs: 1 }
          : name === 'pendingInboundMax'
            ? { pendingInboundPerAddressMax: 1 }
            : name === 'pendingInboundPerAddressMax'
              ? { pendingInboundMax: Number.MAX_SAFE_INTEGER }
              : {}
    const isTaken = (value: number): boolean => {
      try {
        resolveOptions({ ...native, limits: { ...partners, [name]: value } })
        return true
      } catch {
        return false
      }
    }
    const [least, most] = [number(low ?? ''), high === undefined ? Number.MAX_SAFE_INTEGER : number(high)]
    expect([least - 1, least, least + 0.5, most, most + 1].map(isTaken)).toEqual([
      false,
      true,
      fractions !== undefined,
      true,
      fractions !== undefined,
    ])
  })
})

describe('the calls in docs/options.md', () => {
  const scene = new NativeScene({ on: 'memory' })
  afterAll(() => scene.stop())

  it('docs/options.md lists the options of each call', async () => {
    const members = await scene.pair()
    const [[session]] = (await scene.sessions(members, 1)) as [[Session], [Session]]
    const [{ network }, { id }] = members
    const calls: Record<string, () => unknown> = {
      makeSessions: () => network.makeSessions(stranger as never),
      openControlChannel: () => network.openControlChannel(stranger as never),
      disconnect: () => network.peer(id)?.disconnect(stranger as never),
      remove: () => network.peer(id)?.remove(stranger as never),
      ready: () => network.ready(stranger as never),
      connect: () => network.peer(id)?.connect(stranger as never),
      events: () => network.events(stranger as never),
      send: () => session.send(id, { type: 'RingElement16', value: 1 }, stranger as never),
      broadcast: () => session.broadcast({ type: 'RingElement16', value: 1 }, stranger as never),
      receive: () => session.receive(id, stranger as never),
      flush: () => session.flush(stranger as never),
      handle: () => session.handle(id, () => {}, stranger as never),
    }
    const said = rowsUnder('## Calls').flatMap(([names = '', options = '']) =>
      [...names.matchAll(/`(\w+)`/g)].map(
        (match) =>
          [
            match[1] as string,
            [...options.replaceAll(/\([^)]*\)/g, '').matchAll(/`(\w+)`/g)].map((found) => found[1]),
          ] as const,
      ),
    )
    for (const [name, call] of Object.entries(calls))
      expect(said.find(([called]) => called === name)?.[1], name).toEqual(await namesThatExist(call))
  })
})

describe('docs/options.md', () => {
  it('docs/options.md is linked from the readme', () => {
    expect(readFileSync(path.join(root, 'README.md'), 'utf8')).toContain('(docs/options.md)')
  })
})
