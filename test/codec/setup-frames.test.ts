/**
 * Owns: the contract of the frames that set up sessions: the rules that one frame alone can break, on reading and on
 * writing. Their bytes and splits are in native-frames.test.ts.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nativeDescriptors, setupLane } from '../../codec/native-frames.ts'
import { decodeSetupFrame, encodeSetupFrame } from '../../codec/setup-frames.ts'
import type { SetupFrame } from '../../codec/setup-frames.ts'
import { expectError, expectProtocolError } from './harness.ts'
import { frame, readOne } from './frame-examples.ts'

const { Want, Make, Made, Refuse } = nativeDescriptors
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const window = fc.integer({ min: 1, max: 2 ** 31 - 1 })
const shortName = fc.string({ unit: 'binary', maxLength: 60 })

const anySetupFrame: fc.Arbitrary<SetupFrame> = fc.oneof(
  fc.record({
    type: fc.constant('Want' as const),
    k: u32,
    callId: u64,
    count: fc.integer({ min: 1, max: 65_535 }),
    name: shortName,
  }),
  fc.record({ type: fc.constant('Make' as const), k: u32, callId: u64, firstId: u32, windowBytes: window }),
  fc.record({ type: fc.constant('Made' as const), k: u32, windowBytes: window }),
  fc.record({
    type: fc.constant('Refuse' as const),
    k: u32,
    reason: fc.constantFrom('withdrawn' as const, 'counts-differ' as const, 'limit' as const),
    ownCount: fc.integer({ min: 0, max: 65_535 }),
  }),
  fc.record({ type: fc.constant('Agree' as const), k: u32, set: u64 }),
)

test('every set-up frame that can be written is read as it was', () => {
  fc.assert(
    fc.property(anySetupFrame, (setup) => {
      expect(readOne(encodeSetupFrame(setup))).toEqual(setup)
    }),
  )
})

const want = (count: string, name: string): string =>
  `01000000 0200000000000000 ${count} ${(name.length / 2).toString(16).padStart(2, '0')} ${name}`
const make = (windowHex: string): string => `01000000 0200000000000000 04000000 ${windowHex}`

const read = (descriptor: number, body: string): unknown => readOne(frame(setupLane, descriptor, body))
const refusedField = (body: () => unknown): unknown => expectProtocolError('ERR_SETUP_FIELD', body)
const refusedZero = (body: () => unknown): unknown => expectProtocolError('ERR_CREDIT_ZERO', body)
const refusedWindow = (body: () => unknown): unknown => expectProtocolError('ERR_CREDIT_OVERFLOW', body)
const accepted = (body: () => unknown): void => expect(body).not.toThrow()

test.each<[rule: string, descriptor: number, body: string, outcome: (body: () => unknown) => unknown]>([
  ['a Want for 0 sessions', Want, want('0000', ''), refusedField],
  ['a Want for 1 session', Want, want('0100', ''), accepted],
  ['a Want whose name is a byte that UTF-8 does not have', Want, want('0100', 'ff'), refusedField],
  ['a Want whose name ends within a character', Want, want('0100', '61c3'), refusedField],
  ['a Want whose name is a surrogate', Want, want('0100', 'eda080'), refusedField],
  ['a Want whose name begins with a byte order mark', Want, want('0100', 'efbbbf61'), accepted],
  ['a Make with a window of 0', Make, make('00000000'), refusedZero],
  ['a Make with a window of 1', Make, make('01000000'), accepted],
  ['a Make with a window of 2^31 - 1', Make, make('ffffff7f'), accepted],
  ['a Make with a window of 2^31', Make, make('00000080'), refusedWindow],
  ['a Made with a window of 0', Made, '01000000 00000000', refusedZero],
  ['a Made with a window of 1', Made, '01000000 01000000', accepted],
  ['a Made with a window of 2^31 - 1', Made, '01000000 ffffff7f', accepted],
  ['a Made with a window of 2^31', Made, '01000000 00000080', refusedWindow],
])('%s is read or refused by its rule', (_, descriptor, body, outcome) => {
  outcome(() => read(descriptor, body))
})

test('the name of a Want keeps a byte order mark, because names are compared as bytes', () => {
  expect(readOne(frame(setupLane, Want, want('0100', 'efbbbf61')))).toMatchObject({ name: '\ufeffa' })
})

test.each([
  [0, 'withdrawn'],
  [1, 'withdrawn'],
  [2, 'counts-differ'],
  [3, 'limit'],
  [4, 'withdrawn'],
  [255, 'withdrawn'],
])('reason %i of a Refuse is read as %s', (reason, name) => {
  expect(readOne(frame(setupLane, Refuse, `01000000 ${reason.toString(16).padStart(2, '0')} 0000`))).toMatchObject({
    reason: name,
  })
})

test('writing a set-up frame refuses what the other side would refuse', () => {
  const wants = { type: 'Want', k: 1, callId: 1n, count: 1, name: '' } as const
  for (const count of [0, 65_536, 1.5, Number.NaN])
    expectError('ERR_INVALID_VALUE', () => encodeSetupFrame({ ...wants, count }))
  expectError('ERR_INVALID_VALUE', () => encodeSetupFrame({ ...wants, name: 'é'.repeat(128) }))
  for (const windowBytes of [0, -1, 2 ** 31, 1.5]) {
    expectError('ERR_INVALID_VALUE', () => encodeSetupFrame({ type: 'Made', k: 1, windowBytes }))
    expectError('ERR_INVALID_VALUE', () =>
      encodeSetupFrame({ type: 'Make', k: 1, callId: 1n, firstId: 0, windowBytes }),
    )
  }
})

test('reading a descriptor of another lane as a set-up frame is an internal error', () => {
  expectError('ERR_INTERNAL', () => decodeSetupFrame(nativeDescriptors.Cancel, Buffer.alloc(20), 0, 20))
})
