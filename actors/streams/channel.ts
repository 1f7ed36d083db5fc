/**
 * Owns: values over a stream: each is a MessagePack value after its length, in both directions (docs/protocol.md,
 * "Channels").
 * Independent of: how a stream is opened, and of sessions.
 */
import { InvalidValueError, ProtocolError, StatewireError } from '../../codec/errors.ts'
import { decodeCheckedMsgPack, checkMsgPack } from '../../codec/msgpack-decode.ts'
import { encodeMsgPack } from '../../codec/msgpack-encode.ts'
import type { MsgPackData } from '../../codec/values.ts'
import { lengthFieldLengthBytes } from '../../codec/constants.ts'
import { resetCodes } from '../../codec/native-frames.ts'
import { DuplexBase } from './duplex-base.ts'
import type { CloseReason } from './stream-error.ts'
import type { Stream } from './stream.ts'

/** Values that may wait on each side of a channel before its writer is told to wait. 16, as Node's object streams. */
const highWaterMarkValues = 16

/**
 * Values in both directions between two peers, over one stream. A Node Duplex in object mode: `write` takes any value
 * that MessagePack carries, and `for await` gives them in order.
 */
export class Channel<Value = unknown> extends DuplexBase {
  readonly stream: Stream
  readonly #valueBytesMax: number
  #parts: Buffer[] = []
  #partsBytes = 0
  #neededBytes = lengthFieldLengthBytes
  #isWanted = false
  #hasEnded = false
  /** What arrived is no value. The values before it are read first. */
  #failure: Error | null = null
  /** Ends what was being written when the stream ended: the channel follows, with the same error or none. */
  #dropped: (() => void) | null = null

  /** @internal */
  constructor(stream: Stream, valueBytesMax: number) {
    super({ objectMode: true, highWaterMark: highWaterMarkValues, allowHalfOpen: true })
    this.stream = stream
    this.#valueBytesMax = valueBytesMax
    stream.held.unreadInChannel = () => this.readableLength + this.#unreadValueBytes()
    stream.on('readable', () => {
      this.#take()
      stream.held.check()
    })
    stream.on('end', () => {
      this.#hasEnded = true
      this.#take()
    })
    stream.on('error', (error) => this.destroy(error))
    stream.on('close', () => {
      if (!stream.readableEnded || !stream.writableFinished) this.destroy()
    })
  }

  get peer(): string {
    return this.stream.peer
  }

  get protocol(): string {
    return this.stream.protocol
  }

  get extra(): Buffer {
    return this.stream.extra
  }

  /** Resolves when its stream has ended, with how. */
  get closed(): Promise<CloseReason> {
    return this.stream.closed
  }

  /**
   * Writes one value. Resolves when it is accepted under back-pressure.
   * @throws StatewireError ERR_INVALID_VALUE for what MessagePack cannot carry; why the channel has ended
   */
  send(value: Value): Promise<void> {
    return new Promise((resolve, reject) => {
      // Here, because a write that fails would end the channel.
      const encoded = new Encoded(value)
      this.write(encoded, (error) => {
        const why = error ?? (encoded.isDropped ? (this.stream.errored ?? this.#isOver()) : null)
        if (why === null) resolve()
        else reject(why)
      })
    })
  }

  override _write(value: Value | Encoded, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    let encoded: Encoded
    try {
      encoded = value instanceof Encoded ? value : new Encoded(value)
    } catch (error) {
      return callback(error as Error)
    }
    this.stream.write(encoded.bytes, (error) => {
      // What ends the stream ends the channel, and a write that fails for that is no further error.
      encoded.isDropped = this.stream.destroyed
      this.#settle(error, callback)
    })
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.stream.end((error?: Error | null) => this.#settle(error, callback))
  }

  #settle(error: Error | null | undefined, callback: (error?: Error | null) => void): void {
    if (!this.stream.destroyed || this.stream.writableFinished) callback(error)
    else if (this.destroyed) callback()
    else this.#dropped = callback
  }

  #isOver(): StatewireError {
    return new StatewireError(
      'ERR_STREAM_RESET',
      `the channel ${JSON.stringify(this.protocol)} ended before a value was accepted`,
    )
  }

  /** Reading to the end leaves the other direction open, unlike Node's own iterator; leaving early ends the channel. */
  override async *[Symbol.asyncIterator](): AsyncGenerator<Value, undefined, void> {
    let isComplete = false
    try {
      for await (const value of this.iterator({ destroyOnReturn: false })) yield value as Value
      isComplete = true
    } finally {
      if (!isComplete) this.destroy()
    }
  }

  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as in Node's types
  override read(size?: number): any {
    const value: unknown = super.read(size)
    if (this.#failure !== null) this.#refuse(this.#failure)
    this.stream.held.check()
    return value
  }

  /** Bytes in which the next value is complete, or may be. */
  #unreadValueBytes(): number {
    return this.#partsBytes >= this.#neededBytes ? this.#partsBytes : 0
  }

  override _read(): void {
    this.#isWanted = true
    this.#take()
  }

  #take(): void {
    while (this.#isWanted && this.#failure === null && !this.destroyed) {
      if (this.#partsBytes < this.#neededBytes) {
        const chunk = this.stream.read() as Buffer | null
        if (chunk === null) return this.#hasEnded ? this.#ended() : undefined
        this.#parts.push(chunk)
        this.#partsBytes += chunk.length
        continue
      }
      try {
        this.#next()
      } catch (error) {
        this.#refuse(error as Error)
      }
    }
  }

  /** What is needed has arrived: a length, or a value after it. Throws ProtocolError. */
  #next(): void {
    const bytes = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts)
    const lengthBytes = bytes.readUInt32LE(0)
    if (lengthBytes > this.#valueBytesMax)
      throw new ProtocolError(
        'ERR_MESSAGE_TOO_LONG',
        `a value of ${lengthBytes} bytes arrived on the channel ${JSON.stringify(this.protocol)}; ` +
          `${this.#valueBytesMax} are allowed`,
      )
    this.#neededBytes = lengthFieldLengthBytes + lengthBytes
    this.#parts = [bytes]
    if (bytes.length < this.#neededBytes) return
    const rest = bytes.subarray(this.#neededBytes)
    const body = bytes.subarray(lengthFieldLengthBytes, this.#neededBytes)
    this.#parts = rest.length === 0 ? [] : [rest]
    this.#partsBytes = rest.length
    this.#neededBytes = lengthFieldLengthBytes
    checkMsgPack(body, 0, body.length)
    const value = decodeCheckedMsgPack(body, 0)
    if (value === null || value === undefined)
      throw new ProtocolError(
        'ERR_MSGPACK_RESERVED',
        'a channel cannot carry nil: it would be the end of a Node stream',
      )
    this.#isWanted = this.push(value)
  }

  /** Once no value is left to read: destroying would discard those that are. */
  #refuse(error: Error): void {
    this.#failure = error
    if (this.readableLength > 0 || this.stream.destroyed) return
    this.stream.destroy(Object.assign(error, { streamErrorCode: resetCodes['bad-value'] }))
  }

  #ended(): void {
    this.#isWanted = false
    if (this.#partsBytes > 0)
      this.#refuse(new ProtocolError('ERR_VALUE_TRUNCATED', 'a channel ended in the middle of a value'))
    else this.push(null)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (!this.stream.destroyed) {
      if (this.stream.listenerCount('error') === 0) this.stream.on('error', () => {})
      this.stream.destroy(error ?? undefined)
    }
    this.#dropped?.()
    callback(error)
  }
}

/** A value after its length, as it is written. */
class Encoded {
  isDropped = false
  readonly bytes: Buffer

  /** @throws StatewireError ERR_INVALID_VALUE */
  constructor(value: unknown) {
    if (value === null || value === undefined)
      throw new InvalidValueError('a channel cannot carry null or undefined; call end() to finish it')
    const encoded = encodeMsgPack(value as MsgPackData)
    this.bytes = Buffer.alloc(lengthFieldLengthBytes + encoded.length)
    this.bytes.writeUInt32LE(encoded.length)
    encoded.copy(this.bytes, lengthFieldLengthBytes)
  }
}
