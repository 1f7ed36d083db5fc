/**
 * Owns: one native link with the real state and reader, driven as its actor and pumps drive it, without a socket; and
 * its invariants for any input.
 * Independent of: where the bytes come from, and how the link got into its state (native-states.ts).
 */
import { ProtocolError, StatewireError } from '../../../codec/errors.ts'
import type { NetworkValue } from '../../../codec/index.ts'
import { windowBytesMax } from '../../../codec/hello.ts'
import type { Hello } from '../../../codec/hello.ts'
import { NativeFrameReader } from '../../../codec/native-frame-reader.ts'
import { encodeAck, laneKindOf } from '../../../codec/native-frames.ts'
import type { Lane } from '../../../protocol/lane.ts'
import type { LinkHooks } from '../../../protocol/link-core.ts'
import { defaultKeepAlive } from '../../../protocol/native/epoch/keep-alive.ts'
import { LinkEpoch } from '../../../protocol/native/epoch/link-epoch.ts'
import { PeerProcesses } from '../../../protocol/native/handshake/peer-processes.ts'
import { LinkResetError } from '../../../protocol/native/lanes/native-lane.ts'
import type { NativeLane } from '../../../protocol/native/lanes/native-lane.ts'
import { NativeLink } from '../../../protocol/native/link/native-link.ts'
import { NodeMemory } from '../../../protocol/native/memory/node-memory.ts'
import { retransmitFramesMax } from '../../../protocol/native/epoch/retransmit-buffer.ts'
import { openSessions } from '../../support/open-sessions.ts'
import { limits, maxMessageLengthBytes, ownKey, peerHello, peerKey } from './corpus.ts'
import { RigSetup } from './rig-setup.ts'
import { codeOfBreach, holds, isCount } from './target.ts'
import type { Trace } from './target.ts'

/** The random numbers that the link draws for its own epochs, so that hellos of the corpus can name them. */
export const firstEpochs = { epoch: 101n, nextEpoch: 102n }
/** Windows grow to this; more than one lane may hold it. */
const grownWindowBytesMax = 4 * 1024 * 1024
const kindBits = {
  session: 0,
  messages: 1,
  stream: 2,
  control: 3,
  unassigned: 4,
  setup: 5,
  requests: 6,
  responses: 7,
}
/** The headers of three Pieces, and of the frame itself. */
const longFrameOverheadBytes = 3 * 9 + 5
const handlerFailed = new StatewireError('ERR_HANDLER_FAILED', 'the handler threw')

/** A lane as this rig opened it, and what its application was promised. */
export interface RigLane {
  readonly lane: NativeLane
  /** Values given to the link and not rejected by it. */
  sent: number
  receivedAtEnd: number | null
}

export class NativeRig implements LinkHooks {
  readonly state: NativeLink
  readonly lanes: RigLane[] = []
  readonly setup: RigSetup | null
  readonly #reader: NativeFrameReader
  readonly #own: NativeFrameReader
  readonly #trace: Trace
  readonly #linkIndex: number
  nowMs = 1000
  /** The application does not read. */
  isLazy = false
  /** The socket accepts nothing. */
  isStuck = false
  isReading = true
  #outcome: string | null = null
  #flushRequested = false
  #epochs = firstEpochs.epoch

  /** @param side of the calls of makeSessions that it makes; without one, set-up frames are read and ignored */
  constructor(trace: Trace, linkIndex = 0, side: 'greater' | 'lesser' | null = null) {
    this.#trace = trace
    this.#linkIndex = linkIndex
    const epoch = new LinkEpoch({
      linkIndex,
      ownKey,
      peerKey,
      limits,
      processes: new PeerProcesses(100n),
      drawEpoch: () => this.#epochs++,
    })
    this.setup =
      side === null
        ? null
        : new RigSetup(
            side === 'greater',
            () => this.state,
            (lane) => this.lanes.push({ lane, sent: 0, receivedAtEnd: null }),
          )
    this.state = new NativeLink({
      peer: 'peer',
      linkIndex,
      epoch,
      laneWindowBytes: limits.laneWindowBytes,
      maxMessageLengthBytes,
      messageBytesMax: 1 << 20,

      streamsMax: 1024,
      streamOpensPerSecond: 100_000,
      sendQueueBytesMax: 1024 * 1024,
      sendQueueValuesMax: 1024,
      keepAlive: defaultKeepAlive,
      nowMs: () => this.nowMs,
      memory: new NodeMemory().open(),
      ...(this.setup === null ? {} : { setup: this.setup.reports }),
    })
    this.state.setHooks(this)
    this.#reader = new NativeFrameReader(
      { maxMessageLengthBytes, linkIndex },
      {
        onFrame: (lane, descriptor, buffer, bodyStart, bodyEnd) => {
          trace.accepted((kindBits[laneKindOf(lane)] << 8) | descriptor)
          const own = this.lanes[lane]?.lane
          const hadCredit = own === undefined || own.id !== lane || own.window.ownCountBytes > 0
          const before = own?.received
          const isFree = this.state.onFrame(lane, descriptor, buffer, bodyStart, bodyEnd)
          holds(hadCredit || own?.received === before, `lane ${lane} was delivered what it had given no credit for`)
          return isFree
        },
      },
    )
    // The reader of the other side must accept what this side writes.
    this.#own = new NativeFrameReader({ maxMessageLengthBytes: 0xffff_ffff, linkIndex }, { onFrame: () => true })
  }

  // Acts as the actor of a link.

  requestFlush(): void {
    this.#flushRequested = true
  }
  flushNow(): void {
    this.flush()
  }
  onReceiveRoom(): void {}
  requestTimer(): void {}
  onHandlerFailed(lane: Lane): void {
    this.state.closeLane(lane, handlerFailed, true)
  }
  onBroken(error: unknown): void {
    this.#broken(error)
  }
  onGoodbye(step: 'answer' | 'finish' | 'protocol-error'): void {
    this.#outcome ??= `goodbye ${step}`
    if (step === 'answer') {
      this.flush()
      this.#say(this.state.goodbye(''))
    } else if (step === 'finish') {
      this.#say(this.state.finalAck())
      this.isReading = false
    } else {
      this.state.protocolBroken('')
      this.isReading = false
    }
  }

  flush(): void {
    this.#flushRequested = false
    const { hasPending, isAckDue } = this.state.outbound
    if (!this.isReading || !(hasPending || isAckDue)) return
    for (const part of this.state.takeBatch()) this.#own.push(part)
    if (this.isStuck) this.state.block()
  }

  #say(words: Buffer | null): void {
    this.state.block()
    if (words !== null) this.#own.push(words)
  }

  #broken(error: unknown): void {
    this.#outcome = codeOfBreach(error)
    this.#own.reset()
    this.#own.push(this.state.protocolBroken((error as ProtocolError).message))
    holds(!this.state.epoch.isUp, 'the epoch goes on behind a protocol error')
    holds(this.state.laneCount === 0, `${this.state.laneCount} lanes live on behind a protocol error`)
    this.isReading = false
  }

  // Acts as its application.

  connect(theirs: Partial<Hello> = {}): void {
    const mine = this.state.epoch.composeHello()
    this.#own.reset()
    this.#reader.reset()
    this.adopt({ mine, theirs: { ...peerHello, connectionId: this.#linkIndex, ...theirs } })
  }

  adopt(agreed: { readonly mine: Hello; readonly theirs: Hello }): void {
    this.isReading = true
    let replayedBytes = 0
    for (const part of this.state.established(agreed)) {
      this.#own.push(part)
      replayedBytes += part.length
    }
    const { retransmit: window } = this.state.epoch
    // A resumed connection may begin with an Ack.
    const ackBytes = this.state.lastVerdict === 'RESUME' ? encodeAck(0).length : 0
    const isWhole = replayedBytes === window.heldBytes || replayedBytes === window.heldBytes + ackBytes
    holds(isWhole, `${replayedBytes} bytes are sent again and ${window.heldBytes} are held`)
    holds(
      this.state.lastVerdict !== 'RESUME' || window.first === agreed.theirs.received,
      `what the peer has is sent again, from ${window.first} on`,
    )
    this.state.flow()
  }

  open(count: number, firstId?: number): RigLane[] {
    return openSessions(this.state, count, firstId === undefined ? {} : { firstId }).map((lane) => {
      const opened: RigLane = { lane, sent: 0, receivedAtEnd: null }
      lane.onEnded = () => (opened.receivedAtEnd = lane.received)
      this.lanes.push(opened)
      return opened
    })
  }

  send(to: RigLane, value: NetworkValue): void {
    if (this.state.trySend(to.lane, value)) {
      to.sent++
      return
    }
    to.sent++
    this.state.waitToSend(
      to.lane,
      value,
      () => {},
      (error) => {
        // It was never accepted, and its sender was told; all others have an outcome at the end.
        if (
          error instanceof StatewireError &&
          (error.code === 'ERR_SEND_QUEUE_FULL' || error.code === 'ERR_INVALID_VALUE')
        )
          to.sent--
      },
    )
  }

  /** One chunk from the socket, and what the pump writes in response. @returns whether reading continues */
  push(slice: Buffer): boolean {
    if (!this.isReading) return false
    this.nowMs += 1
    try {
      this.state.chunkBegins(slice.length)
      this.#reader.push(slice)
      this.flush()
    } catch (error) {
      this.#trace.frames++
      this.#broken(error)
    } finally {
      this.state.kept.settle()
    }
    return this.isReading
  }

  take(): void {
    if (this.isLazy) return
    for (const { lane } of this.lanes) {
      if (lane.unreadValues === 0) continue
      lane.take()
    }
    if (this.#flushRequested || this.state.outbound.isAckDue) this.flush()
  }

  get outcome(): string {
    return this.#outcome ?? (this.#reader.bufferedBytes > 0 ? 'within a frame' : 'all taken')
  }

  /** Invariants that no input may break. */
  check(): void {
    const { epoch, counters } = this.state
    this.#reader.invariants()
    holds(
      this.#reader.bufferedBytes <= maxMessageLengthBytes + 10 || !this.isReading,
      `the reader keeps ${this.#reader.bufferedBytes} bytes`,
    )
    epoch.retransmit.invariants()
    const { first, next, heldBytes, heldFrames } = epoch.retransmit
    holds(
      [epoch.received, first, next, heldBytes, heldFrames].every(isCount),
      `received ${epoch.received}, first ${first}, next ${next}, held ${heldFrames} of ${heldBytes} bytes`,
    )
    holds(heldFrames <= 2 * retransmitFramesMax, `${heldFrames} frames are held`)
    holds(Object.values(counters).every(isCount), `counters: ${JSON.stringify(counters)}`)
    const dueAtMs = this.state.nextDueAtMs
    holds(dueAtMs === null || !Number.isNaN(dueAtMs), 'the next deadline is not a number')
    let delivered = 0
    let refused = 0
    for (const opened of this.lanes) {
      this.#checkLane(opened)
      delivered += opened.lane.received
      if (opened.lane.end instanceof ProtocolError) refused++
    }
    holds(
      counters.valuesReceived === delivered + refused,
      `${counters.valuesReceived} values were counted, ${delivered} delivered and ${refused} refused`,
    )
  }

  #checkLane({ lane, receivedAtEnd }: RigLane): void {
    const { balanceBytes } = lane.credit
    holds(
      Number.isSafeInteger(balanceBytes) && balanceBytes <= windowBytesMax,
      `lane ${lane.id} has a balance of ${balanceBytes}`,
    )
    const { windowBytes, ownCountBytes, unreadBytes, longBytes } = lane.window
    holds(isCount(windowBytes) && windowBytes <= grownWindowBytesMax, `lane ${lane.id} has a window of ${windowBytes}`)
    holds(
      isCount(longBytes) && longBytes <= maxMessageLengthBytes + longFrameOverheadBytes,
      `lane ${lane.id} has granted ${longBytes} bytes for a long frame`,
    )
    holds(
      Number.isSafeInteger(ownCountBytes) && ownCountBytes <= windowBytes + longBytes,
      `lane ${lane.id} grants ${ownCountBytes} of ${windowBytes} and ${longBytes}`,
    )
    holds(
      isCount(unreadBytes) && unreadBytes <= windowBytes + longBytes + maxMessageLengthBytes + 9,
      `lane ${lane.id} holds ${unreadBytes} unread bytes`,
    )
    holds(isCount(lane.encoded), `lane ${lane.id} has encoded ${lane.encoded} values`)
    holds(receivedAtEnd === null || receivedAtEnd === lane.received, `lane ${lane.id} got a value after its end`)
    holds(lane.waiting.length === 0 || lane.end === null, `lane ${lane.id} is over and holds values that wait`)
  }

  /** The connection breaks, the link expires, everything ends: each value has one outcome. */
  finish(expires: boolean): void {
    this.state.connectionLost()
    this.check()
    if (expires) {
      this.nowMs += limits.resumeTimeoutMs + 1
      this.state.poll(this.nowMs, this.nowMs)
    }
    for (const { lane, sent } of this.lanes) {
      if (!(lane.end instanceof LinkResetError)) continue
      const { acked, unknown, notSent } = lane.end.outcomes
      holds(
        [acked, unknown, notSent].every(isCount) && acked + unknown + notSent === sent,
        `lane ${lane.id}: ${sent} values have the outcomes ${acked}, ${unknown}, ${notSent}`,
      )
    }
    this.state.close(handlerFailed)
    holds(this.state.laneCount === 0, 'a lane outlives its link')
    this.check()
  }
}
