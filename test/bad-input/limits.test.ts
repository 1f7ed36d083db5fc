/**
 * Owns: that a wrong limit is refused by an error that names it.
 * Independent of: what each limit bounds (test/actors/limits.test.ts).
 */
import { describe, it } from 'vitest'
import { defaultLimits } from '../../actors/index.ts'
import { formatValue } from '../../codec/format-value.ts'
import { inCalls, inFirst, inSecond, misplaced, native, network, refuses } from './rows.ts'
import type { Row } from './rows.ts'

describe('wrong limits', () => {
  const wrong = [null, '1', Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1, 0, 1.5, 1n, true, {}]
  it.each<Row>([
    ...[null, 7, 'x', true, []].map((limits): Row => [
      `that are ${formatValue(limits)}`,
      network({ ...native, limits }),
      'ERR_INVALID_OPTION',
      `limits must be an object, got ${formatValue(limits)}`,
    ]),
    [
      'with an option name close to a known one',
      network({ ...native, limits: { dialTimeout: 1 } }),
      'ERR_INVALID_OPTION',
      'limits.dialTimeout is not a limit (did you mean dialTimeoutMs?)',
    ],
    ...misplaced(
      [
        ['memoryBudgetBytes', inFirst],
        ['connectionParallelism', inFirst],
        ['timeoutMs', inCalls],
        ['inspect', inSecond],
      ],
      (name) => network({ ...native, limits: { [name]: 1 } }),
      'limits.',
    ),
    [
      'with a name that every object has',
      network({ ...native, limits: { toString: 1 } }),
      'ERR_INVALID_OPTION',
      'limits.toString is not a limit',
    ],
    ...wrong.map((value): Row => [
      `with a value that is ${formatValue(value)}`,
      network({ ...native, limits: { dialTimeoutMs: value } }),
      'ERR_INVALID_OPTION',
      'limits.dialTimeoutMs must be a whole number of at least 1',
      `got ${formatValue(value)}`,
    ]),
    [
      'that do not fit into a native hello',
      network({ ...native, limits: { maxMessageLengthBytes: 65_535 } }),
      'ERR_INVALID_OPTION',
      'limits.maxMessageLengthBytes must be at least 65536 in the native dialect, got 65535',
    ],
    [
      'that allow more links than a native hello can state',
      network({ ...native, limits: { connectionsPerPeerMax: 100_000 }, connectionParallelism: 65_536 }),
      'ERR_INVALID_OPTION',
      'connectionParallelism must be at most 65535 in the native dialect, got 65536',
    ],
    [
      'with a time longer than a timer can hold',
      network({ ...native, limits: { dialTimeoutMs: 2 ** 31 } }),
      'ERR_INVALID_OPTION',
      'limits.dialTimeoutMs must be at most',
      '2147483648',
    ],
  ])('refuses limits %s', refuses)

  it.each(Object.keys(defaultLimits))('names the limit %s when its value is wrong', (name) => {
    refuses(
      '',
      network({ ...native, limits: { [name]: Number.NaN } }),
      'ERR_INVALID_OPTION',
      `limits.${name} must be`,
      'got NaN',
    )
  })
})
