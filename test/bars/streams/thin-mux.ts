/**
 * The thinnest multiplexer over a socket that lets streams take turns: frames of at most 64 KiB, `u32 length | u32
 * stream | u8 kind`, written while the socket takes them. Owns this framing.
 * Independent of statewire: no acceptance, acknowledgement, credit or recovery.
 */
import type net from 'node:net'

const headerBytes = 9
const frameBytesMax = 64 * 1024
const kinds = { open: 0, data: 1, fin: 2 } as const

interface Part {
  readonly kind: number
  readonly bytes: Buffer
  at: number
  readonly done: (() => void) | undefined
}

export class ThinStream {
  readonly id: number
  readonly #mux: ThinMux
  readonly parts: Part[] = []
  isQueued = false
  onData: (bytes: Buffer) => void = () => {}
  onEnd: () => void = () => {}

  constructor(mux: ThinMux, id: number) {
    this.#mux = mux
    this.id = id
  }

  /** @param done the socket has taken it */
  write(bytes: Buffer, done?: () => void): void {
    this.#mux.add(this, { kind: kinds.data, bytes, at: 0, done })
  }

  end(): void {
    this.#mux.add(this, { kind: kinds.fin, bytes: nothing, at: 0, done: undefined })
  }
}

const nothing = Buffer.alloc(0)

export class ThinMux {
  readonly #socket: net.Socket
  readonly #streams = new Map<number, ThinStream>()
  readonly #turns: ThinStream[] = []
  #nextId: number
  #isBlocked = false
  #isCorked = false
  #rest: Buffer = nothing
  onOpen: (stream: ThinStream, first: Buffer) => void = () => {}

  constructor(socket: net.Socket, isDialler: boolean) {
    this.#socket = socket
    this.#nextId = isDialler ? 1 : 2
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('drain', () => {
      this.#isBlocked = false
      this.#pump()
    })
  }

  open(first: Buffer): ThinStream {
    const stream = new ThinStream(this, this.#nextId)
    this.#nextId += 2
    this.#streams.set(stream.id, stream)
    this.add(stream, { kind: kinds.open, bytes: first, at: 0, done: undefined })
    return stream
  }

  add(stream: ThinStream, part: Part): void {
    stream.parts.push(part)
    if (!stream.isQueued) {
      stream.isQueued = true
      this.#turns.push(stream)
    }
    this.#pump()
  }

  /** What is written in one turn of the event loop leaves together. */
  #pump(): void {
    if (this.#isBlocked) return
    if (!this.#isCorked) {
      this.#isCorked = true
      this.#socket.cork()
      process.nextTick(() => {
        this.#isCorked = false
        this.#socket.uncork()
      })
    }
    for (let stream = this.#turns[0]; stream !== undefined && !this.#isBlocked; stream = this.#turns[0]) {
      this.#turns.shift()
      const part = stream.parts[0]!
      const bytes = part.bytes.subarray(part.at, part.at + frameBytesMax)
      part.at += bytes.length
      const header = Buffer.allocUnsafe(headerBytes)
      header.writeUInt32LE(bytes.length, 0)
      header.writeUInt32LE(stream.id, 4)
      header[8] = part.kind
      this.#socket.write(header)
      const isDone = part.at >= part.bytes.length
      if (isDone) stream.parts.shift()
      if (stream.parts.length > 0) this.#turns.push(stream)
      else stream.isQueued = false
      if (bytes.length > 0 && !this.#socket.write(bytes)) this.#isBlocked = true
      if (isDone) part.done?.()
    }
  }

  #read(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    while (bytes.length >= headerBytes) {
      const length = bytes.readUInt32LE(0)
      if (bytes.length < headerBytes + length) break
      this.#frame(bytes.readUInt32LE(4), bytes[8]!, bytes.subarray(headerBytes, headerBytes + length))
      bytes = bytes.subarray(headerBytes + length)
    }
    this.#rest = bytes
  }

  #frame(id: number, kind: number, bytes: Buffer): void {
    if (kind === kinds.open) {
      const opened = new ThinStream(this, id)
      this.#streams.set(id, opened)
      return this.onOpen(opened, bytes)
    }
    const stream = this.#streams.get(id)
    if (kind === kinds.data) return stream?.onData(bytes)
    stream?.onEnd()
    this.#streams.delete(id)
  }
}
