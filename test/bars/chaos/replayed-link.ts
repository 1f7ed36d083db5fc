/**
 * Owns: one side of a recorded conversation as a real handshake, reader and link without a socket: the same bytes in
 * any pieces, and everything that resulted as one text.
 * Independent of: how the conversation was recorded, and what the result is compared with.
 */
import { createHash } from 'node:crypto'
import { encodeFrame } from '../../../codec/index.ts'
import { HelloReader } from '../../../codec/hello.ts'
import { NativeFrameReader } from '../../../codec/native-frame-reader.ts'
import { controlLane } from '../../../codec/native-frames.ts'
import type { FrameSource } from '../../../protocol/dialect.ts'
import { decodePeerId } from '../../../protocol/key-id.ts'
import { noopHooks } from '../../../protocol/link-core.ts'
import { defaultKeepAlive } from '../../../protocol/native/epoch/keep-alive.ts'
import { LinkEpoch } from '../../../protocol/native/epoch/link-epoch.ts'
import { PeerProcesses } from '../../../protocol/native/handshake/peer-processes.ts'
import { NativeAcceptorHandshake, NativeDialerHandshake } from '../../../protocol/native/link/native-handshake.ts'
import { NativeLink } from '../../../protocol/native/link/native-link.ts'
import { NodeMemory } from '../../../protocol/native/memory/node-memory.ts'
import { openSessions } from '../../support/open-sessions.ts'
import type { Direction } from './chaos-proxy.ts'
import { sessionsOfConversation } from './conversation.ts'
import type { Conversation } from './conversation.ts'

const limits = {
  maxMessageLengthBytes: 16 * 1024 * 1024,
  laneWindowBytes: 65_536,
  resumeTimeoutMs: 120_000,
  links: 1,
  replayWindowBytes: 4 * 1024 * 1024,
  streamsMax: 1024,
}

/** The counted frames after the hello. */
function countedFrames(bytes: Buffer, role: 'dialer' | 'acceptor'): Buffer[] {
  const step = new HelloReader(role).feed(bytes)
  if (step.kind !== 'hello') throw new Error(`the recorded bytes begin with ${step.kind}`)
  const frames: Buffer[] = []
  const sink = {
    onFrame: (lane: number, _descriptor: number, buffer: Buffer, start: number, end: number): boolean => {
      if (lane !== controlLane) frames.push(buffer.subarray(start - 5, end))
      return true
    },
  }
  new NativeFrameReader({ ...limits, linkIndex: 0 }, sink).push(step.rest)
  return frames
}

export class ReplayedSide {
  readonly #bytes: Buffer
  readonly #role: 'dialer' | 'acceptor'
  readonly #own: readonly Buffer[]
  readonly #keys: { readonly ownKey: Buffer; readonly peerKey: Buffer }

  /** @param direction the bytes that this side receives: the acceptor reads what goes up */
  constructor({ dialer, acceptor, bytes }: Conversation, direction: Direction) {
    const isAcceptor = direction === 'up'
    this.#bytes = bytes[direction]
    this.#role = isAcceptor ? 'acceptor' : 'dialer'
    // The peer acknowledges frames, so they must have been sent.
    this.#own = countedFrames(bytes[isAcceptor ? 'down' : 'up'], isAcceptor ? 'dialer' : 'acceptor')
    this.#keys = {
      ownKey: decodePeerId(isAcceptor ? acceptor : dialer),
      peerKey: decodePeerId(isAcceptor ? dialer : acceptor),
    }
  }

  get lengthBytes(): number {
    return this.#bytes.length
  }

  /** @param ends where the pieces end, ascending; the rest is the last piece. @returns everything that resulted */
  replay(ends: Iterable<number>): string {
    const told = createHash('sha1')
    let epochs = 1n
    const epoch = new LinkEpoch({
      linkIndex: 0,
      ...this.#keys,
      limits,
      processes: new PeerProcesses(1n),
      drawEpoch: () => (epochs += 1n),
    })
    const state = new NativeLink({
      peer: 'peer',
      linkIndex: 0,
      epoch,
      laneWindowBytes: limits.laneWindowBytes,
      maxMessageLengthBytes: limits.maxMessageLengthBytes,
      messageBytesMax: 1 << 20,

      streamsMax: 1024,
      streamOpensPerSecond: 100_000,
      sendQueueBytesMax: 1,
      sendQueueValuesMax: 1,
      keepAlive: defaultKeepAlive,
      nowMs: () => 0,
      memory: new NodeMemory().open(),
    })
    let values = 0
    state.setHooks({
      ...noopHooks,
      onGoodbye: (step) => void told.update(`goodbye ${step}`),
      onHandlerFailed: (_lane, error) => void told.update(String(error)),
    })
    const feed = this.#handshake(state, () => {
      for (const frame of this.#own) state.epoch.retransmit.push([frame], [frame.length])
      for (const lane of openSessions(state, sessionsOfConversation)) {
        lane.setHandler((value) => {
          values++
          told.update(encodeFrame(lane.id, value))
        })
        lane.onEnded = (error) => told.update(`lane ${lane.id} ended: ${error.message}`)
      }
    })
    let at = 0
    const piece = (end: number): void => {
      feed(this.#bytes.subarray(at, end))
      at = end
    }
    try {
      for (const end of ends) piece(end)
      if (at < this.#bytes.length) piece(this.#bytes.length)
    } catch (error) {
      told.update(String(error))
      return `${String(error)} ${told.digest('hex')}`
    }
    return `${values} values, ${epoch.received} frames, acknowledged ${epoch.retransmit.first}, ${told.digest('hex')}`
  }

  #handshake(state: NativeLink, begin: () => void): (bytes: Buffer) => void {
    let source: FrameSource | null = null
    const handshake = this.#role === 'dialer' ? new NativeDialerHandshake(state) : new NativeAcceptorHandshake()
    if ('begin' in handshake) handshake.begin()
    const frames = (bytes: Buffer): void => {
      state.chunkBegins(bytes.length)
      source?.push(bytes)
      state.kept.settle()
      state.takeBatch()
    }
    // A dialer sends nothing between its hello and the answer. If bytes were joined here, they wait for the answer.
    let helloBytesLeft = this.#role === 'acceptor' ? 160 : Infinity
    return (bytes) => {
      if (source !== null) return frames(bytes)
      const head = bytes.subarray(0, helloBytesLeft)
      helloBytesLeft -= head.length
      const step = handshake.feed(head)
      if (step.refuse !== undefined) throw new Error(step.refuse.reason)
      let agreed: unknown
      let rest = bytes.subarray(head.length)
      if (step.claim !== undefined && 'confirm' in handshake) {
        const fault = handshake.judge(state, false)
        if (fault !== null) throw new Error(fault.reason)
        agreed = handshake.confirm(state).agreed
      } else if (step.verified === true) {
        agreed = step.agreed
        rest = step.rest ?? rest
      } else return
      state.established(agreed)
      state.flow()
      source = state.createReader()
      begin()
      frames(rest)
    }
  }
}
