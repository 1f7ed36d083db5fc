/**
 * Owns: that wrong options of admission are refused by an error that names them.
 * Independent of: who is let in (test/security/network-admission.test.ts).
 */
import { describe, it } from 'vitest'
import { formatValue } from '../../codec/format-value.ts'
import { native, network, refuses } from './rows.ts'
import type { Row } from './rows.ts'

describe('options of admission', () => {
  it.each<Row>([
    ...[null, '10.0.0.0/8', {}].map((list): Row => [
      `${formatValue(list)} as allowAddresses`,
      network({ ...native, allowAddresses: list }),
      'ERR_INVALID_OPTION',
      `allowAddresses must be a list, got ${formatValue(list)}`,
    ]),
    ...[null, 7, '', 'localhost', '10.0.0.0/33', '::1/129', '1.2.3.4/', '1.2.3.4/8/8', '1.2.3', '1.2.3.4/-1'].map(
      (entry): Row => [
        `${formatValue(entry)} as an entry of allowAddresses`,
        network({ ...native, allowAddresses: ['::1', entry] }),
        'ERR_INVALID_OPTION',
        'allowAddresses[1] must be',
        `got ${formatValue(entry)}`,
      ],
    ),
    ...[null, true, 'yes', {}].map((admit): Row => [
      `${formatValue(admit)} as admit`,
      network({ ...native, admit }),
      'ERR_INVALID_OPTION',
      `admit must be a function, got ${formatValue(admit)}`,
    ]),
  ])('refuses %s', refuses)
})
