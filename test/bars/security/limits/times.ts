/**
 * Owns: S9, times as a running network enforces them: a millisecond before, exactly, a millisecond after.
 * Independent of: real clocks. Deadlines are rounded up to 4 ms, so all of them start and end on such a moment here.
 */
import { MemoryPipe } from '../../../../actors/transport/memory-pipe.ts'
import type { Limits, Network, Session, Transport } from '../../../../actors/index.ts'
import type { StatewireError } from '../../../../codec/errors.ts'
import { Admission } from '../../../../protocol/index.ts'
import { noopHooks } from '../../../../protocol/link-core.ts'
import { FloodGuard } from '../../../../protocol/native/lanes/flood-guard.ts'
import { goodbyeSilenceMs } from '../../../../protocol/native/epoch/goodbye.ts'
import { defaultKeepAlive } from '../../../../protocol/native/epoch/keep-alive.ts'
import { LinkEpoch } from '../../../../protocol/native/epoch/link-epoch.ts'
import { PeerProcesses } from '../../../../protocol/native/handshake/peer-processes.ts'
import { unackedFramesMax } from '../../../../protocol/native/epoch/retransmit-buffer.ts'
import { LinkUpkeep } from '../../../../protocol/native/link/link-upkeep.ts'
import type { NativeOutbox } from '../../../../protocol/native/lanes/native-outbox.ts'
import { around } from './case.ts'
import type { LimitCase } from './case.ts'
import { inLab } from './lab.ts'
import type { Lab } from './lab.ts'

const waits = 'waits'
type Look = () => string | Promise<string>

/** `begin` starts the wait and returns a function that reads its state. */
function deadline(
  limit: string,
  n: number,
  passed: string,
  begin: (lab: Lab, n: number) => Promise<Look>,
  before = waits,
): LimitCase[] {
  return around(limit, 'kept', n, [before, passed, passed], (_value) => '').map((one, index) => ({
    ...one,
    run: () =>
      inLab(async (lab) => {
        const look = await begin(lab, n)
        await lab.clock.advance(n - 1 + index)
        return look()
      }),
  }))
}

const codeOf = (error: unknown): string => (error as StatewireError).code

function outcomeOf(promise: Promise<unknown>): Look {
  let outcome = waits
  promise.then(
    () => (outcome = 'in order'),
    (error: unknown) => (outcome = codeOf(error)),
  )
  return () => outcome
}

async function align(lab: Lab): Promise<void> {
  await lab.clock.advance(4 - (lab.clock.nowMs() % 4))
}

/** The lab's transport with another way to dial. */
function dialling(lab: Lab, dial: Transport['dial']): Transport {
  const { transport } = lab
  return {
    get openHandles() {
      return transport.openHandles
    },
    listen: (...args) => transport.listen(...args),
    dial,
  }
}

/** Dials lead to pipes that are never answered. */
function intoTheVoid(lab: Lab): Transport {
  return dialling(lab, (address, options) => new MemoryPipe(address, lab.clock, options, () => {}))
}

const failedAt =
  (lab: Lab): Look =>
  () => {
    const event = lab.first('connection.failed')
    return event !== undefined && 'cause' in event ? event.cause.code : waits
  }

const rejectedAt =
  (lab: Lab): Look =>
  () => {
    const event = lab.first('connection.rejected')
    return event !== undefined && 'cause' in event ? event.cause.code : waits
  }

async function callUnanswered(lab: Lab, limits: Partial<Limits>): Promise<Look> {
  const alice = await lab.start({ id: 'alice', limits })
  return outcomeOf(alice.makeSessions({ count: 1 }))
}

/** Two connected networks whose traffic is stopped: what is sent now never leaves. @returns the first one's pipe */
async function jam(lab: Lab, limits: Partial<Limits>): Promise<MemoryPipe> {
  await lab.start({ id: 'alice', limits, onConnectionLost: 'reconnect' })
  await lab.start({ id: 'bob', onConnectionLost: 'reconnect' })
  const [session] = await lab.session()
  await align(lab)
  for (const pipe of lab.transport.pipes) {
    pipe.pause()
    pipe.resume = () => {}
  }
  session?.send('bob', { type: 'Bytes', value: Buffer.alloc(100_000) }).catch(() => {})
  await lab.clock.settle()
  const own = [...lab.transport.pipes].find(({ bufferedBytes }) => bufferedBytes > 0) as MemoryPipe
  lab.networks[0]?.shutdown().catch(() => {})
  return own
}

/** Up for this long and then cut: whether the next dial is immediate shows if the back-off was reset. */
function stableCases(): LimitCase[] {
  return around('stableAfterMs', 'kept', 1000, ['backs off', 'at once', 'at once'], (upMs) =>
    inLab(async (lab) => {
      await lab.start({ id: 'alice', onConnectionLost: 'reconnect' })
      await lab.start({ id: 'bob', onConnectionLost: 'reconnect', limits: { stableAfterMs: 1000, backoffMinMs: 400 } })
      // Only a link with sessions reads. Their first frames count for the first connection, so the second one is
      // measured.
      await lab.session()
      await align(lab)
      const opened = (): number =>
        lab.events.filter(({ type, of }) => type === 'connection.opened' && of === 'bob').length
      const cut = async (): Promise<void> => {
        for (const pipe of lab.transport.pipes) pipe.destroy()
        await lab.clock.settle()
      }
      await cut()
      if (opened() !== 2) return 'the first break backs off'
      await lab.clock.advance(upMs)
      await cut()
      return opened() === 3 ? 'at once' : 'backs off'
    }),
  )
}

/** The times between dials that are refused at once, with the greatest random numbers. */
async function gapsMs(limits: Partial<Limits>, dials: number): Promise<number[]> {
  return inLab(async (lab) => {
    const atMs: number[] = []
    const counting = dialling(lab, (address, options) => {
      atMs.push(lab.clock.nowMs())
      return lab.transport.dial({ ...address, port: 1 }, options)
    })
    await lab.start({ id: 'alice', onConnectionLost: 'reconnect' })
    await lab.start({ id: 'bob', onConnectionLost: 'reconnect', limits }, counting)
    await lab.clock.until('so many dials', () => atMs.length > dials)
    return atMs.slice(1).map((at, index) => at - (atMs[index] as number))
  })
}

const within = (gapMs: number | undefined, ms: number): string =>
  gapMs !== undefined && gapMs > ms - 1 && gapMs <= ms + 4 ? 'in order' : `${String(gapMs)} ms`

function backoffCases(): LimitCase[] {
  const limits = { backoffMinMs: 100, backoffMaxMs: 1000, backoffFactor: 3 }
  const gap = (limit: string, at: string, place: number, ms: number): LimitCase => ({
    limit,
    at,
    expected: 'in order',
    run: async () => within((await gapsMs(limits, place + 1))[place], ms),
  })
  return [
    gap('backoffMinMs', 'kept, the first wait', 0, 100),
    gap('backoffFactor', 'kept, the second wait', 1, 300),
    gap('backoffFactor', 'kept, the third wait', 2, 900),
    gap('backoffMaxMs', 'kept, the fourth wait', 3, 1000),
    gap('backoffMaxMs', 'kept, the tenth wait', 9, 1000),
  ]
}

const epochLimits = {
  maxMessageLengthBytes: 65_536,
  laneWindowBytes: 4096,
  links: 1,
  replayWindowBytes: 8192,
  streamsMax: 1,
}

function epoch(resumeTimeoutMs: number, own: number): LinkEpoch {
  let drawn = BigInt(own) * 100n
  return new LinkEpoch({
    linkIndex: 0,
    ownKey: new Uint8Array(32).fill(own),
    peerKey: new Uint8Array(32).fill(3 - own),
    limits: { ...epochLimits, resumeTimeoutMs },
    processes: new PeerProcesses(1n),
    drawEpoch: () => ++drawn,
  })
}

/** Both sides connect, and the connection is lost at 0: the smaller of their timeouts counts. */
function expiresAfter(ownMs: number, peersMs: number, afterMs: number): string {
  const [link, peer] = [epoch(ownMs, 1), epoch(peersMs, 2)]
  const asked = link.composeHello()
  const answered = peer.composeHello()
  peer.adopt(answered, asked)
  link.adopt(asked, answered)
  link.connectionLost(0)
  return link.expire(afterMs) === null ? waits : 'expired'
}

function protocolCases(): LimitCase[] {
  const full = { pendingInboundMax: 1, pendingInboundPerAddressMax: 1, connectRatePerSecond: 10, connectBurst: 20 }
  const rate = (ms: number): string => {
    const admission = new Admission({ ...full, connectBurst: 1 })
    admission.ask('a', 'a', 0)
    admission.settle('a', false)
    return admission.ask('b', 'a', ms).admitted ? 'in order' : 'ERR_ADMISSION_LIMIT'
  }
  return [
    ...around('resumeTimeoutMs', 'kept', 1000, [waits, 'expired', 'expired'], (ms) => expiresAfter(1000, 60_000, ms)),
    ...around('resumeTimeoutMs', 'of the peer, less', 1000, [waits, 'expired', 'expired'], (ms) =>
      expiresAfter(60_000, 1000, ms),
    ),
    ...around('resumeTimeoutMs', 'of the peer, the most of a u32', 1000, [waits, 'expired', 'expired'], (ms) =>
      expiresAfter(1000, 0xffff_ffff, ms),
    ),
    ...around('connectRatePerSecond', 'kept, 10 a second', 100, ['ERR_ADMISSION_LIMIT', 'in order', 'in order'], rate),
    ...around('goodbyeSilenceMs', 'kept', goodbyeSilenceMs, [waits, 'over', 'over'], afterGoodbye),
  ]
}

/** This side sent its Goodbye at 0, and the other one neither answers nor closes. */
function afterGoodbye(ms: number): string {
  const link = epoch(1000, 1)
  const outbox = { forgetControl() {}, ping() {}, isAckDue: false } as unknown as NativeOutbox
  const upkeep = new LinkUpkeep(
    defaultKeepAlive,
    link,
    outbox,
    new FloodGuard({ carriedFrames: () => 0 }, 0),
    () => noopHooks,
  )
  upkeep.begin(0)
  link.goodbye.sent()
  return upkeep.poll(ms, ms).includes('dead') ? 'over' : waits
}

/** This many frames are held, and nothing was acknowledged for the time after which a peer is dead. */
function unacknowledged(frames: number): string {
  const outbox = { forgetControl() {}, ping() {}, isAckDue: false, unackedFrames: frames } as unknown as NativeOutbox
  let outcome = waits
  const hooks = { ...noopHooks, onBroken: (error: unknown) => void (outcome = codeOf(error)) }
  const guard = new FloodGuard({ carriedFrames: () => 0 }, 0)
  const upkeep = new LinkUpkeep(defaultKeepAlive, epoch(1000, 1), outbox, guard, () => hooks)
  upkeep.begin(0)
  upkeep.poll(defaultKeepAlive.deadAfterMs, defaultKeepAlive.deadAfterMs)
  return outcome
}

export function timeCases(): LimitCase[] {
  return [
    ...around(
      'unackedFramesMax',
      'held, and not acknowledged for long',
      unackedFramesMax,
      [waits, waits, 'ERR_REPLAY_WINDOW_OVERRUN'],
      unacknowledged,
    ),
    ...deadline('dialTimeoutMs', 400, 'ERR_TIMED_OUT', async (lab) => {
      await lab.start({ id: 'alice', onConnectionLost: 'reconnect' })
      await lab.start({ id: 'bob', onConnectionLost: 'reconnect', limits: { dialTimeoutMs: 400 } }, intoTheVoid(lab))
      return failedAt(lab)
    }),
    ...deadline('handshakeTimeoutMs', 400, 'ERR_TIMED_OUT', async (lab) => {
      const alice = await lab.start({ id: 'alice', limits: { handshakeTimeoutMs: 400 } })
      lab.knock(alice)
      return rejectedAt(lab)
    }),
    ...deadline('admitTimeoutMs', 400, 'ERR_NOT_ALLOWED', async (lab) => {
      await lab.start({
        id: 'alice',
        limits: { admitTimeoutMs: 400 },
        admit: () => new Promise(() => {}),
        onConnectionLost: 'reconnect',
      })
      await lab.start({ id: 'bob', onConnectionLost: 'reconnect' })
      return rejectedAt(lab)
    }),
    ...deadline('closeTimeoutMs', 400, 'destroyed', async (lab, n) => {
      const pipe = await jam(lab, { closeTimeoutMs: n, shutdownTimeoutMs: 60_000 })
      return () => (pipe.isClosing ? 'destroyed' : waits)
    }),
    ...stableCases(),
    ...deadline('bindTimeoutMs', 400, 'ERR_LISTEN_FAILED', async (lab) => {
      const deaf: Transport = {
        openHandles: 0,
        listen: () => new Promise(() => {}),
        dial: () => {
          throw new Error('no side dials')
        },
      }
      return outcomeOf((await lab.start({ id: 'alice', limits: { bindTimeoutMs: 400 } }, deaf)).ready())
    }),
    ...deadline('makeSessionsTimeoutMs', 400, 'ERR_TIMED_OUT', (lab, n) =>
      callUnanswered(lab, { makeSessionsTimeoutMs: n }),
    ),
    ...deadline('shutdownTimeoutMs', 400, 'stopped', async (lab, n) => {
      await jam(lab, { shutdownTimeoutMs: n, closeTimeoutMs: 60_000 })
      return () => (lab.first('network.stopped') === undefined ? waits : 'stopped')
    }),
    ...deadline('sendTimeoutMs', 400, 'ERR_SEND_TIMED_OUT', async (lab, n) => {
      await lab.start({ id: 'alice', limits: { sendTimeoutMs: n }, onConnectionLost: 'reconnect' })
      await lab.start({ id: 'bob', onConnectionLost: 'reconnect' })
      const [session] = await lab.session()
      await lab.clock.run((lab.networks[1] as Network).shutdown())
      await align(lab)
      return outcomeOf((session as Session).send('bob', { type: 'RingElement32', value: 1 }))
    }),
    ...backoffCases(),
    ...protocolCases(),
  ]
}
