/**
 * Owns: what a test of a carrier needs: a transport, a way to wait for it without sleeping, and a recorder of the
 * callbacks of one end of a pipe.
 * Independent of: which carrier it is, and what is expected of it (test/conformance/pipe.ts).
 */
import { expect } from 'vitest'
import { TcpTransport } from '../../actors/transport/tcp-pipe.ts'
import { MemoryTransport } from '../../actors/transport/memory-pipe.ts'
import { systemClock } from '../../actors/config/system-environment.ts'
import type { Address, DialOptions, Pipe, PipeHandlers, PipeListener, Transport } from '../../actors/base/pipe.ts'
import { SimulatedNetwork, VirtualClock } from '../../testing/index.ts'

/** Small, so that a test reaches it soon. */
export const highWaterMarkBytes = 64 * 1024
const options: DialOptions = { highWaterMarkBytes }
const timeLimitMs = 10_000

export interface Bench {
  readonly transport: Transport
  /** Waits until the condition holds; fails with `what` if it never does. */
  until(what: string, holds: () => boolean): Promise<void>
  /** Lets everything happen that would happen without further input. */
  quiet(): Promise<void>
}

export interface Carrier {
  readonly name: string
  create(): Bench
}

const nextTick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function onSystemClock(transport: Transport): Bench {
  return {
    transport,
    async until(what, holds) {
      const until = performance.now() + timeLimitMs
      while (!holds()) {
        if (performance.now() > until) throw new Error(`${what} did not come about within ${timeLimitMs} ms`)
        await nextTick()
      }
    },
    /** On loopback a byte needs a tick or two; a hundred are plenty, and none of them waits for a clock. */
    async quiet() {
      for (let i = 0; i < 100; i++) await nextTick()
    },
  }
}

export const tcpCarrier: Carrier = { name: 'TCP', create: () => onSystemClock(new TcpTransport()) }

export const memoryCarrier: Carrier = {
  name: 'memory, system clock',
  create: () => onSystemClock(new MemoryTransport(systemClock)),
}

export const virtualCarrier: Carrier = {
  name: 'memory, virtual clock',
  create() {
    const clock = new VirtualClock()
    return {
      transport: new MemoryTransport(clock),
      async until(what, holds) {
        await clock.settle()
        if (!holds()) throw new Error(`${what} did not come about before the virtual network became quiet`)
      },
      quiet: () => clock.settle(),
    }
  },
}

/** With latency, and with chunks that are independent of writes. */
export const simulatedCarrier: Carrier = {
  name: 'simulated network',
  create() {
    const network = new SimulatedNetwork({ seed: 1, chunkBytesMax: 40_000 })
    return {
      transport: network.node('127.0.0.1'),
      until: (what, holds) => network.clock.until(what, holds, timeLimitMs),
      quiet: () => network.clock.advance(100),
    }
  },
}

/** One end of a pipe, and the callbacks that it got, in order. */
export class End implements PipeHandlers {
  readonly pipe: Pipe
  /** 'open', 'bytes', 'drain', 'end', 'close', in order. */
  readonly calls: string[] = []
  readonly chunks: Buffer[] = []
  readonly closedWith: (Error | null)[] = []
  receivedBytes = 0
  /** Called with each chunk after it was recorded. */
  reaction: (bytes: Buffer) => void = () => {}
  endReaction: () => void = () => {}

  constructor(pipe: Pipe) {
    this.pipe = pipe
    pipe.handle(this)
  }

  onOpen(): void {
    this.calls.push('open')
  }
  onBytes(bytes: Buffer): void {
    this.calls.push('bytes')
    this.chunks.push(Buffer.from(bytes))
    this.receivedBytes += bytes.length
    this.reaction(bytes)
  }
  onDrain(): void {
    this.calls.push('drain')
  }
  onEnd(): void {
    this.calls.push('end')
    this.endReaction()
  }
  onClose(error: Error | null): void {
    this.calls.push('close')
    this.closedWith.push(error)
  }

  count(what: string): number {
    return this.calls.filter((call) => call === what).length
  }
  get received(): Buffer {
    return Buffer.concat(this.chunks)
  }
  get isClosed(): boolean {
    return this.closedWith.length > 0
  }
}

export type Role = 'dialler' | 'acceptor'

/** Two ends of one pipe, the near one in the given role; `close` closes everything. */
export class Pair {
  readonly bench: Bench
  readonly near: End
  readonly far: End
  readonly dialled: End
  readonly listener: PipeListener

  constructor(bench: Bench, dialled: End, accepted: End, role: Role, listener: PipeListener) {
    this.bench = bench
    this.dialled = dialled
    this.listener = listener
    this.near = role === 'dialler' ? dialled : accepted
    this.far = role === 'dialler' ? accepted : dialled
  }

  async close(): Promise<void> {
    this.near.pipe.destroy()
    this.far.pipe.destroy()
    await this.listener.close()
    await this.bench.until('both ends are closed', () => this.near.isClosed && this.far.isClosed)
    await this.bench.until('the transport holds nothing', () => this.bench.transport.openHandles === 0)
  }
}

export interface Server {
  readonly listener: PipeListener
  readonly accepted: End[]
}

/** A listener on a free port that keeps the pipes it accepts. */
export async function openServer(bench: Bench, address: Address = { host: '127.0.0.1', port: 0 }): Promise<Server> {
  const accepted: End[] = []
  const listener = await bench.transport.listen(address, options, {
    onPipe: (pipe) => accepted.push(new End(pipe)),
    onError: (error) => {
      throw error
    },
  })
  return { listener, accepted }
}

export function dial(bench: Bench, address: Address): End {
  return new End(bench.transport.dial(address, options))
}

export async function connect(carrier: Carrier, role: Role): Promise<Pair> {
  const bench = carrier.create()
  const { listener, accepted } = await openServer(bench)
  const dialled = dial(bench, listener.address)
  await bench.until('the pipe is open at both ends', () => accepted.length === 1 && dialled.count('open') === 1)
  return new Pair(bench, dialled, accepted[0] as End, role, listener)
}

/** Bytes that encode their position, so that a loss, a repetition or a swap shows. */
export function numbered(lengthBytes: number, seed = 0): Buffer {
  const bytes = Buffer.allocUnsafe(lengthBytes)
  for (let i = 0; i < lengthBytes; i++) bytes[i] = (i * 31 + (i >>> 8) * 7 + (i >>> 16) + seed) & 0xff
  return bytes
}

/** Runs a body with a connected pair, and then asserts that nothing of it is left. */
export async function withPair(carrier: Carrier, role: Role, body: (pair: Pair) => Promise<void>): Promise<void> {
  const pair = await connect(carrier, role)
  await body(pair)
  await pair.close()
  expect([pair.near.count('close'), pair.far.count('close')]).toEqual([1, 1])
}

/** Writes until the pipe reports that it is over its high-water mark. @returns bytes written */
export function fill(end: End): number {
  const part = numbered(highWaterMarkBytes)
  for (let written = part.length; written <= 64 * 1024 * 1024; written += part.length)
    if (!end.pipe.write([part])) return written
  throw new Error('64 MiB were taken without a word')
}
