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
import { WriteScheduler } from '../../actors/link/write-scheduler.ts'
import type { PipeHandlers } from '../../actors/base/pipe.ts'
import { Session } from '../../actors/session/session.ts'
import { Identity } from '../../actors/tls/identity.ts'
import { TlsPipe } from '../../actors/tls/tls-pipe.ts'
import { descriptors } from '../../codec/constants.ts'
import { NativeFrameReader } from '../../codec/native-frame-reader.ts'
import { Lane } from '../../protocol/lane.ts'
import { NativeOutbox } from '../../protocol/native/lanes/native-outbox.ts'
import { NativeLink } from '../../protocol/native/link/native-link.ts'
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
    return [...text.matchAll(/Life of a byte (\d+)\/(\d+)/g)].map((match) => {
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

type Method = (this: unknown, ...args: unknown[]) => unknown

/** Calls `before` and `after` around a method; the method itself is unchanged. */
function recordCalls(
  prototype: object,
  method: string,
  before: (self: unknown, args: readonly unknown[]) => void,
  after: (self: unknown) => void = () => {},
): void {
  const original = (prototype as Record<string, Method>)[method] as Method
  vi.spyOn(prototype as Record<string, Method>, method).mockImplementation(function (this: unknown, ...args): unknown {
    before(this, args)
    const result = original.apply(this, args)
    after(this)
    return result
  })
}

const byte = 0x2a
/** The frame in session 0: lane, descriptor, length, and the byte. */
const frame = Buffer.from('000000000c010000002a', 'hex')
const hasFrame = (bytes: Buffer): boolean => bytes.includes(frame)

/** Records the hops of frames that carry the byte. The links' own frames (Ack, Credit) are left out. */
class Trace {
  readonly hops: string[] = []
  isOn = false
  #outbox: unknown = null
  #pump: unknown = null
  #isFlushing = false

  record(hop: string): void {
    if (this.isOn) this.hops.push(hop)
  }

  install(): void {
    recordCalls(Session.prototype, 'send', () => this.record('1 send'))
    recordCalls(NativeOutbox.prototype, 'trySendFrame', (outbox) => {
      this.#outbox = outbox
      this.record('2 trySendFrame')
    })
    recordCalls(OutPump.prototype, 'requestFlush', (pump) => {
      if (this.hops.at(-1) !== '2 trySendFrame') return
      this.#pump = pump
      this.record('3 requestFlush')
    })
    recordCalls(WriteScheduler.prototype, 'requestBatch', (_, [pump]) => {
      if (pump === this.#pump && this.hops.at(-1) === '3 requestFlush') this.record('4 requestBatch')
    })
    this.#installWrite()
    this.#installRead()
  }

  #installWrite(): void {
    const isOurs = (pump: unknown): boolean => pump === this.#pump && !this.hops.includes('5 flush')
    recordCalls(
      OutPump.prototype,
      'flush',
      (pump) => {
        if (!isOurs(pump)) return
        this.#isFlushing = true
        this.record('5 flush')
      },
      () => (this.#isFlushing = false),
    )
    recordCalls(NativeOutbox.prototype, 'takeBatch', (outbox) => {
      if (outbox === this.#outbox && this.#isFlushing) this.record('6 takeBatch')
    })
    recordCalls(TlsPipe.prototype, 'write', (_, [bytes]) => {
      if (hasFrame(Buffer.concat(bytes as Buffer[]))) this.record('7 write')
    })
  }

  #installRead(): void {
    const recordBytes = (bytes: Buffer): void => {
      if (hasFrame(bytes)) this.record('8 onBytes')
    }
    const { handle } = TlsPipe.prototype
    vi.spyOn(TlsPipe.prototype, 'handle').mockImplementation(function (this: TlsPipe, handlers: PipeHandlers) {
      handle.call(this, {
        onOpen: () => handlers.onOpen(),
        onBytes: (bytes) => {
          recordBytes(bytes)
          handlers.onBytes(bytes)
        },
        onDrain: () => handlers.onDrain(),
        onEnd: () => handlers.onEnd(),
        onClose: (error) => handlers.onClose(error),
      })
    })
    recordCalls(NativeFrameReader.prototype, 'push', (_, [chunk]) => {
      if (hasFrame(chunk as Buffer)) this.record('9 push')
    })
    recordCalls(NativeLink.prototype, 'onFrame', (_, [, descriptor]) => {
      if (descriptor === descriptors.Bytes) this.record('10 onFrame')
    })
    recordCalls(
      Lane.prototype,
      'deliver',
      () => this.record('11 deliver'),
      (lane) => {
        if ((lane as Lane).unreadValues > 0) this.record('queue')
      },
    )
    recordCalls(Session.prototype, 'receive', () => this.record('12 receive'))
  }
}

describe('the life of a byte', () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  /** Two native peers over TLS with one session. Hops are recorded from the call of `body` on. */
  async function follow(
    body: (trace: Trace, near: Session, far: Session, peers: { near: string; far: string }) => Promise<void>,
  ): Promise<Trace> {
    const trace = new Trace()
    trace.install()
    const leaks = new LeakCheck()
    const networks: Network[] = []
    const begin = (network: Network): Network => (networks.push(network), leaks.watch(network), network)
    const keys = { near: Identity.generate(), far: Identity.generate() }
    const ids = { near: keys.near.id, far: keys.far.id }
    try {
      const listening = begin(
        createNetwork({ identity: keys.near, listen: 'tls://127.0.0.1:0', peers: [{ id: ids.far }] }),
      )
      await listening.ready()
      const dialling = begin(
        createNetwork({ identity: keys.far, peers: [{ id: ids.near, urls: listening.url as string }] }),
      )
      const [[near], [far]] = (await Promise.all([
        listening.makeSessions({ count: 1 }),
        dialling.makeSessions({ count: 1 }),
      ])) as [[Session], [Session]]
      trace.isOn = true
      await body(trace, near, far, ids)
      trace.isOn = false
    } finally {
      await Promise.all(networks.map((network) => network.shutdown()))
    }
    await leaks.assertNothingLeft()
    return trace
  }

  const value = { type: 'Bytes' as const, value: Uint8Array.of(byte) }
  const hopsToLane = [
    '1 send',
    '2 trySendFrame',
    '3 requestFlush',
    '4 requestBatch',
    '5 flush',
    '6 takeBatch',
    '7 write',
    '8 onBytes',
    '9 push',
    '10 onFrame',
    '11 deliver',
  ]

  it('a byte goes from send to receive by these twelve hops, in this order, each once', async () => {
    const { hops: passed } = await follow(async (trace, near, far, ids) => {
      await near.send(ids.far, value)
      while (far.unread(ids.near) === 0) await new Promise((resolve) => setImmediate(resolve))
      expect(trace.hops).toEqual([...hopsToLane, 'queue'])
      expect(await far.receive(ids.near)).toMatchObject({ type: 'Bytes', value: Buffer.of(byte) })
    })
    expect(passed).toEqual([...hopsToLane, 'queue', '12 receive'])
  })

  it('a byte reaches a handler by the same hops, without a call of receive', async () => {
    const { hops: passed } = await follow(
      (trace, near, far, ids) =>
        new Promise((resolve, reject) => {
          far.handle(ids.near, (received) => {
            trace.record('handler')
            expect(received).toMatchObject({ type: 'Bytes', value: Buffer.of(byte) })
            resolve()
          })
          near.send(ids.far, value).catch(reject)
        }),
    )
    expect(passed).toEqual([...hopsToLane, 'handler'])
  })

  it('values that are sent in one tick share one write', async () => {
    const { hops: passed } = await follow(async (_, near, far, ids) => {
      for (let i = 0; i < 100; i++) void near.send(ids.far, value)
      for (let i = 0; i < 100; i++) await far.receive(ids.near)
    })
    const count = (hop: string): number => passed.filter((name) => name === hop).length
    expect([
      count('1 send'),
      count('3 requestFlush'),
      count('6 takeBatch'),
      count('7 write'),
      count('10 onFrame'),
    ]).toEqual([100, 1, 1, 1, 100])
  })
})
