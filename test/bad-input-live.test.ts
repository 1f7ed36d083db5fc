/**
 * Owns: that a wrong call on a network that runs is refused by an error of ours that says what is wrong, at the caller only: after
 * each of them the same pair passes a value.
 * Refuses to know: configurations (bad-input.test.ts), and networks that are ending (native/network-scenarios.test.ts).
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ControlChannel, Network, NetworkValue, Session } from '../index.ts'
import { StatewireError } from '../codec/errors.ts'
import type { ErrorCode } from '../codec/errors.ts'
import { show } from '../codec/show.ts'
import { NativeScene, number, numberOf } from './support/native-scene.ts'
import type { NativeMember } from './support/native-scene.ts'
import { Scene } from './support/scene.ts'

interface Live {
  network: Network
  session: Session
  peer: string
  channel: ControlChannel
}

type Call = (live: Live) => unknown
type Row = [name: string, call: Call, code: ErrorCode, ...said: string[]]

const none = undefined as never
const numbers = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1, 2 ** 31, '5', null, true, 5n, {}]
/** Options that every call with a deadline refuses. */
const callRows = (name: string, call: (live: Live, options: never) => unknown): Row[] => [
  ...[null, 7, 'x', [], () => {}].map((options): Row => [
    `${name} with ${show(options)} for options`,
    (live) => call(live, options as never),
    'ERR_INVALID_OPTION',
    `${name} takes an object of options, got ${show(options)}`,
  ]),
  ...numbers.map((timeoutMs): Row => [
    `${name} within ${show(timeoutMs)}`,
    (live) => call(live, { timeoutMs } as never),
    'ERR_INVALID_OPTION',
    `timeoutMs of ${name} must be a number`,
    `got ${show(timeoutMs)}`,
  ]),
  ...[null, {}, true, new AbortController()].map((signal): Row => [
    `${name} with ${show(signal)} for a signal`,
    (live) => call(live, { signal } as never),
    'ERR_INVALID_OPTION',
    `signal of ${name} must be an AbortSignal, got ${show(signal)}`,
  ]),
  [
    `${name} with a name that is near another`,
    (live) => call(live, { timeoutMS: 5 } as never),
    'ERR_INVALID_OPTION',
    `timeoutMS is not an option of ${name} (did you mean timeoutMs?)`,
  ],
]
const strangers = [undefined, null, 7, '', 'carol', {}, [], Symbol('s')]
const peerRows = (name: string, call: (live: Live, peer: never) => unknown, where: string): Row[] =>
  strangers.map((peer): Row => [
    `${name} of ${show(peer)}`,
    (live) => call(live, peer as never),
    'ERR_UNKNOWN_PEER',
    `${show(peer)} is not ${where}; there are:`,
  ])

const typeNames =
  'Bytes, NetworkVec, RingElementBit, RingElement16, RingElement32, RingElement48, RingElement64, VecRingBit, VecRing16, VecRing32, VecRing48, VecRing64, PrfKey, PrfCheck, StateChecksum'
const values: [unknown, string][] = [
  [undefined, 'value'],
  [null, 'value'],
  [7, 'value'],
  ['x', 'value'],
  [{}, 'type'],
  [[], 'type'],
  [{ type: 'Nothing', value: 1 }, `type must be the name of a network value (${typeNames}); it is "Nothing".`],
  [{ type: 'toString' }, 'type'],
  [{ type: 'Bytes' }, 'Bytes.value'],
  [{ type: 'Bytes', value: 'x' }, 'Bytes.value'],
  [{ type: 'Bytes', value: [1] }, 'Bytes.value'],
  [{ type: 'PrfKey', value: new Uint8Array(15) }, 'PrfKey.value'],
  [{ type: 'RingElementBit', value: 1 }, 'RingElementBit.value'],
  [{ type: 'RingElement16', value: 65_536 }, 'RingElement16.value'],
  [{ type: 'RingElement16', value: -1 }, 'RingElement16.value'],
  [{ type: 'RingElement32', value: 1.5 }, 'RingElement32.value'],
  [{ type: 'RingElement32', value: Number.NaN }, 'RingElement32.value'],
  [{ type: 'RingElement32', value: '1' }, 'RingElement32.value'],
  [{ type: 'RingElement48', value: 2 ** 48 }, 'RingElement48.value'],
  [{ type: 'RingElement64', value: 1 }, 'RingElement64.value'],
  [{ type: 'RingElement64', value: 2n ** 64n }, 'RingElement64.value'],
  [{ type: 'StateChecksum', value: { irises: 1n } }, 'StateChecksum.value.graph'],
  [{ type: 'PrfCheck', value: -1n }, 'PrfCheck.value'],
  [{ type: 'VecRing16', value: new Uint8Array(2) }, 'VecRing16.value'],
  [{ type: 'VecRing32', value: [1] }, 'VecRing32.value'],
  [{ type: 'VecRing64', value: new BigInt64Array(1) }, 'VecRing64.value'],
  [{ type: 'VecRing48', value: [2 ** 48] }, 'VecRing48.value'],
  [{ type: 'VecRingBit', value: { bits: 9, packed: new Uint8Array(1) } }, 'VecRingBit.value'],
  [{ type: 'NetworkVec', value: 7 }, 'NetworkVec.value'],
  [{ type: 'NetworkVec', value: [{ type: 'RingElement16', value: -1 }] }, 'RingElement16.value'],
  [{ type: 'NetworkVec', value: [{ type: 'NetworkVec', value: [] }] }, 'NetworkVec.value'],
]
const valueRows = (name: string, call: (live: Live, value: never) => unknown): Row[] =>
  values.map(([value, said], index): Row => [
    `${name} of wrong value ${index}, at ${said}`,
    (live) => call(live, value as never),
    'ERR_INVALID_VALUE',
    said,
  ])

const sessionRows: Row[] = [
  ...peerRows('send to', ({ session }, peer) => session.send(peer, number(1)), 'a peer of this session'),
  ...peerRows('trySend to', ({ session }, peer) => session.trySend(peer, number(1)), 'a peer of this session'),
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
    `handle by ${show(handler)}`,
    ({ session, peer }) => session.handle(peer, handler as never),
    'ERR_INVALID_OPTION',
    `the handler must be a function, got ${show(handler)}`,
  ]),
  [
    'handle with a misspelt option',
    ({ session, peer }) => session.handle(peer, () => {}, { borow: true } as never),
    'ERR_INVALID_OPTION',
    'borow is not an option of handle (did you mean borrow?)',
  ],
  [
    'handle with a text for a yes',
    ({ session, peer }) => session.handle(peer, () => {}, { borrow: 'yes' } as never),
    'ERR_INVALID_OPTION',
    'borrow must be true or false, got "yes"',
  ],
  [
    'handle with a loss told to nothing',
    ({ session, peer }) => session.handle(peer, () => {}, { onLost: 7 } as never),
    'ERR_INVALID_OPTION',
    'onLost must be a function, got 7',
  ],
  ...[undefined, null, 7].map((listener): Row => [
    `onConnectionLost told to ${show(listener)}`,
    ({ session }) => session.onConnectionLost(listener as never),
    'ERR_INVALID_OPTION',
    'onConnectionLost must be a function',
    show(listener),
  ]),
]

const networkRows: Row[] = [
  [
    'makeSessions of nothing',
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
  ...[undefined, 0, 1025, ...numbers.filter((value) => value !== 2 ** 31), 2 ** 31].map((count): Row => [
    `makeSessions of ${show(count)}`,
    ({ network }) => network.makeSessions({ count } as never),
    'ERR_INVALID_OPTION',
    'count must be a whole number from 1 to 1024',
    `got ${show(count)}`,
  ]),
  [
    'makeSessions within no time',
    ({ network }) => network.makeSessions({ count: 1, timeoutMs: 0 }),
    'ERR_INVALID_OPTION',
    'timeoutMs must be a number above 0',
    'got 0',
  ],
  ...[null, 'bob', 7, {}].map((peers): Row => [
    `makeSessions with ${show(peers)} for peers`,
    ({ network }) => network.makeSessions({ count: 1, peers } as never),
    'ERR_INVALID_OPTION',
    `peers must be a list, got ${show(peers)}`,
  ]),
  [
    'makeSessions with nobody',
    ({ network }) => network.makeSessions({ count: 1, peers: [] }),
    'ERR_INVALID_OPTION',
    'peers must name at least one peer',
  ],
  [
    'makeSessions with one peer twice',
    ({ network, peer }) => network.makeSessions({ count: 1, peers: [peer, peer] }),
    'ERR_INVALID_OPTION',
    'peers[1] is',
    'in the list already',
  ],
  ...strangers.map((peer): Row => [
    `makeSessions with the peer ${show(peer)}`,
    ({ network, peer: known }) => network.makeSessions({ count: 1, peers: [known, peer] as never }),
    'ERR_UNKNOWN_PEER',
    `peers[1] is ${show(peer)}, which is not a peer of this network`,
  ]),
  [
    'makeSessions with a text for a yes',
    ({ network }) => network.makeSessions({ count: 1, agreePrfKeys: 'yes' } as never),
    'ERR_INVALID_OPTION',
    'agreePrfKeys must be true or false, got "yes"',
  ],
  [
    'makeSessions that is aborted already',
    ({ network }) => network.makeSessions({ count: 1, signal: AbortSignal.abort() }),
    'ERR_ABORTED',
    'before it began',
  ],
  ...callRows('openControlChannel', ({ network }, options) => network.openControlChannel(options)),
  [
    'an event that is near another',
    ({ network }) => network.on('peers.up' as never, () => {}),
    'ERR_INVALID_OPTION',
    'peers.up',
    'did you mean peer.up?',
  ],
  ...[undefined, null, 7, '*', Symbol('s')].map((type): Row => [
    `the event ${show(type)}`,
    ({ network }) => network.on(type as never, () => {}),
    'ERR_INVALID_OPTION',
    `${type === '*' ? '"*"' : show(type)} is not an event of a network; there are: network.ready`,
  ]),
  ...[undefined, null, 7, {}].map((listener): Row => [
    `an event told to ${show(listener)}`,
    ({ network }) => network.on('peer.up', listener as never),
    'ERR_INVALID_OPTION',
    `the listener of "peer.up" must be a function, got ${show(listener)}`,
  ]),
  [
    'events with a misspelt option',
    ({ network }) => network.events({ sginal: 1 } as never),
    'ERR_INVALID_OPTION',
    'sginal is not an option of events (did you mean signal?)',
  ],
  [
    'events with null',
    ({ network }) => network.events(null as never),
    'ERR_INVALID_OPTION',
    'events takes an object of options, got null',
  ],
]

/** The same for a peer that is there and for one that is drained already. */
const drainRows: Row[] = [
  ...peerRows('drain', ({ network }, peer) => network.drain(peer), 'a peer of this network'),
  ...[null, 7, 'x', []].map((options): Row => [
    `drain with ${show(options)} for options`,
    ({ network, peer }) => network.drain(peer, options as never),
    'ERR_INVALID_OPTION',
    `drain takes an object of options, got ${show(options)}`,
  ]),
  ...numbers.map((timeoutMs): Row => [
    `drain within ${show(timeoutMs)}`,
    ({ network, peer }) => network.drain(peer, { timeoutMs } as never),
    'ERR_INVALID_OPTION',
    'timeoutMs of drain must be a number',
    `got ${show(timeoutMs)}`,
  ]),
  [
    'drain within no time',
    ({ network, peer }) => network.drain(peer, { timeoutMs: 0 }),
    'ERR_INVALID_OPTION',
    'timeoutMs must be a number above 0',
    'got 0',
  ],
  [
    'drain with a misspelt option',
    ({ network, peer }) => network.drain(peer, { timeoutMS: 5 } as never),
    'ERR_INVALID_OPTION',
    'timeoutMS is not an option of drain (did you mean timeoutMs?)',
  ],
  ...[null, 7, 'x'.repeat(257)].map((reason): Row => [
    `drain for ${show(reason)}`,
    ({ network, peer }) => network.drain(peer, { reason } as never),
    'ERR_INVALID_OPTION',
    'reason must be a text of at most 256 bytes',
    `got ${show(reason)}`,
  ]),
]

const drained = 'was drained, and nothing new is taken for it as long as this network lives'
const drainedRows: Row[] = [
  ['send', ({ session, peer }) => session.send(peer, number(1)), 'ERR_PEER_DRAINED', drained, 'maintenance'],
  ['trySend', ({ session, peer }) => session.trySend(peer, number(1)), 'ERR_PEER_DRAINED', drained, 'maintenance'],
  ['broadcast', ({ session }) => session.broadcast(number(1)), 'ERR_PEER_DRAINED', drained, 'maintenance'],
  ['receive', ({ session, peer }) => session.receive(peer), 'ERR_PEER_DRAINED', drained, 'maintenance'],
  ['flush', ({ session }) => session.flush(), 'ERR_PEER_DRAINED', drained, 'maintenance'],
  ['makeSessions', ({ network }) => network.makeSessions({ count: 1 }), 'ERR_PEER_DRAINED', drained],
]

const channelRows: Row[] = [
  ...peerRows('send to', ({ channel }, peer) => channel.send(peer, number(1)), 'on this control channel'),
  ...peerRows('receive', ({ channel }, peer) => channel.receive(peer), 'on this control channel'),
  ...valueRows('send', ({ channel, peer }, value) => channel.send(peer, value)),
  ...callRows('send', ({ channel, peer }, options) => channel.send(peer, number(1), options)),
  ...callRows('receive', ({ channel, peer }, options) => channel.receive(peer, options)),
  ...callRows('sync', ({ channel }, options) => channel.sync(options)),
]

/** What a call threw, or its promise rejected with. */
async function errorOf(call: Call, live: Live): Promise<unknown> {
  try {
    await call(live)
  } catch (error) {
    return error
  }
  return undefined
}

async function refuses(live: Live, [, call, code, ...said]: Row): Promise<void> {
  const error = await errorOf(call, live)
  expect(error).toBeInstanceOf(StatewireError)
  const { message } = error as StatewireError
  expect(message).toMatch(/^[ -~…]{1,2000}$/)
  for (const piece of said) expect(message).toContain(piece)
  expect((error as StatewireError).code).toBe(code)
}

describe('a wrong call on a native pair', () => {
  const scene = new NativeScene({ on: 'memory' })
  let members: [NativeMember, NativeMember]
  let ofAlice: Session
  let ofBob: Session
  let passed = 0

  beforeAll(async () => {
    members = await scene.pair()
    ;[[ofAlice], [ofBob]] = (await scene.sessions(members, 1)) as [[Session], [Session]]
  })
  afterAll(async () => {
    await scene.stop()
    await scene.leaks.assertNothingLeft()
  })

  it.each([...sessionRows, ...networkRows, ...drainRows])('%s', async (...row) => {
    const [alice, bob] = members
    await refuses({ network: alice.network, session: ofAlice, peer: bob.id, channel: none }, row)
    await ofAlice.send(bob.id, number(++passed))
    await ofBob.send(alice.id, number(passed))
    expect(numberOf(await scene.run(ofBob.receive(alice.id)))).toBe(passed)
    expect(numberOf(await scene.run(ofAlice.receive(bob.id)))).toBe(passed)
  })

  it('has left no trace: one batch, one connection, no warning but the first', () => {
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

  it('of a control channel says that the dialect has none', async () => {
    await refuses({ network: members[0].network } as Live, [
      '',
      ({ network }) => network.openControlChannel(),
      'ERR_DIALECT_UNSUPPORTED',
      'control channel',
    ])
  })
})

describe('a call for a peer that is drained', () => {
  const scene = new NativeScene({ on: 'memory' })
  let live: Live

  beforeAll(async () => {
    const members = await scene.pair()
    const [[session]] = (await scene.sessions(members, 1)) as [[Session], [Session]]
    const [{ network }, { id: peer }] = members
    await scene.run(network.drain(peer, { reason: 'maintenance' }))
    live = { network, session, peer, channel: none }
  })
  afterAll(() => scene.stop())

  it.each([...drainedRows, ...drainRows])('%s', async (...row) => {
    await refuses(live, row)
  })

  it('names the peer', async () => {
    expect(await errorOf(({ session, peer }) => session.send(peer, number(1)), live)).toMatchObject({
      message: `${live.peer} ${drained}: maintenance`,
    })
  })
})

describe('a wrong call on a control channel of the ampc dialect', () => {
  const scene = new Scene('memory', 1)
  let live: Live
  let far: ControlChannel

  beforeAll(async () => {
    await scene.start({ on: 'memory', ids: ['alice', 'bob'], onConnectionLost: 'reconnect' })
    const { network } = scene.of('alice')
    const [channel, other] = (await scene.run(
      Promise.all([network.openControlChannel(), scene.of('bob').network.openControlChannel()]),
    )) as [ControlChannel, ControlChannel]
    far = other
    live = { network, channel, peer: 'bob', session: none }
  })
  afterAll(() => scene.stop())

  it.each(channelRows)('%s', async (...row) => {
    await refuses(live, row)
    const value: NetworkValue = number(7)
    await scene.run(live.channel.send('bob', value))
    expect(await scene.run(far.receive('alice'))).toEqual(value)
  })
})
