/**
 * Owns: that a wrong entry of `peers`, or a wrong listen address, is refused by an error that names it.
 * Independent of: calls on a running network (live-*.test.ts).
 */
import { describe, expect, it } from 'vitest'
import { formatValue } from '../../codec/format-value.ts'
import { expectError } from '../codec/harness.ts'
import {
  ampc,
  inFirst,
  inLimits,
  inTls,
  misplaced,
  native,
  network,
  other,
  own,
  peerWith,
  refuses,
  third,
} from './rows.ts'
import type { Row } from './rows.ts'

describe('a peer in the list', () => {
  it.each<Row>([
    ...[null, 'alice', 7, []].map((peer): Row => [
      `that is ${formatValue(peer)}`,
      network({ ...native, peers: [native.peers[1], peer] }),
      'ERR_INVALID_OPTION',
      `peers[1] must be an object with an id, got ${formatValue(peer)}`,
    ]),
    [
      'with an option name close to a known one',
      network(peerWith({ uri: 'tls://127.0.0.1:1' })),
      'ERR_INVALID_OPTION',
      'peers[1].uri is not an option of a peer (did you mean urls?); there are: id, urls, connect',
    ],
    [
      'with an unknown option name',
      network(peerWith({ weight: 1 })),
      'ERR_INVALID_OPTION',
      'peers[1].weight is not an option of a peer; there are: id, urls, connect',
    ],
    ...misplaced(
      [
        ['listen', inFirst],
        ['limits', inFirst],
        ['resumeTimeoutMs', inLimits],
        ['roots', inTls],
      ],
      (name) => network(peerWith({ [name]: 1 })),
      'peers[1].',
    ),
    ...[undefined, null, 7, ''].map((id): Row => [
      `whose id is ${formatValue(id)}`,
      network(peerWith({ id })),
      'ERR_INVALID_PEER_ID',
      'peers[1].id must',
      typeof id === 'string' ? 'has 0' : `got ${formatValue(id)}`,
    ]),
    [
      'whose id is too short',
      network(peerWith({ id: other.id.slice(1) })),
      'ERR_INVALID_PEER_ID',
      'peers[1].id',
      'has 51',
      formatValue(other.id.slice(1)),
    ],
    [
      'whose id is in upper case',
      network(peerWith({ id: other.id.toUpperCase() })),
      'ERR_INVALID_PEER_ID',
      'peers[1].id',
      'lower case',
      formatValue(other.id.toUpperCase()),
    ],
    [
      'whose id holds a line end',
      network(peerWith({ id: `${other.id.slice(0, 51)}\n` })),
      'ERR_INVALID_PEER_ID',
      'peers[1].id',
      'character 51',
      String.raw`\n"`,
    ],
    [
      'whose id is a key in PEM',
      network(peerWith({ id: own.toPem() })),
      'ERR_INVALID_PEER_ID',
      'peers[1].id',
      'a text in PEM',
    ],
    [
      'that is this side itself',
      network(peerWith({ id: own.id })),
      'ERR_INVALID_OPTION',
      "peers[1].id is this side's own identity",
      own.id,
    ],
    [
      'that is in the list twice',
      network(peerWith({ id: third.id })),
      'ERR_INVALID_OPTION',
      `peers[1].id is "${third.id}", which is in the list already`,
    ],
    [
      'that has to dial a network without listen',
      network({ identity: own, peers: [{ id: other.id }] }),
      'ERR_INVALID_OPTION',
      'peers[0]',
      'so it must dial this side: set listen',
    ],
    ...(
      [
        [null, 'must be a string'],
        [7, 'must be a string'],
        [{}, 'must be a string'],
        ['', 'is not a URL'],
        ['nowhere', 'is not a URL'],
        ['127.0.0.1:80', 'peers[1].urls'],
        ['tcp://127.0.0.1:80', 'must begin with tls://'],
        ['https://127.0.0.1:80', 'must begin with tls://'],
        ['tls://127.0.0.1', 'has no port'],
        ['tls://127.0.0.1:0', 'has port 0'],
        ['tls://127.0.0.1:65536', 'is not a URL'],
        ['tls://127.0.0.1:-1', 'is not a URL'],
        ['tls://127.0.0.1:8x', 'is not a URL'],
        ['tls://127.0.0.1:1/a', 'only a host and a port'],
        ['tls://127.0.0.1:1?a', 'only a host and a port'],
        ['tls://127.0.0.1:1#a', 'only a host and a port'],
        ['tls://127.0.0.1:1\n', 'blanks'],
        [' tls://127.0.0.1:1', 'blanks'],
        ['tls://a\tb:1', 'blanks'],
        ['tls://a%20b:1', 'escapes'],
        ['tls://[::1:1', 'is not a URL'],
        [`tls://${'a'.repeat(400)}:1`, 'more than 300'],
      ] as [unknown, string][]
    ).map(([url, said]): Row => [
      `whose url is ${formatValue(url)}`,
      network(peerWith({ urls: url })),
      'ERR_INVALID_URL',
      'peers[1].urls',
      said,
      formatValue(url),
      'for example tls://127.0.0.1:15600',
    ]),
    [
      'whose url is for TLS where plain TCP is configured',
      network({ ...ampc, peers: [{ id: 'alice', urls: 'tls://127.0.0.1:1' }] }),
      'ERR_INVALID_URL',
      'peers[0].urls must begin with tcp://',
      'for example tcp://127.0.0.1:15600',
    ],
    [
      'whose url holds a password, without repeating it',
      network(peerWith({ urls: 'tls://u:p@127.0.0.1:1' })),
      'ERR_INVALID_URL',
      'peers[1].urls',
      'only a host and a port',
      '"tls://…@127.0.0.1:1"',
    ],
  ])('refuses a peer %s', refuses)

  it.each([null, 7, 'nowhere', 'tls://127.0.0.1', 'tcp://127.0.0.1:0'])(
    'refuses %j as the listen address',
    (listen) => {
      expect(expectError('ERR_INVALID_URL', network({ ...native, listen })).message).toMatch(
        /^listen .*; for example tls:\/\/127\.0\.0\.1:15600$/,
      )
    },
  )
})
