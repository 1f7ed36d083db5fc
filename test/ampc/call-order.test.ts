/**
 * Owns: the order of calls (docs/protocol.md): control channels and session groups share (identity, 0), so calls to one
 * peer run one after another in call order; calls to different peers do not wait for each other.
 * Independent of: what the calls make.
 */
import { describe, expect, test } from 'vitest'
import { dialed, keep, leaveNothingBehind, parties, party, validation } from '../support/ampc-parties.ts'
import { nextEvent, rejection, within } from '../support/bounded-wait.ts'
import { claim } from '../support/rust-seat.ts'

describe('the order of calls', () => {
  leaveNothingBehind()

  test('calls made by all parties at once are served in call order, a control channel included', async () => {
    const made = await parties(['alice', 'bob', 'charlie'], { connectionParallelism: 2 })
    const results = await within(
      Promise.all(
        made.map(async (network) => {
          const order: string[] = []
          const done = [
            network.openControlChannel().then((channel) => order.push('control') && channel),
            network.makeSessions({ count: 2 }).then((sessions) => order.push(sessions.map(({ id }) => id).join())),
            network.makeSessions({ count: 1 }).then((sessions) => order.push(sessions.map(({ id }) => id).join())),
          ]
          await Promise.all(done)
          return order
        }),
      ),
      'all calls are served',
    )
    expect(results).toEqual([
      ['control', '0,1', '2'],
      ['control', '0,1', '2'],
      ['control', '0,1', '2'],
    ])
  })

  test('a second call to a peer accepts no connections before the first call is served', async () => {
    const alice = await party({ identity: 'alice', peers: [{ id: 'bob' }], connectionParallelism: 2 })
    const first = alice.makeSessions({ count: 1 })
    const second = alice.makeSessions({ count: 2 })
    second.catch(() => {})
    const bob = await dialed(alice, 'bob', 0)
    const rejected = nextEvent(alice, 'connection.rejected')
    // Connection 1 belongs to the second call only.
    await keep(await claim(alice.url as string, 'bob', 1)).end()
    expect((await rejected).cause.code).toBe('ERR_NOT_REQUESTED')
    bob.write(validation([0]))
    await within(first, 'the first is served')
    await dialed(alice, 'bob', 1)
  })

  test('calls to different peers do not wait for each other', async () => {
    const alice = await party({ identity: 'alice', peers: [{ id: 'bob' }, { id: 'charlie' }] })
    const toBob = alice.makeSessions({ count: 1, peers: ['bob'] })
    const toCharlie = alice.makeSessions({ count: 1, peers: ['charlie'] })
    ;(await dialed(alice, 'charlie')).write(validation([0]))
    expect(await within(toCharlie, 'the later call')).toHaveLength(1)
    toBob.catch(() => {})
  })

  test('calls that share one peer run in order, and the later one connects to no peer early', async () => {
    const alice = await party({ identity: 'alice', peers: [{ id: 'bob' }, { id: 'charlie' }] })
    alice.makeSessions({ count: 1, peers: ['bob'] }).catch(() => {})
    alice.makeSessions({ count: 1 }).catch(() => {})
    const rejected = nextEvent(alice, 'connection.rejected')
    await keep(await claim(alice.url as string, 'charlie', 0)).end()
    expect(await rejected).toMatchObject({ peer: 'charlie', cause: { code: 'ERR_NOT_REQUESTED' } })
  })

  test('a call runs after the call before it has failed', async () => {
    const alice = await party({ identity: 'alice', peers: [{ id: 'bob' }] })
    const first = rejection(alice.openControlChannel({ timeoutMs: 100 }), 'a channel without its peer')
    const second = alice.makeSessions({ count: 1 })
    expect((await first).code).toBe('ERR_TIMED_OUT')
    ;(await dialed(alice)).write(validation([0]))
    expect(await within(second, 'the next call')).toHaveLength(1)
  })

  test('calls that wait for an earlier call are rejected at shutdown, whatever their phase', async () => {
    const alice = await party({ identity: 'alice', peers: [{ id: 'bob' }] })
    const calls = [
      rejection(alice.makeSessions({ count: 1 }), 'one that validates'),
      rejection(alice.openControlChannel(), 'one that waits for its turn'),
    ]
    await (await dialed(alice)).read(21)
    const down = alice.shutdown()
    calls.push(rejection(alice.openControlChannel(), 'one made while it shuts down'))
    await within(down, 'alice shuts down')
    for (const error of calls) expect((await error).code).toBe('ERR_NETWORK_STOPPED')
    expect((await rejection(alice.makeSessions({ count: 1 }), 'one made after')).code).toBe('ERR_NETWORK_STOPPED')
  })
})
