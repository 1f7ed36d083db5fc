/**
 * Owns: the configurable buffers of the read and the write routine: values arrive whole, whatever their size.
 * Independent of: how a socket is read (borrowed-reads.test.ts).
 */
import { describe, expect, it } from 'vitest'
import { createNetwork, Identity, TcpTransport, TlsTransport } from '../../actors/index.ts'
import type { Security } from '../../actors/index.ts'

const KiB = 1024
const smallest = 16 * KiB

describe('the read buffer', () => {
  it.each<[Security, 'tls' | 'tcp', number]>([
    ['tls', 'tls', smallest],
    ['plaintext', 'tcp', smallest],
    ['plaintext', 'tcp', 1024 * KiB],
  ])(
    'a message of 1 MiB arrives over %s (%s) with a read buffer of %i bytes',
    async (security, scheme, readBufferBytes) => {
      const [alice, bob] = [Identity.generate(), Identity.generate()]
      const limits = { readBufferBytes, highWaterMarkBytes: readBufferBytes }
      const server = createNetwork({
        identity: alice,
        security,
        listen: `${scheme}://127.0.0.1:0`,
        peers: [{ id: bob.id }],
        limits,
      })
      await server.ready()
      const client = createNetwork({
        identity: bob,
        security,
        peers: [{ id: alice.id, urls: server.url as string }],
        limits,
      })
      try {
        server.onRequest('', ({ bytes }) => bytes)
        const sent = Buffer.alloc(1024 * KiB, 'chunk')
        const { bytes } = await client.request(alice.id, sent)
        expect(sent.equals(bytes)).toBe(true)
      } finally {
        await Promise.all([server.shutdown(), client.shutdown()])
      }
    },
  )

  it.each([
    [smallest - 1, false],
    [smallest, true],
    [1024 * KiB, true],
    [1024 * KiB + 1, false],
  ])('a transport with a read buffer of %i bytes is made: %s', (readBufferBytes, isMade) => {
    const makers = [
      () => new TcpTransport({ readBufferBytes }),
      () => new TlsTransport({ identity: Identity.generate(), readBufferBytes }),
    ]
    for (const make of makers) {
      if (isMade) expect(make).not.toThrow()
      else expect(make).toThrow(/readBufferBytes must be a whole number from 16384 to 1048576/)
    }
  })
})
