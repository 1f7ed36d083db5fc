/**
 * Owns: the append-only file in which a process records events before it may be killed (values sent, values
 * acknowledged, ends of sessions), and the check of all files together.
 * Independent of: networks and processes.
 */
import { readFileSync, writeSync } from 'node:fs'

/** One direction of one session, named by its sender. The value carries the name, so both ends record the same. */
export interface FlowName {
  readonly sender: number
  readonly receiver: number
  /** Of the sender: the number of its process and the number of its attempt with the receiver. */
  readonly boot: number
  readonly generation: number
  readonly lane: number
}

export const entryKinds = { delivered: 1, opened: 2, flushed: 3, reset: 4, otherEnd: 5 } as const
const entryLengthBytes = 28

export interface Entry extends FlowName {
  readonly kind: number
  /** delivered: the number. flushed: values acknowledged. reset: acked, unknown, notSent and how many were sent. */
  readonly numbers: readonly [number, number, number, number]
}

/** One system call, which a kill cannot split: written data is in the kernel. */
export function appendEntry(file: number, kind: number, flow: FlowName, numbers: readonly number[]): void {
  const bytes = Buffer.alloc(entryLengthBytes)
  bytes.set([kind, flow.sender, flow.receiver, flow.lane])
  bytes.writeUInt32LE(flow.boot, 4)
  bytes.writeUInt32LE(flow.generation, 8)
  for (const [index, number] of numbers.entries()) bytes.writeUInt32LE(number, 12 + 4 * index)
  writeSync(file, bytes)
}

export function readEntries(path: string): Entry[] {
  const bytes = readFileSync(path)
  const entries: Entry[] = []
  for (let at = 0; at + entryLengthBytes <= bytes.length; at += entryLengthBytes) {
    entries.push({
      kind: bytes[at] as number,
      sender: bytes[at + 1] as number,
      receiver: bytes[at + 2] as number,
      lane: bytes[at + 3] as number,
      boot: bytes.readUInt32LE(at + 4),
      generation: bytes.readUInt32LE(at + 8),
      numbers: [
        bytes.readUInt32LE(at + 12),
        bytes.readUInt32LE(at + 16),
        bytes.readUInt32LE(at + 20),
        bytes.readUInt32LE(at + 24),
      ],
    })
  }
  return entries
}

export interface Judgement {
  flows: number
  delivered: number
  acked: number
  resets: number
  otherEnds: number
  unknown: number
  unknownMost: number
  /** What must never happen. */
  ackedNotDelivered: number
  deliveredNotSent: number
  duplicated: number
  /** Skipped or out of order. */
  misplaced: number
  unknownBeyondInFlight: number
  wrongSums: number
  endedTwice: number
  neverEnded: number
  /** Of flows whose sender and receiver both live to the end. */
  lostAtTheEnd: number
}

interface Flow {
  readonly name: FlowName
  next: number
  flushed: number
  isOpened: boolean
  resets: Entry['numbers'][]
  otherEnds: number
}

/**
 * Value 0 of each flow only signals that its sender is ready. It is not recorded, because it may arrive before there is
 * a handler.
 * @param lastBoots by process: the last one, which was not killed. Its last flows must have been flushed.
 */
export function judgeEntries(entries: readonly Entry[], lastBoots: readonly number[]): Judgement {
  const result: Judgement = {
    flows: 0,
    delivered: 0,
    acked: 0,
    resets: 0,
    otherEnds: 0,
    unknown: 0,
    unknownMost: 0,
    ackedNotDelivered: 0,
    deliveredNotSent: 0,
    duplicated: 0,
    misplaced: 0,
    unknownBeyondInFlight: 0,
    wrongSums: 0,
    endedTwice: 0,
    neverEnded: 0,
    lostAtTheEnd: 0,
  }
  const flows = new Map<string, Flow>()
  const latest = new Map<string, number>()
  for (const entry of entries) {
    const key = [entry.sender, entry.boot, entry.generation, entry.receiver, entry.lane].join(' ')
    let flow = flows.get(key)
    if (flow === undefined)
      flows.set(key, (flow = { name: entry, next: 1, flushed: 0, isOpened: false, resets: [], otherEnds: 0 }))
    const [first] = entry.numbers
    if (entry.kind === entryKinds.delivered) {
      result.delivered++
      if (first === flow.next) flow.next++
      else if (first < flow.next) result.duplicated++
      else {
        result.misplaced++
        flow.next = first + 1
      }
    } else if (entry.kind === entryKinds.opened) {
      flow.isOpened = true
      const conversation = [entry.sender, entry.boot, entry.receiver].join(' ')
      latest.set(conversation, Math.max(latest.get(conversation) ?? 0, entry.generation))
    } else if (entry.kind === entryKinds.flushed) flow.flushed = Math.max(flow.flushed, first)
    else if (entry.kind === entryKinds.reset) flow.resets.push(entry.numbers)
    else flow.otherEnds++
  }
  for (const flow of flows.values()) judgeFlow(flow, result, latest, lastBoots)
  return result
}

function judgeFlow(
  { name, next, flushed, isOpened, resets, otherEnds }: Flow,
  result: Judgement,
  latest: ReadonlyMap<string, number>,
  lastBoots: readonly number[],
): void {
  result.flows++
  result.resets += resets.length
  result.otherEnds += otherEnds
  result.ackedNotDelivered += Math.max(0, flushed - next)
  result.acked += flushed
  const ends = resets.length + otherEnds
  const isLatest = latest.get([name.sender, name.boot, name.receiver].join(' ')) === name.generation
  if (ends > 1) result.endedTwice++
  if (isOpened && !isLatest && ends === 0) result.neverEnded++
  for (const [acked, unknown, notSent, sent] of resets) {
    result.acked += Math.max(0, acked - flushed)
    result.unknown += unknown
    result.unknownMost = Math.max(result.unknownMost, unknown)
    result.ackedNotDelivered += Math.max(0, acked - Math.max(flushed, next))
    result.deliveredNotSent += Math.max(0, next - Math.max(1, acked + unknown))
    result.unknownBeyondInFlight += Math.max(0, unknown - (sent - flushed))
    // The last call may have been made after the session was over.
    const sum = acked + unknown + notSent
    if (sum !== sent && sum !== sent - 1) result.wrongSums++
  }
  const isWhole = lastBoots[name.sender] === name.boot && isLatest && ends === 0
  // Its last flush came after its last value.
  if (isWhole && isOpened) result.lostAtTheEnd += Math.max(0, flushed - next)
}
