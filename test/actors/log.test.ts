/**
 * Owns: that a log that throws affects nothing else and is reported once, and that `isRead` can switch it off.
 * Independent of: what is logged (inspection.test.ts).
 */
import diagnosticsChannel from 'node:diagnostics_channel'
import { expect, it } from 'vitest'
import { createNetwork, logChannelName, MemoryTransport } from '../../actors/index.ts'
import type { Log, LogLine } from '../../actors/index.ts'
import { VirtualClock } from '../../testing/index.ts'

const oops = (): never => {
  throw new Error('the disk is full')
}

it.each<[string, Log]>([
  ['write', { write: oops }],
  ['isRead', { isRead: oops, write: oops }],
  ['asynchronous write', { write: (async () => oops()) as Log['write'] }],
])('a log whose %s throws ends nothing and is reported once', async (_, log) => {
  const lines: LogLine[] = []
  const listen = (line: unknown): void => void lines.push(line as LogLine)
  diagnosticsChannel.subscribe(logChannelName, listen)
  const clock = new VirtualClock()
  const network = createNetwork(
    { identity: 'alice', listen: 'tcp://127.0.0.1:1', peers: [], security: 'plaintext' },
    { environment: { clock, transport: new MemoryTransport(clock), log } },
  )
  const events: string[] = []
  network.ref.on('*', ({ type }) => void events.push(type))
  await clock.run(network.ready())
  await clock.run(network.shutdown())
  diagnosticsChannel.unsubscribe(logChannelName, listen)
  expect(events).toEqual(expect.arrayContaining(['warning', 'network.ready', 'network.stopped']))
  expect(network.resources).toEqual({ actors: 0, deadlines: 0, handles: 0 })
  expect(lines.map(({ level, event, fields }) => [level, event, fields])).toEqual([
    ['error', 'log.threw', { message: 'the disk is full' }],
  ])
})

it.each([
  [undefined, true],
  [() => true, true],
  [() => false, false],
])('a log whose isRead is %o is written: %s', async (isRead, isWritten) => {
  const lines: string[] = []
  const network = createNetwork(
    { identity: 'alice', peers: [], security: 'plaintext' },
    {
      environment: {
        log: { write: (_level, event) => void lines.push(event), ...(isRead === undefined ? {} : { isRead }) },
      },
    },
  )
  await network.ready()
  await network.shutdown()
  expect(lines.length > 0).toBe(isWritten)
})
