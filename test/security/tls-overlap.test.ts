/** Owns: what each side of a TLS connection does while the other one works, and that nothing gets by the checks for it. Refuses to know: attacks on identity. */
import tls from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../actors/environment.ts'
import { Identity } from '../../actors/identity.ts'
import { createNetwork } from '../../actors/index.ts'
import type { Address } from '../../actors/pipe.ts'
import type { TlsPipe } from '../../actors/tls-pipe.ts'
import { TlsTransport } from '../../actors/tls-transport.ts'
import { dial, Door, Heard, loopback, options, outcomeOf, putAway, turn, until } from './tls-bench.ts'

const [alice, bob, carol] = [Identity.generate(), Identity.generate(), Identity.generate()]
const doors: Door[] = []
const transports: TlsTransport[] = []

afterEach(() => putAway(doors, transports))

async function openDoor(): Promise<Door> {
  const door = await Door.open({ identity: bob })
  doors.push(door)
  return door
}

interface Held {
  readonly pipe: TlsPipe
  readonly heard: Heard
  /** Lets the dialling side look at who answered. */
  look(): void
}

/** Dials, and looks at the other side when it is told to and not before. */
async function dialHeld(address: Address, expectedPeerId = bob.id): Promise<Held> {
  const held: (() => void)[] = []
  const transport = new TlsTransport({ identity: alice }, { ...systemClock, setImmediate: (look) => void held.push(look) })
  transports.push(transport)
  const { pipe, heard } = dial(transport, address, { expectedPeerId })
  pipe.write([Buffer.from('hello')])
  pipe.resume()
  await until('TLS is done', () => held.length === 1)
  return { pipe, heard, look: () => held[0]?.() }
}

describe('the dialling side', () => {
  it('lets its Finished leave before it looks at the key of the other side, and its first bytes behind that', async () => {
    const door = await openDoor()
    const { pipe, look } = await dialHeld(door.address)
    const accepted = await door.outcome(0)
    expect([accepted.outcome, accepted.pipe.peerId, accepted.heard.text, pipe.peerId]).toEqual([null, alice.id, '', undefined])
    look()
    await until('the first bytes have arrived', () => accepted.heard.text === 'hello')
    expect(pipe.peerId).toBe(bob.id)
    pipe.destroy()
  })

  it('hears nothing of what comes before it has looked', async () => {
    const door = await openDoor()
    const { pipe, heard, look } = await dialHeld(door.address)
    const accepted = await door.outcome(0)
    accepted.pipe.write([Buffer.from('early')])
    for (let i = 0; i < 100; i++) await turn()
    expect(heard.text).toBe('')
    look()
    await until('it is heard', () => heard.text === 'early')
    pipe.destroy()
  })

  it('says nothing to another key, which has heard its Finished by then', async () => {
    const door = await openDoor()
    const { pipe, heard, look } = await dialHeld(door.address, carol.id)
    const accepted = await door.outcome(0)
    accepted.pipe.write([Buffer.from('early')])
    for (let i = 0; i < 100; i++) await turn()
    look()
    expect(await outcomeOf(pipe)).toMatchObject({ code: 'ERR_UNEXPECTED_PEER', expected: carol.id, got: bob.id })
    await until('both ends are closed', () => accepted.pipe.closed && heard.closedWith.length === 1)
    expect([accepted.heard.text, heard.text]).toEqual(['', ''])
  })

  it('looks at nobody any more where the connection has ended meanwhile', async () => {
    const door = await openDoor()
    const { pipe, heard, look } = await dialHeld(door.address)
    ;(await door.outcome(0)).pipe.destroy()
    await until('its end is heard', () => heard.closedWith.length === 1)
    look()
    expect(await outcomeOf(pipe)).toMatchObject({ code: 'ERR_HANDSHAKE_REFUSED' })
    expect([pipe.peerId, heard.closedWith.length]).toEqual([undefined, 1])
  })

  it('begins TLS by an empty write where Node has lost the short way', async () => {
    const door = await openDoor()
    const prototype = tls.TLSSocket.prototype as unknown as { _start?: () => void }
    const { _start: start } = prototype
    if (start === undefined) throw new Error('this version of Node has lost it')
    try {
      delete prototype._start
      const transport = new TlsTransport({ identity: alice })
      transports.push(transport)
      const { pipe } = dial(transport, door.address, { expectedPeerId: bob.id })
      pipe.write([Buffer.from('hello')])
      expect(await outcomeOf(pipe)).toBeNull()
      const accepted = await door.outcome(0)
      await until('it has arrived', () => accepted.heard.text === 'hello')
    } finally {
      prototype._start = start
    }
  })
})

describe('a network over TLS', () => {
  it('looks at the other side by the clock that it was given', async () => {
    const door = await openDoor()
    const held: (() => void)[] = []
    const clock = { ...systemClock, setImmediate: (callback: () => void) => void held.push(callback) }
    const network = createNetwork({ identity: alice, peers: [{ id: bob.id, url: `tls://127.0.0.1:${door.address.port}` }] }, { environment: { clock } })
    const accepted = await door.outcome(0)
    for (let i = 0; i < 100; i++) await turn()
    expect(accepted.heard.text).toBe('')
    await until('the hello has arrived', () => {
      for (const callback of held.splice(0)) callback()
      return accepted.heard.text.startsWith('SWIR')
    })
    const stopped = network.shutdown()
    accepted.pipe.destroy()
    await until('nothing waits', () => {
      for (const callback of held.splice(0)) callback()
      return accepted.heard.closedWith.length === 1
    })
    await stopped
  })
})

describe('the accepting side that expects bytes', () => {
  it('hears nothing before it resumes, and then all of it', async () => {
    const transport = new TlsTransport({ identity: bob })
    const accepted: { pipe: TlsPipe; heard: Heard }[] = []
    const listener = await transport.listen(loopback, options, {
      onPipe(pipe) {
        const heard = new Heard()
        pipe.handle(heard)
        accepted.push({ pipe: pipe as TlsPipe, heard })
        pipe.secure().catch(() => {})
        pipe.expectBytes?.()
      },
      onError(error) {
        throw error
      },
    })
    transports.push(transport)
    const dialling = new TlsTransport({ identity: alice })
    transports.push(dialling)
    // The first is a stranger, whose ClientHello is looked at: only the second begins TLS in `secure()`.
    for (const index of [0, 1]) {
      const { pipe } = dial(dialling, listener.address, { expectedPeerId: bob.id })
      pipe.write([Buffer.from('hello')])
      await pipe.secure()
      await until('it is proved here as well', () => accepted[index]?.pipe.peerId === alice.id)
      for (let i = 0; i < 100; i++) await turn()
      expect(accepted[index]?.heard.text).toBe('')
      accepted[index]?.pipe.resume()
      await until('it is heard', () => accepted[index]?.heard.text === 'hello')
    }
    await listener.close()
  })
})
