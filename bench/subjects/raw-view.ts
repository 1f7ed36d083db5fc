/**
 * The ceiling over plain TCP: `net.Socket` driven by hand, with one Buffer view per message. Owns its own minimal
 * framing, `u32 length | u32 lane | payload` in little endian. Independent of statewire: no session, acknowledgement,
 * credit or recovery.
 *
 * What makes it fast:
 *   - small values are copied one after the other into an arena that is written once per tick, or per 64 KiB;
 *   - the arena is reused in place if the kernel took all of the write within the call, so it stays in the cache;
 *   - replies to one inbound chunk are written at its end, in one write, without waiting for the tick;
 *   - frames are parsed in place; only one that spans two chunks is copied, into a buffer that is reused;
 *   - large payloads are not copied: the writes of a tick are corked and leave in one gathered write;
 *   - back-pressure is a boolean.
 */
import net from 'node:net'
import type { Row } from '../rows.ts'
import type { Accept, End, Serving, Subject } from '../subject.ts'

const headerBytes = 8
const flushBytes = 64 * 1024
const arenaBytes = 4 * flushBytes
const referencedBytesMin = 16 * 1024
export const highWaterMarkBytes = 256 * 1024
const payloadBytesMax = 16 * 1024 * 1024

/** How the receiver gets a payload that lies in place. */
type Show = (memory: ArrayBuffer, offset: number, bytes: number) => Uint8Array

interface Lane {
  readonly id: number
  readonly accept: Accept
}

class RawEnd implements End {
  private readonly socket: net.Socket
  private readonly lanes = new Map<number, Lane>()
  private lastLane: Lane

  // Sending: arena[start, end) waits for its write.
  private arena = Buffer.allocUnsafeSlow(arenaBytes)
  private arenaView = new DataView(this.arena.buffer)
  private start = 0
  private end = 0
  private corked = false
  private flushIsDue = false
  private blocked = false
  private resume: (() => void) | undefined
  private readonly flushTurn = (): void => {
    this.flushIsDue = false
    this.flush()
  }

  private readonly show: Show
  // Receiving: the first `heldBytes` of `held` are the beginning of a frame that spans chunks.
  private held = Buffer.allocUnsafeSlow(2 * flushBytes)
  private heldBytes = 0

  constructor(socket: net.Socket, row: Row, accept: Accept, show: Show) {
    this.socket = socket
    this.show = show
    for (let id = 0; id < row.lanes; id++) this.lanes.set(id, { id, accept })
    this.lastLane = this.lanes.get(0)!
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.onChunk(chunk))
    socket.on('drain', () => {
      this.blocked = false
      const resume = this.resume
      this.resume = undefined
      resume?.()
    })
  }

  send(lane: number, value: Buffer): boolean {
    const bytes = value.length
    if (bytes >= referencedBytesMin) return this.sendReferenced(lane, value)
    let end = this.end
    if (end + headerBytes + bytes > arenaBytes) {
      this.flush()
      if (this.end !== 0) this.freshArena()
      end = this.end
    }
    this.arenaView.setUint32(end, bytes, true)
    this.arenaView.setUint32(end + 4, lane, true)
    this.arena.set(value, end + headerBytes)
    this.end = end + headerBytes + bytes
    if (this.end - this.start >= flushBytes) this.flush()
    else this.flushSoon()
    return !this.blocked
  }

  whenWritable(resume: () => void): void {
    if (this.blocked) this.resume = resume
    else setImmediate(resume)
  }

  close(): Promise<void> {
    this.flush()
    return new Promise((resolve) => {
      this.socket.once('close', () => resolve())
      this.socket.destroySoon()
    })
  }

  private sendReferenced(lane: number, value: Buffer): boolean {
    if (this.end + headerBytes > arenaBytes) this.freshArena()
    if (!this.corked) {
      this.socket.cork()
      this.corked = true
    }
    this.arenaView.setUint32(this.end, value.length, true)
    this.arenaView.setUint32(this.end + 4, lane, true)
    this.end += headerBytes
    this.socket.write(this.arena.subarray(this.start, this.end))
    this.start = this.end
    // Everything in a corked tick leaves at once: at the high-water mark, or at the end of the tick.
    if (!this.socket.write(value)) {
      this.blocked = true
      this.flush()
    } else this.flushSoon()
    return !this.blocked
  }

  private flushSoon(): void {
    if (this.flushIsDue) return
    this.flushIsDue = true
    process.nextTick(this.flushTurn)
  }

  private flush(): void {
    if (this.end > this.start) {
      if (!this.socket.write(this.arena.subarray(this.start, this.end))) this.blocked = true
      this.start = this.end
    }
    if (this.corked) {
      this.corked = false
      this.socket.uncork()
    }
    // Nothing waits in the socket: the kernel has copied all of it, so the arena is free again.
    if (this.socket.writableLength === 0) this.start = this.end = 0
    else if (arenaBytes - this.end < flushBytes) this.freshArena()
  }

  private freshArena(): void {
    if (this.end > this.start) this.flush()
    this.arena = Buffer.allocUnsafeSlow(arenaBytes)
    this.arenaView = new DataView(this.arena.buffer)
    this.start = this.end = 0
  }

  private onChunk(chunk: Buffer): void {
    // Replies to this chunk leave below; marking a flush as due keeps each of them from requesting a tick.
    const flushWasDue = this.flushIsDue
    this.flushIsDue = true
    const endOfChunk = chunk.length
    let at = this.heldBytes > 0 ? this.completeHeld(chunk) : 0
    const memory = chunk.buffer as ArrayBuffer
    const base = chunk.byteOffset
    const view = new DataView(memory, base, endOfChunk)
    while (endOfChunk - at >= headerBytes) {
      const payloadAt = at + headerBytes
      const payloadEnd = payloadAt + view.getUint32(at, true)
      if (payloadEnd > endOfChunk) break
      this.deliver(view.getUint32(at + 4, true), this.show(memory, base + payloadAt, payloadEnd - payloadAt))
      at = payloadEnd
    }
    if (at < endOfChunk) this.heldBytes += chunk.copy(this.held, this.heldBytes, at)
    this.flushIsDue = flushWasDue
    this.flush()
  }

  /** Appends this chunk's part of the frame in `held`. @returns where the next frame begins */
  private completeHeld(chunk: Buffer): number {
    let at = 0
    if (this.heldBytes < headerBytes) {
      at = chunk.copy(this.held, this.heldBytes, 0, headerBytes - this.heldBytes)
      this.heldBytes += at
      if (this.heldBytes < headerBytes) return at
    }
    const payloadBytes = this.held.readUInt32LE(0)
    if (payloadBytes > payloadBytesMax) throw new Error(`a frame of ${payloadBytes} bytes`)
    const frameBytes = headerBytes + payloadBytes
    if (frameBytes > this.held.length) {
      const larger = Buffer.allocUnsafeSlow(frameBytes)
      this.held.copy(larger, 0, 0, this.heldBytes)
      this.held = larger
    }
    const copied = chunk.copy(this.held, this.heldBytes, at, at + frameBytes - this.heldBytes)
    this.heldBytes += copied
    at += copied
    if (this.heldBytes === frameBytes) {
      this.heldBytes = 0
      this.deliver(this.held.readUInt32LE(4), this.held.subarray(headerBytes, frameBytes))
    }
    return at
  }

  private deliver(id: number, payload: Uint8Array): void {
    let lane = this.lastLane
    if (lane.id !== id) {
      const found = this.lanes.get(id)
      if (found === undefined) throw new Error(`no lane ${id}`)
      lane = this.lastLane = found
    }
    lane.accept(lane.id, payload)
  }
}

/** How a raw subject gets its sockets: plain TCP here, TLS in raw-tls.ts. */
export interface RawCarrier {
  createServer(onSocket: (socket: net.Socket) => void): net.Server
  connect(port: number, onConnected: () => void): net.Socket
}

const plainTcp: RawCarrier = {
  createServer: (onSocket) => net.createServer({ highWaterMark: highWaterMarkBytes }, onSocket),
  // `highWaterMark` is an option of every stream; the types of net.connect omit it.
  connect: (port, onConnected) =>
    net.connect({ port, host: '127.0.0.1', highWaterMark: highWaterMarkBytes } as net.TcpNetConnectOpts, onConnected),
}

export function makeRaw(name: string, show: Show, carrier: RawCarrier = plainTcp): Subject {
  return {
    name,

    serve(row, open) {
      return new Promise<Serving>((resolve, reject) => {
        const server = carrier.createServer((socket) => {
          const end: RawEnd = new RawEnd(socket, row, (lane, value) => accept(lane, value), show)
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

    dial(row, port, accept) {
      return new Promise((resolve, reject) => {
        const socket = carrier.connect(port, () => resolve(end))
        const end = new RawEnd(socket, row, accept, show)
        socket.once('error', reject)
      })
    },
  }
}

/** The baseline of the bars: one Buffer per message, which is what users of Node expect. */
export const oneBuffer: Show = (memory, offset, bytes) => Buffer.from(memory, offset, bytes)
export const rawView = makeRaw('raw-view', oneBuffer)

/**
 * The same with a plain Uint8Array per message. Making a Buffer costs more than twice as much (0.04 against 0.017 µs).
 * Not compared with anything; it shows what is left to gain.
 */
export const rawBytes = makeRaw('raw-bytes', (memory, offset, bytes) => new Uint8Array(memory, offset, bytes))
