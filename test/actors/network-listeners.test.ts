/**
 * Owns: `network.on`, `once` and `off`, and that an error thrown by a listener is reported and has no other effect.
 * Independent of: the events themselves.
 */
import { describe, expect, it } from 'vitest'
import { createNetwork } from '../../index.ts'
import type { Network, NetworkEventType } from '../../index.ts'
import { supervisorServices } from '../../actors/network/supervisor.ts'
import { LeakCheck } from '../support/leak-check.ts'

interface LogLine {
  readonly level: string
  readonly event: string
  readonly fields: Readonly<Record<string, unknown>>
}

/**
 * Runs a network without peers, which emits `warning`, `network.ready` and `network.stopped`, and collects the reports.
 */
async function withNetwork(listen: (network: Network) => void): Promise<{ logged: LogLine[]; warnings: Error[] }> {
  const leaks = new LeakCheck()
  const logged: LogLine[] = []
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => void warnings.push(warning)
  process.on('warning', onWarning)
  try {
    const log = {
      write: (level: string, event: string, fields: LogLine['fields']) => void logged.push({ level, event, fields }),
    }
    const network = createNetwork({ identity: 'alice', security: 'plaintext', peers: [] }, { environment: { log } })
    listen(network)
    await network.ready()
    await network.shutdown()
    // XState rethrows errors of its own listeners on a timer, and Node emits process warnings a tick later.
    await new Promise((resolve) => setTimeout(resolve, 1))
  } finally {
    process.off('warning', onWarning)
    await leaks.assertNothingLeft()
  }
  return { logged, warnings }
}

const throwing: [string, () => void, string][] = [
  [
    'throws',
    () => {
      throw new Error('oops')
    },
    'oops',
  ],
  [
    'throws a value that is not an error',
    () => {
      throw 'oops' as unknown as Error
    },
    'oops',
  ],
  [
    'throws an object that has no text',
    () => {
      throw Object.create(null) as Error
    },
    'an object that has no text',
  ],
  [
    'throws an error whose message is an object',
    () => {
      throw Object.assign(new Error('oops'), { message: { text: 'oops' } })
    },
    '[object Object]',
  ],
  ['is asynchronous and rejects', (async () => Promise.reject(new Error('oops'))) as () => void, 'oops'],
]
const events: NetworkEventType[] = ['warning', 'network.ready', 'network.stopped']

describe('a failing listener', () => {
  describe.each(throwing)('that %s', (how, listener, reason) => {
    it.each(events)(
      `a listener of %s that ${how} is reported by one process warning and affects nothing else`,
      async (type) => {
        const calls: string[] = []
        const { logged, warnings } = await withNetwork((network) => {
          network.on(type, listener)
          network.on(type, () => void calls.push(type))
        })
        expect(calls).toEqual([type])
        expect(warnings).toMatchObject([
          { name: 'StatewireWarning', message: `A listener of the network event '${type}' failed: ${reason}` },
        ])
        const reports = logged.filter(({ event }) => event === 'listener.failed')
        expect(reports).toMatchObject([
          { level: 'error', fields: { type, cause: { code: 'ERR_HANDLER_FAILED', message: reason } } },
        ])
      },
    )
  })

  it('a failing listener is logged for every event, and gives one process warning for each listener', async () => {
    let calls = 0
    const fail = (): void => {
      calls++
      throw new Error('oops')
    }
    const { logged, warnings } = await withNetwork((network) => {
      for (const type of events) network.on(type, fail)
      network.once('network.ready', fail)
    })
    expect([calls, logged.filter(({ event }) => event === 'listener.failed').length, warnings.length]).toEqual([
      4, 4, 4,
    ])
  })
})

describe('the listeners of a network', () => {
  it('a listener added with once is called once', async () => {
    const calls: string[] = []
    await withNetwork((network) => {
      network.once('warning', ({ type }) => {
        calls.push(`once ${type}`)
        // A second event of the type, emitted by an actor logic's own means.
        if (calls.length === 1) supervisorServices(network.ref)?.emit({ type: 'warning', message: 'again' })
      })
      network.on('warning', ({ type }) => void calls.push(`on ${type}`))
    })
    expect(calls).toEqual(['once warning', 'on warning', 'on warning'])
  })

  it('listeners are removed by off, and by the function that on and once return', async () => {
    const calls: string[] = []
    await withNetwork((network) => {
      const [first, second, third, stays] = ['first', 'second', 'third', 'stays'].map(
        (name) => () => void calls.push(name),
      ) as [() => void, () => void, () => void, () => void]
      network.on('network.ready', first)
      network.once('network.ready', second)
      network.on('network.ready', third)()
      network.once('network.ready', third)()
      network.on('network.ready', stays)
      network.off('network.ready', first)
      network.off('network.ready', second)
      network.off('network.ready', second)
      network.off('network.stopped', stays)
    })
    expect(calls).toEqual(['stays'])
  })

  it('listeners are removed one registration at a time, the newest first', async () => {
    const calls: string[] = []
    await withNetwork((network) => {
      const listener = ({ type }: { type: string }): void => void calls.push(type)
      network.on('network.ready', listener)
      network.once('network.ready', listener)
      network.off('network.ready', listener)
    })
    expect(calls).toEqual(['network.ready'])
  })

  it('a listener must be a function and its event must exist', async () => {
    await withNetwork((network) => {
      for (const call of ['on', 'once', 'off'] as const) {
        expect(() => network[call]('peer.conected' as 'peer.connected', () => {})).toThrow(
          /"peer.conected" is not an event of a network \(did you mean peer.connected\?\)/,
        )
        expect(() => network[call]('peer.connected', 'a string' as never)).toThrow(
          /the listener of "peer.connected" must be a function/,
        )
      }
    })
  })
})
