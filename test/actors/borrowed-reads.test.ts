/**
 * Owns: that sockets are read into one memory which is lent, on this version of Node, and that nothing but speed is lost where
 * it can not be. What arrives, pauses and ends is the contract of pipes (test/conformance).
 * Refuses to know: TLS and frames.
 */
import { once } from 'node:events'
import net from 'node:net'
import { PassThrough } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { lendCopy, lendReads, lentReadBytes, pauseReads } from '../../actors/transport/borrowed-reads.ts'

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
  it('is read into the memory that is given, again and again', async () => {
    const ends = await pair()
    const [near, far] = which === 'dialled' ? [ends.dialled, ends.accepted] : [ends.accepted, ends.dialled]
    const memory = Buffer.allocUnsafeSlow(lentReadBytes)
    const seen = new Set<ArrayBufferLike>()
    const texts: string[] = []
    let heard = (): void => {}
    expect(
      lendReads(near, memory, (bytes) => {
        seen.add(bytes.buffer)
        texts.push(String(bytes))
        heard()
      }),
    ).toBe(true)
    near.resume()
    for (const text of ['one', 'two', 'three']) {
      const isHeard = new Promise<void>((resolve) => (heard = resolve))
      far.write(text)
      await isHeard
    }
    expect([[...seen], texts]).toEqual([[memory.buffer], ['one', 'two', 'three']])
  })

  it('stays paused if it was, and tells of its end', async () => {
    const ends = await pair()
    const [near, far] = which === 'dialled' ? [ends.dialled, ends.accepted] : [ends.accepted, ends.dialled]
    const told: string[] = []
    lendReads(near, Buffer.allocUnsafeSlow(lentReadBytes), (bytes) => told.push(String(bytes)))
    expect(near.isPaused()).toBe(true)
    near.on('end', () => told.push('end'))
    far.end('last')
    near.resume()
    await once(near, 'end')
    expect(told).toEqual(['last', 'end'])
  })
})

it('that the other side has gone is heard while it is paused', async () => {
  const { dialled, accepted } = await pair()
  lendReads(accepted, Buffer.allocUnsafeSlow(lentReadBytes), () => {})
  accepted.resume()
  await nextTurn()
  pauseReads(accepted)
  await nextTurn()
  const hasFailed = once(accepted, 'error')
  dialled.resetAndDestroy()
  expect(((await hasFailed) as [NodeJS.ErrnoException])[0].code).toBe('ECONNRESET')
})

it('what comes while it is paused waits in the socket, whole and in order', async () => {
  const { dialled, accepted } = await pair()
  const all = Buffer.from(Array.from({ length: 200_000 }, (_, index) => index % 251))
  const pieces: Buffer[] = []
  let receivedBytes = 0
  let whilePaused = 0
  const isComplete = new Promise<void>((resolve) => {
    lendReads(accepted, Buffer.allocUnsafeSlow(lentReadBytes), (bytes) => {
      if (accepted.isPaused()) whilePaused++
      pieces.push(Buffer.from(bytes))
      receivedBytes += bytes.length
      pauseReads(accepted)
      // As records of TLS do that were in hand already.
      if (pieces.length === 1) {
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
  expect(Buffer.concat(pieces).equals(all)).toBe(true)
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

it('a stream without what Node keeps for it is read as ever', async () => {
  const stream = new PassThrough()
  stream.pause()
  const told: string[] = []
  expect(lendReads(stream as unknown as net.Socket, Buffer.alloc(16), (bytes) => told.push(String(bytes)))).toBe(false)
  expect(stream.isPaused()).toBe(true)
  stream.end('as ever')
  stream.resume()
  await once(stream, 'end')
  expect(told).toEqual(['as ever'])
})

it('what carriers without a socket lend is spoilt once it was given back', () => {
  let kept: Buffer = Buffer.alloc(0)
  let text = ''
  const sent = Buffer.from('lent')
  lendCopy(sent, {
    onOpen() {},
    onBytes: (bytes) => void (text = String((kept = bytes))),
    onDrain() {},
    onEnd() {},
    onClose() {},
  })
  expect([text, kept.toString('latin1'), String(sent)]).toEqual(['lent', '\u00ee'.repeat(4), 'lent'])
})
