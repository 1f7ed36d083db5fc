/**
 * Owns: the contract of a transport besides its pipes: dialing, listening, and leaving nothing of either open.
 * Independent of: the carrier (as in pipe.ts).
 */
import { describe, expect, it } from 'vitest'
import { dial, numbered, openDoor } from '../support/pipe-bench.ts'
import type { Bench, Carrier, Door, End } from '../support/pipe-bench.ts'

export function transportContract(carrier: Carrier): void {
  /** Runs a body with an open listener, then asserts that everything can be closed. */
  const sentence = (text: string, body: (bench: Bench, door: Door) => Promise<readonly End[]>): void =>
    it(text, async () => {
      const bench = carrier.create()
      const door = await openDoor(bench)
      const ends = [...(await body(bench, door)), ...door.accepted]
      for (const { pipe } of ends) pipe.destroy()
      await door.listener.close()
      await bench.until('no handle is left', () => bench.transport.openHandles === 0)
      for (const end of ends) expect(end.count('close')).toBe(1)
    })

  describe('dialing', () => {
    sentence('dialing a closed port closes the pipe once, with an error, and never opens it', async (bench, door) => {
      const { address } = door.listener
      await door.listener.close()
      const end = dial(bench, address)
      await bench.until('it is closed', () => end.isClosed)
      await bench.quiet()
      expect(end.told).toEqual(['close'])
      expect(end.closedWith[0]).toBeInstanceOf(Error)
      expect(String(end.closedWith[0])).toContain('ECONNREFUSED')
      return [end]
    })

    sentence(
      'destroying a pipe before it opens closes it once, never opens it, and leaves no other end',
      async (bench, door) => {
        const end = dial(bench, door.listener.address)
        end.pipe.destroy()
        await bench.until('it is closed', () => end.isClosed)
        await bench.quiet()
        expect(end.told).toEqual(['close'])
        for (const accepted of door.accepted) accepted.pipe.resume()
        await bench.until('every accepted pipe is closed too', () =>
          door.accepted.every((accepted) => accepted.isClosed),
        )
        return [end]
      },
    )

    sentence('bytes written before a pipe opens are sent once it is open', async (bench, door) => {
      const end = dial(bench, door.listener.address)
      const flushed: unknown[] = []
      end.pipe.write([numbered(1000)], (error) => flushed.push(error))
      await bench.until('it is open', () => door.accepted.length === 1)
      const [accepted] = door.accepted as [End]
      accepted.pipe.resume()
      await bench.until('all has arrived', () => accepted.receivedBytes === 1000 && flushed.length === 1)
      expect([accepted.received.equals(numbered(1000)), flushed]).toEqual([true, [null]])
      return [end]
    })

    sentence('a pipe that is ended before it opens still sends what was written', async (bench, door) => {
      const end = dial(bench, door.listener.address)
      end.pipe.write([numbered(1000)])
      end.pipe.end()
      end.pipe.resume()
      await bench.until('it is open', () => door.accepted.length === 1)
      const [accepted] = door.accepted as [End]
      accepted.pipe.resume()
      await bench.until('both are closed', () => accepted.isClosed && end.isClosed)
      expect([accepted.receivedBytes, accepted.count('end'), end.closedWith]).toEqual([1000, 1, [null]])
      return [end]
    })

    sentence('a refused dial fails the bytes written before with an error', async (bench, door) => {
      const { address } = door.listener
      await door.listener.close()
      const end = dial(bench, address)
      const flushed: unknown[] = []
      end.pipe.write([numbered(10)], (error) => flushed.push(error))
      await bench.until('it is closed and answered', () => end.isClosed && flushed.length === 1)
      expect(flushed[0]).toBeInstanceOf(Error)
      return [end]
    })

    sentence('twenty dials at once give twenty separate pipes', async (bench, door) => {
      const ends = Array.from({ length: 20 }, () => dial(bench, door.listener.address))
      for (const [i, end] of ends.entries()) end.pipe.write([Buffer.from(`pipe ${i};`)])
      await bench.until('all are accepted', () => door.accepted.length === 20)
      for (const accepted of door.accepted) accepted.pipe.resume()
      await bench.until('all have their bytes', () => door.accepted.every(({ receivedBytes }) => receivedBytes >= 7))
      expect(new Set(door.accepted.map(({ received }) => String(received))).size).toBe(20)
      return ends
    })

    sentence('a listener that destroys an accepted pipe at once closes the dialed pipe', async (bench, door) => {
      const end = dial(bench, door.listener.address)
      end.pipe.resume()
      await bench.until('it is accepted', () => door.accepted.length === 1)
      door.accepted[0]?.pipe.destroy()
      await bench.until('it is closed', () => end.isClosed)
      expect(end.told.filter((told) => told === 'close')).toHaveLength(1)
      return [end]
    })
  })

  describe('listening', () => {
    sentence('listening on port 0 binds a free port and reports it', async (bench, door) => {
      const other = await openDoor(bench)
      expect(door.listener.address.port).toBeGreaterThan(0)
      expect(other.listener.address.port).not.toBe(door.listener.address.port)
      expect(door.listener.address.host).toBe('127.0.0.1')
      await other.listener.close()
      return []
    })

    sentence(
      'listening on a port in use rejects with EADDRINUSE, and leaves the first listener open',
      async (bench, door) => {
        await expect(openDoor(bench, door.listener.address)).rejects.toThrow('EADDRINUSE')
        const end = dial(bench, door.listener.address)
        await bench.until('the first one accepts', () => door.accepted.length === 1)
        return [end]
      },
    )

    sentence('closing a listener keeps its accepted pipes and refuses new ones', async (bench, door) => {
      const end = dial(bench, door.listener.address)
      await bench.until('it is open', () => door.accepted.length === 1)
      await door.listener.close()
      const late = dial(bench, door.listener.address)
      await bench.until('the newcomer is refused', () => late.isClosed)
      const [accepted] = door.accepted as [End]
      accepted.pipe.resume()
      end.pipe.write([Buffer.from('still here')])
      await bench.until('the old pipe carries on', () => accepted.receivedBytes === 10)
      expect(late.closedWith[0]).toBeInstanceOf(Error)
      return [end, late]
    })

    sentence('a listener can be closed twice, and does not affect a new listener on its port', async (bench, door) => {
      await door.listener.close()
      const again = await openDoor(bench, door.listener.address)
      await door.listener.close()
      const end = dial(bench, again.listener.address)
      await bench.until('the new one accepts', () => again.accepted.length === 1)
      await again.listener.close()
      return [end, ...again.accepted]
    })

    sentence('a listener counts as a handle until it is closed', async (bench, door) => {
      expect(bench.transport.openHandles).toBe(1)
      await door.listener.close()
      await bench.until('no handle is left', () => bench.transport.openHandles === 0)
      return []
    })
  })
}
