/**
 * Owns: that a wrong call on a running network is refused with an error for the caller only: after each of them the
 * same pair passes a value.
 * Independent of: configurations (configuration.test.ts), and networks that are ending
 * (test/native/network-endings.test.ts).
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { formatValue } from '../../codec/format-value.ts'
import type { Session } from '../../index.ts'
import { NativeScene, number, numberOf } from '../support/native-scene.ts'
import type { NativeMember } from '../support/native-scene.ts'
import { callRows, drainRows, none, peerRows, refuses, unknownPeers, valueRows, wrongTimes } from './live-rows.ts'
import type { Live, Row } from './live-rows.ts'

const sessionRows: Row[] = [
  ...peerRows('send', ({ session }, peer) => session.send(peer, number(1)), 'a peer of this session'),
  ...peerRows('trySend', ({ session }, peer) => session.trySend(peer, number(1)), 'a peer of this session'),
  ...peerRows('receive', ({ session }, peer) => session.receive(peer), 'a peer of this session'),
  ...peerRows('handle', ({ session }, peer) => session.handle(peer, () => {}), 'a peer of this session'),
  ...peerRows('ended', ({ session }, peer) => session.ended(peer), 'a peer of this session'),
  ...peerRows('unread', ({ session }, peer) => session.unread(peer), 'a peer of this session'),
  ...peerRows('values', ({ session }, peer) => session.values(peer).next(), 'a peer of this session'),
  ...valueRows('send', ({ session, peer }, value) => session.send(peer, value)),
  ...valueRows('trySend', ({ session, peer }, value) => session.trySend(peer, value)),
  ...valueRows('broadcast', ({ session }, value) => session.broadcast(value)),
  ...callRows('send', ({ session, peer }, options) => session.send(peer, number(1), options)),
  ...callRows('receive', ({ session, peer }, options) => session.receive(peer, options)),
  ...callRows('flush', ({ session }, options) => session.flush(options)),
  ...[undefined, 7, 'x', {}].map((handler): Row => [
    `handle with ${formatValue(handler)} as the handler`,
    ({ session, peer }) => session.handle(peer, handler as never),
    'ERR_INVALID_OPTION',
    `the handler must be a function, got ${formatValue(handler)}`,
  ]),
  [
    'handle with a misspelled option',
    ({ session, peer }) => session.handle(peer, () => {}, { borow: true } as never),
    'ERR_INVALID_OPTION',
    'borow is not an option of handle (did you mean borrow?)',
  ],
  [
    'handle with a string as borrow',
    ({ session, peer }) => session.handle(peer, () => {}, { borrow: 'yes' } as never),
    'ERR_INVALID_OPTION',
    'borrow must be true or false, got "yes"',
  ],
  [
    'handle with a number as onLost',
    ({ session, peer }) => session.handle(peer, () => {}, { onLost: 7 } as never),
    'ERR_INVALID_OPTION',
    'onLost must be a function, got 7',
  ],
  ...[undefined, null, 7].map((listener): Row => [
    `onConnectionLost with ${formatValue(listener)} as the listener`,
    ({ session }) => session.onConnectionLost(listener as never),
    'ERR_INVALID_OPTION',
    'onConnectionLost must be a function',
    formatValue(listener),
  ]),
]

const networkRows: Row[] = [
  [
    'makeSessions without options',
    ({ network }) => network.makeSessions(none),
    'ERR_INVALID_OPTION',
    'makeSessions takes an object of options, got undefined',
  ],
  ...callRows('makeSessions', ({ network }, options) =>
    network.makeSessions(
      (typeof options === 'object' && options !== null && !Array.isArray(options)
        ? { count: 1, ...(options as object) }
        : options) as never,
    ),
  ),
  ...[undefined, 0, 1025, ...wrongTimes.filter((value) => value !== 2 ** 31), 2 ** 31].map((count): Row => [
    `makeSessions with ${formatValue(count)} as count`,
    ({ network }) => network.makeSessions({ count } as never),
    'ERR_INVALID_OPTION',
    'count must be a whole number from 1 to 1024',
    `got ${formatValue(count)}`,
  ]),
  ...[null, 7, {}, Symbol('s')].map((name): Row => [
    `makeSessions with ${formatValue(name)} as name`,
    ({ network }) => network.makeSessions({ count: 1, name } as never),
    'ERR_INVALID_OPTION',
    `name must be a string, got ${formatValue(name)}`,
  ]),
  ...['x'.repeat(256), 'ü'.repeat(128)].map((name): Row => [
    `makeSessions with ${name.length} characters in 256 bytes as name`,
    ({ network }) => network.makeSessions({ count: 1, name }),
    'ERR_INVALID_OPTION',
    'name must have at most 255 bytes of UTF-8, got 256',
  ]),
  [
    'makeSessions with a lone surrogate in its name',
    ({ network }) => network.makeSessions({ count: 1, name: 'a\ud800b' }),
    'ERR_INVALID_OPTION',
    'name must be well-formed text',
    'a lone surrogate',
  ],
  [
    'makeSessions with a timeoutMs of 0',
    ({ network }) => network.makeSessions({ count: 1, timeoutMs: 0 }),
    'ERR_INVALID_OPTION',
    'timeoutMs must be a number above 0',
    'got 0',
  ],
  ...[null, 'bob', 7, {}].map((peers): Row => [
    `makeSessions with ${formatValue(peers)} as peers`,
    ({ network }) => network.makeSessions({ count: 1, peers } as never),
    'ERR_INVALID_OPTION',
    `peers must be a list, got ${formatValue(peers)}`,
  ]),
  [
    'makeSessions with an empty list of peers',
    ({ network }) => network.makeSessions({ count: 1, peers: [] }),
    'ERR_INVALID_OPTION',
    'peers must name at least one peer',
  ],
  [
    'makeSessions with the same peer twice',
    ({ network, peer }) => network.makeSessions({ count: 1, peers: [peer, peer] }),
    'ERR_INVALID_OPTION',
    'peers[1] is',
    'in the list already',
  ],
  ...unknownPeers.map((peer): Row => [
    `makeSessions with the peer ${formatValue(peer)}`,
    ({ network, peer: known }) => network.makeSessions({ count: 1, peers: [known, peer] as never }),
    'ERR_UNKNOWN_PEER',
    `peers[1] is ${formatValue(peer)}, which is not a peer of this network`,
  ]),
  [
    'makeSessions with a string as agreePrfKeys',
    ({ network }) => network.makeSessions({ count: 1, agreePrfKeys: 'yes' } as never),
    'ERR_INVALID_OPTION',
    'agreePrfKeys must be true or false, got "yes"',
  ],
  [
    'makeSessions with an aborted signal',
    ({ network }) => network.makeSessions({ count: 1, signal: AbortSignal.abort() }),
    'ERR_ABORTED',
    'before it began',
  ],
  ...callRows('openControlChannel', ({ network }, options) => network.openControlChannel(options)),
  [
    'on with an event name close to a known one',
    ({ network }) => network.on('peer.conected' as never, () => {}),
    'ERR_INVALID_OPTION',
    'peer.conected',
    'did you mean peer.connected?',
  ],
  ...[undefined, null, 7, '*', Symbol('s')].map((type): Row => [
    `on with ${formatValue(type)} as the event`,
    ({ network }) => network.on(type as never, () => {}),
    'ERR_INVALID_OPTION',
    `${type === '*' ? '"*"' : formatValue(type)} is not an event of a network; there are: network.ready`,
  ]),
  ...[undefined, null, 7, {}].map((listener): Row => [
    `on with ${formatValue(listener)} as the listener`,
    ({ network }) => network.on('peer.connected', listener as never),
    'ERR_INVALID_OPTION',
    `the listener of "peer.connected" must be a function, got ${formatValue(listener)}`,
  ]),
  [
    'events with a misspelled option',
    ({ network }) => network.events({ sginal: 1 } as never),
    'ERR_INVALID_OPTION',
    'sginal is not an option of events (did you mean signal?)',
  ],
  [
    'events with null as options',
    ({ network }) => network.events(null as never),
    'ERR_INVALID_OPTION',
    'events takes an object of options, got null',
  ],
]

describe('a wrong call on a native pair', () => {
  const scene = new NativeScene({ on: 'memory' })
  let members: [NativeMember, NativeMember]
  let aliceSession: Session
  let bobSession: Session
  let passed = 0

  beforeAll(async () => {
    members = await scene.pair()
    ;[[aliceSession], [bobSession]] = (await scene.sessions(members, 1)) as [[Session], [Session]]
  })
  afterAll(async () => {
    await scene.stop()
    await scene.leaks.assertNothingLeft()
  })

  it.each([...sessionRows, ...networkRows, ...drainRows])('refuses %s and passes the next value', async (...row) => {
    const [alice, bob] = members
    await refuses({ network: alice.network, session: aliceSession, peer: bob.id, channel: none }, row)
    await aliceSession.send(bob.id, number(++passed))
    await bobSession.send(alice.id, number(passed))
    expect(numberOf(await scene.run(bobSession.receive(alice.id)))).toBe(passed)
    expect(numberOf(await scene.run(aliceSession.receive(bob.id)))).toBe(passed)
  })

  it('wrong calls on a native pair leave one session group, one connection and no error event', () => {
    const [alice, bob] = members
    for (const member of [alice, bob]) {
      expect(member.eventsOf('connection.opened')).toHaveLength(1)
      expect(member.eventsOf('sessions.made')).toHaveLength(1)
      expect(
        ['connection.lost', 'sessions.failed', 'child.restarted', 'peer.errored'].flatMap((type) =>
          member.eventsOf(type as 'peer.errored'),
        ),
      ).toEqual([])
    }
    expect(alice.link(bob).counters.valuesSent).toBe(passed)
  })

  it('refuses to open a control channel in the native dialect', async () => {
    await refuses({ network: members[0].network } as Live, [
      '',
      ({ network }) => network.openControlChannel(),
      'ERR_DIALECT_UNSUPPORTED',
      'control channel',
    ])
  })
})
