/**
 * Owns: a native link that receives handmade frames of a model sender, over connections that break at any byte: what
 * the sender has paid and was granted, and what the link wrote.
 * Independent of: how this package sends long frames.
 */
import { NativeFrameReader } from '../../codec/native-frame-reader.ts'
import { controlLane, encodePong, nativeDescriptors } from '../../codec/native-frames.ts'
import type { Hello } from '../../codec/hello.ts'
import { SpareMemory } from '../../codec/spare-memory.ts'
import { noopHooks } from '../../protocol/link-core.ts'
import { PeerProcesses } from '../../protocol/native/handshake/peer-processes.ts'
import { defaultKeepAlive } from '../../protocol/native/epoch/keep-alive.ts'
import { LinkEpoch } from '../../protocol/native/epoch/link-epoch.ts'
import { decodeCredit, decodePing, decodeReset } from '../../protocol/native/frame-bodies.ts'
import { SendCredit } from '../../protocol/native/lanes/credit.ts'
import type { NativeLane } from '../../protocol/native/lanes/native-lane.ts'
import { NativeLink } from '../../protocol/native/link/native-link.ts'
import { longestMessageBytes, type NodeMemory } from '../../protocol/native/memory/node-memory.ts'

export const pieceBytes = 65_536

/** lane u32, descriptor u8, length u32, bytes: written here by hand, as WIRE has it. */
export function frame(lane: number, descriptor: number, bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(9)
  head.writeUInt32LE(lane)
  head[4] = descriptor
  head.writeUInt32LE(bytes.length, 5)
  return Buffer.concat([head, bytes])
}

export const bytesFrame = (lane: number, bytes: Uint8Array): Buffer => frame(lane, 0x0c, bytes)

/** The Pieces of a frame: its descriptor and body, cut. */
export function piecesOf(whole: Buffer): Buffer[] {
  const [lane, rest] = [whole.readUInt32LE(0), whole.subarray(4)]
  const pieces: Buffer[] = []
  for (let at = 0; at < rest.length; at += pieceBytes)
    pieces.push(frame(lane, 0x21, rest.subarray(at, at + pieceBytes)))
  return pieces
}

export const longPieces = (lane: number, bytes: Uint8Array): Buffer[] => piecesOf(bytesFrame(lane, bytes))

export interface Reset {
  readonly lane: number
  readonly code: number
}

export class PiecesBench {
  readonly link: NativeLink
  readonly lanes: readonly NativeLane[]
  /** What the sender may still send, by lane, as it counts: a Credit counts when it was read. */
  readonly credit: readonly SendCredit[]
  readonly resets: Reset[] = []
  isUp = false
  nowMs = 0
  readonly #peerEpoch: LinkEpoch
  /** Every counted frame that the sender has handed to a connection. */
  readonly #sent: Buffer[] = []
  #received = 0
  #helloNumber = 0
  #reader: ReturnType<NativeLink['createReader']>
  /** Bytes of the sender on the current connection that the link has not read. */
  #wire: Buffer[] = []
  #mine: Hello | null = null
  readonly #pings: bigint[] = []

  constructor(node: NodeMemory, peer: string, laneCount: number, windowBytes = pieceBytes) {
    const maxMessageLengthBytes = Math.min(1 << 24, longestMessageBytes(node.budgetBytes))
    const epoch = (own: number, other: number): LinkEpoch => {
      let drawn = BigInt(own) << 32n
      return new LinkEpoch({
        linkIndex: 0,
        ownKey: new Uint8Array(32).fill(own),
        peerKey: new Uint8Array(32).fill(other),
        processes: new PeerProcesses(1n),
        drawEpoch: () => (drawn += 1n),
        limits: {
          maxMessageLengthBytes,
          laneWindowBytes: pieceBytes,
          resumeTimeoutMs: 1e9,
          links: 1,
          replayWindowBytes: 1 << 22,
          streamsMax: 1,
        },
      })
    }
    this.#peerEpoch = epoch(2, 1)
    this.link = new NativeLink({
      peer,
      linkIndex: 0,
      epoch: epoch(1, 2),
      laneWindowBytes: pieceBytes,
      maxMessageLengthBytes,
      messageBytesMax: 1 << 20,
      streamsMax: 1024,
      streamOpensPerSecond: 100_000,
      memory: node.open(peer),
      sendQueueBytesMax: 1e9,
      sendQueueValuesMax: 1e6,
      keepAlive: defaultKeepAlive,
      nowMs: () => this.nowMs,
      spares: new SpareMemory(1 << 22),
    })
    this.link.setHooks(noopHooks)
    this.#reader = this.link.createReader()
    this.connect()
    this.link.sessionIds.take(laneCount)
    const granted = this.link.memory.openWindow(windowBytes, laneCount)
    this.lanes = Array.from({ length: laneCount }, (_, id) =>
      this.link.openSession({ id, windowBytes: granted, creditBytes: pieceBytes }),
    )
    this.credit = this.lanes.map(() => new SendCredit(granted))
  }

  /** A new connection. The sender sends again what the link has not counted. */
  connect(): void {
    if (this.isUp) return
    this.#mine = this.link.epoch.composeHello()
    const theirs = { ...this.#peerEpoch.composeHello(), helloNumber: ++this.#helloNumber }
    const isFirst = this.#helloNumber === 1
    const hello: Hello = {
      ...theirs,
      known: isFirst ? 0n : this.#mine.epoch,
      received: this.#received,
      next: this.#sent.length,
      first: isFirst ? 0 : this.#mine.received,
    }
    this.isUp = true
    this.#reader = this.link.createReader()
    const replay = this.link.established({ mine: this.#mine, theirs: hello })
    this.link.flow()
    this.#read(replay)
    this.#wire = this.#sent.slice(this.#mine.received)
  }

  /** What the sender or the link had in flight is lost. */
  cut(): void {
    if (!this.isUp) return
    this.isUp = false
    this.#wire = []
    this.link.connectionLost()
  }

  /** A counted frame of the sender. It pays nothing here; see {@link pay}. */
  send(whole: Buffer): void {
    this.#sent.push(whole)
    if (this.isUp) this.#wire.push(whole)
  }

  /** A frame that costs credit, which the sender must have. */
  pay(whole: Buffer): void {
    this.credit[whole.readUInt32LE(0)]!.spend(whole.length)
    this.send(whole)
  }

  /** Answers the Pings that were read. */
  pong(): void {
    for (const echo of this.#pings.splice(0)) this.#wire.push(encodePong(echo, this.#received))
  }

  /** A frame arrives, and its sender reads what the link writes. */
  pass(whole: Buffer): void {
    this.pay(whole)
    this.deliver()
    this.readCredits()
  }

  breakOnce(): void {
    this.cut()
    this.connect()
  }

  get bytesInFlight(): number {
    return this.#wire.reduce((sum, part) => sum + part.length, 0)
  }

  /** The link reads this much of what is in flight, as one chunk. Throws ProtocolError. */
  deliver(bytes = Infinity): void {
    if (!this.isUp) return
    const all = this.#wire.length === 1 ? this.#wire[0]! : Buffer.concat(this.#wire)
    const chunk = Buffer.from(all.subarray(0, Math.min(bytes, all.length)))
    this.#wire = all.length > chunk.length ? [all.subarray(chunk.length)] : []
    if (chunk.length === 0) return
    this.link.kept.begin(chunk)
    this.link.chunkBegins(chunk.length)
    this.#reader.push(chunk)
    this.link.kept.settle()
    this.link.chunkEnds()
    // A borrowed chunk is used again by the next read.
    chunk.fill(0xee)
  }

  /** The sender reads all that the link has written. */
  readCredits(): void {
    if (this.isUp) this.#read(this.link.takeBatch())
  }

  #read(parts: readonly Buffer[]): void {
    const reader = new NativeFrameReader(
      { maxMessageLengthBytes: 1 << 30, linkIndex: 0 },
      {
        onFrame: (lane, descriptor, buffer, start, end) => {
          if (lane !== controlLane) this.#received++
          if (descriptor === nativeDescriptors.Ping) this.#pings.push(decodePing(buffer, start))
          if (descriptor === nativeDescriptors.Credit) this.credit[lane]!.grant(decodeCredit(buffer, start))
          if (descriptor === nativeDescriptors.Reset)
            this.resets.push({ lane, code: decodeReset(buffer, start, end).code })
          return true
        },
      },
    )
    for (const part of parts) reader.push(part)
  }
}
