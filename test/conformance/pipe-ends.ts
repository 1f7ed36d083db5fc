/**
 * Owns: how a pipe ends, in order or at once, and what it says of itself: the second half of the contract in pipe.ts.
 * Refuses to know: carriers, and which end it looks from.
 */
import { describe, expect } from 'vitest'
import { fill, numbered } from '../support/pipe-bench.ts'
import type { Pair } from '../support/pipe-bench.ts'

export function endsContract(sentence: (text: string, body: (pair: Pair) => Promise<void>) => void): void {
  describe('end', () => {
    sentence(
      'sends what waits, then both sides see the end and the close exactly once',
      async ({ bench, near, far }) => {
        const written = fill(near)
        near.pipe.end()
        near.pipe.resume()
        far.pipe.resume()
        await bench.until('both are closed', () => near.isClosed && far.isClosed)
        expect(far.receivedBytes).toBe(written)
        expect([far.count('end'), far.count('close'), near.count('end'), near.count('close')]).toEqual([1, 1, 1, 1])
        expect([near.closedWith, far.closedWith]).toEqual([[null], [null]])
        expect(far.told.slice(-2)).toEqual(['end', 'close'])
      },
    )

    sentence('twice is as good as once', async ({ bench, near, far }) => {
      near.pipe.resume()
      far.pipe.resume()
      near.pipe.end()
      near.pipe.end()
      await bench.until('both are closed', () => near.isClosed && far.isClosed)
      expect([far.count('end'), near.closedWith, far.closedWith]).toEqual([1, [null], [null]])
    })

    sentence('from both sides at once closes both in order', async ({ bench, near, far }) => {
      near.pipe.resume()
      far.pipe.resume()
      near.pipe.end()
      far.pipe.end()
      await bench.until('both are closed', () => near.isClosed && far.isClosed)
      expect([near.count('end'), far.count('end'), near.closedWith, far.closedWith]).toEqual([1, 1, [null], [null]])
    })

    sentence('of one side is the end of the other: half-close is a close', async ({ bench, near, far }) => {
      near.pipe.resume()
      far.pipe.resume()
      near.pipe.end()
      // Nobody calls far.pipe.end().
      await bench.until('both are closed', () => near.isClosed && far.isClosed)
      expect([near.count('end'), far.count('end')]).toEqual([1, 1])
    })

    sentence('leaves alone what the other side had written before it heard of it', async ({ bench, near, far }) => {
      near.pipe.resume()
      const written = fill(far)
      near.pipe.end()
      far.pipe.resume()
      await bench.until('both are closed', () => near.isClosed && far.isClosed)
      expect(near.receivedBytes).toBe(written)
    })

    sentence(
      'once heard of, lets nothing more be written, and does no harm to what was',
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

    sentence('is heard behind the bytes, also where reading begins later', async ({ bench, near, far }) => {
      near.pipe.write([numbered(1000)])
      near.pipe.end()
      await bench.quiet()
      expect(far.told).not.toContain('end')
      near.pipe.resume()
      far.pipe.resume()
      await bench.until('both are closed', () => near.isClosed && far.isClosed)
      expect(far.receivedBytes).toBe(1000)
      expect(far.told.indexOf('end')).toBeGreaterThan(far.told.lastIndexOf('bytes'))
    })
  })

  describe('destroy', () => {
    sentence('closes this side at once, without an error where there is no cause', async ({ bench, near }) => {
      near.pipe.destroy()
      await bench.until('it is closed', () => near.isClosed)
      expect(near.closedWith).toEqual([null])
      expect(near.told).not.toContain('end')
    })

    sentence('closes with the cause that it was given', async ({ bench, near }) => {
      const cause = new Error('enough')
      near.pipe.destroy(cause)
      await bench.until('it is closed', () => near.isClosed)
      expect(near.closedWith).toEqual([cause])
    })

    sentence(
      'is learnt of by the other side, as an end or as an error, and closes it once',
      async ({ bench, near, far }) => {
        far.pipe.resume()
        near.pipe.destroy()
        await bench.until('both are closed', () => near.isClosed && far.isClosed)
        expect(far.count('end') === 1 || far.closedWith[0] instanceof Error).toBe(true)
        expect(far.count('close')).toBe(1)
      },
    )

    sentence('twice closes once', async ({ bench, near }) => {
      near.pipe.destroy()
      near.pipe.destroy(new Error('too late'))
      await bench.until('it is closed', () => near.isClosed)
      await bench.quiet()
      expect(near.count('close')).toBe(1)
    })

    sentence('with bytes still waiting lets go of them', async ({ bench, near, far }) => {
      fill(near)
      near.pipe.destroy()
      await bench.until('it is closed', () => near.isClosed)
      far.pipe.resume()
      await bench.until('both are closed', () => far.isClosed)
    })

    sentence('from within a delivery is the last delivery', async ({ bench, near, far }) => {
      far.reaction = () => far.pipe.destroy()
      for (let i = 0; i < 20; i++) near.pipe.write([numbered(20_000)])
      near.pipe.resume()
      far.pipe.resume()
      await bench.until('both are closed', () => near.isClosed && far.isClosed)
      expect(far.chunks).toHaveLength(1)
    })

    sentence('from within the end of the other side is an orderly close', async ({ bench, near, far }) => {
      near.pipe.resume()
      far.endReaction = () => far.pipe.destroy()
      far.pipe.resume()
      near.pipe.end()
      await bench.until('both are closed', () => near.isClosed && far.isClosed)
      expect(far.closedWith).toEqual([null])
    })

    sentence('counts: the pipe is closed, and no handle of it is left', async ({ bench, near, far, listener }) => {
      expect([near.pipe.closed, bench.transport.openHandles]).toEqual([false, 3])
      far.pipe.resume()
      near.pipe.destroy()
      await bench.until('both are closed', () => near.pipe.closed && far.pipe.closed)
      await listener.close()
      await bench.until('no handle is left', () => bench.transport.openHandles === 0)
    })
  })

  describe('a pipe', () => {
    sentence(
      'secures itself before the first byte, and proves no identity where the carrier has none',
      async ({ near, far }) => {
        await expect(near.pipe.secure()).resolves.toBeUndefined()
        expect([near.pipe.peerId, far.pipe.peerId]).toEqual([undefined, undefined])
      },
    )

    sentence('says where it leads: host and port', async ({ near, dialled, listener }) => {
      expect(near.pipe.remoteHost).toBe('127.0.0.1')
      expect(near.pipe.remoteAddress).toMatch(/^127\.0\.0\.1:[1-9]\d*$/)
      expect(dialled.pipe.remoteAddress).toBe(`127.0.0.1:${listener.address.port}`)
    })

    sentence('shows a short word and none of its bytes to whoever serialises it', async ({ near }) => {
      near.pipe.write([Buffer.from('secret')])
      expect(JSON.stringify(near.pipe)).toMatch(/^"\w+ 127\.0\.0\.1:\d+"$/)
    })

    sentence('hears onOpen once if it was dialled, and never if it was accepted', async ({ bench, near, dialled }) => {
      await bench.quiet()
      expect(near.count('open')).toBe(near === dialled ? 1 : 0)
    })
  })
}
