/**
 * Owns: the life of a byte, from `session.send` at one party to `session.receive` at the other: every hop is marked in
 * the code, is listed in docs/ARCHITECTURE.md, and is passed in that order. Read it first.
 * Independent of: what else the runtime does meanwhile.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createNetwork } from '../../actors/index.ts'
import type { Network } from '../../actors/index.ts'
import { OutPump } from '../../actors/link/forwarder.ts'
import type { PipeHandlers } from '../../actors/base/pipe.ts'
import { Session } from '../../actors/session/session.ts'
import { TcpPipe } from '../../actors/transport/tcp-pipe.ts'
import { FrameReader } from '../../codec/index.ts'
import { Lane, AmpcLink } from '../../protocol/index.ts'
import { LeakCheck } from '../support/leak-check.ts'

const hops = 12
const root = new URL('../../', import.meta.url)

interface Mark {
  readonly hop: number
  readonly file: string
}

function marksOf(folder: string): Mark[] {
  const files = readdirSync(new URL(`${folder}/`, root), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  )
  return files.flatMap((name) => {
    const text = readFileSync(new URL(`${folder}/${name}`, root), 'utf8')
    return [...text.matchAll(/Byte path (\d+)\/(\d+)/g)].map((match) => {
      expect(Number(match[2]), `${folder}/${name}: the number of hops`).toBe(hops)
      return { hop: Number(match[1]), file: `${folder}/${name}` }
    })
  })
}

describe('the marks of the hops', () => {
  const marks = ['codec', 'protocol', 'actors'].flatMap(marksOf)

  it('the hops are marked in the code from 1 to 12 without a gap', () => {
    expect([...new Set(marks.map(({ hop }) => hop))].sort((a, b) => a - b)).toEqual(
      Array.from({ length: hops }, (_, i) => i + 1),
    )
  })

  it('the hops are where docs/ARCHITECTURE.md says, at functions that exist', () => {
    const rows = [
      ...readFileSync(new URL('docs/ARCHITECTURE.md', root), 'utf8').matchAll(/^\| (\d+) \| `([^`]+)` \| `([^`]+)`/gm),
    ]
    expect(rows.map((row) => Number(row[1]))).toEqual(Array.from({ length: hops }, (_, i) => i + 1))
    for (const [, hop, file, name] of rows) {
      expect(marks, `hop ${hop}`).toContainEqual({ hop: Number(hop), file })
      expect(readFileSync(new URL(file as string, root), 'utf8'), `hop ${hop}`).toContain(
        (name as string).split('.').at(-1),
      )
    }
  })
})

/** Records each call of a method; the method itself runs unchanged. */
function recordCalls(
  prototype: object,
  method: string,
  record: () => void,
  after: (self: never) => void = () => {},
): void {
  const original = (prototype as Record<string, (...args: unknown[]) => unknown>)[method] as (
    ...args: unknown[]
  ) => unknown
  vi.spyOn(prototype as Record<string, () => unknown>, method).mockImplementation(function (
    this: unknown,
    ...args: unknown[]
  ): unknown {
    record()
    const result = original.apply(this, args)
    after(this as never)
    return result
  } as never)
}

class Trace {
  readonly hops: string[] = []
  readonly written: Buffer[] = []
  isOn = false
  #isFlushing = false

  record(hop: string): void {
    if (this.isOn) this.hops.push(hop)
  }

  install(): void {
    recordCalls(Session.prototype, 'send', () => this.record('1 send'))
    recordCalls(AmpcLink.prototype, 'trySend', () => this.record('2 trySend'))
    recordCalls(OutPump.prototype, 'requestFlush', () => this.record('3 requestFlush'))
    recordCalls(AmpcLink.prototype, 'takeBatch', () => this.record('4 takeBatch'))
    recordCalls(
      OutPump.prototype,
      'flush',
      () => (this.#isFlushing = true),
      () => (this.#isFlushing = false),
    )
    const { write, handle } = TcpPipe.prototype
    const recordWrite = (bytes: readonly Buffer[]): void => {
      // The write batch has been taken, and `flush` hands it over: that is hop 5; the pipe's own part is hop 6.
      this.record(this.#isFlushing ? '5 flush' : 'a write outside of flush')
      this.record('6 write')
      if (this.isOn) this.written.push(...bytes)
    }
    const recordBytes = (): void => this.record('7 onBytes')
    vi.spyOn(TcpPipe.prototype, 'write').mockImplementation(function (this: TcpPipe, bytes, onFlushed) {
      recordWrite(bytes)
      return write.call(this, bytes, onFlushed)
    })
    vi.spyOn(TcpPipe.prototype, 'handle').mockImplementation(function (this: TcpPipe, handlers: PipeHandlers) {
      handle.call(this, {
        onOpen: () => handlers.onOpen(),
        onBytes: (bytes) => {
          recordBytes()
          handlers.onBytes(bytes)
        },
        onDrain: () => handlers.onDrain(),
        onEnd: () => handlers.onEnd(),
        onClose: (error) => handlers.onClose(error),
      })
    })
    recordCalls(FrameReader.prototype, 'push', () => this.record('8 push'))
    recordCalls(AmpcLink.prototype, 'onFrame', () => this.record('9 onFrame'))
    recordCalls(
      Lane.prototype,
      'deliver',
      () => this.record('10 deliver'),
      (lane: Lane) => {
        if (lane.unreadValues > 0) this.record('11 queue')
      },
    )
    recordCalls(Session.prototype, 'receive', () => this.record('12 receive'))
  }
}

describe('the life of one byte', () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  /** Two parties over TCP, one session; every hop is traced from the call of `body` on. */
  async function follow(body: (trace: Trace, alice: Session, bob: Session) => Promise<void>): Promise<Trace> {
    const trace = new Trace()
    trace.install()
    const leaks = new LeakCheck()
    const networks: Network[] = []
    const begin = (network: Network): Network => (networks.push(network), leaks.watch(network), network)
    try {
      const alice = begin(
        createNetwork({
          identity: 'alice',
          listen: 'tcp://127.0.0.1:0',
          peers: [{ id: 'bob' }],
          security: 'plaintext',
        }),
      )
      await alice.ready()
      const bob = begin(
        createNetwork({ identity: 'bob', peers: [{ id: 'alice', url: alice.url as string }], security: 'plaintext' }),
      )
      const [[near], [far]] = (await Promise.all([
        alice.makeSessions({ count: 1 }),
        bob.makeSessions({ count: 1 }),
      ])) as [[Session], [Session]]
      trace.isOn = true
      await body(trace, near, far)
      trace.isOn = false
    } finally {
      await Promise.all(networks.map((network) => network.shutdown()))
    }
    await leaks.assertNothingLeft()
    return trace
  }

  const value = { type: 'Bytes' as const, value: Uint8Array.of(0x2a) }
  const wayToLane = [
    '1 send',
    '2 trySend',
    '3 requestFlush',
    '4 takeBatch',
    '5 flush',
    '6 write',
    '7 onBytes',
    '8 push',
    '9 onFrame',
    '10 deliver',
  ]

  it('one byte passes the twelve hops from send to receive in order, each once', async () => {
    const { hops: passed, written } = await follow(async (trace, alice, bob) => {
      await alice.send('bob', value)
      while (bob.unread('alice') === 0) await new Promise((resolve) => setImmediate(resolve))
      expect(trace.hops).toEqual([...wayToLane, '11 queue'])
      expect(await bob.receive('alice')).toMatchObject({ type: 'Bytes', value: Buffer.of(0x2a) })
    })
    expect(passed).toEqual([...wayToLane, '11 queue', '12 receive'])
    expect(Buffer.concat(written).toString('hex'), 'session 0, Bytes, length 1, the byte').toBe('000000000c010000002a')
  })

  it('one byte reaches a handler by the same hops, without a receive', async () => {
    const { hops: passed } = await follow(
      (trace, alice, bob) =>
        new Promise((resolve, reject) => {
          bob.handle('alice', (received) => {
            trace.record('11 handler')
            expect(received).toMatchObject({ type: 'Bytes', value: Buffer.of(0x2a) })
            resolve()
          })
          alice.send('bob', value).catch(reject)
        }),
    )
    expect(passed).toEqual([...wayToLane, '11 handler'])
  })

  it('one byte shares its write with all other values of its tick', async () => {
    const { hops: passed } = await follow(async (_, alice, bob) => {
      for (let i = 0; i < 100; i++) void alice.send('bob', value)
      for (let i = 0; i < 100; i++) await bob.receive('alice')
    })
    const count = (hop: string): number => passed.filter((name) => name === hop).length
    expect([
      count('1 send'),
      count('3 requestFlush'),
      count('4 takeBatch'),
      count('6 write'),
      count('9 onFrame'),
    ]).toEqual([100, 1, 1, 1, 100])
  })
})
