/**
 * Owns: that a peer that continues to send after a close is cut off soon.
 * Independent of: the reason of the close.
 */
import { once } from 'node:events'
import net from 'node:net'
import { expect, it } from 'vitest'
import { createNetwork, Identity } from '../../index.ts'
import { MemoryTransport, VirtualClock } from '../../testing/index.ts'
import { within } from '../support/bounded-wait.ts'

/** The first bytes of a hello of another version: refused with these. */
const otherVersion = Buffer.from('SWIR\u0001\u0002')

it('a refused peer that does not stop sending is cut off before it has sent 64 MiB', async () => {
  // The time limit of the close is a minute, so the bytes that were sent end it.
  const network = createNetwork({
    identity: Identity.generate(),
    security: 'plaintext',
    listen: 'tcp://127.0.0.1:0',
    peers: [{ id: Identity.generate().id }],
    limits: { closeTimeoutMs: 60_000 },
  })
  await network.ready()
  const socket = net.connect({
    port: Number(new URL(network.url as string).port),
    host: '127.0.0.1',
    allowHalfOpen: true,
  })
  socket.on('error', () => {})
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await once(socket, 'connect')
  const piece = Buffer.alloc(64 * 1024, otherVersion)
  let sentBytes = 0
  const send = (): void => {
    if (socket.destroyed) return
    sentBytes += piece.length
    socket.write(piece, (error) => {
      if (error === null || error === undefined) setImmediate(send)
    })
  }
  send()
  await within(closed, 'the connection is cut off')
  expect(sentBytes).toBeGreaterThan(24 * 1024 * 1024)
  expect(sentBytes).toBeLessThan(64 * 1024 * 1024)
  await network.shutdown()
})

it('a refused peer that sends single bytes is cut off after 8,192 of them', async () => {
  const clock = new VirtualClock()
  const transport = new MemoryTransport(clock)
  const network = createNetwork(
    {
      identity: Identity.generate(),
      security: 'plaintext',
      listen: 'tcp://127.0.0.1:5000',
      peers: [{ id: Identity.generate().id }],
      limits: { closeTimeoutMs: 60_000 },
    },
    { environment: { clock, transport } },
  )
  await clock.settle()
  const pipe = transport.dial({ host: '127.0.0.1', port: 5000 }, { highWaterMarkBytes: 1 << 20 })
  pipe.handle({ onOpen() {}, onBytes() {}, onDrain() {}, onEnd() {}, onClose() {} })
  await clock.settle()
  pipe.write([otherVersion])
  let sent = 0
  for (; !pipe.closed && sent < 10_000; sent += 32) {
    for (let byte = 0; byte < 32; byte++) pipe.write([Buffer.from('x')])
    await clock.settle()
  }
  expect(sent).toBeGreaterThan(8_192)
  expect(sent).toBeLessThan(8_192 + 200)
  const stopped = network.shutdown()
  await clock.advance(10_000)
  await stopped
})
