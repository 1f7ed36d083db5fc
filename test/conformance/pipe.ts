/**
 * Owns: the contract of a pipe, as one suite that every carrier must pass; bytes and back-pressure here, ends in
 * pipe-ends.ts.
 * Independent of: the carrier. A new carrier calls this suite with its factory.
 *
 * The first part holds for both ends and is run with the dialed and with the accepted pipe.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fill, highWaterMarkBytes, numbered, withPair } from '../support/pipe-bench.ts'
import type { Carrier, Pair, Role } from '../support/pipe-bench.ts'
import { endsContract } from './pipe-ends.ts'

export function pipeContract(carrier: Carrier): void {
  describe.each<Role>(['dialler', 'acceptor'])('at the %s', (role) => {
    const contractTest = (text: string, body: (pair: Pair) => Promise<void>): void =>
      it(text, () => withPair(carrier, role, body))

    describe('bytes', () => {
      it('bytes arrive complete and in order, however they are split into writes', async () => {
        await fc.assert(
          fc.asyncProperty(
            fc.array(fc.array(fc.integer({ min: 0, max: 9000 }), { maxLength: 6 }), { maxLength: 12 }),
            (cuts) =>
              withPair(carrier, role, async ({ bench, near, far }) => {
                const all = numbered(cuts.flat().reduce((sum, length) => sum + length, 0))
                far.pipe.resume()
                let at = 0
                for (const parts of cuts) near.pipe.write(parts.map((length) => all.subarray(at, (at += length))))
                await bench.until('all has arrived', () => far.receivedBytes >= all.length)
                expect(far.received.equals(all)).toBe(true)
              }),
          ),
          { numRuns: 15 },
        )
      })

      contractTest('the parts of a gathered write arrive in order', async ({ bench, near, far }) => {
        far.pipe.resume()
        near.pipe.write(['one ', 'two ', 'three'].map((text) => Buffer.from(text)))
        await bench.until('all has arrived', () => far.receivedBytes === 13)
        expect(far.received.toString()).toBe('one two three')
      })

      contractTest(
        'a pipe starts paused and delivers no bytes before the first resume',
        async ({ bench, near, far }) => {
          near.pipe.write([numbered(1000)])
          await bench.quiet()
          expect(far.calls).not.toContain('bytes')
        },
      )

      contractTest(
        'all bytes that arrived before the first resume are delivered after it',
        async ({ bench, near, far }) => {
          near.pipe.write([numbered(1000)])
          near.pipe.write([numbered(500)])
          await bench.quiet()
          far.pipe.resume()
          await bench.until('all has arrived', () => far.receivedBytes >= 1500)
          expect(far.received.equals(Buffer.concat([numbered(1000), numbered(500)]))).toBe(true)
        },
      )

      contractTest('pause() stops the delivery at once, in the middle of the stream', async ({ bench, near, far }) => {
        far.reaction = () => far.pipe.pause()
        far.pipe.resume()
        for (let i = 0; i < 40; i++) near.pipe.write([numbered(20_000)])
        await bench.until('a first chunk has arrived', () => far.chunks.length > 0)
        await bench.quiet()
        expect(far.chunks).toHaveLength(1)
      })

      contractTest('delivery continues after each pause without a loss', async ({ bench, near, far }) => {
        const all = numbered(800_000)
        far.reaction = () => far.pipe.pause()
        for (let at = 0; at < all.length; at += 20_000) near.pipe.write([all.subarray(at, at + 20_000)])
        far.pipe.resume()
        for (let seen = 0; far.receivedBytes < all.length; seen = far.chunks.length) {
          await bench.until('another chunk has arrived', () => far.chunks.length > seen)
          far.pipe.resume()
        }
        expect(far.received.equals(all)).toBe(true)
      })

      contractTest(
        'bytes arrive as written, even if the sender reuses its memory once they are flushed',
        async ({ bench, near, far }) => {
          far.pipe.resume()
          for (let i = 0; i < 30; i++) {
            const own = numbered(10_000, i)
            near.pipe.write([own], () => own.fill(0))
          }
          await bench.until('all has arrived', () => far.receivedBytes === 300_000)
          expect(far.received.equals(Buffer.concat(Array.from({ length: 30 }, (_, i) => numbered(10_000, i))))).toBe(
            true,
          )
        },
      )

      contractTest(
        'delivered bytes stay valid until the callback returns, even if it writes meanwhile',
        async ({ bench, near, far }) => {
          let changed = 0
          far.reaction = (bytes) => {
            const copy = Buffer.from(bytes)
            far.pipe.write([Buffer.alloc(bytes.length, 7)])
            far.pipe.pause()
            far.pipe.resume()
            if (!copy.equals(bytes)) changed++
          }
          near.pipe.resume()
          far.pipe.resume()
          for (let i = 0; i < 30; i++) near.pipe.write([numbered(10_000, i)])
          await bench.until('all is back', () => near.receivedBytes === 300_000)
          expect(changed).toBe(0)
        },
      )

      contractTest('8 MiB travel in both directions at once', async ({ bench, near, far }) => {
        const there = numbered(8 * 1024 * 1024, 1)
        const back = numbered(8 * 1024 * 1024, 2)
        near.pipe.resume()
        far.pipe.resume()
        near.pipe.write([there])
        far.pipe.write([back])
        await bench.until(
          'both have arrived',
          () => far.receivedBytes >= there.length && near.receivedBytes >= back.length,
        )
        expect([far.received.equals(there), near.received.equals(back)]).toEqual([true, true])
      })

      contractTest('a callback may write an answer while bytes are being delivered', async ({ bench, near, far }) => {
        far.reaction = (bytes) => void far.pipe.write([Buffer.from(bytes.toString().toUpperCase())])
        near.pipe.resume()
        far.pipe.resume()
        near.pipe.write([Buffer.from('echo')])
        await bench.until('the answer is there', () => near.receivedBytes === 4)
        expect(near.received.toString()).toBe('ECHO')
      })

      contractTest('an empty write delivers no bytes and is flushed', async ({ bench, near, far }) => {
        far.pipe.resume()
        const flushed: (Error | null)[] = []
        near.pipe.write([Buffer.alloc(0)], (error) => flushed.push(error))
        near.pipe.write([], (error) => flushed.push(error))
        near.pipe.write([Buffer.alloc(0), Buffer.from('x'), Buffer.alloc(0)], (error) => flushed.push(error))
        await bench.until('all were flushed', () => flushed.length === 3 && far.receivedBytes === 1)
        expect(flushed).toEqual([null, null, null])
        expect(far.chunks.map(String)).toEqual(['x'])
      })
    })

    describe('changing the handler', () => {
      contractTest('changing the handler loses no bytes, however often it happens', async ({ bench, near, far }) => {
        const all = numbered(500_000)
        const pieces: Buffer[] = []
        const owner = (): void =>
          far.pipe.handle({
            onOpen() {},
            onBytes: (bytes) => {
              pieces.push(Buffer.from(bytes))
              owner()
            },
            onDrain() {},
            onEnd() {},
            onClose: (error) => far.onClose(error),
          })
        owner()
        for (let at = 0; at < all.length; at += 10_000) near.pipe.write([all.subarray(at, at + 10_000)])
        far.pipe.resume()
        await bench.until('all has arrived', () => pieces.reduce((sum, { length }) => sum + length, 0) >= all.length)
        expect(Buffer.concat(pieces).equals(all)).toBe(true)
      })

      contractTest(
        'changing the handler while paused gives the waiting bytes to the new handler only',
        async ({ bench, near, far }) => {
          far.reaction = () => far.pipe.pause()
          far.pipe.resume()
          near.pipe.write([Buffer.from('first')])
          await bench.until('the first has it', () => far.receivedBytes === 5)
          near.pipe.write([Buffer.from('second')])
          await bench.quiet()
          const second: string[] = []
          far.pipe.handle({
            onOpen() {},
            onBytes: (bytes) => second.push(String(bytes)),
            onDrain() {},
            onEnd() {},
            onClose: (error) => far.onClose(error),
          })
          far.pipe.resume()
          await bench.until('the second has it', () => second.length > 0)
          expect([String(far.received), second.join('')]).toEqual(['first', 'second'])
        },
      )
    })

    describe('back-pressure', () => {
      contractTest(
        'write() returns true while fewer bytes wait than the high-water mark',
        async ({ near, far, bench }) => {
          far.pipe.resume()
          expect(near.pipe.write([numbered(100)])).toBe(true)
          await bench.until('it has arrived', () => far.receivedBytes === 100)
          expect(near.calls).not.toContain('drain')
        },
      )

      contractTest(
        'write() returns false above the high-water mark, and still takes the bytes',
        async ({ bench, near, far }) => {
          const written = fill(near)
          expect(near.pipe.bufferedBytes).toBeGreaterThanOrEqual(highWaterMarkBytes)
          far.pipe.resume()
          await bench.until('all has arrived', () => far.receivedBytes >= written)
          expect(far.receivedBytes).toBe(written)
        },
      )

      contractTest(
        'onDrain is called once the other side has read, and then there is room',
        async ({ bench, near, far }) => {
          fill(near)
          await bench.quiet()
          expect(near.calls).not.toContain('drain')
          far.pipe.resume()
          await bench.until('onDrain has come', () => near.count('drain') === 1)
          expect(near.pipe.bufferedBytes).toBe(0)
          expect(near.pipe.write([numbered(10)])).toBe(true)
        },
      )

      contractTest('onDrain is called again each time write() has returned false', async ({ bench, near, far }) => {
        far.pipe.resume()
        for (let round = 1; round <= 3; round++) {
          far.pipe.pause()
          fill(near)
          far.pipe.resume()
          await bench.until(`onDrain has come ${round} times`, () => near.count('drain') >= round)
        }
      })
    })

    describe('onFlushed', () => {
      contractTest('onFlushed is called for each write, in order, without an error', async ({ bench, near, far }) => {
        far.pipe.resume()
        const flushed: string[] = []
        for (let i = 0; i < 50; i++)
          near.pipe.write([numbered(5000)], (error) => flushed.push(`${i} ${error === null ? 'ok' : 'failed'}`))
        await bench.until('all were flushed', () => flushed.length === 50)
        expect(flushed).toEqual(Array.from({ length: 50 }, (_, i) => `${i} ok`))
      })

      contractTest(
        'onFlushed is called for every write, with an error for those that a destroy prevented',
        async ({ bench, near }) => {
          fill(near)
          const errors: unknown[] = []
          for (let i = 0; i < 3; i++) near.pipe.write([numbered(highWaterMarkBytes)], (error) => errors.push(error))
          near.pipe.destroy()
          await bench.until('all were answered', () => errors.length === 3)
          expect(errors.every((error) => error instanceof Error)).toBe(true)
        },
      )

      contractTest(
        'onFlushed is called with an error when the write in progress is destroyed',
        async ({ bench, near }) => {
          const answers: unknown[] = []
          near.pipe.write([Buffer.alloc(64 * 1024 * 1024)], (error) => answers.push(error))
          near.pipe.destroy()
          await bench.until('it was answered', () => answers.length === 1)
          expect(answers[0]).toBeInstanceOf(Error)
        },
      )

      contractTest(
        'onFlushed is called with an error after destroy() or end(), and write() returns false',
        async ({ bench, near, far }) => {
          far.pipe.resume()
          const errors: unknown[] = []
          near.pipe.end()
          expect(near.pipe.write([Buffer.from('late')], (error) => errors.push(error))).toBe(false)
          near.pipe.destroy()
          expect(near.pipe.write([Buffer.from('later')], (error) => errors.push(error))).toBe(false)
          await bench.until('both were answered', () => errors.length === 2)
          expect(errors.every((error) => error instanceof Error)).toBe(true)
          await bench.quiet()
          expect(far.receivedBytes).toBe(0)
        },
      )
    })

    endsContract(contractTest)
  })
}
