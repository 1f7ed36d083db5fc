/**
 * The thinnest multiplexer over TLS that lets lanes take turns: frames of at most 64 KiB, `u32 length | u32 lane | u32
 * length of the value`, written while the socket takes them. Owns this framing and its reassembly, one block per lane.
 * Independent of statewire: no session, acknowledgement, credit or recovery. One long value is on its way at a time.
 */
import type net from 'node:net'
import type { Accept, End, Subject } from '../subject.ts'
import { overTls } from './raw-tls.ts'

const headerBytes = 12
const frameBytesMax = 64 * 1024

interface Bulk {
  readonly lane: number
  readonly value: Buffer
  at: number
}

class MuxEnd implements End {
  readonly #socket: net.Socket
  readonly #accept: Accept
  #isBlocked = false
  #bulk: Bulk | null = null
  #resume: (() => void) | null = null
  /** The beginning of a frame that spans chunks. */
  readonly #held = Buffer.allocUnsafeSlow(headerBytes + frameBytesMax)
  #heldBytes = 0
  /** Long values that are arriving, by lane; their memory is used again. */
  readonly #blocks = new Map<number, { memory: Buffer; bytes: number }>()

  constructor(socket: net.Socket, accept: Accept) {
    this.#socket = socket
    this.#accept = accept
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#onChunk(chunk))
    socket.on('drain', () => {
      this.#isBlocked = false
      this.#pump()
    })
  }

  send(lane: number, value: Buffer): boolean {
    if (value.length > frameBytesMax) {
      this.#bulk = { lane, value, at: 0 }
      this.#pump()
      return this.#bulk === null
    }
    const frame = Buffer.allocUnsafe(headerBytes + value.length)
    this.#head(frame, lane, value.length, value.length)
    frame.set(value, headerBytes)
    if (!this.#socket.write(frame)) this.#isBlocked = true
    return true
  }

  whenWritable(resume: () => void): void {
    if (this.#bulk === null) setImmediate(resume)
    else this.#resume = resume
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.once('close', () => resolve())
      this.#socket.destroySoon()
    })
  }

  #pump(): void {
    for (let bulk = this.#bulk; bulk !== null && !this.#isBlocked; bulk = this.#bulk) {
      const part = bulk.value.subarray(bulk.at, bulk.at + frameBytesMax)
      const head = Buffer.allocUnsafe(headerBytes)
      this.#head(head, bulk.lane, part.length, bulk.value.length)
      this.#socket.cork()
      this.#socket.write(head)
      if (!this.#socket.write(part)) this.#isBlocked = true
      this.#socket.uncork()
      bulk.at += part.length
      if (bulk.at === bulk.value.length) this.#bulk = null
    }
    if (this.#bulk !== null) return
    const resume = this.#resume
    this.#resume = null
    if (resume !== null) setImmediate(resume)
  }

  #head(target: Buffer, lane: number, length: number, total: number): void {
    target.writeUInt32LE(length, 0)
    target.writeUInt32LE(lane, 4)
    target.writeUInt32LE(total, 8)
  }

  #onChunk(chunk: Buffer): void {
    let at = 0
    while (this.#heldBytes > 0 && at < chunk.length) {
      const needed = this.#heldBytes < headerBytes ? headerBytes : headerBytes + this.#held.readUInt32LE(0)
      const copied = chunk.copy(this.#held, this.#heldBytes, at, at + needed - this.#heldBytes)
      at += copied
      this.#heldBytes += copied
      if (this.#heldBytes < needed || (needed === headerBytes && this.#held.readUInt32LE(0) > 0)) continue
      this.#heldBytes = 0
      this.#frame(this.#held, 0)
    }
    while (chunk.length - at >= headerBytes) {
      const end = at + headerBytes + chunk.readUInt32LE(at)
      if (end > chunk.length) break
      this.#frame(chunk, at)
      at = end
    }
    if (at < chunk.length) this.#heldBytes = chunk.copy(this.#held, 0, at)
  }

  #frame(memory: Buffer, at: number): void {
    const length = memory.readUInt32LE(at)
    const lane = memory.readUInt32LE(at + 4)
    const total = memory.readUInt32LE(at + 8)
    const payload = memory.subarray(at + headerBytes, at + headerBytes + length)
    if (length === total) return this.#accept(lane, payload)
    let block = this.#blocks.get(lane)
    if (block === undefined || block.memory.length < total)
      this.#blocks.set(lane, (block = { memory: Buffer.allocUnsafeSlow(total), bytes: 0 }))
    block.memory.set(payload, block.bytes)
    block.bytes += length
    if (block.bytes < total) return
    block.bytes = 0
    this.#accept(lane, block.memory.subarray(0, total))
  }
}

export const rawTlsMux: Subject = {
  name: 'raw-tls-mux',

  serve(_row, open) {
    return new Promise((resolve, reject) => {
      const server = overTls.createServer((socket) => {
        const end: MuxEnd = new MuxEnd(socket, (lane, value) => accept(lane, value))
        const accept = open(end)
        socket.on('error', () => socket.destroy())
      })
      server.once('error', reject)
      server.listen(0, '127.0.0.1', () => {
        const { port } = server.address() as net.AddressInfo
        resolve({ port, close: () => new Promise((closed) => server.close(() => closed())) })
      })
    })
  },

  dial(_row, port, accept) {
    return new Promise((resolve, reject) => {
      const socket = overTls.connect(port, () => resolve(end))
      const end = new MuxEnd(socket, accept)
      socket.once('error', reject)
    })
  },
}
