/**
 * Owns: that the other public classes and the test tools refuse wrong arguments by an error that names them.
 * Independent of: calls that return a promise (promises.test.ts).
 */
import { describe, it } from 'vitest'
import {
  Identity,
  MemoryTransport,
  PeerConnectionBuilder,
  SharedPort,
  TcpNetworkHandle,
  TlsTransport,
} from '../../actors/index.ts'
import { formatValue } from '../../codec/format-value.ts'
import { seededRandom, VirtualClock } from '../../testing/index.ts'
import { ampc, other, own, refuses } from './rows.ts'
import type { Row } from './rows.ts'

describe('classes and test tools', () => {
  it.each<Row>([
    [
      'a builder without a configuration',
      () => new PeerConnectionBuilder(null as never),
      'ERR_INVALID_OPTION',
      'the configuration must be an object, got null',
    ],
    [
      'a builder with peers',
      () => new PeerConnectionBuilder(ampc as never),
      'ERR_INVALID_OPTION',
      'peers is not an option of the builder',
      'includePeer',
    ],
    [
      'a builder with a misspelled runtime option',
      () => new PeerConnectionBuilder({ identity: 'a' } as never, { inspct: 1 } as never),
      'ERR_INVALID_OPTION',
      'inspct',
      'did you mean inspect?',
    ],
    [
      'a network handle made from null',
      () => new TcpNetworkHandle(null as never),
      'ERR_INVALID_OPTION',
      'the result of build, got null',
    ],
    [
      'a network handle made from an unrelated object',
      () => new TcpNetworkHandle({ connections: {} } as never),
      'ERR_INVALID_OPTION',
      'the result of build, got an object',
    ],
    [
      'a shared port with an option name close to a known one',
      () => new SharedPort({ limit: {} } as never),
      'ERR_INVALID_OPTION',
      'limit is not an option of a SharedPort (did you mean limits?)',
    ],
    [
      'a shared port with a wrong limit',
      () => new SharedPort({ limits: { dialsMax: 0 } }),
      'ERR_INVALID_OPTION',
      'limits.dialsMax',
      'got 0',
    ],
    [
      'a shared port with a wrong clock',
      () => new SharedPort({ clock: {} as never }),
      'ERR_INVALID_OPTION',
      'clock.nowMs must be a function',
    ],
    [
      'a TLS transport without options',
      () => new TlsTransport(undefined as never),
      'ERR_INVALID_OPTION',
      'the options of a TLS transport must be an object, got undefined',
    ],
    ['a TLS transport without a key', () => new TlsTransport({}), 'ERR_INVALID_OPTION', 'needs an identity'],
    [
      'a TLS transport with a string as its identity',
      () => new TlsTransport({ identity: 'bob' as never }),
      'ERR_INVALID_OPTION',
      'identity must be an Identity, got "bob"',
    ],
    [
      'a TLS transport with a list as authorize',
      () => new TlsTransport({ identity: own, authorize: [other.id] as never }),
      'ERR_INVALID_OPTION',
      'authorize must be a function, got a list of 1',
    ],
    [
      'a TLS transport with a misspelled option',
      () => new TlsTransport({ identity: own, authorise: () => true } as never),
      'ERR_INVALID_OPTION',
      'did you mean authorize?',
    ],
    ...[undefined, null, 7, Buffer.from('x'), 'x', ''].map((pem): Row => [
      `a key that is ${formatValue(pem)}`,
      () => Identity.fromPem(pem as never),
      'ERR_KEY_FORMAT',
      'the key',
    ]),
    [
      'a key that is encrypted',
      () => Identity.fromPem('-----BEGIN ENCRYPTED PRIVATE KEY-----\nx'),
      'ERR_KEY_FORMAT',
      'encrypted',
    ],
    ['a key that is damaged', () => Identity.fromPem(own.toPem().replace('MC4', 'AAA')), 'ERR_KEY_FORMAT', 'damaged'],
    [
      'a memory transport without a clock',
      () => new MemoryTransport(undefined as never),
      'ERR_INVALID_OPTION',
      'the clock of a MemoryTransport must be an object, got undefined',
    ],
    ...[undefined, null, '1', 1.5, Number.NaN].map((seed): Row => [
      `a seed that is ${formatValue(seed)}`,
      () => seededRandom(seed as never),
      'ERR_INVALID_OPTION',
      `seed must be a whole number, got ${formatValue(seed)}`,
    ]),
    ...[undefined, Number.NaN, '5'].map((delay): Row => [
      `a timer with a delay of ${formatValue(delay)}`,
      () => new VirtualClock().setTimeout(() => {}, delay as never),
      'ERR_INVALID_OPTION',
      `delayMs of setTimeout must be a number, got ${formatValue(delay)}`,
    ]),
    [
      'a timer without a callback',
      () => new VirtualClock().setTimeout(undefined as never, 5),
      'ERR_INVALID_OPTION',
      'callback of setTimeout',
    ],
    [
      'a tick whose callback is a number',
      () => new VirtualClock().nextTick(7 as never),
      'ERR_INVALID_OPTION',
      'callback of nextTick',
      'got 7',
    ],
    [
      'an immediate whose callback is null',
      () => new VirtualClock().setImmediate(null as never),
      'ERR_INVALID_OPTION',
      'callback of setImmediate',
      'got null',
    ],
  ])('refuses %s', refuses)
})
