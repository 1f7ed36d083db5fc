/**
 * Owns: that the chaos runs detect a lost, duplicated, misplaced or corrupted value, and a false acknowledgement.
 * Independent of: networks.
 */
import { mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { countedValue, LaneCount, numberIn } from '../bars/chaos/counted-values.ts'
import { appendEntry, entryKinds, judgeEntries, readEntries } from '../bars/chaos/delivery-record.ts'
import type { Entry, FlowName } from '../bars/chaos/delivery-record.ts'

const count = (numbers: readonly number[]): LaneCount => {
  const lane = new LaneCount()
  for (const number of numbers) lane.take(countedValue(number))
  return lane
}

describe('the value counter of a lane', () => {
  it.each<[string, number[], number, { lost?: number; duplicated?: number; reordered?: number }]>([
    ['values in order', [0, 1, 2, 3], 4, {}],
    ['that the last value is missing', [0, 1, 2], 4, { lost: 1 }],
    ['that two values are missing in the middle', [0, 3, 4], 5, { lost: 2 }],
    ['a duplicated value', [0, 1, 1, 2], 3, { duplicated: 1 }],
    ['a replay that starts too early', [0, 1, 2, 1, 2, 3], 4, { duplicated: 2 }],
    ['a value that arrives late', [0, 2, 1, 3], 4, { reordered: 1 }],
    ['that every value is missing', [], 2, { lost: 2 }],
  ])('the value counter of a lane detects %s', (_name, numbers, sent, faults) => {
    expect(count(numbers).faultsOf(sent)).toEqual({ lost: 0, duplicated: 0, reordered: 0, corrupted: 0, ...faults })
  })

  it('the value counter of a lane detects a value that does not match its number', () => {
    const lane = count([0])
    const bytes = Buffer.from((countedValue(15) as { value: Uint8Array }).value)
    bytes[5] = (bytes[5] as number) ^ 1
    lane.take({ type: 'Bytes', value: bytes })
    expect(lane.faultsOf(1)).toMatchObject({ corrupted: 1, lost: 0 })
  })

  it('the value counter of a lane maps a number to the same value every time', () => {
    for (let number = 0; number < 40; number++) expect(numberIn(countedValue(number))).toBe(number)
  })
})

const flow: FlowName = { sender: 0, receiver: 1, boot: 1, generation: 0, lane: 0 }
const entry = (
  kind: keyof typeof entryKinds,
  numbers: readonly number[] = [],
  name: Partial<FlowName> = {},
): Entry => ({
  ...flow,
  ...name,
  kind: entryKinds[kind],
  numbers: [numbers[0] ?? 0, numbers[1] ?? 0, numbers[2] ?? 0, numbers[3] ?? 0],
})
const delivered = (...numbers: number[]): Entry[] => numbers.map((number) => entry('delivered', [number]))
/** Its session is not the last of the conversation, so it must have ended. */
const judge = (entries: readonly Entry[]): ReturnType<typeof judgeEntries> =>
  judgeEntries([entry('opened'), ...entries, entry('opened', [], { generation: 1 })], [9, 9])

describe('the delivery log', () => {
  it.each<[string, Entry[], Partial<ReturnType<typeof judgeEntries>>]>([
    [
      'is correct if every acknowledged value was delivered',
      [...delivered(1, 2, 3), entry('reset', [3, 2, 1, 6])],
      { ackedNotDelivered: 0, unknown: 2 },
    ],
    [
      'shows a value that was acknowledged but not delivered',
      [...delivered(1, 2), entry('reset', [5, 0, 0, 5])],
      { ackedNotDelivered: 2 },
    ],
    [
      'shows a flush that resolved too early',
      [...delivered(1), entry('flushed', [4]), entry('reset', [4, 0, 0, 4])],
      { ackedNotDelivered: 2 },
    ],
    [
      'shows a delivered value that is reported as not sent',
      [...delivered(1, 2, 3), entry('reset', [2, 0, 2, 4])],
      { deliveredNotSent: 2 },
    ],
    [
      'shows a value that was delivered twice',
      [...delivered(1, 2, 2), entry('reset', [3, 0, 0, 3])],
      { duplicated: 1 },
    ],
    ['shows a value that was skipped', [...delivered(1, 3), entry('reset', [4, 0, 0, 4])], { misplaced: 1 }],
    [
      'shows more unknown values than can have been in flight',
      [...delivered(1, 2, 3), entry('flushed', [4]), entry('reset', [2, 3, 0, 5])],
      { unknownBeyondInFlight: 2 },
    ],
    ['shows counts that do not add up', [...delivered(1), entry('reset', [2, 0, 0, 5])], { wrongSums: 1 }],
    [
      'shows a session that ended twice',
      [...delivered(1), entry('reset', [2, 0, 0, 2]), entry('otherEnd')],
      { endedTwice: 1 },
    ],
    ['shows a session that never ended', delivered(1), { neverEnded: 1 }],
  ])('the delivery log %s', (_name, entries, expected) => {
    const faults = {
      ackedNotDelivered: 0,
      deliveredNotSent: 0,
      duplicated: 0,
      misplaced: 0,
      unknownBeyondInFlight: 0,
      wrongSums: 0,
      endedTwice: 0,
      neverEnded: 0,
    }
    expect(judge(entries)).toMatchObject({ ...faults, ...expected })
  })

  it('the delivery log shows values missing between two sessions that live to the end', () => {
    expect(judgeEntries([entry('opened'), ...delivered(1, 2), entry('flushed', [5])], [1, 1])).toMatchObject({
      lostAtTheEnd: 2,
    })
  })

  it('the delivery log is read back as it was written', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'statewire-record-'))
    const file = path.join(folder, 'record')
    const written = [
      entry('opened'),
      ...delivered(1, 70_000),
      entry('reset', [1, 2, 3, 6], { lane: 3, boot: 500, generation: 9, sender: 4, receiver: 2 }),
    ]
    const handle = openSync(file, 'a')
    for (const one of written) appendEntry(handle, one.kind, one, one.numbers)
    expect(readEntries(file)).toEqual(written)
    rmSync(folder, { recursive: true })
  })
})
