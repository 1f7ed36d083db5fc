/**
 * Owns: S9: every declared limit has a case, and every case its expected outcome.
 * Independent of: any limit (limits/).
 */
import { defaultLimits } from '../../../actors/index.ts'
import * as clientHello from '../../../codec/client-hello.ts'
import * as hello from '../../../codec/hello.ts'
import * as legible from '../../../codec/sanitize.ts'
import * as codecLimits from '../../../codec/limits.ts'
import * as messageFrames from '../../../codec/message-frames.ts'
import { keptEncoderLengthBytesMax } from '../../../codec/msgpack-encode.ts'
import * as msgpackLimits from '../../../codec/msgpack-limits.ts'
import { seconds34Max } from '../../../codec/msgpack-measure.ts'
import { dateMsMax, nanosecondsMax } from '../../../codec/msgpack-scan.ts'
import * as nativeFrames from '../../../codec/native-frames.ts'
import { heldPerLongFrameByteMax } from '../../../codec/spare-memory.ts'
import { loopLengthMax } from '../../../codec/utf8.ts'
import * as admission from '../../../protocol/admission.ts'
import * as lane from '../../../protocol/lane.ts'
import * as credit from '../../../protocol/native/lanes/credit.ts'
import * as goodbye from '../../../protocol/native/epoch/goodbye.ts'
import * as memoryBudget from '../../../protocol/native/memory/memory-budget.ts'
import * as replayWindow from '../../../protocol/native/epoch/retransmit-buffer.ts'
import * as setupPeer from '../../../protocol/native/setup/setup-peer.ts'
import * as askedRequests from '../../../protocol/native/messages/asked-requests.ts'
import * as peerStreamIds from '../../../protocol/native/streams/stream-ids.ts'
import type { Bar, BarContext } from '../bar.ts'
import { outcomeOf } from './limits/case.ts'
import { countCases } from './limits/counts.ts'
import { helloCases } from './limits/hello.ts'
import { nativeFrameCases } from './limits/native-frames.ts'
import { msgpackCases } from './limits/msgpack.ts'
import { optionCases } from './limits/options.ts'
import { timeCases } from './limits/times.ts'
import { wireCases } from './limits/wire.ts'

const tables: readonly Readonly<Record<string, unknown>>[] = [
  codecLimits,
  legible,
  clientHello,
  hello,
  messageFrames,
  msgpackLimits,
  nativeFrames,
  admission,
  lane,
  credit,
  goodbye,
  memoryBudget,
  replayWindow,
  setupPeer,
  peerStreamIds,
  askedRequests,
  { dateMsMax, keptEncoderLengthBytesMax, heldPerLongFrameByteMax, loopLengthMax, nanosecondsMax, seconds34Max },
]

/** Exported numbers that describe an offset or a length and limit nothing. */
const notLimits = new Set([
  'helloLengthBytes',
  'publicKeyLengthBytes',
  'controlLane',
  'messagesLane',
  'requestsLane',
  'responsesLane',
  'setupLane',
  'applicationResetCodesBegin',
  'firstStreamLane',
  'sessionLanesEnd',
  'protocolVersion',
])

/** Options, and every number that a table of the codec or the protocol exports. */
export function declaredLimits(): string[] {
  const exported = tables.flatMap((table) =>
    Object.entries(table).flatMap(([name, value]) =>
      typeof value === 'number' && !notLimits.has(name) && !name.startsWith('bodyKind') ? [name] : [],
    ),
  )
  return [...new Set([...Object.keys(defaultLimits), ...exported])]
}

export interface LimitCounts {
  readonly declared: number
  readonly covered: number
  readonly cases: number
  readonly wrong: number
  readonly notes: readonly string[]
}

export async function tryLimits(): Promise<LimitCounts> {
  const cases = [
    ...optionCases(),
    ...countCases(),
    ...timeCases(),
    ...msgpackCases(),
    ...wireCases(),
    ...nativeFrameCases(),
    ...helloCases(),
  ]
  const declared = declaredLimits()
  const tried = new Set(cases.map(({ limit }) => limit))
  const missing = declared.filter((name) => !tried.has(name))
  const notes = missing.map((name) => `${name}: no case`)
  let wrong = 0
  for (const { limit, at, expected, run } of cases) {
    const got = await outcomeOf(run)
    if (got === expected) continue
    wrong++
    notes.push(`${limit}, ${at}: ${got} instead of ${expected}`)
  }
  return { declared: declared.length, covered: declared.length - missing.length, cases: cases.length, wrong, notes }
}

export async function limitsBar(_context: BarContext): Promise<readonly Bar[]> {
  const { declared, covered, cases, wrong, notes } = await tryLimits()
  return [
    {
      id: 'S9',
      passed: covered === declared && wrong === 0,
      figures: { declared, covered, cases, wrong_outcome: wrong },
      notes,
    },
  ]
}
