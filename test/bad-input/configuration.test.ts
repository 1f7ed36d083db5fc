/**
 * Owns: that a wrong configuration is refused by an error that names the option, what is wrong, and what was given.
 * Independent of: peers, limits and TLS options, which have files of their own.
 */
import { describe, it } from 'vitest'
import { defaultLimits } from '../../actors/index.ts'
import { formatValue } from '../../codec/format-value.ts'
import {
  ampc,
  inCalls,
  inEnvironment,
  inFirst,
  inLimits,
  inPeers,
  inSecond,
  inTls,
  misplaced,
  namesOfTls,
  native,
  network,
  own,
  refuses,
  tls,
  wrongTypes,
} from './rows.ts'
import type { Row } from './rows.ts'

describe('a configuration', () => {
  it.each<Row>([
    ...[undefined, ...wrongTypes].map((value): Row => [
      `that is ${formatValue(value)}`,
      network(value),
      'ERR_INVALID_OPTION',
      'the configuration must be an object',
      formatValue(value),
    ]),
    [
      'with an option name close to a known one',
      network({ ...native, lisen: 1 }),
      'ERR_INVALID_OPTION',
      'lisen is not an option (did you mean listen?); there are: identity, listen',
    ],
    [
      'with an option name in the wrong letter case',
      network({ ...native, Limits: {} }),
      'ERR_INVALID_OPTION',
      'Limits is not an option (did you mean limits?)',
    ],
    [
      'with an unknown option name',
      network({ ...native, surprise: 1 }),
      'ERR_INVALID_OPTION',
      'surprise is not an option; there are',
    ],
    [
      'with an unknown option name whose value is undefined',
      network({ ...native, timeout: undefined }),
      'ERR_INVALID_OPTION',
      'timeout is not an option',
    ],
    ...Object.keys(defaultLimits).map((name): Row => [
      `with the limit ${name} outside of limits`,
      network({ ...native, [name]: 1 }),
      'ERR_INVALID_OPTION',
      `${name} is a limit: set it as limits: { ${name}: `,
    ]),
    ...misplaced(
      [
        ['inspect', inSecond],
        ['environment', inSecond],
      ],
      (name) => network({ ...native, [name]: {} }),
    ),
    ...misplaced(
      [
        ['clock', inEnvironment],
        ['random', inEnvironment],
        ['transport', inEnvironment],
        ['log', inEnvironment],
      ],
      (name) => network({ ...native, [name]: {} }),
    ),
    ...misplaced(
      namesOfTls.map((name) => [name, inTls]),
      (name) => network({ ...native, [name]: 1 }),
    ),
    ...misplaced(
      [
        ['id', inPeers],
        ['urls', inPeers],
      ],
      (name) => network({ ...native, [name]: 'x' }),
    ),
    ...misplaced(
      [
        ['timeoutMs', inCalls],
        ['signal', inCalls],
        ['count', inCalls],
        ['agreePrfKeys', inCalls],
      ],
      (name) => network({ ...native, [name]: 1 }),
    ),
    ...misplaced(
      [
        ['limits', inFirst],
        ['peers', inFirst],
        ['dialTimeoutMs', inLimits],
        ['log', inEnvironment],
      ],
      (name) => network(native, { [name]: {} }),
    ),
    [
      'with an option name that holds terminal escapes',
      network({ ...native, 'a\u001b[2Jb': 1 }),
      'ERR_INVALID_OPTION',
      String.raw`"a\u001b[2Jb" is not an option`,
    ],
    [
      'with an option name of a megabyte',
      network({ ...native, ['x'.repeat(2 ** 20)]: 1 }),
      'ERR_INVALID_OPTION',
      '…" is not an option',
    ],
    [
      'with an option name that every object has',
      network({ ...native, constructor: 1 }),
      'ERR_INVALID_OPTION',
      'constructor is not an option',
    ],
    [
      'with __proto__ from JSON',
      network(JSON.parse('{"__proto__":1}')),
      'ERR_INVALID_OPTION',
      '__proto__ is not an option',
    ],
    ...[undefined, null, 7, [], {}].map((identity): Row => [
      `whose identity is ${formatValue(identity)}`,
      network({ ...native, identity }),
      'ERR_INVALID_PEER_ID',
      'identity must be an Identity (Identity.generate(), or await Identity.load(file))',
      `or, in the ampc dialect, a name, got ${formatValue(identity)}`,
    ]),
    [
      'whose identity is a key in PEM',
      network({ ...ampc, identity: own.toPem() }),
      'ERR_INVALID_PEER_ID',
      'identity must be a name, got a text in PEM',
    ],
    [
      'whose identity is a name in the native dialect',
      network({ ...native, identity: 'bob', dialect: 'native' }),
      'ERR_INVALID_OPTION',
      'identity must be an Identity in the native dialect (Identity.generate()',
      'got "bob"',
    ],
    [
      'whose identity is a string without dialect and security',
      network({ ...native, identity: 'key.pem' }),
      'ERR_INVALID_OPTION',
      'identity must be an Identity (Identity.generate(), or await Identity.load(file)), got "key.pem"',
      "security must be set to 'tls' or 'plaintext'",
    ],
    [
      'without security, whose dialect is ampc',
      network({ ...ampc, dialect: 'ampc', security: undefined }),
      'ERR_INVALID_OPTION',
      "security must be 'tls' or 'plaintext', got undefined",
    ],
    [
      'whose identity is a key in the ampc dialect',
      network({ ...ampc, identity: own, dialect: 'ampc' }),
      'ERR_INVALID_OPTION',
      'identity must be a name in the ampc dialect, got an Identity',
    ],
    ...[null, 'Native', 7, ''].map((dialect): Row => [
      `whose dialect is ${formatValue(dialect)}`,
      network({ ...native, dialect }),
      'ERR_INVALID_OPTION',
      `dialect must be 'native' or 'ampc', got ${formatValue(dialect)}`,
    ]),
    ...[null, 'none', true].map((security): Row => [
      `whose security is ${formatValue(security)}`,
      network({ ...native, security }),
      'ERR_INVALID_OPTION',
      `security must be 'tls' or 'plaintext', got ${formatValue(security)}`,
    ]),
    [
      'without security, whose identity is a name',
      network({ ...ampc, security: undefined }),
      'ERR_INVALID_OPTION',
      'security must be',
      'got undefined',
    ],
    ...[null, 'later', {}].map((mode): Row => [
      `whose onConnectionLost is ${formatValue(mode)}`,
      network({ ...native, onConnectionLost: mode }),
      'ERR_INVALID_OPTION',
      'onConnectionLost must be',
      `got ${formatValue(mode)}`,
    ]),
    [
      'whose onConnectionLost belongs to the other dialect',
      network({ ...native, onConnectionLost: 'fail' }),
      'ERR_DIALECT_UNSUPPORTED',
      'onConnectionLost "fail"',
      'native',
    ],
    ...[null, 0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 65, '2', 2n].map((value): Row => [
      `whose connectionParallelism is ${formatValue(value)}`,
      network({ ...native, connectionParallelism: value }),
      'ERR_INVALID_OPTION',
      'connectionParallelism must be a whole number from 1 to 64',
      `got ${formatValue(value)}`,
    ]),
    ...[undefined, null, 'alice', {}, 7].map((peers): Row => [
      `whose peers are ${formatValue(peers)}`,
      network({ ...native, peers }),
      'ERR_INVALID_OPTION',
      `peers must be a list, got ${formatValue(peers)}`,
    ]),
    [
      'with tls in the native dialect',
      network({ ...native, tls }),
      'ERR_INVALID_OPTION',
      'tls belongs to the ampc dialect',
    ],
  ])('refuses a configuration %s', refuses)
})
