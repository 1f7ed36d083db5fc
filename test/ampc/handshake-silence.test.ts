/**
 * Owns: what silence in a handshake causes, at every step and in both roles: one deadline covers the whole handshake,
 * and other peers do not wait for it.
 * Independent of: how fast the machine is. The deadline passes when a test advances the clock.
 */
import { describe, expect, test } from 'vitest'
import { dialed, keep, leaveNothingBehind, party, pipesOf, seat, validation } from '../support/ampc-parties.ts'
import { nextEvent, settle, until, within } from '../support/bounded-wait.ts'
import { RawSocket } from '../support/raw-socket.ts'
import { identityBytes, ok, u32be } from '../support/rust-seat.ts'
import { SocketClock } from '../support/socket-clock.ts'

const limits = { handshakeTimeoutMs: 100, backoffMaxMs: 20 }
const hello = Buffer.concat([u32be(0), identityBytes('bob')])

const dialerSteps = [
  ['nothing', 0],
  ['half of the connection id', 2],
  ['the connection id', 4],
  ['half of the length', 6],
  ['the length', 8],
  ['half of the identity', 10],
] as const

describe('a silent dialer', () => {
  leaveNothingBehind()

  test.each(dialerSteps)('an acceptor closes a dialer that has sent %s and no more', async (_what, bytes) => {
    const clock = new SocketClock()
    const alice = await party({ identity: 'alice', peers: [{ id: 'bob' }], limits }, { environment: { clock } })
    alice.makeSessions({ count: 1 }).catch(() => {})
    const rejected = nextEvent(alice, 'connection.rejected')
    const silent = keep(await RawSocket.dial(alice.url as string))
    silent.write(hello.subarray(0, bytes))
    const echo = bytes < 4 ? Buffer.alloc(0) : u32be(0)
    expect(await silent.read(echo.length)).toEqual(echo)
    await until(() => pipesOf(alice).length === 1, 'alice has accepted the connection')
    await clock.advance(limits.handshakeTimeoutMs)
    await silent.end()
    expect((await rejected).cause.code).toBe('ERR_TIMED_OUT')
    expect(silent.received).toEqual(echo)
  })

  test('an acceptor does not restart the handshake deadline with each byte', async () => {
    const clock = new SocketClock()
    const identity = 'z'.repeat(128)
    const alice = await party({ identity: 'alice', peers: [{ id: identity }], limits }, { environment: { clock } })
    alice.makeSessions({ count: 1 }).catch(() => {})
    const rejected = nextEvent(alice, 'connection.rejected')
    const slow = keep(await RawSocket.dial(alice.url as string))
    slow.write(Buffer.concat([u32be(0), u32be(128)]))
    await slow.read(4)
    // The clock stands still after the loop, so a deadline that was restarted would never pass.
    for (let written = 0; written < 20; written++) {
      slow.write('z')
      await settle()
      await clock.advance(limits.handshakeTimeoutMs / 20)
    }
    await slow.end()
    expect((await rejected).cause.code).toBe('ERR_TIMED_OUT')
  })

  test('an acceptor accepts an honest peer while other dialers are silent at every step', async () => {
    const alice = await party({ identity: 'alice', peers: [{ id: 'bob' }], limits: { handshakeTimeoutMs: 60_000 } })
    const made = alice.makeSessions({ count: 1 })
    const silent: RawSocket[] = []
    for (const [, bytes] of dialerSteps) {
      const socket = keep(await RawSocket.dial(alice.url as string))
      socket.write(hello.subarray(0, bytes))
      if (bytes >= 4) await socket.read(4)
      silent.push(socket)
    }
    const bob = await dialed(alice)
    bob.write(validation([0]))
    expect(await within(made, 'the honest peer makes the session')).toHaveLength(1)
    expect(silent.every(({ isOver }) => !isOver)).toBe(true)
  })
})

describe('a silent acceptor', () => {
  leaveNothingBehind()

  test.each([
    ['says nothing', Buffer.alloc(0)],
    ['says half of the echo', u32be(0).subarray(0, 2)],
    ['says the echo and no more', u32be(0)],
    ['says the echo and two thirds of "2ok"', Buffer.concat([u32be(0), ok.subarray(0, 2)])],
  ])('a dialer closes an acceptor that %s, and dials again', async (_what, bytes) => {
    const clock = new SocketClock()
    const alice = await seat('alice')
    const peers = [{ id: 'alice', urls: alice.url }]
    const bob = await party({ identity: 'bob', peers, limits }, { environment: { clock } })
    const made = bob.makeSessions({ count: 1 })
    made.catch(() => {})
    const failed = nextEvent(bob, 'connection.failed')
    const socket = await alice.accept()
    await socket.read(4)
    socket.write(bytes)
    await clock.advance(limits.handshakeTimeoutMs)
    await socket.end()
    expect((await failed).cause.code).toBe('ERR_TIMED_OUT')
    await clock.advance(limits.backoffMaxMs)
    await alice.acceptLink(validation([0]))
    expect(await within(made, 'the session is made after all')).toHaveLength(1)
  })

  test('a dialer completes a handshake with one peer while another is silent', async () => {
    const alice = await seat('alice')
    const bob = await seat('bob')
    const charlie = await party({
      identity: 'charlie',
      peers: [
        { id: 'alice', urls: alice.url },
        { id: 'bob', urls: bob.url },
      ],
      limits: { handshakeTimeoutMs: 60_000 },
    })
    charlie.makeSessions({ count: 1, peers: ['alice'] }).catch(() => {})
    const silent = await alice.accept()
    const made = charlie.makeSessions({ count: 1, peers: ['bob'] })
    await bob.acceptLink(validation([0]))
    expect(await within(made, 'the session with the one that answers')).toHaveLength(1)
    expect(silent.isOver).toBe(false)
  })
})
