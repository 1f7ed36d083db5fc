/**
 * Owns: the writing half of a stream: what an application writes becomes frames, and when writing has failed, who is
 * told and when.
 * Independent of: reading, and of how a stream ends.
 */
import { StatewireError } from '../../codec/errors.ts'
import { streamFrameLengthBytesMax } from '../../codec/native-frames.ts'
import type { StreamPort } from '../../protocol/streams.ts'
import type { Callback } from './duplex-base.ts'
import { nameOf, StreamError } from './stream-error.ts'

interface WrittenStream {
  readonly peer: string
  readonly protocol: string
  readonly destroyed: boolean
  readonly readableEnded: boolean
}

export class StreamWriter {
  readonly #stream: WrittenStream
  port: StreamPort | null = null
  /** Why writing has failed; null while it has not. Reading may go on. */
  failure: StreamError | null = null
  bytesWritten = 0
  /** Takes back a write that waits, and ends it. */
  #withdraw: (() => void) | null = null
  /** A write that has failed: its error is reported once it is known, and the answer of the peer is read. */
  #held: (() => void) | null = null

  constructor(stream: WrittenStream) {
    this.#stream = stream
  }

  /** @param from what came before has been accepted */
  write(chunk: Buffer, from: number, callback: Callback): void {
    const { port } = this
    if (this.failure !== null || port === null || port.isOver) return this.#fail(callback)
    let at = from
    try {
      while (at < chunk.length) {
        const part =
          chunk.length <= streamFrameLengthBytesMax ? chunk : chunk.subarray(at, at + streamFrameLengthBytesMax)
        if (!port.trySend(part)) return this.#wait(port, part, chunk, at, callback)
        at += part.length
        this.bytesWritten += part.length
      }
    } catch (error) {
      return callback(this.#refused(error as Error))
    }
    callback()
  }

  #wait(port: StreamPort, part: Buffer, chunk: Buffer, at: number, callback: Callback): void {
    const withdraw = port.waitToSend(
      part,
      () => {
        this.#withdraw = null
        this.bytesWritten += part.length
        this.write(chunk, at + part.length, callback)
      },
      (error) => {
        this.#withdraw = null
        if (port.isOver) this.#fail(callback)
        else callback(this.#refused(error))
      },
    )
    this.#withdraw = () => {
      if (withdraw()) callback()
    }
  }

  /** `callback` gets no error once this side has finished. */
  finish(callback: (error?: Error) => void): void {
    const { port } = this
    if (this.failure !== null || port === null || port.isOver)
      return this.#fail((error) => callback(error ?? undefined))
    try {
      port.finish()
    } catch (error) {
      return callback(this.#refused(error as Error))
    }
    callback()
  }

  /** Its link takes nothing new. */
  #refused(error: Error): StreamError {
    const { peer, protocol } = this.#stream
    const code = error instanceof StatewireError ? error.code : 'ERR_INTERNAL'
    const message = `${nameOf(peer, protocol)} takes nothing more: ${error.message}`
    return new StreamError(code, message, { peer, protocol, by: 'self', reason: error.message, cause: error })
  }

  /** The stream is over for writing: the reason is known, or follows in the same call. */
  #fail(callback: Callback): void {
    const { destroyed, readableEnded } = this.#stream
    if (destroyed) return callback()
    // The answer of the peer is read first: with an error now, Node would throw away what is unread.
    if (this.failure === null || !readableEnded) this.#held = () => callback(this.failure)
    else callback(this.failure)
  }

  /** @returns whether a write was waiting to report its failure */
  readingEnded(): boolean {
    const held = this.#held
    this.#held = null
    held?.()
    return held !== null
  }

  /** The stream is destroyed. As in a socket, a write that was not accepted ends without an error of its own. */
  close(): void {
    this.#withdraw?.()
    this.readingEnded()
  }
}
