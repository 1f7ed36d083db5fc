/**
 * Owns: one end of a TCP connection as a test holds it: every byte that arrived, in order, and how it ended.
 * Independent of: handshakes, frames, and the runtime under test.
 */
import net from 'node:net'
import { within } from './bounded-wait.ts'

export class RawSocket {
  readonly socket: net.Socket
  /**
   * Resolves when the other side has ended or reset the connection; with the error of a reset, or null for an orderly
   * end.
   */
  readonly ended: Promise<Error | null>
  readonly closed: Promise<void>
  #memory: Buffer = Buffer.alloc(1024)
  #length = 0
  #taken = 0
  #isOver = false
  #error: Error | null = null
  readonly #changes = new Set<() => void>()

  constructor(socket: net.Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => {
      this.#keep(chunk)
      this.#notify()
    })
    this.ended = new Promise((resolve) => {
      const end = (): void => {
        this.#isOver = true
        this.#notify()
        resolve(this.#error)
      }
      socket.on('error', (error) => (this.#error = error))
      socket.on('end', end)
      socket.on('close', end)
    })
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
  }

  static async dial(url: string): Promise<RawSocket> {
    const { hostname, port } = new URL(url)
    const socket = net.connect({ host: hostname, port: Number(port) })
    const raw = new RawSocket(socket)
    await within(
      new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject)),
      `${url} accepts a connection`,
    )
    return raw
  }

  /** Everything that arrived so far. */
  get received(): Buffer {
    return this.#memory.subarray(0, this.#length)
  }

  /** What arrived and was not read. */
  get unread(): Buffer {
    return this.#memory.subarray(this.#taken, this.#length)
  }

  get isOver(): boolean {
    return this.#isOver
  }

  write(bytes: Uint8Array | string): void {
    this.socket.write(bytes)
  }

  /** The next bytes; an error if the connection ends before them. */
  async read(lengthBytes: number): Promise<Buffer> {
    while (this.unread.length < lengthBytes) {
      if (this.#isOver)
        throw new Error(`the connection ended after ${this.unread.length} of ${lengthBytes} bytes`, {
          cause: this.#error,
        })
      await within(this.#change(), `${lengthBytes} bytes arrive (${this.unread.length} did)`)
    }
    const bytes = this.unread.subarray(0, lengthBytes)
    this.#taken += lengthBytes
    return bytes
  }

  /** The other side has ended the connection. */
  async end(): Promise<Error | null> {
    return await within(this.ended, 'the other side closes the connection')
  }

  /** Stops reading, so that the other side's kernel buffer fills. */
  stopReading(): void {
    this.socket.pause()
  }

  reset(): void {
    this.socket.resetAndDestroy()
  }

  /** FIN in one direction only; bytes can still arrive. */
  halfClose(): void {
    this.socket.end()
  }

  close(): void {
    this.socket.destroy()
  }

  #keep(chunk: Buffer): void {
    const length = this.#length + chunk.length
    if (length > this.#memory.length) {
      const larger = Buffer.alloc(length * 2)
      this.#memory.copy(larger, 0, 0, this.#length)
      this.#memory = larger
    }
    chunk.copy(this.#memory, this.#length)
    this.#length = length
  }

  #notify(): void {
    for (const resolve of this.#changes) resolve()
    this.#changes.clear()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#changes.add(resolve))
  }
}
