/**
 * Owns: S9, numbers and bytes as a running network and its queues enforce them.
 * Independent of: times (times.ts), and the bytes of the wire (wire.ts).
 */
import { defaultLimits, Identity } from '../../../../actors/index.ts'
import type { Limits, Network, Session } from '../../../../actors/index.ts'
import { EventQueue } from '../../../../actors/base/event-queue.ts'
import { systemEnvironment } from '../../../../actors/config/system-environment.ts'
import { createLinkStates } from '../../../../actors/link/link-states.ts'
import { MemoryPipe } from '../../../../actors/transport/memory-pipe.ts'
import { PeerTable } from '../../../../actors/config/peer-table.ts'
import { resolveOptions } from '../../../../actors/config/options.ts'
import { encodeFrame } from '../../../../codec/index.ts'
import type { NetworkValue } from '../../../../codec/index.ts'
import { ampcDialect, AmpcLink } from '../../../../protocol/index.ts'
import type { Channel } from '../../../../actors/session/session.ts'
import type { Lane } from '../../../../protocol/lane.ts'
import type { NativeLink } from '../../../../protocol/native/link/native-link.ts'
import { openSessions } from '../../../support/open-sessions.ts'
import { EarlyFrames } from '../../../../protocol/ampc/early-frames.ts'
import { nativeDialect } from '../../../../protocol/native/link/native-dialect.ts'
import { NodeMemory } from '../../../../protocol/native/memory/node-memory.ts'
import { VirtualClock } from '../../../../testing/index.ts'
import { around, outcomeOf } from './case.ts'
import type { LimitCase } from './case.ts'
import { inLab } from './lab.ts'
import type { Lab } from './lab.ts'

const fine = 'in order'
const bytes = (length: number): NetworkValue => ({ type: 'Bytes', value: Buffer.alloc(length) })
/** Of Bytes: descriptor and length field, plus the overhead of every waiting value. */
const costBytes = (length: number): number => 5 + length + 64

/** This many strangers connect at once; the outcome is that of the last. */
function knocks(count: number, limits: Partial<Limits>): Promise<string> {
  return inLab(async (lab) => {
    const alice = await lab.start({ id: 'alice', limits })
    const strangers = Array.from({ length: count }, () => lab.knock(alice))
    await lab.clock.settle()
    const rejected = lab.events.filter(({ type }) => type === 'connection.rejected')
    const open = strangers.filter(({ isClosed }) => !isClosed).length
    const outcome =
      rejected.length === 0 && open === count
        ? fine
        : open === count - 1 && rejected[0] !== undefined && 'cause' in rejected[0]
          ? rejected[0].cause.code
          : `${open} open, ${rejected.length} rejected`
    for (const { pipe } of strangers) pipe.destroy()
    await lab.clock.settle()
    return outcome
  })
}

/** One after the other, each closed before the next. */
function comesAndGoes(count: number, connectBurst: number): Promise<string> {
  return inLab(async (lab) => {
    const alice = await lab.start({ id: 'alice', limits: { connectBurst } })
    for (let i = 0; i < count; i++) {
      const { pipe } = lab.knock(alice)
      await lab.clock.settle()
      pipe.destroy()
      await lab.clock.settle()
    }
    const refused = lab.events.filter(
      (event) => event.type === 'connection.rejected' && event.cause.code === 'ERR_ADMISSION_LIMIT',
    ).length
    return refused === 0 ? fine : refused === 1 ? 'ERR_ADMISSION_LIMIT' : `${refused} refused`
  })
}

/** How many of these links dial at once if no dial is answered. */
function dialsAtOnce(links: number, dialsMax: number): Promise<string> {
  return inLab(async (lab) => {
    const two = { onConnectionLost: 'reconnect', connectionParallelism: links } as const
    await lab.start({ id: 'alice', ...two })
    let dials = 0
    const { transport } = lab
    await lab.start(
      { id: 'bob', ...two, limits: { dialsMax } },
      {
        get openHandles() {
          return transport.openHandles
        },
        listen: (...args) => transport.listen(...args),
        dial: (address, options) => (dials++, new MemoryPipe(address, lab.clock, options, () => {})),
      },
    )
    await lab.clock.advance(defaultLimits.dialTimeoutMs - 4)
    return `${dials} at once`
  })
}

async function inPair<T>(
  lab: Lab,
  limits: Partial<Limits>,
  body: (alice: Network, bob: Network) => Promise<T>,
): Promise<T> {
  const alice = await lab.start({ id: 'alice', limits })
  const bob = await lab.start({ id: 'bob' })
  return body(alice, bob)
}

function makes(count: number, sessionsPerPeerMax: number): Promise<void> {
  return inLab((lab) =>
    inPair(
      lab,
      { sessionsPerPeerMax },
      async (alice, bob) =>
        void (await lab.clock.run(Promise.all([alice.makeSessions({ count }), bob.makeSessions({ count })]))),
    ),
  )
}

/** Sent by a side whose own limit is wider, so that the receiver's counts. */
function receives(bodyBytes: number, maxMessageLengthBytes: number): Promise<string> {
  return inLab((lab) =>
    inPair(lab, { maxMessageLengthBytes }, async () => {
      const [alice, bob] = (await lab.session()) as [Session, Session]
      const got = outcomeOf(() => alice.receive('bob').then(() => undefined))
      bob.send('alice', bytes(bodyBytes)).catch(() => {})
      await lab.clock.run(got)
      const lost = lab.events.find((event) => event.type === 'connection.lost' && event.of === 'alice')
      return lost !== undefined && 'cause' in lost ? lost.cause.code : got
    }),
  )
}

function sends(bodyBytes: number, maxMessageLengthBytes: number): Promise<void> {
  return inLab((lab) =>
    inPair(lab, { maxMessageLengthBytes }, async () => {
      const [alice] = (await lab.session()) as [Session]
      await lab.clock.run(alice.send('bob', bytes(bodyBytes)))
    }),
  )
}

function pipeTakes(length: number, highWaterMarkBytes: number): string {
  const pipe = new MemoryPipe({ host: 'x', port: 1 }, new VirtualClock(), { highWaterMarkBytes }, () => {})
  return pipe.write([Buffer.alloc(length)]) ? fine : 'wait for drain'
}

const linkLimits = {
  maxMessageLengthBytes: 1 << 20,
  receiveQueueBytesMax: 1000,
  sendQueueBytesMax: 1000,
  sendQueueValuesMax: 4,
  earlyBytesMax: 1000,
}

/** A link without a connection: what is sent waits. */
function link(dialect: 'ampc' | 'native', limits: Partial<Limits>): Channel {
  if (dialect === 'ampc') {
    const state = new AmpcLink(ampcDialect.sessions(1 << 20), { ...linkLimits, ...limits })
    return { state, lane: state.openLane(1) }
  }
  const [own, peer] = [Identity.generate(), Identity.generate().id]
  const options = resolveOptions({ identity: own, peers: [{ id: peer, urls: 'tls://127.0.0.1:1' }], limits })
  const state = createLinkStates({
    environment: systemEnvironment(),
    options,
    peers: new PeerTable(options.peers),
    dialect: nativeDialect,
    memory: new NodeMemory(),
    emit() {},
  })(peer, 0) as NativeLink
  return { state, lane: openSessions(state, 1)[0] as Lane }
}

/** Queues them all; the outcome is that of the last. */
function queues(dialect: 'ampc' | 'native', limits: Partial<Limits>, values: readonly NetworkValue[]): string {
  const { state, lane } = link(dialect, limits)
  let refusal = ''
  for (const value of values)
    state.waitToSend(
      lane,
      value,
      () => {},
      (error) => (refusal = (error as Error & { code: string }).code),
    )
  return refusal === '' ? fine : refusal
}

function sendQueueCases(dialect: 'ampc' | 'native'): LimitCase[] {
  const half = 400
  return [
    ...around('sendQueueValuesMax', `kept, ${dialect}`, 5, [fine, fine, 'ERR_SEND_QUEUE_FULL'], (count) =>
      queues(
        dialect,
        { sendQueueValuesMax: 5 },
        Array.from({ length: count }, () => bytes(0)),
      ),
    ),
    // The first value of any size may wait, so the second is refused.
    ...around('sendQueueBytesMax', `kept, ${dialect}`, 1000, [fine, fine, 'ERR_SEND_QUEUE_FULL'], (sum) =>
      queues(dialect, { sendQueueBytesMax: 1000 }, [bytes(half), bytes(sum - costBytes(half) - costBytes(0))]),
    ),
    {
      limit: 'sendQueueBytesMax',
      at: `a single value far above it, ${dialect}: documented, it may wait`,
      expected: fine,
      run: () => queues(dialect, { sendQueueBytesMax: 1000 }, [bytes(100_000)]),
    },
  ]
}

/** A body costs its bytes, including the length field, and 64. */
function unread(cost: number): string {
  const state = new AmpcLink(ampcDialect.sessions(1 << 20), linkLimits)
  state.openLane(1)
  const frame = encodeFrame(1, bytes(cost - 64 - 4))
  state.onFrame(1, frame[4] as number, frame, 5, frame.length)
  return state.isReceiveFull ? 'reading stops' : fine
}

function early(cost: number): string {
  const frames = new EarlyFrames(1000)
  frames.expectFrom(0)
  frames.keep(1, 0x0c, Buffer.alloc(cost), 0, cost - 64)
  return frames.isFull ? 'reading stops' : fine
}

async function slowReader(count: number, eventQueueMax: number): Promise<string> {
  const queue = new EventQueue(eventQueueMax)
  for (let i = 0; i < count; i++) queue.push({ type: 'network.stopped' })
  queue.end()
  let missed = 0
  for await (const event of queue) if (event.type === 'events.missed') missed += event.count
  return missed === 0 ? fine : `${missed} missed`
}

export function countCases(): LimitCase[] {
  const limit = 'ERR_ADMISSION_LIMIT'
  return [
    ...around('pendingInboundMax', 'kept', 6, [fine, fine, limit], (count) =>
      knocks(count, { pendingInboundMax: 6, pendingInboundPerAddressMax: 6 }),
    ),
    ...around('pendingInboundPerAddressMax', 'kept', 4, [fine, fine, limit], (count) =>
      knocks(count, { pendingInboundPerAddressMax: 4 }),
    ),
    ...around('connectBurst', 'kept', 5, [fine, fine, limit], (count) => comesAndGoes(count, 5)),
    ...around('dialsMax', 'kept', 3, ['2 at once', '3 at once', '3 at once'], (links) => dialsAtOnce(links, 3)),
    ...around('sessionsPerPeerMax', 'kept', 3, [fine, fine, 'ERR_INVALID_OPTION'], (count) => makes(count, 3)),
    ...around('sessionsPerPeerMax', 'least', 1, ['ERR_INVALID_OPTION', fine, fine], (count) => makes(count, 3)),
    ...around('maxMessageLengthBytes', 'kept, receiving', 1000, [fine, fine, 'ERR_MESSAGE_TOO_LONG'], (length) =>
      receives(length, 1000),
    ),
    ...around('maxMessageLengthBytes', 'kept, sending', 1000, [fine, fine, 'ERR_INVALID_VALUE'], (length) =>
      sends(length, 1000),
    ),
    ...around('highWaterMarkBytes', 'kept', 1000, [fine, 'wait for drain', 'wait for drain'], (length) =>
      pipeTakes(length, 1000),
    ),
    ...sendQueueCases('ampc'),
    ...sendQueueCases('native'),
    ...around('receiveQueueBytesMax', 'kept', 1000, [fine, 'reading stops', 'reading stops'], unread),
    ...around('earlyBytesMax', 'kept', 1000, [fine, 'reading stops', 'reading stops'], early),
    ...around('eventQueueMax', 'kept', 5, [fine, fine, '1 missed'], (count) => slowReader(count, 5)),
  ]
}
