/**
 * Owns: what one side of a link knows about the other across sockets: epochs, counts, what is held for retransmission,
 * and how they change by a hello, an expiry, a Goodbye or a protocol error (docs/protocol.md).
 * Independent of: sockets, clocks, lanes and values. Time and new epochs are passed in. Outcomes are returned by lane
 * number, and the owner reports them.
 *
 * Order of steps on an inbound hello, which the owner keeps and this class enforces where it can:
 *   0  checkInbound: nothing changes before every check has passed
 *   1  resolveCrossing (hello-checks.ts): refuse, or drop the own dial
 *   2  destroy the current connection, connectionLost()
 *   3  composeHello() reads the counters only now, and throws while a connection is up
 *   4  send it
 *   5  adopt(): verdict, effects, and the frames that follow the hello
 *
 * A dialer does 2 and 3, sends, waits, and continues with checkAnswer and 5.
 */
import { encodeGoodbye } from '../../../codec/native-frames.ts'
import { StatewireError } from '../../../codec/errors.ts'
import type { Hello, HelloFault } from '../../../codec/hello.ts'
import { AckSchedule } from './ack-schedule.ts'
import type { GoodbyeBody } from '../frame-bodies.ts'
import { GoodbyeExchange, type GoodbyeStep } from './goodbye.ts'
import {
  checkAnswerHello,
  checkInboundHello,
  epochLimitsOf,
  type EpochLimits,
  type HelloContext,
} from '../handshake/hello-checks.ts'
import type { HelloOrigin, PeerProcesses, StaleMeaning } from '../handshake/peer-processes.ts'
import { settleHeld, type EpochEnd, type ResetReason } from './outcomes.ts'
import { RetransmitBuffer } from './retransmit-buffer.ts'
import { areEpochsOk, canContinueFrom, verdictOf, type Verdict } from '../handshake/verdict.ts'

export interface LinkEpochOptions {
  readonly linkIndex: number
  readonly ownKey: Uint8Array
  readonly peerKey: Uint8Array
  /** What this side announces in its hellos. A change of configuration makes a new LinkEpoch. */
  /** Whether this side asks for the connection to stay while it is idle; true by default. */
  readonly keepsIdle?: () => boolean
  readonly limits: EpochLimits
  /** Shared by all links of the peer. */
  readonly processes: PeerProcesses
  /** A random u64 that is not 0. */
  readonly drawEpoch: () => bigint
}

export interface Adoption {
  readonly verdict: Verdict
  /** Sent again: written to the connection first, after the hello. */
  readonly replay: readonly Buffer[]
  /** With FRESH: every lane of the link ends with this. */
  readonly end: EpochEnd | null
  /**
   * What the peer grants on each of the messages, requests and responses lanes, if this side's balances there begin
   * with this hello. Null if they stay.
   */
  readonly laneWindowBytes: number | null
}

export class LinkEpoch {
  readonly retransmit: RetransmitBuffer
  readonly goodbye = new GoodbyeExchange()
  readonly #options: LinkEpochOptions
  #acks: AckSchedule
  #epoch: bigint
  #nextEpoch: bigint
  #known = 0n
  #knownLimits: EpochLimits | null = null
  #peerLinks: number | null = null
  /** The peer asks for the connection to stay while it is idle. */
  peerKeepsIdle = true
  #received = 0
  /** Of the last hello that was adopted on this link. */
  #peerBootId: bigint | null = null
  /** The hello that waits for its verdict. A renewal drops it: its answer would be for an epoch that has ended. */
  #sentHello: Hello | null = null
  #isUp = false
  /** Since when the link is down, or has something to send. Null while no clock runs. */
  #downSinceMs: number | null = null
  /** Whether a connection that is up is not suspect. Replaced by the owner of the keep-alive. */
  isResponsive: () => boolean = () => true

  constructor(options: LinkEpochOptions) {
    this.#options = options
    options.processes.watch(options.linkIndex, () => this.#isUp && this.isResponsive())
    this.#epoch = options.drawEpoch()
    this.#nextEpoch = options.drawEpoch()
    this.retransmit = new RetransmitBuffer(options.limits.replayWindowBytes)
    this.#acks = new AckSchedule(options.limits.replayWindowBytes)
  }

  /** This side's public key, as in its hellos. */
  get ownKey(): Uint8Array {
    return this.#options.ownKey
  }

  get peerKey(): Uint8Array {
    return this.#options.peerKey
  }

  /** The text that an inspector shows. */
  get name(): string {
    return this.#epoch.toString(16)
  }

  get epoch(): bigint {
    return this.#epoch
  }

  /** The peer's epoch, 0n if none is known. */
  get known(): bigint {
    return this.#known
  }

  /** Counted frames received in this epoch: the content of an Ack. */
  get received(): number {
    return this.#received
  }

  /** Since when there is no connection; null while there is one, and before the first. */
  get downSinceMs(): number | null {
    return this.#downSinceMs
  }

  get isUp(): boolean {
    return this.#isUp
  }

  /** When an Ack is due. Each adoption starts with none owed. */
  get acks(): AckSchedule {
    return this.#acks
  }

  /** The number of links that the peer announced in its last adopted hello on this link. Null before the first. */
  /** How many streams this side may have open there; null before its first hello. */
  get peerStreamsMax(): number | null {
    return this.#knownLimits?.streamsMax ?? null
  }

  get peerLinks(): number | null {
    return this.#peerLinks
  }

  /** What the peer allows, from the hello that began its epoch. Null before the first. */
  get peerLimits(): EpochLimits | null {
    return this.#knownLimits
  }

  /** @returns why the acceptor refuses, or null. Changes nothing. */
  checkInbound(hello: Hello): HelloFault | null {
    return checkInboundHello(hello, this.#context())
  }

  /** Whether a dial sent it that its process has dropped since: the same process has had a newer hello adopted. */
  isLate(hello: HelloOrigin): boolean {
    const { linkIndex, processes } = this.#options
    return processes.isOfCurrent(hello) && processes.isStale(linkIndex, hello)
  }

  /** @returns why the dialer closes the connection, or null. Changes nothing. */
  checkAnswer(hello: Hello): HelloFault | null {
    return checkAnswerHello(hello, this.#context())
  }

  /**
   * The next hello of this side, to be sent at once. Throws ERR_INTERNAL while a connection is up: its frames still
   * count.
   */
  composeHello(): Hello {
    if (this.#isUp)
      throw new StatewireError(
        'ERR_INTERNAL',
        'A hello was asked for while a connection is up: its counters could still move.',
      )
    const { limits, linkIndex, processes } = this.#options
    this.#sentHello = {
      ...epochLimitsOf(limits),
      // No link of this side ends for lack of traffic.
      keepsIdle: this.#options.keepsIdle?.() ?? true,
      connectionId: linkIndex,
      bootId: processes.ownBootId,
      epoch: this.#epoch,
      nextEpoch: this.#nextEpoch,
      known: this.#known,
      received: this.#received,
      first: this.retransmit.first,
      next: this.retransmit.next,
      publicKey: this.#options.ownKey,
      helloNumber: processes.nextHelloNumber(linkIndex),
    }
    return this.#sentHello
  }

  /** The peer refused this hello as stale. Changes nothing but the boot id of the next hello. */
  refusedAsStale(hello: HelloOrigin, staleBootId: bigint): StaleMeaning {
    const { linkIndex, processes } = this.#options
    return processes.refused(linkIndex, hello, staleBootId)
  }

  /**
   * Both hellos are exchanged and checked: computes the verdict and applies it.
   * @param mine the hello that composeHello returned for this connection. Throws ERR_INTERNAL if it is not the newest.
   */
  adopt(mine: Hello, theirs: Hello): Adoption {
    if (mine !== this.#sentHello)
      throw new StatewireError(
        'ERR_INTERNAL',
        'A hello was answered that is not the newest of its link, or of an epoch that has ended.',
      )
    const verdict = verdictOf(mine, theirs)
    let end: EpochEnd | null = null
    if (verdict.mine === 'RESUME') this.retransmit.ack(theirs.received)
    else {
      if (verdict.mine === 'FRESH')
        end = this.#beginEpoch(this.#freshReason(mine, theirs), theirs.known === mine.epoch ? theirs.received : null)
      else this.retransmit.renumber()
      this.#received = 0
    }
    this.#known = verdict.theirs === 'FRESH' ? theirs.nextEpoch : theirs.epoch
    this.#knownLimits = epochLimitsOf(theirs)
    this.#peerLinks = theirs.links
    this.peerKeepsIdle = theirs.keepsIdle
    this.#peerBootId = theirs.bootId
    this.#options.processes.adopted(this.#options.linkIndex, theirs)
    this.#sentHello = null
    this.#downSinceMs = null
    this.#isUp = true
    this.#acks = new AckSchedule(theirs.replayWindowBytes)
    this.goodbye.reset()
    const replay = this.retransmit.replayFrom(this.retransmit.first)
    // A side that is ahead (KEEP although it knows the other) has paid for what it sends again: its balance stays.
    const isFirstOfEpoch = verdict.mine === 'FRESH' || mine.known === 0n
    return { verdict, replay, end, laneWindowBytes: isFirstOfEpoch ? theirs.laneWindowBytes : null }
  }

  encodeGoodbye(code: number, reason: string): Buffer {
    return encodeGoodbye({ code, next: this.retransmit.next, received: this.received, reason })
  }

  /** A counted frame was read and its handler has returned or thrown. @returns whether an Ack is due now */
  countFrame(frameLengthBytes: number, nowMs: number): boolean {
    this.#received += 1
    return this.#acks.counted(frameLengthBytes, nowMs)
  }

  /** The peer's Goodbye. Throws ProtocolError like its parts; the owner then ends the epoch with `protocol-error`. */
  receiveGoodbye(goodbye: GoodbyeBody): GoodbyeStep {
    const step = this.goodbye.received(goodbye, this.#received)
    if (step !== 'protocol-error' || canContinueFrom(this.retransmit, goodbye.received))
      this.retransmit.ack(goodbye.received)
    return step
  }

  /**
   * The connection has ended, or is about to be replaced: the counters do not change from here on. After a Goodbye on
   * it the link has ended too; the returned end is for every lane.
   */
  connectionLost(nowMs: number): EpochEnd | null {
    if (!this.#isUp) return null
    this.#isUp = false
    this.#downSinceMs = nowMs
    return this.goodbye.isEnding ? this.renew('goodbye') : null
  }

  /** A value waits for a connection. Starts the clock of a link that was never up, or has expired already. */
  valueWaits(nowMs: number): void {
    if (!this.#isUp) this.#downSinceMs ??= nowMs
  }

  /** When the link expires if no connection comes up before. Null while no clock runs. */
  get expiresAtMs(): number | null {
    return this.#downSinceMs === null ? null : this.#downSinceMs + this.resumeTimeoutMs
  }

  /** The smaller of the two resume time-outs. This side's own while no peer is known. */
  get resumeTimeoutMs(): number {
    const own = this.#options.limits.resumeTimeoutMs
    return this.#knownLimits === null || this.#known === 0n ? own : Math.min(own, this.#knownLimits.resumeTimeoutMs)
  }

  /** @returns the end, or null if it is not time yet. A dial that has sent its hello must be dropped then. */
  expire(nowMs: number): EpochEnd | null {
    const atMs = this.expiresAtMs
    return atMs === null || nowMs < atMs ? null : this.renew('expired')
  }

  /**
   * The epoch ends on this side alone: outcomes, counters 0, the next epoch, no known peer. For an expiry, the end
   * after a Goodbye, a protocol error of either side, and an internal error of this side. Any connection is lost with
   * it.
   */
  renew(reason: ResetReason): EpochEnd {
    const end = this.#beginEpoch(reason, null)
    this.#received = 0
    this.#known = 0n
    this.#knownLimits = null
    this.#sentHello = null
    this.#isUp = false
    this.#downSinceMs = null
    this.goodbye.reset()
    return end
  }

  #context(): HelloContext {
    const { linkIndex, ownKey, peerKey, limits, processes } = this.#options
    return {
      linkIndex,
      ownKey,
      peerKey,
      ownLinks: limits.links,
      known: this.#known,
      knownLimits: this.#knownLimits,
      processes,
    }
  }

  #freshReason(mine: Hello, theirs: Hello): ResetReason {
    if (this.#peerBootId !== null && this.#peerBootId !== theirs.bootId) return 'peer-restarted'
    return areEpochsOk(mine, theirs) ? 'protocol-error' : 'expired'
  }

  /** @param heard what the peer has of the epoch that ends, if it knows that epoch */
  #beginEpoch(reason: ResetReason, heard: number | null): EpochEnd {
    const settled = settleHeld(this.retransmit, heard)
    this.retransmit.clear()
    this.#epoch = this.#nextEpoch
    this.#nextEpoch = this.#options.drawEpoch()
    return { reason, ...settled }
  }
}
