/**
 * Owns: the states of an ampc link and of its handshake when bytes arrive, driven as the pumps drive them, and their
 * invariants for any input.
 * Independent of: sockets, and where the bytes come from.
 */
import { StatewireError } from '../../../codec/errors.ts'
import { FrameReader } from '../../../codec/index.ts'
import { ControlFrameReader } from '../../../codec/control-frame-reader.ts'
import type { FrameAssembler, NetworkValue } from '../../../codec/index.ts'
import { ampcDialect } from '../../../protocol/ampc/ampc-dialect.ts'
import { AmpcAcceptorHandshake, AmpcDialerHandshake } from '../../../protocol/ampc/ampc-handshake.ts'
import { ConnectionLostError } from '../../../protocol/lane.ts'
import type { Lane } from '../../../protocol/lane.ts'
import { AmpcLink } from '../../../protocol/ampc/ampc-link.ts'
import { ampcHandshakeSeeds, ampcSeeds, controlSeeds, maxMessageLengthBytes } from './corpus.ts'
import type { Dice } from './dice.ts'
import { Seeds, slicesOf } from './mutate.ts'
import { codeOfBreach, holds, isCount } from './target.ts'
import type { Target, Trace } from './target.ts'

const over = new StatewireError('ERR_SESSION_CLOSED', 'over')
const linkLimits = {
  maxMessageLengthBytes,
  receiveQueueBytesMax: 4096,
  sendQueueBytesMax: 1024 * 1024,
  sendQueueValuesMax: 1024,
  earlyBytesMax: 4096,
}
const value: NetworkValue = { type: 'Bytes', value: Buffer.alloc(20, 1) }
/** The overhead counted for each unread value. The pump stops between chunks, so one chunk may come on top. */
const overheadBytes = 64

interface Built {
  readonly state: AmpcLink
  readonly lanes: readonly Lane[]
}

type Build = () => Built

function link(framing: 'sessions' | 'control', lanes: number, early = false): Built {
  const state = new AmpcLink(
    framing === 'sessions' ? ampcDialect.sessions(maxMessageLengthBytes) : ampcDialect.control(),
    linkLimits,
  )
  if (early) state.expectLanesFrom(0)
  return { state, lanes: Array.from({ length: lanes }, (_, id) => state.openLane(id)) }
}

function busy(): Built {
  const built = link('sessions', 12)
  built.lanes[1]?.setHandler(() => {})
  built.lanes[2]?.setHandler(() => {}, { borrow: true })
  built.lanes[3]?.setHandler(() => {
    throw new Error('a handler that throws')
  })
  built.lanes[5]?.wait({ resolve() {}, reject() {} })
  built.state.flow()
  for (const lane of built.lanes) built.state.trySend(lane, value)
  return built
}

const states: readonly [name: string, build: Build][] = [
  ['no lane, early frames', () => link('sessions', 0, true)],
  ['a lane', () => link('sessions', 1)],
  ['many lanes', busy],
  [
    'lanes closed',
    () => {
      const built = link('sessions', 4)
      built.state.closeLane(built.lanes[1]!, over, true)
      built.state.closeLane(built.lanes[2]!, over, false)
      return built
    },
  ],
  [
    'after a break',
    () => {
      const built = busy()
      built.state.connectionLost('cut', null)
      built.state.flow()
      return built
    },
  ],
]

function takeAll(lane: Lane): void {
  while (lane.unreadValues > 0) {
    try {
      lane.take()
    } catch (error) {
      // A break has its place between the values.
      if (!(error instanceof ConnectionLostError)) throw error
    }
  }
}

function run(built: Built, input: Buffer, dice: Dice, trace: Trace, framing: 'sessions' | 'control'): void {
  const { state, lanes } = built
  const endedWith = new Map<Lane, number>()
  state.setHooks({
    requestFlush() {},
    flushNow() {},
    onReceiveRoom() {},
    onBroken: (error) => void codeOfBreach(error),
    requestTimer() {},
    onGoodbye() {},
    onHandlerFailed: (lane) => {
      state.closeLane(lane, over, true)
      endedWith.set(lane, lane.received)
    },
  })
  const sink = {
    onFrame: (lane: number, descriptor: number, buffer: Buffer, bodyStart: number, bodyEnd: number): boolean => {
      trace.accepted((Math.min(lane, 15) << 8) | descriptor)
      return state.onFrame(lane, descriptor, buffer, bodyStart, bodyEnd)
    },
  }
  const reader: FrameAssembler =
    framing === 'sessions' ? new FrameReader({ maxMessageLengthBytes }, sink) : new ControlFrameReader(sink)
  let outcome = 'all taken'
  let at = 0
  let sliceBytesMax = 0
  for (const end of slicesOf(dice, input.length)) {
    // The pump has stopped reading: the application reads something, or nothing more arrives.
    if (state.isReceiveFull && !dice.once(4)) for (const lane of lanes) takeAll(lane)
    if (state.isReceiveFull) {
      outcome = 'full'
      break
    }
    try {
      sliceBytesMax = Math.max(sliceBytesMax, end - at)
      reader.push(input.subarray(at, end))
    } catch (error) {
      trace.frames++
      outcome = codeOfBreach(error)
      break
    }
    at = end
  }
  trace.ended(outcome)
  const check = (): void => {
    reader.invariants()
    holds(reader.bufferedBytes <= maxMessageLengthBytes * 16 + 10, `the reader keeps ${reader.bufferedBytes} bytes`)
    holds(Object.values(state.counters).every(isCount), `counters: ${JSON.stringify(state.counters)}`)
    holds(isCount(state.unreadBytes), `${state.unreadBytes} bytes are unread`)
    const boundBytes = linkLimits.receiveQueueBytesMax + maxMessageLengthBytes + (overheadBytes / 5 + 1) * sliceBytesMax
    holds(state.unreadBytes <= boundBytes, `${state.unreadBytes} bytes are unread, of ${boundBytes}`)
    for (const [lane, received] of endedWith)
      holds(lane.received === received, `lane ${lane.id} got a value after its end`)
  }
  check()
  // Opens the sessions that early frames were for, and then breaks the connection.
  if (framing === 'sessions' && lanes.length === 0) state.openLane(1)
  check()
  state.connectionLost('cut', null)
  check()
  state.close(over)
  check()
}

function dialer(input: Buffer, dice: Dice, trace: Trace): void {
  const handshake = new AmpcDialerHandshake({ identity: 'alice', linkIndex: 0 })
  handshake.begin()
  feed(handshake, input, dice, trace)
}

function acceptor(input: Buffer, dice: Dice, trace: Trace): void {
  feed(new AmpcAcceptorHandshake(), input, dice, trace)
}

function feed(handshake: AmpcDialerHandshake | AmpcAcceptorHandshake, input: Buffer, dice: Dice, trace: Trace): void {
  let outcome = 'more'
  let at = 0
  try {
    for (const end of slicesOf(dice, input.length)) {
      const step = handshake.feed(input.subarray(at, end))
      at = end
      if (step.write !== undefined) trace.accepted(1)
      if (step.claim !== undefined && 'confirm' in handshake) {
        trace.accepted(2)
        outcome = 'claimed'
        if (dice.once(2)) holds(handshake.confirm().rest.length <= 512, 'much is kept before the handshake is over')
      }
      if (step.verified === true) {
        outcome = 'verified'
        break
      }
    }
  } catch (error) {
    outcome = codeOfBreach(error)
  }
  trace.frames++
  trace.ended(outcome)
}

export function ampcTargets(): Target[] {
  const seeds = new Seeds(ampcSeeds())
  const handshakes = new Seeds(ampcHandshakeSeeds())
  return [
    ...states.map(([name, build]): Target => ({
      name: `ampc: ${name}`,
      seeds,
      weight: 20,
      framesMax: 40,
      run: (input, dice, trace) => run(build(), input, dice, trace, 'sessions'),
    })),
    {
      name: 'ampc: control channel',
      seeds: new Seeds(controlSeeds()),
      weight: 20,
      framesMax: 40,
      run: (input, dice, trace) => run(link('control', 1), input, dice, trace, 'control'),
    },
    { name: 'ampc: before the answer, dialer', seeds: handshakes, weight: 10, framesMax: 2, run: dialer },
    { name: 'ampc: before the claim, acceptor', seeds: handshakes, weight: 10, framesMax: 2, run: acceptor },
  ]
}
