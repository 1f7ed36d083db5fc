/**
 * Owns: that a look at the first bytes of an accepted connection takes no more than those, changes nothing for TLS, and costs its later reads nothing.
 * Refuses to know: what the bytes say (client-hello.test.ts), and wrong protocols (wrong-protocol.test.ts).
 */
import diagnosticsChannel from 'node:diagnostics_channel'
import net from 'node:net'
import tls from 'node:tls'
import fc from 'fast-check'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { Identity } from '../../actors/identity.ts'
import { TlsTransport } from '../../actors/tls-transport.ts'
import { missingOfRecord, readClientHello } from '../../codec/client-hello.ts'
import { captureClientHello } from '../support/first-flight.ts'
import { dial, Door, putAway, until } from './tls-bench.ts'

const [alice, bob] = [Identity.generate(), Identity.generate()]
const doors: Door[] = []
const transports: TlsTransport[] = []
const relays: net.Server[] = []
const clients: tls.TLSSocket[] = []
/** Every socket that is accepted here, as Node announces it. */
const accepted: net.Socket[] = []
const announced = (message: unknown): void => void accepted.push((message as { socket: net.Socket }).socket)

beforeAll(() => {
  diagnosticsChannel.subscribe('net.server.socket', announced)
  return () => void diagnosticsChannel.unsubscribe('net.server.socket', announced)
})

afterEach(async () => {
  vi.restoreAllMocks()
  for (const client of clients.splice(0)) client.destroy()
  await putAway(doors, transports)
  for (const relay of relays.splice(0)) await new Promise((resolve) => relay.close(resolve))
  accepted.length = 0
})

async function openDoor(): Promise<Door> {
  const door = await Door.open({ identity: bob })
  doors.push(door)
  return door
}

/** A megabyte from a stranger: what was heard of it, and by how much the raw socket had read on from one piece of it to the next. */
async function sendMegabyte(door: Door, port = door.address.port): Promise<{ heard: Buffer; steps: Set<number> }> {
  const transport = new TlsTransport({ identity: alice })
  transports.push(transport)
  const { pipe } = dial(transport, { host: '127.0.0.1', port }, { expectedPeerId: bob.id })
  pipe.write([sent])
  await pipe.secure()
  const { outcome, heard, pipe: inbound } = await door.outcome(0)
  expect([outcome, inbound.peerId]).toEqual([null, alice.id])
  const raw = accepted.find(({ localPort }) => localPort === door.address.port) as net.Socket
  const steps = new Set<number>()
  let readBytes = raw.bytesRead
  const { onBytes } = heard
  heard.onBytes = (bytes) => {
    steps.add(raw.bytesRead - readBytes)
    readBytes = raw.bytesRead
    onBytes.call(heard, bytes)
  }
  await until('all of it is there', () => heard.chunks.reduce((sum, { length }) => sum + length, 0) >= sent.length)
  return { heard: Buffer.concat(heard.chunks), steps }
}

const sent = Buffer.from(Array.from({ length: 1024 * 1024 }, (_, at) => (at * 7 + (at >>> 8)) & 0xff))

describe('a look at the first bytes', () => {
  it('leaves later reads as long as they are without it: 64 KiB, and not one of two a kilobyte', async () => {
    const { heard, steps } = await sendMegabyte(await openDoor())
    expect(heard.equals(sent)).toBe(true)
    expect(Math.max(...steps)).toBeGreaterThanOrEqual(64 * 1024)
  })

  it('works where Node can not read in pieces: the bytes are put back', async () => {
    const door = await openDoor()
    const emit = net.Server.prototype.emit as (this: net.Server, event: string, ...values: unknown[]) => boolean
    vi.spyOn(net.Server.prototype, 'emit').mockImplementation(function (this: net.Server, event: string, ...values: unknown[]): boolean {
      if (event === 'connection') Object.assign((values[0] as { _handle: object })._handle, { useUserBuffer: undefined })
      return emit.call(this, event, ...values)
    })
    const { heard, steps } = await sendMegabyte(door)
    expect(heard.equals(sent)).toBe(true)
    expect(Math.max(...steps)).toBeLessThan(64 * 1024)
  })

  it('works for a ClientHello that comes a byte at a time', async () => {
    const door = await openDoor()
    const relay = net.createServer((client) => {
      const onward = net.connect(door.address.port, '127.0.0.1')
      onward.setNoDelay(true)
      client.on('error', () => onward.destroy()).on('close', () => onward.destroy())
      onward.on('error', () => client.destroy()).on('close', () => client.destroy())
      onward.pipe(client)
      client.once('data', (hello: Buffer) => {
        client.pause()
        const next = (at: number): void => {
          if (at < hello.length) onward.write(hello.subarray(at, at + 1), () => setImmediate(next, at + 1))
          else client.pipe(onward)
        }
        next(0)
      })
    })
    relays.push(relay)
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
    const { heard } = await sendMegabyte(door, (relay.address() as net.AddressInfo).port)
    expect(heard.equals(sent)).toBe(true)
  })

  it('asks for 2 KiB at most, whatever a record claims, and for the rest of a long ClientHello piece by piece', async () => {
    const names = Array.from({ length: 30 }, (_, at) => String(at).padEnd(200, '-'))
    const offers = { ALPNProtocols: [...names, 'statewire/1'], key: alice.toPem(), cert: alice.certificate, minVersion: 'TLSv1.3', rejectUnauthorized: false } as const
    const { length } = await captureClientHello(offers)
    expect(length).toBeGreaterThan(6 * 1024)
    const door = await openDoor()
    const asked = vi.spyOn(Buffer, 'allocUnsafe')
    const client = tls.connect({ ...offers, host: '127.0.0.1', port: door.address.port })
    clients.push(client)
    const { outcome, pipe } = await door.outcome(0)
    expect([outcome, pipe.peerId]).toEqual([null, alice.id])
    const lengths = asked.mock.calls.map(([asks]) => asks)
    // `Buffer.concat` asks as well, for what is there by then.
    expect(lengths.filter((asks) => asks === 2 * 1024).length).toBeGreaterThanOrEqual(2)
    expect(lengths).not.toContain(length - 32)
  })

  it('reads a ClientHello in records and pieces of any length to its end, and not a byte of what follows', async () => {
    const hello = (await captureClientHello({ ALPNProtocols: ['statewire/1'] })).subarray(5)
    fc.assert(
      fc.property(fc.integer({ min: 6, max: hello.length }), fc.integer({ min: 1, max: 2048 }), fc.integer({ min: 1, max: 44 }), (recordLength, pieceLength, firstLength) => {
        const records: Buffer[] = []
        for (let at = 0; at < hello.length; at += recordLength) {
          const part = hello.subarray(at, at + recordLength)
          records.push(Buffer.from([22, 3, 1, part.length >>> 8, part.length & 0xff]), part)
        }
        const whole = Buffer.concat(records)
        let readBytes = firstLength
        while (readClientHello(whole.subarray(0, readBytes)) === 'need more') {
          const missing = missingOfRecord(whole.subarray(0, readBytes))
          expect(missing).toBeGreaterThan(0)
          readBytes += Math.min(missing, pieceLength)
        }
        expect(readBytes).toBe(whole.length)
      }),
    )
  })
})
