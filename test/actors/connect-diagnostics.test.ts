/**
 * Owns: what a makeSessions that timed out says about an unconnected peer: by table, and with networks that cannot
 * meet.
 * Independent of: how connections fail (security/, native/), and the rest of that sentence (ampc/sessions.test.ts).
 */
import { describe, expect, it } from 'vitest'
import { createNetwork, Identity } from '../../actors/index.ts'
import type { NetworkConfig, NetworkEvent, Network } from '../../actors/index.ts'
import type { ErrorCode } from '../../codec/errors.ts'
import { ConnectDiagnostics } from '../../actors/network/connect-diagnostics.ts'
import { resolveOptions } from '../../actors/config/options.ts'
import { PeerTable } from '../../actors/config/peer-table.ts'
import { rejectionOf } from '../support/native-scene.ts'

const [own, peer, stranger] = [1, 2, 3].map(() => Identity.generate()) as [Identity, Identity, Identity]
const listen = 'tls://127.0.0.1:0'
const waiting = { identity: own, listen, peers: [{ id: peer.id }] }
const dialing = { identity: own, listen, peers: [{ id: peer.id, urls: 'tls://127.0.0.1:1' }] }
const plain = { identity: own, security: 'plaintext', peers: [{ id: peer.id, urls: 'tcp://127.0.0.1:1' }] } as const
const ampc = {
  identity: 'bob',
  security: 'plaintext',
  listen: 'tcp://127.0.0.1:0',
  peers: [{ id: 'charlie' }],
} as const

const failed = (message: string, code: ErrorCode = 'ERR_TRANSPORT'): NetworkEvent => ({
  type: 'connection.failed',
  peer: peer.id,
  link: 'link:0',
  linkIndex: 0,
  connection: 'connection:0.1',
  cause: { code, message },
})
const rejected = (who: string | null, message: string, code: ErrorCode = 'ERR_HANDSHAKE_FAILED'): NetworkEvent => ({
  type: 'connection.rejected',
  remoteAddress: '127.0.0.1:2',
  peer: who,
  cause: { code, message },
})
const opened: NetworkEvent = {
  type: 'connection.opened',
  peer: peer.id,
  link: 'link:0',
  linkIndex: 0,
  connection: 'connection:0.2',
  resumed: false,
  downMs: null,
  replayedFrames: 0,
  remoteAddress: '127.0.0.1:2',
}
const hereIs = 'tls://127.0.0.1:7'
const waits = `it has no url here, so it must dial ${hereIs}`
const without = "this side dials without TLS (security: 'plaintext'), which a TLS listener does not accept"

function diagnosticsOf(config: NetworkConfig): ConnectDiagnostics {
  const options = resolveOptions(config)
  return new ConnectDiagnostics(options, new PeerTable(options.peers))
}

describe('the diagnostics of an unconnected peer', () => {
  it.each<[what: string, config: NetworkConfig, events: NetworkEvent[], said: string]>([
    ['nothing while the first dial is under way', dialing, [], ''],
    ['the outcome of the only dial', dialing, [failed('refused')], ' (1 attempt; the last: refused)'],
    [
      'the number of failed dials and the last error',
      dialing,
      [failed('refused'), failed('too late')],
      ' (2 attempts; the last: too late)',
    ],
    [
      'no failure from before it was connected',
      dialing,
      [failed('refused'), rejected(peer.id, 'no'), rejected(null, 'no'), opened],
      '',
    ],
    [
      'the outcome of the dial of another link once the first is open',
      dialing,
      [{ ...failed('refused'), linkIndex: 1 } as NetworkEvent, opened],
      ' (1 attempt; the last: refused)',
    ],
    [
      'the refusal of another link once the first is open',
      dialing,
      [
        { ...rejected(peer.id, 'no'), linkIndex: 1 } as NetworkEvent,
        { ...rejected(peer.id, 'not yet'), linkIndex: 0 } as NetworkEvent,
        opened,
      ],
      ' (1 of its connections was refused here, the last: no)',
    ],
    [
      'the missing dial and the option that it needs',
      waiting,
      [],
      ` (${waits}, but has not connected: one of the two sides needs the url of the other)`,
    ],
    ['an earlier connection of the peer', waiting, [opened], ` (${waits} again, but has not connected yet)`],
    [
      'no count of connections, on which native peers agree',
      { ...waiting, connectionParallelism: 2 },
      [opened],
      ` (${waits} again, but has not connected yet)`,
    ],
    [
      'the reason of its refusal',
      waiting,
      [rejected(peer.id, 'admit() refused it')],
      ` (${waits}; 1 of its connections was refused here, the last: admit() refused it)`,
    ],
    [
      'the reason of its refusal before that of possible others',
      waiting,
      [rejected(peer.id, 'no'), rejected(peer.id, 'not again'), rejected(null, 'noise')],
      ` (${waits}; 2 of its connections were refused here, the last: not again)`,
    ],
    [
      'a refusal that may have been its own',
      waiting,
      [rejected(null, 'it does not speak TLS')],
      ` (${waits}; 1 connection from an unknown peer, possibly this one, was refused here, the last: it does not speak TLS)`,
    ],
    [
      'a refusal that may have been its own under another key',
      waiting,
      [rejected(null, 'noise'), rejected(stranger.id, 'not allowed here')],
      ` (${waits}; 2 connections from unknown peers, possibly this one, were refused here, the last: not allowed here)`,
    ],
    [
      'a connection that it opened while nothing waited for it',
      waiting,
      [rejected(peer.id, 'not asked for now', 'ERR_NOT_REQUESTED')],
      ` (${waits}; 1 of its connections was refused here, the last: not asked for now)`,
    ],
    [
      'both sides where both dial',
      dialing,
      [failed('refused'), rejected(peer.id, 'no')],
      ' (1 attempt; the last: refused; 1 of its connections was refused here, the last: no)',
    ],
    [
      'a listener with TLS that accepts no dial without it',
      plain,
      [failed('closed', 'ERR_HANDSHAKE_REFUSED')],
      ` (1 attempt; the last: closed; ${without})`,
    ],
    ['no TLS where nothing listens', plain, [failed('refused')], ' (1 attempt; the last: refused)'],
    [
      'no missing TLS where this side dials with TLS',
      dialing,
      [failed('closed', 'ERR_HANDSHAKE_REFUSED')],
      ' (1 attempt; the last: closed)',
    ],
  ])('the diagnostics of an unconnected peer name %s', (_, config, events, said) => {
    const diagnostics = diagnosticsOf(config)
    for (const event of events) diagnostics.record(event)
    expect(diagnostics.sentenceFor(peer.id, hereIs)).toBe(said)
  })

  it('the diagnostics name the dialling side in the ampc dialect, where a url here would change nothing', () => {
    expect(diagnosticsOf(ampc).sentenceFor('charlie', 'tcp://127.0.0.1:7')).toBe(
      ' (it has the greater identity, so it must dial tcp://127.0.0.1:7, but has not connected: it needs that url)',
    )
  })

  it.each([
    [1, ''],
    [2, ': its connectionParallelism may be lower than 2, which is set here'],
  ])(
    'the diagnostics of an ampc peer that was connected before, with a connectionParallelism of %i, add %j',
    (connectionParallelism, said) => {
      const diagnostics = diagnosticsOf({ ...ampc, connectionParallelism })
      diagnostics.record({ ...opened, peer: 'charlie' } as NetworkEvent)
      expect(diagnostics.sentenceFor('charlie', 'tcp://127.0.0.1:7')).toBe(
        ` (it has the greater identity, so it must dial tcp://127.0.0.1:7 again, but has not connected yet${said})`,
      )
    },
  )

  it('the diagnostics cover only the links that are asked about', () => {
    const diagnostics = diagnosticsOf(dialing)
    for (const [linkIndex, message] of ['first', 'second', 'third'].entries())
      diagnostics.record({ ...failed(message), linkIndex } as NetworkEvent)
    expect(diagnostics.sentenceFor(peer.id, hereIs, new Set([0, 1]))).toBe(' (2 attempts; the last: second)')
  })

  it('the diagnostics name the configured url while nothing is bound', () => {
    expect(diagnosticsOf(waiting).sentenceFor(peer.id, null)).toContain(`it must dial ${listen},`)
  })
})

describe('two sides that cannot meet', () => {
  type Side = Omit<NetworkConfig, 'identity' | 'peers'>
  const [tls, plaintext]: Side[] = [{ listen }, { listen: 'tcp://127.0.0.1:0', security: 'plaintext' }] as never
  const atPort = (network: Network, scheme: string): string => `${scheme}:${network.url?.split(':').slice(1).join(':')}`

  it.each<
    [
      what: string,
      listens: Side,
      dials: Side,
      scheme: string | null,
      saysListener: RegExp,
      saysDialer: RegExp,
      code?: string,
    ]
  >([
    [
      'one dials without TLS',
      tls,
      { security: 'plaintext' } as never,
      'tcp',
      /refused here, the last: .*it does not speak TLS; check the protocol and the port \(ERR_SSL_WRONG_VERSION_NUMBER\)\)$/,
      /this side dials without TLS/,
    ],
    [
      'one dials with TLS a side that has none',
      plaintext,
      {},
      'tls',
      /refused here, the last: .*the other side uses TLS, and this side does not/,
      /no connection with .*it may not use TLS/,
    ],
    [
      'both listen, and neither dials',
      tls,
      { listen },
      null,
      /it must dial tls:\/\/127\.0\.0\.1:[1-9]\d*, but has not connected: one of the two sides needs the url/,
      /it must dial tls:\/\/127\.0\.0\.1:[1-9]\d*, but has not connected/,
    ],
  ])(
    'both sides get an error that names the cause when %s',
    async (_, listens, dials, scheme, saysListener, saysDialer, code = 'ERR_TIMED_OUT') => {
      const near = createNetwork({ identity: own, peers: [{ id: peer.id }], ...listens } as NetworkConfig)
      await near.ready()
      const far = createNetwork({
        identity: peer,
        peers: [{ id: own.id, ...(scheme === null ? {} : { urls: atPort(near, scheme) }) }],
        ...dials,
      } as NetworkConfig)
      const [listener, dialer] = await Promise.all(
        [near, far].map((network) => rejectionOf(network.makeSessions({ count: 1, timeoutMs: 400 }))),
      )
      await Promise.all([near.shutdown(), far.shutdown()])
      expect(listener).toMatchObject({ code: 'ERR_TIMED_OUT', message: expect.stringMatching(saysListener) })
      expect(dialer).toMatchObject({ code, message: expect.stringMatching(saysDialer) })
    },
  )
})
