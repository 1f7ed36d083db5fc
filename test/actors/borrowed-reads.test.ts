/**
 * Owns: that sockets are read into one borrowed buffer on this version of Node, and that only speed is lost where that
 * is impossible. What arrives, pauses and ends is the contract of pipes (test/conformance).
 * Independent of: TLS and frames.
 */
import { once } from 'node:events'
import net from 'node:net'
import { PassThrough } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import {
  deliverBorrowedCopy,
  borrowReads,
  defaultReadBufferBytes,
  pauseReads,
} from '../../actors/transport/borrowed-reads.ts'

const open: net.Socket[] = []

afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy()
})

/** Two ends of one TCP connection, both paused. */
async function pair(): Promise<{ dialled: net.Socket; accepted: net.Socket }> {
  const server = net.createServer({ pauseOnConnect: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const dialled = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1')
  const [accepted] = (await once(server, 'connection')) as [net.Socket]
  dialled.pause()
  if (dialled.connecting) await once(dialled, 'connect')
  server.close()
  open.push(dialled, accepted)
  return { dialled, accepted }
}

describe.each(['dialled', 'accepted'] as const)('a socket that was %s', (which) => {
  it(`a ${which} socket is read into the given memory every time`, async () => {
    const ends = await pair()
    const [near, far] = which === 'dialled' ? [ends.dialled, ends.accepted] : [ends.accepted, ends.dialled]
    const memory = Buffer.allocUnsafeSlow(defaultReadBufferBytes)
    const seen = new Set<ArrayBufferLike>()
    const texts: string[] = []
    let onText = (): void => {}
    expect(
      borrowReads(near, memory, (bytes) => {
        seen.add(bytes.buffer)
        texts.push(String(bytes))
        onText()
      }),
    ).toBe(true)
    near.resume()
    for (const text of ['one', 'two', 'three']) {
      const isRead = new Promise<void>((resolve) => (onText = resolve))
      far.write(text)
      await isRead
    }
    expect([[...seen], texts]).toEqual([[memory.buffer], ['one', 'two', 'three']])
  })

  it(`a ${which} socket stays paused if it was, and reports its end`, async () => {
    const ends = await pair()
    const [near, far] = which === 'dialled' ? [ends.dialled, ends.accepted] : [ends.accepted, ends.dialled]
    const reads: string[] = []
    borrowReads(near, Buffer.allocUnsafeSlow(defaultReadBufferBytes), (bytes) => reads.push(String(bytes)))
    expect(near.isPaused()).toBe(true)
    near.on('end', () => reads.push('end'))
    far.end('last')
    near.resume()
    await once(near, 'end')
    expect(reads).toEqual(['last', 'end'])
  })
})

it('a reset is reported while the socket is paused', async () => {
  const { dialled, accepted } = await pair()
  borrowReads(accepted, Buffer.allocUnsafeSlow(defaultReadBufferBytes), () => {})
  accepted.resume()
  await nextTurn()
  pauseReads(accepted)
  await nextTurn()
  const hasFailed = once(accepted, 'error')
  dialled.resetAndDestroy()
  expect(((await hasFailed) as [NodeJS.ErrnoException])[0].code).toBe('ECONNRESET')
})

it('bytes that arrive while the socket is paused wait in it, complete and in order', async () => {
  const { dialled, accepted } = await pair()
  const all = Buffer.from(Array.from({ length: 200_000 }, (_, index) => index % 251))
  const chunks: Buffer[] = []
  let receivedBytes = 0
  let whilePaused = 0
  const isComplete = new Promise<void>((resolve) => {
    borrowReads(accepted, Buffer.allocUnsafeSlow(defaultReadBufferBytes), (bytes) => {
      if (accepted.isPaused()) whilePaused++
      chunks.push(Buffer.from(bytes))
      receivedBytes += bytes.length
      pauseReads(accepted)
      // As TLS does with records that it had received already.
      if (chunks.length === 1) {
        deliverAgain(accepted, all.subarray(bytes.length, bytes.length + 1000))
        dialled.write(all.subarray(bytes.length + 1000))
      }
      setImmediate(() => accepted.resume())
      if (receivedBytes === all.length) resolve()
    })
  })
  accepted.resume()
  dialled.write(all.subarray(0, 1000))
  await isComplete
  expect(Buffer.concat(chunks).equals(all)).toBe(true)
  expect(whilePaused).toBe(0)
})

/** Calls what Node calls, with bytes in the memory that it reads into. */
function deliverAgain(socket: net.Socket, bytes: Buffer): void {
  const parts = Object.fromEntries(
    Object.getOwnPropertySymbols(socket).map((symbol) => [
      symbol.description,
      (socket as unknown as Record<symbol, unknown>)[symbol],
    ]),
  )
  bytes.copy(parts['kBuffer'] as Buffer)
  ;(parts['kBufferCb'] as (lengthBytes: number) => boolean)(bytes.length)
}

it('a stream without the private parts of a Node socket is read as usual', async () => {
  const stream = new PassThrough()
  stream.pause()
  const reads: string[] = []
  expect(borrowReads(stream as unknown as net.Socket, Buffer.alloc(16), (bytes) => reads.push(String(bytes)))).toBe(
    false,
  )
  expect(stream.isPaused()).toBe(true)
  stream.end('as usual')
  stream.resume()
  await once(stream, 'end')
  expect(reads).toEqual(['as usual'])
})

it('the buffers that carriers without sockets give to a handler are overwritten after the call', () => {
  let kept: Buffer = Buffer.alloc(0)
  let text = ''
  const sent = Buffer.from('data')
  deliverBorrowedCopy(sent, {
    onOpen() {},
    onBytes: (bytes) => void (text = String((kept = bytes))),
    onDrain() {},
    onEnd() {},
    onClose() {},
  })
  expect([text, kept.toString('latin1'), String(sent)]).toEqual(['data', '\u00ee'.repeat(4), 'data'])
})
