/**
 * Owns: the states of a native link when bytes arrive, each reached by the events that lead to it.
 * Independent of: bytes, and what is checked (native-rig.ts).
 */
import { encodeFrame } from '../../../codec/index.ts'
import type { NetworkValue } from '../../../codec/index.ts'
import { encodeCredit, encodeGoodbye, pieceLengthBytesMax } from '../../../codec/native-frames.ts'
import { NativeAcceptorHandshake, NativeDialerHandshake } from '../../../protocol/native/link/native-handshake.ts'
import type { ExchangedHellos } from '../../../protocol/native/link/native-handshake.ts'
import { helloSeeds, nativeSeeds } from './corpus.ts'
import type { Dice } from './dice.ts'
import { Seeds, slicesOf } from './mutate.ts'
import { firstEpochs, NativeRig } from './native-rig.ts'
import { codeOfBreach, codeOfRefusal, holds } from './target.ts'
import type { Target, Trace } from './target.ts'

const value = (lengthBytes: number): NetworkValue => ({ type: 'Bytes', value: Buffer.alloc(lengthBytes, 1) })
const credit = (lane: number, bytes: number): Buffer => encodeCredit(lane, bytes)

/** Each lane has another kind of application: a reader, a handler, a borrowing handler, a handler that throws. */
function openMany(rig: NativeRig): void {
  const opened = rig.open(12)
  opened[1]?.lane.setHandler(() => {})
  opened[2]?.lane.setHandler(() => {}, { borrow: true })
  opened[3]?.lane.setHandler(() => {
    throw new Error('a handler that throws')
  })
  opened[5]?.lane.setHandler((got) => rig.send(opened[5] as (typeof opened)[0], got))
  opened[7]?.lane.wait({ resolve() {}, reject() {} })
  for (const { lane } of opened) if (lane.id !== 11) rig.push(credit(lane.id, 2000))
}

/** Two lanes, with values in flight and values waiting. */
function openWithValues(rig: NativeRig): void {
  const opened = rig.open(3)
  rig.push(Buffer.concat([credit(0, 100), credit(1, 65_536)]))
  for (const each of opened) for (let count = 0; count < 3; count++) rig.send(each, value(count * 20))
  rig.flush()
}

interface State {
  readonly name: string
  readonly linkIndex?: number
  readonly weight?: number
  /** This side has the greater or the lesser id, and calls makeSessions. */
  readonly side?: 'greater' | 'lesser'
  build(rig: NativeRig): void
}

const open: readonly State[] = [
  { name: 'open, no lane', build: (rig) => rig.connect() },
  {
    name: 'open, a lane',
    build: (rig) => {
      rig.connect()
      rig.open(1)
    },
  },
  {
    name: 'open, many lanes',
    weight: 4,
    build: (rig) => {
      rig.connect()
      openMany(rig)
    },
  },
  {
    name: 'open, lanes closed by either side',
    build: (rig) => {
      rig.connect()
      const opened = rig.open(6)
      rig.push(Buffer.concat([credit(0, 10), credit(1, 10), credit(2, 10)]))
      for (const index of [1, 4]) rig.state.closeLane(opened[index]!.lane, new Error('closed'), index === 1)
      rig.push(Buffer.from('020000003700000000' /* Reset of lane 2 */, 'hex'))
      // Skipped ids count as closed.
      rig.open(2, 12)
    },
  },
  {
    name: 'blocked, no credit and no room in the socket',
    build: (rig) => {
      rig.connect()
      openWithValues(rig)
      rig.isStuck = true
      rig.state.block()
      rig.send(rig.lanes[1]!, value(9))
    },
  },
  {
    name: 'open, without a reader',
    weight: 2,
    build: (rig) => {
      rig.connect()
      rig.open(3)
      rig.isLazy = true
    },
  },
  {
    name: 'open, a window is used up',
    build: (rig) => {
      rig.connect()
      rig.open(2)
      rig.isLazy = true
      rig.push(Buffer.concat([encodeFrame(0, value(pieceLengthBytesMax - 40)), encodeFrame(1, value(30_000))]))
    },
  },
  {
    name: 'open, values to be acknowledged',
    weight: 2,
    build: (rig) => {
      rig.connect()
      openWithValues(rig)
    },
  },
  {
    name: 'resumed',
    weight: 2,
    build: (rig) => {
      rig.connect()
      openWithValues(rig)
      rig.state.connectionLost()
      rig.connect({ known: firstEpochs.epoch, helloNumber: 2, received: 2, next: 2, first: 1 })
    },
  },
  {
    name: 'fresh, the peer was restarted',
    build: (rig) => {
      rig.connect()
      openWithValues(rig)
      rig.state.connectionLost()
      rig.connect({ bootId: 201n, epoch: 21n, nextEpoch: 22n })
      rig.open(2)
    },
  },
  {
    name: 'Goodbye sent',
    build: (rig) => {
      rig.connect()
      openWithValues(rig)
      holds(rig.state.goodbye('over') !== null, 'there is no Goodbye')
    },
  },
  {
    name: 'Goodbye sent and the link closed',
    build: (rig) => {
      rig.connect()
      openWithValues(rig)
      rig.state.goodbye('over')
      rig.state.close(new Error('over'))
    },
  },
  {
    name: 'Goodbye received',
    build: (rig) => {
      rig.connect()
      openWithValues(rig)
      const { received, retransmit: window } = rig.state.epoch
      rig.push(encodeGoodbye({ code: 0, next: received, received: window.first, reason: 'over' }))
    },
  },
  {
    name: 'another link than 0',
    linkIndex: 1,
    weight: 2,
    build: (rig) => {
      rig.connect()
      openMany(rig)
    },
  },
  ...(['greater', 'lesser'] as const).flatMap((side): State[] => [
    {
      name: `calls of makeSessions wait, ${side} id`,
      side,
      weight: 3,
      build: (rig) => {
        rig.connect()
        for (const [name, count] of [
          ['', 2],
          ['', 1],
          ['a', 1],
          ['é', 1],
        ] as const)
          rig.setup?.call(name, count)
      },
    },
    {
      name: `calls of makeSessions wait for a link that resumes, ${side} id`,
      side,
      build: (rig) => {
        rig.setup?.call('', 2)
        rig.connect()
        rig.flush()
        rig.state.connectionLost()
        rig.connect({ bootId: 201n, epoch: 21n, nextEpoch: 22n })
      },
    },
  ]),
  {
    name: 'down, late bytes',
    build: (rig) => {
      rig.connect()
      openWithValues(rig)
      rig.state.connectionLost()
    },
  },
]

function feed(rig: NativeRig, input: Buffer, dice: Dice): void {
  let at = 0
  for (const end of slicesOf(dice, input.length)) {
    if (!rig.push(input.subarray(at, end))) return
    at = end
    rig.take()
    if (rig.isStuck && dice.once(16)) rig.state.flow()
  }
}

function stateTarget({ name, weight = 1, linkIndex = 0, side, build }: State, seeds: Seeds): Target {
  return {
    name: `native: ${name}`,
    seeds,
    weight: 40 * weight,
    framesMax: 40,
    run: (input, dice, trace) => {
      const rig = new NativeRig(trace, linkIndex, side)
      build(rig)
      feed(rig, input, dice)
      rig.check()
      trace.ended(rig.outcome)
      rig.finish(dice.once(2))
    },
  }
}

/** The stage of the link when the hello arrives. */
const pasts: readonly ((rig: NativeRig) => void)[] = [
  () => {},
  (rig) => {
    rig.connect()
    openWithValues(rig)
    rig.state.connectionLost()
  },
  (rig) => {
    rig.connect()
    rig.state.connectionLost()
    rig.connect({ bootId: 201n, epoch: 21n, nextEpoch: 12n })
    rig.open(1)
    rig.state.connectionLost()
  },
]

function dialer(input: Buffer, dice: Dice, trace: Trace): void {
  const rig = new NativeRig(trace)
  dice.pick(pasts)(rig)
  const handshake = new NativeDialerHandshake(rig.state)
  handshake.begin()
  let at = 0
  try {
    for (const end of slicesOf(dice, input.length)) {
      const step = handshake.feed(input.subarray(at, end))
      at = end
      if (step.verified !== true) continue
      trace.accepted(1)
      rig.adopt(step.agreed as ExchangedHellos)
      trace.ended(rig.state.lastVerdict ?? '')
      rig.push(step.rest ?? Buffer.alloc(0))
      feed(rig, input.subarray(at), dice)
      break
    }
    trace.ended('hello: more')
  } catch (error) {
    trace.frames++
    trace.ended(codeOfRefusal(error))
  }
  rig.check()
  rig.finish(false)
}

function acceptor(input: Buffer, dice: Dice, trace: Trace): void {
  const rig = new NativeRig(trace)
  dice.pick(pasts)(rig)
  const handshake = new NativeAcceptorHandshake()
  let outcome = 'hello: more'
  let at = 0
  try {
    for (const end of slicesOf(dice, input.length)) {
      const step = handshake.feed(input.subarray(at, end))
      at = end
      if (step.refuse !== undefined) {
        outcome = step.refuse.reason.split(':')[0] as string
        break
      }
      if (step.claim === undefined) continue
      trace.accepted(2)
      const fault = handshake.judge(rig.state, dice.once(4))
      outcome = fault === null ? 'welcome' : (fault.reason.split(':')[0] as string)
      // There must be no bytes after a hello before it is answered.
      if (fault !== null || dice.once(4)) continue
      rig.adopt(handshake.confirm(rig.state).agreed)
      outcome = rig.state.lastVerdict ?? ''
      feed(rig, input.subarray(at), dice)
      break
    }
  } catch (error) {
    outcome = codeOfBreach(error)
  }
  trace.frames++
  trace.ended(outcome)
  rig.check()
  rig.finish(false)
}

export function nativeTargets(): Target[] {
  const seeds = new Seeds(nativeSeeds())
  const hellos = new Seeds(helloSeeds(firstEpochs))
  // A dialer reads a hello followed by frames.
  const answers = new Seeds([
    ...helloSeeds(firstEpochs),
    ...nativeSeeds().map(({ bytes, weight }) => ({ bytes, weight: Math.ceil(weight / 40) })),
  ])
  return [
    ...open.map((state) => stateTarget(state, seeds)),
    { name: 'native: before the answer, dialer', seeds: answers, weight: 50, framesMax: 3, run: dialer },
    { name: 'native: before the hello, acceptor', seeds: hellos, weight: 50, framesMax: 2, run: acceptor },
  ]
}
