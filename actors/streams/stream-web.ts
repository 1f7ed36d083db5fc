/**
 * Owns: a stream as a pair of Web Streams. Node's own `Duplex.toWeb` loses ends and aborts (Node 20): closing the
 * writer waits for the other direction, and an abort looks like a clean end at the peer.
 * Independent of: how a stream sends and receives.
 */
import { ReadableStream, WritableStream } from 'node:stream/web'
import type { ReadableByteStreamController, UnderlyingByteSource, UnderlyingSource } from 'node:stream/web'
import type { Stream } from './stream.ts'
import type { StreamReset } from '../../protocol/streams.ts'
import { resetOf } from './stream-error.ts'

export interface WebStream {
  /** A byte stream. */
  readonly readable: ReadableStream<Uint8Array>
  readonly writable: WritableStream<Uint8Array>
}

export interface WebStreamPort {
  whenAcked(resolve: () => void, reject: (error: Error) => void): () => void
  /** Ends reading, once writing has finished. */
  stopReading(reset: StreamReset): void
  reset(reset: StreamReset): void
}

const reasonOf = (reason: unknown): StreamReset => resetOf(reason instanceof Error ? reason : new Error(String(reason)))

export function streamToWeb(stream: Stream, port: WebStreamPort): WebStream {
  let failure: Error | null = null
  stream.on('error', (error: Error) => (failure = error))
  const closedError = (): Error => failure ?? new Error('the stream was closed')
  const source: UnderlyingByteSource = {
    type: 'bytes',
    start(controller: ReadableByteStreamController) {
      stream.on('close', () => {
        if (!stream.readableEnded || failure !== null) tryTo(() => controller.error(closedError()))
      })
    },
    pull(controller: ReadableByteStreamController) {
      return new Promise<void>((resolve) => {
        const take = (): void => {
          const chunk = stream.read() as Buffer | null
          if (chunk !== null) {
            // A copy: a byte stream takes the memory of what it is given, and small buffers share theirs.
            tryTo(() => controller.enqueue(new Uint8Array(chunk)))
            return finish()
          }
          if (!stream.readableEnded && !stream.destroyed) return
          // One that was destroyed fails when its error is emitted, which may be later.
          if (stream.readableEnded && failure === null) tryTo(() => endOf(controller))
          finish()
        }
        const finish = (): void => {
          for (const event of ['readable', 'end', 'close']) stream.off(event, take)
          resolve()
        }
        for (const event of ['readable', 'end', 'close']) stream.on(event, take)
        take()
      })
    },
    cancel(reason: unknown) {
      port.stopReading(reasonOf(reason))
    },
  }
  const readable = new ReadableStream(source as unknown as UnderlyingSource<Uint8Array>)
  const writable = new WritableStream<Uint8Array>(
    {
      start(controller) {
        stream.on('close', () => {
          if (!stream.writableFinished) tryTo(() => controller.error(closedError()))
        })
      },
      write: (chunk) =>
        new Promise<void>((resolve, reject) => {
          stream.write(chunk, (error) => (error === null || error === undefined ? resolve() : reject(error)))
        }),
      close: () =>
        new Promise<void>((resolve, reject) => {
          stream.once('close', () => {
            if (!stream.writableFinished) reject(closedError())
          })
          stream.end(() => port.whenAcked(resolve, reject))
        }),
      abort: (reason) => port.reset(reasonOf(reason)),
    },
    { highWaterMark: stream.writableHighWaterMark, size: (chunk) => chunk.byteLength },
  )
  return { readable, writable }
}

/** A reader that waits with memory of its own is answered with 0 bytes. */
function endOf(controller: ReadableByteStreamController): void {
  controller.close()
  ;(controller.byobRequest as { respond(bytes: number): void } | null | undefined)?.respond(0)
}

/** The stream was closed or cancelled meanwhile. */
function tryTo(action: () => void): void {
  try {
    action()
  } catch {
    // Nobody reads it any more.
  }
}
