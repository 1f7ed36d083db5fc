/**
 * Owns: whether a network says byte for byte what the transcripts of test/vectors/native.json have, in the seat of either
 * peer, over real sockets.
 * Independent of: Ping, Pong and Ack, which depend on time and are skipped; and what a frame means.
 *
 * What a process draws at random (epochs, boot id, call id, key) differs in every run, so the test learns those of the
 * network and puts them in the place of those in the file, in both directions.
 */
import net from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createNetwork, Identity } from '../../actors/index.ts'
import type { Network, Session } from '../../actors/index.ts'
import { helloLengthBytes } from '../../codec/hello.ts'
import { NativeFrameReader } from '../../codec/native-frame-reader.ts'
import { controlLane, nativeDescriptors } from '../../codec/native-frames.ts'
import { encodePeerId } from '../../protocol/key-id.ts'
import { bytesOfParts, nativeVectors, patternBytes } from '../codec/native-vectors.ts'
import type { NativeTranscript, TranscriptStep } from '../codec/native-vectors.ts'
import { within } from '../support/bounded-wait.ts'
import { keys } from '../support/native-scene.ts'
import { RawSocket } from '../support/raw-socket.ts'

type Seat = 'L' | 'G'
const fileKeys = { G: Buffer.from(nativeVectors.keys.G, 'hex'), L: Buffer.from(nativeVectors.keys.L, 'hex') }
/** Where a hello has what a process draws or counts. */
const helloPlaces = { bootId: [24, 32], epoch: [32, 40], nextEpoch: [40, 48], publicKey: [80, 112] } as const

const u64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(value)
  return bytes
}

/** The frames of one connection that are counted, one after the other. */
class CountedFrames {
  readonly #raw: RawSocket
  readonly #frames: Buffer[] = []
  readonly #reader = new NativeFrameReader(
    { maxMessageLengthBytes: 2 ** 30, linkIndex: 0 },
    {
      onFrame: (lane, _descriptor, buffer, start, end) => {
        if (lane !== controlLane) this.#frames.push(Buffer.from(buffer.subarray(start - 5, end)))
        return false
      },
    },
  )

  constructor(raw: RawSocket) {
    this.#raw = raw
  }

  async next(): Promise<Buffer> {
    while (this.#frames.length === 0) this.#reader.push(Buffer.from(await this.#raw.read(1)))
    return this.#frames.shift() as Buffer
  }
}

/** One seat played from the file, the other by a network. */
class Replay {
  readonly transcript: NativeTranscript
  readonly network: Network
  readonly #server: net.Server | null
  readonly #sockets: RawSocket[] = []
  readonly #waiting: ((raw: RawSocket) => void)[] = []
  /** By the bytes in the file, what they are in this run. */
  readonly #learnt: [Buffer, Buffer][] = []

  private constructor(transcript: NativeTranscript, network: Network, server: net.Server | null) {
    this.transcript = transcript
    this.network = network
    this.#server = server
    server?.on('connection', (socket) => {
      const raw = new RawSocket(socket)
      const waiting = this.#waiting.shift()
      if (waiting === undefined) this.#sockets.push(raw)
      else waiting(raw)
    })
  }

  /** @param seat of the network */
  static async begin(transcript: NativeTranscript, seat: Seat): Promise<Replay> {
    const other = encodePeerId(seat === 'G' ? fileKeys.L : fileKeys.G)
    const server = seat === 'L' ? net.createServer() : null
    if (server !== null) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = server === null ? undefined : `tcp://127.0.0.1:${String((server.address() as net.AddressInfo).port)}`
    const network = createNetwork({
      dialect: 'native',
      security: 'plaintext',
      identity: keys[seat === 'G' ? 2 : 0] as Identity,
      ...(seat === 'G' && { listen: 'tcp://127.0.0.1:0' }),
      peers: [{ id: other, ...(url !== undefined && { urls: url }) }],
      limits: { backoffMinMs: 1, backoffMaxMs: 5, shutdownTimeoutMs: 100 },
    } as never)
    await network.ready()
    return new Replay(transcript, network, server)
  }

  async connection(): Promise<RawSocket> {
    if (this.#server === null) return RawSocket.dial((this.network.url as string).replace('0.0.0.0', '127.0.0.1'))
    const ready = this.#sockets.shift()
    return ready ?? within(new Promise<RawSocket>((resolve) => this.#waiting.push(resolve)), 'the network dials')
  }

  /** The bytes of a step, with what this run has drawn. */
  bytes(step: TranscriptStep): Buffer {
    let text = bytesOfParts(step.parts ?? []).toString('hex')
    for (const [inFile, here] of this.#learnt) text = text.replaceAll(inFile.toString('hex'), here.toString('hex'))
    return Buffer.from(text, 'hex')
  }

  /** The network's first hello. */
  learnHello(step: TranscriptStep, hello: Buffer): void {
    const inFile = bytesOfParts(step.parts ?? [])
    for (const [start, end] of Object.values(helloPlaces))
      this.#learnt.push([inFile.subarray(start, end), Buffer.from(hello.subarray(start, end))])
  }

  /** The call id of the network, from its Want or Make; and the k of its Want. */
  learnCall(seat: Seat, frame: Buffer): void {
    const { callIdL, callIdG, set, k } = this.transcript.call
    const own = frame.readBigUInt64LE(9)
    const other = BigInt(seat === 'G' ? callIdL : callIdG)
    this.#learnt.push([u64(BigInt(seat === 'G' ? callIdG : callIdL)), u64(own)], [u64(BigInt(set)), u64(own ^ other)])
    if (seat === 'G') return
    const kInFile = Buffer.alloc(4)
    kInFile.writeUInt32LE(k)
    // With the descriptor before it: four bytes alone could be part of anything.
    for (const descriptor of [0x3d, 0x3e, 0x3f, 0x40, 0x41]) {
      const before = Buffer.from([0xfe, 0xff, 0xff, 0x7f, descriptor])
      this.#learnt.push([Buffer.concat([before, kInFile]), Buffer.concat([before, frame.subarray(5, 9)])])
    }
  }

  async end(): Promise<void> {
    await this.network.shutdown()
    this.#server?.close()
  }
}

const replays: Replay[] = []
afterEach(async () => {
  for (const replay of replays.splice(0)) await replay.end()
})

async function play(transcript: NativeTranscript, seat: Seat): Promise<void> {
  const replay = await Replay.begin(transcript, seat)
  replays.push(replay)
  const { network } = replay
  const peer = network.peers[0]?.id as string
  const sessions = network.makeSessions({ name: transcript.call.name, count: transcript.call.count })
  const used = sessions.then((made) => use(made as readonly Session[], peer, transcript, seat))
  used.catch(() => {})
  let raw = await replay.connection()
  let frames = new CountedFrames(raw)
  let helloCount = 0
  const valueFrames: string[] = []
  const expectedValues: string[] = []
  for (const step of transcript.steps) {
    if (step.break === true) {
      raw.reset()
      raw = await replay.connection()
      frames = new CountedFrames(raw)
      continue
    }
    if (step.from !== seat) {
      raw.write(replay.bytes(step))
      continue
    }
    if (step.what === 'hello') {
      const hello = Buffer.from(await raw.read(helloLengthBytes))
      if (helloCount === 0) replay.learnHello(step, hello)
      helloCount += 1
      expect(hello.toString('hex')).toBe(replay.bytes(step).toString('hex'))
      continue
    }
    const frame = await frames.next()
    const descriptor = frame[4]
    const isFirstOfCall = descriptor === nativeDescriptors.Want || descriptor === nativeDescriptors.Make
    if (isFirstOfCall) replay.learnCall(seat, frame)
    // Lanes take turns as they like, so values are compared lane by lane.
    if (frame.readUInt32LE(0) < 0x4000_0000 && descriptor !== nativeDescriptors.Credit) {
      valueFrames.push(frame.toString('hex'))
      expectedValues.push(replay.bytes(step).toString('hex'))
    } else expect(frame.toString('hex')).toBe(replay.bytes(step).toString('hex'))
  }
  expect(byLane(valueFrames)).toEqual(byLane(expectedValues))
  await within(used, 'the values arrive')
  raw.close()
}

const byLane = (frames: readonly string[]): string[] =>
  [...frames].sort((a, b) => a.slice(0, 8).localeCompare(b.slice(0, 8)))

/** What the application in this seat does: L sends the long value and the number, G answers. */
async function use(
  sessions: readonly Session[],
  peer: string,
  transcript: NativeTranscript,
  seat: Seat,
): Promise<void> {
  const [first, second] = sessions as [Session, Session]
  const lengthBytes = transcript.value?.pattern ?? 0
  const hasNumber = transcript.steps.some(({ what }) => what?.startsWith('RingElement32'))
  if (seat === 'L') {
    if (lengthBytes > 0) await first.send(peer, { type: 'Bytes', value: patternBytes(0, lengthBytes) })
    if (hasNumber) await second.send(peer, { type: 'RingElement32', value: 4_000_000_000 })
    if (lengthBytes > 0) return
    expect(await first.receive(peer)).toEqual({ type: 'Bytes', value: Buffer.from('from G') })
    return
  }
  if (hasNumber) expect(await second.receive(peer)).toEqual({ type: 'RingElement32', value: 4_000_000_000 })
  if (lengthBytes === 0) return first.send(peer, { type: 'Bytes', value: Buffer.from('from G') })
  const value = await first.receive(peer)
  expect(Buffer.from(value.value as Uint8Array).equals(patternBytes(0, lengthBytes))).toBe(true)
}

describe('a transcript of the second encoder', () => {
  for (const transcript of nativeVectors.transcripts) {
    it(`is what the acceptor with the greater key says: ${transcript.name}`, () => play(transcript, 'G'))

    // The file's dialer says how far it was when the socket broke; a network may have handed over more by then.
    if (!transcript.steps.some((step) => step.break === true)) {
      it(`is what the dialer with the lesser key says: ${transcript.name}`, () => play(transcript, 'L'))
    }
  }
})
