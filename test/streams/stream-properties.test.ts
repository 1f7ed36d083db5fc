/**
 * Owns: what holds for several streams over one link, in whatever order they are opened, written, read, finished and
 * reset while sockets break: bytes in order and once, ends once, and neither credit nor places are lost.
 * Independent of: links that are reset (unread-bytes.test.ts), and many peers (the simulation).
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Stream } from '../../actors/index.ts'
import { play } from '../support/native-scene.ts'
import type { NativeMember, NativeScene } from '../support/native-scene.ts'

const streamsMax = 3
const resetCode = 0x1234

/** `which` picks one of the ends that exist, those of the opener first. */
type Step =
  | { readonly do: 'open' }
  | { readonly do: 'write'; readonly which: number; readonly length: number }
  | { readonly do: 'end' | 'reset' | 'destroy' | 'pause' | 'resume'; readonly which: number }
  | { readonly do: 'kill' }
  | { readonly do: 'wait'; readonly ms: number }

const which = fc.nat(99)
const steps = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: fc.record({ do: fc.constant('open' as const) }) },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('write' as const),
        which,
        length: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 300_000 })),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constantFrom('end', 'end', 'reset', 'destroy', 'pause', 'resume'), which }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('kill' as const) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 50 }) }) },
  ),
  { maxLength: 60 },
)

/** One end of a stream, and what it saw. */
class End {
  readonly stream: Stream
  readonly seed: number
  peer: End | null = null
  written = 0
  received = 0
  wrongAt: number | null = null
  ends = 0
  errors: (string | undefined)[] = []
  hasEnded = false
  hasReset = false

  constructor(stream: Stream, number: number, side: 0 | 1) {
    this.stream = stream
    this.seed = 2 * number + side
    stream.on('data', (bytes: Buffer) => {
      if (!bytes.equals(pattern(this.seed ^ 1, this.received, bytes.length))) this.wrongAt ??= this.received
      this.received += bytes.length
    })
    stream.on('end', () => this.ends++)
    stream.on('error', (error: NodeJS.ErrnoException) => this.errors.push(error.code))
  }

  write(length: number): void {
    if (this.hasEnded || this.hasReset || this.stream.destroyed) return
    this.stream.write(pattern(this.seed, this.written, length))
    this.written += length
  }

  end(): void {
    if (this.hasReset || this.stream.destroyed) return
    this.hasEnded = true
    this.stream.end()
  }

  reset(step: 'reset' | 'destroy'): void {
    if (this.stream.destroyed) return
    this.hasReset = true
    if (step === 'reset') this.stream.reset(resetCode)
    else this.stream.destroy()
  }

  check(): void {
    const peer = this.peer!
    expect(this.wrongAt).toBe(null)
    expect(this.received).toBeLessThanOrEqual(peer.written)
    expect(this.ends).toBeLessThanOrEqual(1)
    // Only a writer that has finished gives its reader an end, and then all of its bytes come before.
    if (this.ends === 1) expect([peer.hasEnded, this.received]).toEqual([true, peer.written])
    if (!this.hasReset && !peer.hasReset) expect([this.ends, this.errors]).toEqual([1, []])
    else expect(this.errors).toEqual(this.errors.length === 0 ? [] : ['ERR_STREAM_RESET'])
  }
}

/** Bytes that say where in which stream they belong. */
function pattern(seed: number, from: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let at = 0; at < length; at++) bytes[at] = ((from + at) * 31 + ((from + at) >> 8) + seed * 7) & 0xff
  return bytes
}

class Streams {
  readonly ends: End[] = []
  readonly #scene: NativeScene
  readonly #alice: NativeMember
  readonly #bob: NativeMember
  readonly #calls: Promise<void>[] = []
  readonly #accepted = new Map<number, End>()
  #asked = 0

  constructor(scene: NativeScene, alice: NativeMember, bob: NativeMember) {
    this.#scene = scene
    this.#alice = alice
    this.#bob = bob
    bob.network.onStream('p', (stream) => {
      const number = Number(stream.extra.toString())
      const end = new End(stream, number, 1)
      this.#accepted.set(number, end)
      this.ends.push(end)
    })
  }

  open(): Promise<void> {
    const number = this.#asked++
    const call = this.#alice.network.getStream(this.#bob.id, 'p', { extra: String(number), timeoutMs: 3_600_000 })
    const opened = call.then((stream) => void this.ends.push(new End(stream, number, 0)))
    this.#calls.push(opened)
    return opened
  }

  async play(step: Step): Promise<void> {
    if (step.do === 'open') return void this.open()
    if (step.do === 'wait') return this.#scene.clock.advance(step.ms)
    if (step.do === 'kill') return this.#alice.kill()
    const end = this.ends[step.which % this.ends.length]
    if (end === undefined) return
    if (step.do === 'write') end.write(step.length)
    else if (step.do === 'end') end.end()
    else if (step.do === 'pause' || step.do === 'resume') end.stream[step.do]()
    else end.reset(step.do)
  }

  /** Everyone reads and finishes, those that wait for a place included. */
  async finish(): Promise<void> {
    let isOpen = true
    void Promise.all(this.#calls).then(() => (isOpen = false))
    await this.#scene.until('all streams are over', () => {
      for (const end of this.ends) {
        end.stream.resume()
        if (!end.hasEnded) end.end()
      }
      return !isOpen && this.ends.every(({ stream }) => stream.destroyed)
    })
    await this.#scene.clock.advance(1_000)
    for (const end of this.ends) {
      const [one, other] = [end, this.ends.find(({ seed }) => seed === (end.seed ^ 1))]
      one.peer = other ?? null
    }
  }
}

test('streams over one link keep their promises in whatever order things happen', { timeout: 240_000 }, () =>
  fc.assert(
    fc.asyncProperty(steps, (all) =>
      play({ on: 'memory', limits: { streamsMax } }, async (scene) => {
        const [alice, bob] = await scene.pair()
        await scene.run(bob.network.ready({ peers: 'all' }))
        await scene.until('the other end', () => alice.network.peer(bob.id)?.state === 'connected')
        // Without what is sent and not acknowledged.
        const held = (): object[] =>
          [alice.link(bob), bob.link(alice)].map(({ figures }) => ({ ...figures.memory, replayBytes: 0 }))
        const before = held()
        const streams = new Streams(scene, alice, bob)
        for (const step of all) await streams.play(step)
        await streams.finish()
        for (const end of streams.ends) end.check()
        for (const { streams: left } of [alice.link(bob), bob.link(alice)])
          expect([left.openedHere, left.openedByPeer]).toEqual([0, 0])
        expect(held()).toEqual(before)
        // As many as are allowed find a place at once.
        await scene.run(Promise.all(Array.from({ length: streamsMax }, () => streams.open())))
        await streams.finish()
        for (const end of streams.ends) end.check()
      }),
    ),
    { numRuns: 100 },
  ),
)
