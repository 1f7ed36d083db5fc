/**
 * Owns: that a write batch too large for one TLS write leaves in chunks, and that this is not observable.
 * Independent of: how fast.
 */
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { Identity } from '../../actors/tls/identity.ts'
import { cutIntoChunks, needsChunks, lengthOf, writeChunkBytes } from '../../actors/tls/write-chunks.ts'
import { TlsTransport } from '../../actors/tls/tls-transport.ts'
import { dial, Endpoint, closeAll, until } from './tls-bench.ts'
import type { Accepted, Dialled } from './tls-bench.ts'

describe('a batch that is split into chunks', () => {
  it('a batch splits into equal chunks of the same memory near the intended length, unless it is hardly longer', () => {
    const memory = Buffer.alloc(4 * writeChunkBytes, 'statewire')
    const cutsAt = fc.array(
      fc.oneof(
        fc.nat(memory.length),
        fc.constantFrom(
          1,
          writeChunkBytes - 1,
          writeChunkBytes,
          writeChunkBytes + 1,
          1.5 * writeChunkBytes - 1,
          1.5 * writeChunkBytes,
          2 * writeChunkBytes,
        ),
      ),
      { minLength: 1, maxLength: 8 },
    )
    fc.assert(
      fc.property(cutsAt, (places) => {
        const cuts = [0, ...places.sort((a, b) => a - b)]
        const batch = cuts.slice(1).map((end, index) => memory.subarray(cuts[index], end))
        const pieces = cutIntoChunks(batch)
        expect(Buffer.compare(Buffer.concat(pieces.flat()), Buffer.concat(batch))).toBe(0)
        const [lengthBytes, each] = [lengthOf(batch), pieces.map(lengthOf)]
        expect(
          each.slice(0, -1).every((pieceLength) => pieceLength === each[0] && pieceLength > (2 / 3) * writeChunkBytes),
        ).toBe(true)
        expect(Math.max(...each)).toBeLessThanOrEqual(1.5 * writeChunkBytes)
        expect((each[0] as number) - (each.at(-1) as number)).toBeLessThan(pieces.length)
        expect(needsChunks(batch)).toBe(pieces.length > 1)
        expect(pieces.length === 1, `${lengthBytes} bytes`).toBe(lengthBytes < 1.5 * writeChunkBytes)
        expect(pieces.flat().every(({ buffer }) => buffer === memory.buffer)).toBe(true)
      }),
      { numRuns: 50 },
    )
  })
})

const [alice, bob] = [Identity.generate(), Identity.generate()]
const endpoints: Endpoint[] = []
const transports: TlsTransport[] = []

afterEach(() => closeAll(endpoints, transports))

async function pair(): Promise<{ dialled: Dialled; accepted: Accepted }> {
  const endpoint = await Endpoint.open({ identity: bob })
  endpoints.push(endpoint)
  const transport = new TlsTransport({ identity: alice })
  transports.push(transport)
  const dialled = dial(transport, endpoint.address, { expectedPeerId: bob.id })
  dialled.pipe.resume()
  await dialled.pipe.secure()
  return { dialled, accepted: await endpoint.outcome(0) }
}

/** More than three chunks, no two alike. */
const large = Buffer.alloc(3 * writeChunkBytes + 1000)
for (let at = 0; at + 4 <= large.length; at += 4) large.writeUInt32LE(at, at)
const head = Buffer.from('head')
const tail = Buffer.from('tail')

describe('large batches over TLS', () => {
  it('a large batch over TLS arrives complete and in order, with writes made meanwhile, before the end', async () => {
    const { dialled, accepted } = await pair()
    const flushed: [string, Error | null][] = []
    expect(dialled.pipe.write([head, large], (error) => flushed.push(['large', error]))).toBe(false)
    expect(dialled.pipe.bufferedBytes).toBeGreaterThan(2 * writeChunkBytes)
    expect(dialled.pipe.write([tail], (error) => flushed.push(['tail', error]))).toBe(false)
    dialled.pipe.end()
    await until('the other side has received the end', () => accepted.received.ends === 1)
    expect(Buffer.compare(Buffer.concat(accepted.received.chunks), Buffer.concat([head, large, tail]))).toBe(0)
    expect([flushed, dialled.pipe.bufferedBytes]).toEqual([
      [
        ['large', null],
        ['tail', null],
      ],
      0,
    ])
  })

  it.each([
    ['of two chunks', 2 * writeChunkBytes],
    ['of three chunks', 3 * writeChunkBytes],
  ])('a batch %s over TLS calls onDrain once, when all of it is with the kernel', async (_, lengthBytes) => {
    const { dialled, accepted } = await pair()
    const buffered: number[] = []
    dialled.received.onDrain = () => buffered.push(dialled.pipe.bufferedBytes)
    expect(dialled.pipe.write([large.subarray(0, lengthBytes)])).toBe(false)
    await until('it is there', () => lengthOf(accepted.received.chunks) === lengthBytes && buffered.length > 0)
    expect([buffered.length, (buffered[0] as number) < 64 * 1024]).toEqual([1, true])
  })

  it('a large batch over TLS that is cut off by a destroy reports its failure once', async () => {
    const { dialled, accepted } = await pair()
    accepted.pipe.pause()
    const results: (Error | null)[] = []
    dialled.pipe.write(
      Array.from({ length: 32 }, () => large),
      (error) => results.push(error),
    )
    dialled.pipe.destroy()
    await until('it is closed', () => dialled.pipe.closed)
    expect([results.length, results[0] === null]).toEqual([1, false])
  })

  it("a large batch over TLS that is cut off by the other side's end reports its failure before onEnd", async () => {
    const { dialled, accepted } = await pair()
    const results: (Error | null)[] = []
    const resultsAtTheEnd: number[] = []
    dialled.received.onEnd = () => resultsAtTheEnd.push(results.length)
    accepted.pipe.pause()
    dialled.pipe.write(
      Array.from({ length: 32 }, () => large),
      (error) => results.push(error),
    )
    accepted.pipe.end()
    await until('the end has arrived', () => resultsAtTheEnd.length > 0)
    expect([resultsAtTheEnd, results[0] === null, dialled.pipe.bufferedBytes <= writeChunkBytes]).toEqual([
      [1],
      false,
      true,
    ])
  })
})
