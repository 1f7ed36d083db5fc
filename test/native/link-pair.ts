/**
 * Owns: two native links that are connected by calls: hellos, write batches and frames go from one to the other.
 * Independent of: what is sent.
 */
import { SpareMemory } from '../../codec/spare-memory.ts'
import type { Exchange } from '../../protocol/exchange.ts'
import { noopHooks } from '../../protocol/link-core.ts'
import { defaultKeepAlive } from '../../protocol/native/epoch/keep-alive.ts'
import { LinkEpoch } from '../../protocol/native/epoch/link-epoch.ts'
import { PeerProcesses } from '../../protocol/native/handshake/peer-processes.ts'
import { NativeLink } from '../../protocol/native/link/native-link.ts'
import { NodeMemory } from '../../protocol/native/memory/node-memory.ts'

export interface PairOptions {
  readonly windowBytes?: number
  readonly messageBytesMax?: number
  readonly maxMessageLengthBytes?: number
  readonly streamsMax?: number
  readonly streamOpensPerSecond?: number
  readonly memoryBudgetBytes?: number
}

export class PairEnd {
  readonly link: NativeLink
  readonly memory: NodeMemory
  nowMs = 0
  /** Errors that the link reported outside of a call. */
  readonly broken: unknown[] = []
  reader

  constructor(key: number, options: PairOptions, bootId = 1n) {
    let drawn = (BigInt(key) << 32n) + (bootId << 16n)
    const limits = {
      maxMessageLengthBytes: options.maxMessageLengthBytes ?? 1 << 22,
      laneWindowBytes: options.windowBytes ?? 65_536,
      resumeTimeoutMs: 1000,
      links: 1,
      replayWindowBytes: 1 << 22,
      streamsMax: options.streamsMax ?? 1024,
    }
    this.memory = new NodeMemory(options.memoryBudgetBytes)
    const epoch = new LinkEpoch({
      linkIndex: 0,
      ownKey: new Uint8Array(32).fill(key),
      peerKey: new Uint8Array(32).fill(3 - key),
      processes: new PeerProcesses(bootId),
      drawEpoch: () => (drawn += 1n),
      limits,
    })
    this.link = new NativeLink({
      peer: key === 1 ? 'bob' : 'alice',
      linkIndex: 0,
      epoch,
      laneWindowBytes: limits.laneWindowBytes,
      maxMessageLengthBytes: limits.maxMessageLengthBytes,
      messageBytesMax: options.messageBytesMax ?? 1 << 20,
      streamsMax: limits.streamsMax,
      streamOpensPerSecond: options.streamOpensPerSecond ?? 100_000,
      memory: this.memory.open(),
      sendQueueBytesMax: 1e8,
      sendQueueValuesMax: 1e5,
      keepAlive: defaultKeepAlive,
      nowMs: () => this.nowMs,
      arenas: new SpareMemory(1 << 22),
    })
    this.link.setHooks({ ...noopHooks, onBroken: (error) => void this.broken.push(error) })
    this.reader = this.link.createReader()
  }

  get exchange(): Exchange {
    return this.link.exchange as Exchange
  }

  /** Throws what a frame throws. */
  read(chunk: Buffer): void {
    this.link.kept.begin(chunk)
    this.link.chunkBegins(chunk.length)
    this.reader.push(chunk)
    this.link.kept.settle()
  }

  take(): Buffer {
    return Buffer.concat(this.link.takeBatch())
  }
}

export class LinkPair {
  alice: PairEnd
  bob: PairEnd
  readonly #options: PairOptions
  #bootId = 1n

  constructor(options: PairOptions = {}) {
    this.#options = options
    this.alice = new PairEnd(1, options)
    this.bob = new PairEnd(2, options)
  }

  /** Both adopt each other's hello. What is sent again is read at once. */
  connect(): void {
    const [mine, theirs] = [this.alice.link.epoch.composeHello(), this.bob.link.epoch.composeHello()]
    this.alice.reader = this.alice.link.createReader()
    this.bob.reader = this.bob.link.createReader()
    const ofAlice = Buffer.concat(this.alice.link.established({ mine, theirs }))
    const ofBob = Buffer.concat(this.bob.link.established({ mine: theirs, theirs: mine }))
    if (ofAlice.length > 0) this.bob.read(ofAlice)
    if (ofBob.length > 0) this.alice.read(ofBob)
    this.alice.link.flow()
    this.bob.link.flow()
  }

  /** Only Alice adopts the connection; then it is lost. */
  connectAliceOnly(use: () => void): void {
    const [mine, theirs] = [this.alice.link.epoch.composeHello(), this.bob.link.epoch.composeHello()]
    this.alice.link.established({ mine, theirs })
    this.alice.link.flow()
    use()
    this.alice.take()
    this.disconnect()
  }

  disconnect(): void {
    this.alice.link.connectionLost()
    this.bob.link.connectionLost()
  }

  /** Bob's process is replaced by another one, which knows nothing. */
  restartBob(): void {
    this.alice.link.connectionLost()
    this.bob = new PairEnd(2, this.#options, ++this.#bootId)
  }

  /** Everything that is to be sent arrives. @returns the bytes that travelled */
  settle(): number {
    let travelled = 0
    for (;;) {
      const [fromAlice, fromBob] = [this.alice.take(), this.bob.take()]
      if (fromAlice.length + fromBob.length === 0) return travelled
      travelled += fromAlice.length + fromBob.length
      if (fromAlice.length > 0) this.bob.read(fromAlice)
      if (fromBob.length > 0) this.alice.read(fromBob)
      // An Ack is due after 64 frames or 50 ms; here at once, so that Pieces go on.
      this.alice.nowMs += 60
      this.bob.nowMs += 60
      this.alice.link.poll(this.alice.nowMs, this.alice.nowMs)
      this.bob.link.poll(this.bob.nowMs, this.bob.nowMs)
    }
  }
}
