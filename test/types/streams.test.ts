/**
 * Owns: what the compiler must accept and refuse where an application opens and serves streams and channels. Each
 * `@ts-expect-error` is checked by `npm run typecheck`.
 * Independent of: what the calls do.
 */
import { pipeline } from 'node:stream/promises'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { StreamError } from '../../index.ts'
import type { Channel, CloseReason, Network, Peer, PingResult, Stream, StreamRequest } from '../../index.ts'

interface Job {
  readonly id: number
}

/** Never called: only the compiler reads it. */
async function streams(network: Network, peer: Peer, signal: AbortSignal): Promise<void> {
  const stream = await network.getStream(peer, 'p', { extra: 'text', signal, timeoutMs: 1, serial: true })
  expectTypeOf(stream).toEqualTypeOf<Stream>()
  expectTypeOf(await network.getStream('bob', 'p', { extra: new Uint8Array(1) })).toEqualTypeOf<Stream>()
  expectTypeOf(stream.closed).toEqualTypeOf<Promise<CloseReason>>()
  expectTypeOf(stream.extra).toEqualTypeOf<Buffer>()
  // @ts-expect-error -- a stream has a protocol
  await network.getStream(peer)
  // @ts-expect-error -- extra is bytes or text
  await network.getStream(peer, 'p', { extra: { offset: 1 } })
  // @ts-expect-error -- no such option
  await network.getStream(peer, 'p', { timeout: 1 })
  // @ts-expect-error -- codes are numbers
  stream.reset('ENOENT')
  // @ts-expect-error -- read only
  stream.peer = 'carol'
  // Node's own functions take it as it is.
  await pipeline(stream, stream)
  for await (const bytes of stream) expectTypeOf(bytes).toBeAny()

  const remove = network.onStream('p', (accepted) => expectTypeOf(accepted).toEqualTypeOf<Stream>())
  expectTypeOf(remove).toEqualTypeOf<() => void>()
  network.onStream('p', (_, context) => expectTypeOf(context).toEqualTypeOf<undefined>())
  network.onStream('p', () => {}, {
    permit: (request) => {
      expectTypeOf(request).toEqualTypeOf<StreamRequest>()
      return request.extra.length > 0
    },
    concurrency: 1,
  })
  network.onStream<Job>('p', (_, job) => expectTypeOf(job).toEqualTypeOf<Job>(), {
    permit: async () => ({ context: { id: 1 } }),
  })
  // @ts-expect-error -- the context is not what the handler takes
  network.onStream<Job>('p', () => {}, { permit: () => ({ context: 'text' }) })
  // @ts-expect-error -- permit says yes or no, or gives a context
  network.onStream('p', () => {}, { permit: () => 'yes' })

  expectTypeOf(await network.ping(peer, { count: 3 })).toEqualTypeOf<PingResult>()
  // @ts-expect-error -- no such protocol of the runtime
  network.enable('pong')
}

/** Never called: only the compiler reads it. */
async function channels(network: Network): Promise<void> {
  const channel = await network.getChannel<Job>('bob', 'jobs')
  expectTypeOf(channel).toEqualTypeOf<Channel<Job>>()
  expectTypeOf(channel.stream).toEqualTypeOf<Stream>()
  expectTypeOf(channel.closed).toEqualTypeOf<Promise<CloseReason>>()
  expectTypeOf(channel.send({ id: 1 })).toEqualTypeOf<Promise<void>>()
  // @ts-expect-error -- not a Job
  await channel.send({ id: 'one' })
  for await (const job of channel) expectTypeOf(job).toEqualTypeOf<Job>()
  expectTypeOf(await network.getChannel('bob', 'any')).toEqualTypeOf<Channel>()

  network.onChannel<Job>('jobs', (accepted, context) => {
    expectTypeOf(accepted).toEqualTypeOf<Channel<Job>>()
    expectTypeOf(context).toEqualTypeOf<undefined>()
  })
  network.onChannel<Job, string>('jobs', (_, context) => expectTypeOf(context).toEqualTypeOf<string>(), {
    permit: ({ peer }) => ({ context: peer }),
  })
  // @ts-expect-error -- a channel gives values, a stream bytes
  network.onChannel('jobs', (accepted: Stream) => accepted.reset(256))
}

function failures(error: unknown): void {
  if (!(error instanceof StreamError)) return
  expectTypeOf(error.by).toEqualTypeOf<'self' | 'peer' | 'network'>()
  expectTypeOf(error.streamErrorCode).toEqualTypeOf<number | null>()
  // @ts-expect-error -- null for a stream that was not lost with its link
  void error.bytes.acked
  if (error.bytes !== null) expectTypeOf(error.bytes.acked).toEqualTypeOf<number>()
  // @ts-expect-error -- no such side: a misspelt comparison is never true
  if (error.by === 'remote') return
}

describe('the types of streams and channels', () => {
  it('streams, channels, their handlers, contexts and errors have the documented types', () => {
    expect([streams, channels, failures].every((one) => typeof one === 'function')).toBe(true)
  })
})
