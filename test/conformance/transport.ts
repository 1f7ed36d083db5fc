/**
 * Owns: the contract of a transport besides its pipes: dialing, listening, and leaving nothing of either open.
 * Independent of: the carrier (as in pipe.ts).
 */
import { describe, expect, it } from 'vitest'
import { dial, numbered, openServer } from '../support/pipe-bench.ts'
import type { Bench, Carrier, Server, End } from '../support/pipe-bench.ts'

export function transportContract(carrier: Carrier): void {
  /** Runs a body with an open listener, then asserts that everything can be closed. */
  const contractTest = (text: string, body: (bench: Bench, server: Server) => Promise<readonly End[]>): void =>
    it(text, async () => {
      const bench = carrier.create()
      const server = await openServer(bench)
      const ends = [...(await body(bench, server)), ...server.accepted]
      for (const { pipe } of ends) pipe.destroy()
      await server.listener.close()
      await bench.until('no handle is left', () => bench.transport.openHandles === 0)
      for (const end of ends) expect(end.count('close')).toBe(1)
    })

  describe('dialing', () => {
    contractTest(
      'dialing a closed port closes the pipe once, with an error, and never opens it',
      async (bench, server) => {
        const { address } = server.listener
        await server.listener.close()
        const end = dial(bench, address)
        await bench.until('it is closed', () => end.isClosed)
        await bench.quiet()
        expect(end.calls).toEqual(['close'])
        expect(end.closedWith[0]).toBeInstanceOf(Error)
        expect(String(end.closedWith[0])).toContain('ECONNREFUSED')
        return [end]
      },
    )

    contractTest(
      'destroying a pipe before it opens closes it once, never opens it, and leaves no other end',
      async (bench, server) => {
        const end = dial(bench, server.listener.address)
        end.pipe.destroy()
        await bench.until('it is closed', () => end.isClosed)
        await bench.quiet()
        expect(end.calls).toEqual(['close'])
        for (const accepted of server.accepted) accepted.pipe.resume()
        await bench.until('every accepted pipe is closed too', () =>
          server.accepted.every((accepted) => accepted.isClosed),
        )
        return [end]
      },
    )

    contractTest('bytes written before a pipe opens are sent once it is open', async (bench, server) => {
      const end = dial(bench, server.listener.address)
      const flushed: unknown[] = []
      end.pipe.write([numbered(1000)], (error) => flushed.push(error))
      await bench.until('it is open', () => server.accepted.length === 1)
      const [accepted] = server.accepted as [End]
      accepted.pipe.resume()
      await bench.until('all has arrived', () => accepted.receivedBytes === 1000 && flushed.length === 1)
      expect([accepted.received.equals(numbered(1000)), flushed]).toEqual([true, [null]])
      return [end]
    })

    contractTest('a pipe that is ended before it opens still sends what was written', async (bench, server) => {
      const end = dial(bench, server.listener.address)
      end.pipe.write([numbered(1000)])
      end.pipe.end()
      end.pipe.resume()
      await bench.until('it is open', () => server.accepted.length === 1)
      const [accepted] = server.accepted as [End]
      accepted.pipe.resume()
      await bench.until('both are closed', () => accepted.isClosed && end.isClosed)
      expect([accepted.receivedBytes, accepted.count('end'), end.closedWith]).toEqual([1000, 1, [null]])
      return [end]
    })

    contractTest('a refused dial fails the bytes written before with an error', async (bench, server) => {
      const { address } = server.listener
      await server.listener.close()
      const end = dial(bench, address)
      const flushed: unknown[] = []
      end.pipe.write([numbered(10)], (error) => flushed.push(error))
      await bench.until('it is closed and answered', () => end.isClosed && flushed.length === 1)
      expect(flushed[0]).toBeInstanceOf(Error)
      return [end]
    })

    contractTest('twenty dials at once give twenty separate pipes', async (bench, server) => {
      const ends = Array.from({ length: 20 }, () => dial(bench, server.listener.address))
      for (const [i, end] of ends.entries()) end.pipe.write([Buffer.from(`pipe ${i};`)])
      await bench.until('all are accepted', () => server.accepted.length === 20)
      for (const accepted of server.accepted) accepted.pipe.resume()
      await bench.until('all have their bytes', () => server.accepted.every(({ receivedBytes }) => receivedBytes >= 7))
      expect(new Set(server.accepted.map(({ received }) => String(received))).size).toBe(20)
      return ends
    })

    contractTest('a listener that destroys an accepted pipe at once closes the dialed pipe', async (bench, server) => {
      const end = dial(bench, server.listener.address)
      end.pipe.resume()
      await bench.until('it is accepted', () => server.accepted.length === 1)
      server.accepted[0]?.pipe.destroy()
      await bench.until('it is closed', () => end.isClosed)
      expect(end.calls.filter((told) => told === 'close')).toHaveLength(1)
      return [end]
    })
  })

  describe('listening', () => {
    contractTest('listening on port 0 binds a free port and reports it', async (bench, server) => {
      const other = await openServer(bench)
      expect(server.listener.address.port).toBeGreaterThan(0)
      expect(other.listener.address.port).not.toBe(server.listener.address.port)
      expect(server.listener.address.host).toBe('127.0.0.1')
      await other.listener.close()
      return []
    })

    contractTest(
      'listening on a port in use rejects with EADDRINUSE, and leaves the first listener open',
      async (bench, server) => {
        await expect(openServer(bench, server.listener.address)).rejects.toThrow('EADDRINUSE')
        const end = dial(bench, server.listener.address)
        await bench.until('the first one accepts', () => server.accepted.length === 1)
        return [end]
      },
    )

    contractTest('closing a listener keeps its accepted pipes and refuses new ones', async (bench, server) => {
      const end = dial(bench, server.listener.address)
      await bench.until('it is open', () => server.accepted.length === 1)
      await server.listener.close()
      const late = dial(bench, server.listener.address)
      await bench.until('the newcomer is refused', () => late.isClosed)
      const [accepted] = server.accepted as [End]
      accepted.pipe.resume()
      end.pipe.write([Buffer.from('still here')])
      await bench.until('the old pipe carries on', () => accepted.receivedBytes === 10)
      expect(late.closedWith[0]).toBeInstanceOf(Error)
      return [end, late]
    })

    contractTest(
      'a listener can be closed twice, and does not affect a new listener on its port',
      async (bench, server) => {
        await server.listener.close()
        const again = await openServer(bench, server.listener.address)
        await server.listener.close()
        const end = dial(bench, again.listener.address)
        await bench.until('the new one accepts', () => again.accepted.length === 1)
        await again.listener.close()
        return [end, ...again.accepted]
      },
    )

    contractTest('a listener counts as a handle until it is closed', async (bench, server) => {
      expect(bench.transport.openHandles).toBe(1)
      await server.listener.close()
      await bench.until('no handle is left', () => bench.transport.openHandles === 0)
      return []
    })
  })
}
