/**
 * Owns: that each row of the tables in docs/source-designs.md names a test that exists, that no part of a source design
 * is missing, and that the types named there are exported.
 * Independent of: what the tests show.
 */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { networkEventTypes } from '../actors/base/events.ts'
import { commandNames, supervisorMachine } from '../machines/supervisor.ts'

const root = new URL('..', import.meta.url)
const read = (file: string): string => readFileSync(new URL(file, root), 'utf8')
const page = read('docs/source-designs.md')
const exports = read('actors/index.ts')

/** The rows of the table under a heading, by cell. */
function rowsUnder(heading: string): string[][] {
  const section = page.split(`\n${heading}\n`)[1]?.split(/^#/m)[0] ?? ''
  return section
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(1)
    .map((line) => line.slice(2, -2).split(' | '))
}

const tables: Record<string, string[]> = {
  '### Commands': [
    'AddEndpoint',
    'RemoveEndpoint',
    'Connect',
    'Disconnect',
    'SendMessage',
    'MulticastMessage',
    'BroadcastMessage',
  ],
  '### Events': [
    'EndpointAdded',
    'EndpointRemoved',
    'NewConnection',
    'LostConnection',
    'EndpointConnected',
    'EndpointDisconnected',
    'MessageSent',
    'MessageReceived',
    'TryConnect',
  ],
  '### Types': [
    'NetworkConfig',
    'init',
    'Network',
    'Events',
    'Shutdown',
    'ShutdownNotifier',
    'WorkerTask',
    'Port',
    'Address',
    'Protocol',
    'Url',
    'Endpoint',
    'EndpointId',
    'Command',
    'Event',
    'EndpointWorker',
    'TcpWorker',
    'bytes of a command',
  ],
  '### States of a socket': [
    'opening',
    'connecting',
    'connected',
    'authenticating',
    'authenticated',
    'open',
    'closing',
    'errored',
    'closed',
  ],
  '### Routines and routing': [],
  '## The TCP stack of iris-mpc': [],
  '## get_stream of kulfi': [
    'get_stream',
    'ProtocolHeader',
    'the acknowledgement',
    'time-out of the acknowledgement',
    'connection_manager',
    'all waiters get the error',
    'the next call starts from scratch',
    'one request at a time',
    'the connection is not closed on a failed open',
    'the limit of concurrent streams',
    'accept_bi',
    'ping every 12 s',
    'Protocol::Ping',
    'idle after 60 s',
    'Graceful',
  ],
}

const rows = Object.keys(tables).flatMap((heading) =>
  rowsUnder(heading).map((cells) => [heading, cells[0] ?? '', cells] as const),
)
const plain = (cell = ''): string => cell.replaceAll('`', '')

describe('docs/source-designs.md', () => {
  it.each(Object.entries(tables).filter(([, names]) => names.length > 0))(
    'docs/source-designs.md has a row for each part of the source under %s',
    (heading, names) => {
      expect(rowsUnder(heading).map(([name]) => plain(name))).toEqual(names)
    },
  )

  it.each(rows)('docs/source-designs.md, %s: the row %s names a test that exists', (_, __, cells) => {
    const [, file = '', title = ''] = /^`(test\/\S+\.test\.ts)`: (.+)$/.exec(cells.at(-1)?.trim() ?? '') ?? []
    expect(existsSync(new URL(file, root)), file).toBe(true)
    const source = read(file)
    const quoted = ["'", '"', '`'].some((quote) => source.includes(`${quote}${title}${quote}`))
    expect(quoted, `${file} has no test with the title: ${title}`).toBe(true)
  })

  it('docs/source-designs.md names every command of the supervisor, and no others', () => {
    expect(rowsUnder('### Commands').map((cells) => plain(cells[1]))).toEqual([...commandNames])
    const accepted = new Set(Object.keys(supervisorMachine.config.on ?? {}))
    for (const name of commandNames) expect([...accepted]).toContain(name)
  })

  it('docs/source-designs.md names only events that exist', () => {
    const named = rowsUnder('### Events').flatMap((cells) => /^`([a-z]+\.[a-z]+)`$/.exec(cells[1] ?? '')?.[1] ?? [])
    expect(named).toHaveLength(7)
    for (const name of named) expect(networkEventTypes as readonly string[]).toContain(name)
  })

  it.each(rowsUnder('### Types').map((cells) => plain(cells[1])))(
    'docs/source-designs.md names the type %s, which statewire/actors exports',
    (name) => {
      expect(exports).toMatch(new RegExp(String.raw`\b${name}\b`))
    },
  )
})
