/**
 * Owns: what the tests of wrong calls share: wrong options, peers and values, as rows, and the check of their error.
 * Independent of: the network that is called.
 */
import { removePeer } from '../support/remove-peer.ts'
import { expect } from 'vitest'
import { StatewireError } from '../../codec/errors.ts'
import type { ErrorCode } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import type { ControlChannel, Network, Session } from '../../index.ts'

export interface Live {
  network: Network
  session: Session
  peer: string
  channel: ControlChannel
}

export type Call = (live: Live) => unknown
export type Row = [name: string, call: Call, code: ErrorCode, ...said: string[]]

export const none = undefined as never
export const wrongTimes = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  -1,
  2 ** 31,
  '5',
  null,
  true,
  5n,
  {},
]
/** Options that every call with a deadline refuses. */
export const callRows = (name: string, call: (live: Live, options: never) => unknown): Row[] => [
  ...[null, 7, 'x', [], () => {}].map((options): Row => [
    `${name} with ${formatValue(options)} as options`,
    (live) => call(live, options as never),
    'ERR_INVALID_OPTION',
    `${name} takes an object of options, got ${formatValue(options)}`,
  ]),
  ...wrongTimes.map((timeoutMs): Row => [
    `${name} with ${formatValue(timeoutMs)} as timeoutMs`,
    (live) => call(live, { timeoutMs } as never),
    'ERR_INVALID_OPTION',
    `timeoutMs of ${name} must be a number`,
    `got ${formatValue(timeoutMs)}`,
  ]),
  ...[null, {}, true, new AbortController()].map((signal): Row => [
    `${name} with ${formatValue(signal)} as signal`,
    (live) => call(live, { signal } as never),
    'ERR_INVALID_OPTION',
    `signal of ${name} must be an AbortSignal, got ${formatValue(signal)}`,
  ]),
  [
    `${name} with an option name close to a known one`,
    (live) => call(live, { timeoutMS: 5 } as never),
    'ERR_INVALID_OPTION',
    `timeoutMS is not an option of ${name} (did you mean timeoutMs?)`,
  ],
]
export const unknownPeers = [undefined, null, 7, '', 'carol', {}, [], Symbol('s')]
export const peerRows = (name: string, call: (live: Live, peer: never) => unknown, where: string): Row[] =>
  unknownPeers.map((peer): Row => [
    `${name} with ${formatValue(peer)} as the peer`,
    (live) => call(live, peer as never),
    'ERR_UNKNOWN_PEER',
    `${formatValue(peer)} is not ${where}; there are:`,
  ])

const typeNames =
  'Bytes, MsgPack, NetworkVec, RingElementBit, RingElement16, RingElement32, RingElement48, RingElement64, VecRingBit, VecRing16, VecRing32, VecRing48, VecRing64, PrfKey, PrfCheck, StateChecksum'
const wrongValues: [unknown, string][] = [
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
  [{ type: 'NetworkVec', value: [{ type: 'MsgPack', value: 1 }] }, 'NetworkVec.value[0] must not be a MsgPack.'],
  [{ type: 'NetworkVec', value: [{ type: 'RingElement16', value: -1 }] }, 'RingElement16.value'],
  [{ type: 'NetworkVec', value: [{ type: 'NetworkVec', value: [] }] }, 'NetworkVec.value'],
]
export const valueRows = (name: string, call: (live: Live, value: never) => unknown): Row[] =>
  wrongValues.map(([value, said], index): Row => [
    `${name} with wrong value ${index}, at ${said.split(' ')[0]}`,
    (live) => call(live, value as never),
    'ERR_INVALID_VALUE',
    said,
  ])

/** The same for a connected peer and for one that was drained. */
export const drainRows: Row[] = [
  ...[null, 7, 'x', []].map((options): Row => [
    `remove with ${formatValue(options)} as options`,
    ({ network, peer }) => removePeer(network, peer, options as never),
    'ERR_INVALID_OPTION',
    `remove takes an object of options, got ${formatValue(options)}`,
  ]),
  ...wrongTimes.map((timeoutMs): Row => [
    `remove with ${formatValue(timeoutMs)} as timeoutMs`,
    ({ network, peer }) => removePeer(network, peer, { timeoutMs } as never),
    'ERR_INVALID_OPTION',
    'timeoutMs of remove must be a number',
    `got ${formatValue(timeoutMs)}`,
  ]),
  [
    'remove with a timeoutMs of 0',
    ({ network, peer }) => removePeer(network, peer, { timeoutMs: 0 }),
    'ERR_INVALID_OPTION',
    'timeoutMs must be a number above 0',
    'got 0',
  ],
  [
    'remove with a misspelled option',
    ({ network, peer }) => removePeer(network, peer, { timeoutMS: 5 } as never),
    'ERR_INVALID_OPTION',
    'timeoutMS is not an option of remove (did you mean timeoutMs?)',
  ],
  ...[null, 7, 'x'.repeat(257)].map((reason): Row => [
    `remove with ${formatValue(reason)} as reason`,
    ({ network, peer }) => removePeer(network, peer, { reason } as never),
    'ERR_INVALID_OPTION',
    'reason must be a string of at most 256 bytes',
    `got ${formatValue(reason)}`,
  ]),
]

/** The error that a call threw or that its promise rejected with. */
export async function errorOf(call: Call, live: Live): Promise<unknown> {
  try {
    await call(live)
  } catch (error) {
    return error
  }
  return undefined
}

export async function refuses(live: Live, [, call, code, ...said]: Row): Promise<void> {
  const error = await errorOf(call, live)
  expect(error).toBeInstanceOf(StatewireError)
  const { message } = error as StatewireError
  expect(message).toMatch(/^[ -~…]{1,2000}$/)
  for (const text of said) expect(message).toContain(text)
  expect((error as StatewireError).code).toBe(code)
}
