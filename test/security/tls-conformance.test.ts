/**
 * Owns: that TLS fulfils the contract of a pipe and of a transport, like every carrier.
 * Independent of: the contract itself.
 */
import { beforeEach, describe, expect, it } from 'vitest'
import { pipeContract } from '../conformance/pipe.ts'
import { transportContract } from '../conformance/transport.ts'
import { connect, numbered } from '../support/pipe-bench.ts'
import type { Carrier, Role } from '../support/pipe-bench.ts'
import { SecuringTransport, nextTick, until } from './tls-bench.ts'

async function quiet(): Promise<void> {
  for (let i = 0; i < 100; i++) await nextTick()
}

const tlsCarrier: Carrier = { name: 'TLS', create: () => ({ transport: new SecuringTransport(), until, quiet }) }

/**
 * Node reports a TLS write one tick later even where the kernel took it at once, so `write` returns false in any tick
 * that writes more than the mark. This test takes the first false for a full kernel; TLS has its own version below.
 */
const onTcpOnly = 'onDrain is called once the other side has read, and then there is room'

describe('TLS', () => {
  beforeEach(({ task, skip }) => skip(task.name === onTcpOnly, 'TLS has its own version below'))

  pipeContract(tlsCarrier)
  transportContract(tlsCarrier)

  it.each<Role>(['dialler', 'acceptor'])(
    'onDrain of a TLS %s is called once the other side has read, and then there is room',
    async (role) => {
      const pair = await connect(tlsCarrier, role)
      const { near, far } = pair
      const part = numbered(64 * 1024)
      // Until a write has found no room for a hundred ticks: only then the kernel and the far side's buffer are full.
      for (let drains = -1; drains < near.count('drain');) {
        drains = near.count('drain')
        while (near.pipe.write([part]));
        await quiet()
      }
      const before = near.count('drain')
      expect(near.pipe.bufferedBytes).toBeGreaterThanOrEqual(part.length)
      far.pipe.resume()
      await until('onDrain has come', () => near.count('drain') > before)
      await until('there is room', () => near.pipe.bufferedBytes === 0)
      expect(near.pipe.write([numbered(10)])).toBe(true)
      await pair.close()
    },
  )
})
