/**
 * Owns: how a pipe ends, in order or at once, and what it reports about itself: the second half of the contract in
 * pipe.ts.
 * Independent of: the carrier, and which end of the pipe is tested.
 */
import { describe, expect } from 'vitest'
import { fill, numbered } from '../support/pipe-bench.ts'
import type { Pair } from '../support/pipe-bench.ts'

export function endsContract(contractTest: (text: string, body: (pair: Pair) => Promise<void>) => void): void {
  describe('end', () => {
    contractTest(
      'end() sends the queued bytes, then both sides get the end and the close exactly once',
      async ({ bench, near, far }) => {
        const written = fill(near)
        near.pipe.end()
        near.pipe.resume()
        far.pipe.resume()
        await bench.until('both are closed', () => near.isClosed && far.isClosed)
        expect(far.receivedBytes).toBe(written)
        expect([far.count('end'), far.count('close'), near.count('end'), near.count('close')]).toEqual([1, 1, 1, 1])
        expect([near.closedWith, far.closedWith]).toEqual([[null], [null]])
        expect(far.calls.slice(-2)).toEqual(['end', 'close'])
      },
    )

    contractTest('a second end() has no effect', async ({ bench, near, far }) => {
      near.pipe.resume()
      far.pipe.resume()
      near.pipe.end()
      near.pipe.end()
      await bench.until('both are closed', () => near.isClosed && far.isClosed)
      expect([far.count('end'), near.closedWith, far.closedWith]).toEqual([1, [null], [null]])
    })

    contractTest('end() from both sides at once closes both in order', async ({ bench, near, far }) => {
      near.pipe.resume()
      far.pipe.resume()
      near.pipe.end()
      far.pipe.end()
      await bench.until('both are closed', () => near.isClosed && far.isClosed)
      expect([near.count('end'), far.count('end'), near.closedWith, far.closedWith]).toEqual([1, 1, [null], [null]])
    })

    contractTest('end() of one side ends the other too: a half-close becomes a close', async ({ bench, near, far }) => {
      near.pipe.resume()
      far.pipe.resume()
      near.pipe.end()
      // The far side never calls end().
      await bench.until('both are closed', () => near.isClosed && far.isClosed)
      expect([near.count('end'), far.count('end')]).toEqual([1, 1])
    })

    contractTest(
      'end() delivers what the other side wrote before it received the end',
      async ({ bench, near, far }) => {
        near.pipe.resume()
        const written = fill(far)
        near.pipe.end()
        far.pipe.resume()
        await bench.until('both are closed', () => near.isClosed && far.isClosed)
        expect(near.receivedBytes).toBe(written)
      },
    )

    contractTest(
      'a pipe whose peer has ended refuses further writes, and keeps the bytes written before',
      async ({ bench, near, far }) => {
        near.pipe.resume()
        const written = fill(far)
        const late: unknown[] = []
        far.endReaction = () => expect(far.pipe.write([Buffer.from('late')], (error) => late.push(error))).toBe(false)
        near.pipe.end()
        far.pipe.resume()
        await bench.until('both are closed', () => near.isClosed && far.isClosed)
        expect([near.receivedBytes, far.closedWith, late.length]).toEqual([written, [null], 1])
        expect(late[0]).toBeInstanceOf(Error)
      },
    )

    contractTest(
      'the end is delivered after the bytes, also when reading starts later',
      async ({ bench, near, far }) => {
        near.pipe.write([numbered(1000)])
        near.pipe.end()
        await bench.quiet()
        expect(far.calls).not.toContain('end')
        near.pipe.resume()
        far.pipe.resume()
        await bench.until('both are closed', () => near.isClosed && far.isClosed)
        expect(far.receivedBytes).toBe(1000)
        expect(far.calls.indexOf('end')).toBeGreaterThan(far.calls.lastIndexOf('bytes'))
      },
    )
  })

  describe('destroy', () => {
    contractTest('destroy() closes this side at once, without an error if it has no cause', async ({ bench, near }) => {
      near.pipe.destroy()
      await bench.until('it is closed', () => near.isClosed)
      expect(near.closedWith).toEqual([null])
      expect(near.calls).not.toContain('end')
    })

    contractTest('destroy() closes this side with the given cause', async ({ bench, near }) => {
      const cause = new Error('enough')
      near.pipe.destroy(cause)
      await bench.until('it is closed', () => near.isClosed)
      expect(near.closedWith).toEqual([cause])
    })

    contractTest('destroy() closes the other side once, with an end or an error', async ({ bench, near, far }) => {
      far.pipe.resume()
      near.pipe.destroy()
      await bench.until('both are closed', () => near.isClosed && far.isClosed)
      expect(far.count('end') === 1 || far.closedWith[0] instanceof Error).toBe(true)
      expect(far.count('close')).toBe(1)
    })

    contractTest('a second destroy() has no effect', async ({ bench, near }) => {
      near.pipe.destroy()
      near.pipe.destroy(new Error('too late'))
      await bench.until('it is closed', () => near.isClosed)
      await bench.quiet()
      expect(near.count('close')).toBe(1)
    })

    contractTest('destroy() discards the bytes that still wait', async ({ bench, near, far }) => {
      fill(near)
      near.pipe.destroy()
      await bench.until('it is closed', () => near.isClosed)
      far.pipe.resume()
      await bench.until('both are closed', () => far.isClosed)
    })

    contractTest('destroy() from within a delivery makes it the last delivery', async ({ bench, near, far }) => {
      far.reaction = () => far.pipe.destroy()
      for (let i = 0; i < 20; i++) near.pipe.write([numbered(20_000)])
      near.pipe.resume()
      far.pipe.resume()
      await bench.until('both are closed', () => near.isClosed && far.isClosed)
      expect(far.chunks).toHaveLength(1)
    })

    contractTest('destroy() from within the end callback is an orderly close', async ({ bench, near, far }) => {
      near.pipe.resume()
      far.endReaction = () => far.pipe.destroy()
      far.pipe.resume()
      near.pipe.end()
      await bench.until('both are closed', () => near.isClosed && far.isClosed)
      expect(far.closedWith).toEqual([null])
    })

    contractTest('destroy() marks the pipe as closed and leaves no handle', async ({ bench, near, far, listener }) => {
      expect([near.pipe.closed, bench.transport.openHandles]).toEqual([false, 3])
      far.pipe.resume()
      near.pipe.destroy()
      await bench.until('both are closed', () => near.pipe.closed && far.pipe.closed)
      await listener.close()
      await bench.until('no handle is left', () => bench.transport.openHandles === 0)
    })
  })

  describe('the properties of a pipe', () => {
    contractTest(
      'a pipe without TLS secures itself before the first byte, and authenticates no peer',
      async ({ near, far }) => {
        await expect(near.pipe.secure()).resolves.toBeUndefined()
        expect([near.pipe.peerId, far.pipe.peerId]).toEqual([undefined, undefined])
      },
    )

    contractTest('a pipe reports the remote host and port', async ({ near, dialled, listener }) => {
      expect(near.pipe.remoteHost).toBe('127.0.0.1')
      expect(near.pipe.remoteAddress).toMatch(/^127\.0\.0\.1:[1-9]\d*$/)
      expect(dialled.pipe.remoteAddress).toBe(`127.0.0.1:${listener.address.port}`)
    })

    contractTest('a pipe is serialized as a short label without any of its bytes', async ({ near }) => {
      near.pipe.write([Buffer.from('secret')])
      expect(JSON.stringify(near.pipe)).toMatch(/^"\w+ 127\.0\.0\.1:\d+"$/)
    })

    contractTest('a dialed pipe calls onOpen once, and an accepted pipe never', async ({ bench, near, dialled }) => {
      await bench.quiet()
      expect(near.count('open')).toBe(near === dialled ? 1 : 0)
    })
  })
}
