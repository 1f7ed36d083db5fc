/**
 * Owns: a hand-written peer with a known key: TLS or plain TCP, any hello, then any bytes; what it received.
 * Independent of: which attack uses it.
 */
import net from 'node:net'
import tls from 'node:tls'
import type { Identity } from '../../../actors/index.ts'
import { encodeHello, HelloReader } from '../../../codec/hello.ts'
import type { Hello, Refusal } from '../../../codec/hello.ts'
import { NativeFrameReader } from '../../../codec/native-frame-reader.ts'
import { controlLane, nativeDescriptors } from '../../../codec/native-frames.ts'
import { decodeGoodbye } from '../../../protocol/native/frame-bodies.ts'

let bootNumber = 0n
/** Each connection is a newer process of the same peer, so its hello is never stale. */
const nextBootId = (): bigint => BigInt(Date.now()) * 1000n + 10_000_000_000n + ++bootNumber

export function hostileHello(publicKey: Uint8Array, changes: Partial<Hello> = {}): Hello {
  return {
    keepsIdle: true,
    connectionId: 0,
    maxMessageLengthBytes: 1 << 20,
    laneWindowBytes: 65_536,
    resumeTimeoutMs: 120_000,
    bootId: nextBootId(),
    epoch: BigInt(Math.floor(Math.random() * 2 ** 48)) | 1n,
    nextEpoch: BigInt(Math.floor(Math.random() * 2 ** 48)) | 1n,
    known: 0n,
    received: 0,
    first: 0,
    next: 0,
    publicKey,
    helloNumber: 1,
    links: 1,
    replayWindowBytes: 4 << 20,
    streamsMax: 1024,
    ...changes,
  }
}

export interface HostileOptions {
  readonly hello?: Hello
  /** The hello as raw bytes, if it could not be encoded. */
  readonly bytes?: Buffer
  readonly isPlain?: boolean
  /** Called for each counted frame of the victim. */
  readonly onFrame?: (lane: number, descriptor: number, body: Buffer) => void
}

export class HostilePeer {
  readonly socket: net.Socket
  readonly mine: Hello
  theirs: Hello | null = null
  refusal: Refusal | null = null
  /** The reason in the victim's Goodbye, or null. */
  goodbye: string | null = null
  goodbyeCode: number | null = null
  /** Counted frames of the victim: the number in our Acks. */
  counted = 0
  /** Frames of the victim by descriptor, and the bytes of their bodies. */
  readonly heard = new Map<number, number>()
  heardBytes = 0
  isClosed = false
  readonly whenClosed: Promise<void>
  readonly #onValue: (lane: number, descriptor: number, body: Buffer) => void
  #onAnswer: () => void = () => {}
  readonly whenAnswered: Promise<void>

  constructor(port: number, identity: Identity, options: HostileOptions = {}) {
    this.mine = options.hello ?? hostileHello(identity.publicKey)
    this.#onValue = options.onFrame ?? (() => {})
    const first = options.bytes ?? encodeHello(this.mine)
    this.whenAnswered = new Promise((resolve) => (this.#onAnswer = resolve))
    const socket =
      options.isPlain === true
        ? net.connect({ host: '127.0.0.1', port })
        : tls.connect({
            host: '127.0.0.1',
            port,
            rejectUnauthorized: false,
            minVersion: 'TLSv1.3',
            ALPNProtocols: ['statewire/1'],
            servername: '',
            key: identity.toPem(),
            cert: identity.certificate,
          })
    this.socket = socket
    socket.once(options.isPlain === true ? 'connect' : 'secureConnect', () => void socket.write(first))
    socket.on('error', () => socket.destroy())
    this.whenClosed = new Promise((resolve) => {
      socket.once('close', () => {
        this.isClosed = true
        this.#onAnswer()
        resolve()
      })
    })
    this.#read()
  }

  #read(): void {
    const hello = new HelloReader('dialer')
    const frames = new NativeFrameReader(
      { maxMessageLengthBytes: 0xffff_ffff, linkIndex: 0 },
      {
        onFrame: (lane, descriptor, buffer, start, end) => {
          this.heard.set(descriptor, (this.heard.get(descriptor) ?? 0) + 1)
          this.heardBytes += end - start
          if (lane !== controlLane) {
            this.counted++
            this.#onValue(lane, descriptor, buffer.subarray(start, end))
          } else if (descriptor === nativeDescriptors.Goodbye) {
            const { code, reason } = decodeGoodbye(buffer, start, end)
            this.goodbyeCode = code
            this.goodbye = reason
          }
          return true
        },
      },
    )
    this.socket.on('data', (bytes: Buffer) => {
      if (this.theirs !== null) return frames.push(bytes)
      const step = hello.feed(bytes)
      if (step.kind === 'more') return
      if (step.kind === 'refusal') this.refusal = step.refusal
      if (step.kind === 'hello') {
        this.theirs = step.hello
        if (step.rest.length > 0) frames.push(step.rest)
      }
      this.#onAnswer()
    })
  }

  get isUp(): boolean {
    return this.theirs !== null && !this.isClosed
  }

  /** Waits for room in the socket, as every flooder must; false once it is closed. */
  async say(bytes: Buffer): Promise<boolean> {
    if (this.isClosed || !this.socket.writable) return false
    if (!this.socket.write(bytes))
      await Promise.race([new Promise((resolve) => this.socket.once('drain', resolve)), this.whenClosed])
    return !this.isClosed
  }

  /** Stops reading: what the victim sends stays in its buffers. */
  stopReading(): void {
    this.socket.pause()
  }

  end(): void {
    this.socket.destroy()
  }
}
