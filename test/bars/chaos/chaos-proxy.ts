/**
 * Owns: a TCP proxy on 127.0.0.1 between two networks, and the ways it breaks traffic: reset, an end in the middle of a
 * record, a cut after a number of bytes, silence in one direction, a stall.
 * Independent of: TLS and frames, when to break something, and what follows.
 */
import { once } from 'node:events'
import net from 'node:net'

/** From the dialer to the acceptor, or back. */
export type Direction = 'up' | 'down'

/** One connection through the proxy: two sockets and what is planned for it. */
export class Through {
  readonly openedAtMs = performance.now()
  readonly #ends: Readonly<Record<Direction, { readonly from: net.Socket; readonly to: net.Socket }>>
  readonly #swallowed = new Set<Direction>()
  readonly #stalled = new Set<Direction>()
  #bytesLeft = Infinity
  #onBroken: ((atMs: number) => void) | null = null
  #endsMidRecord = false
  /** Bytes that were forwarded. */
  carried = 0
  /** Replaces forwarding, for tests that record, change or cut the bytes. */
  onBytes: ((direction: Direction, bytes: Buffer, to: net.Socket) => void) | null = null

  constructor(near: net.Socket, far: net.Socket) {
    this.#ends = { up: { from: near, to: far }, down: { from: far, to: near } }
    for (const direction of ['up', 'down'] as const) this.#join(direction)
  }

  get isOpen(): boolean {
    const { from, to } = this.#ends.up
    return !from.destroyed && !to.destroyed
  }

  #join(direction: Direction): void {
    const { from, to } = this.#ends[direction]
    from.on('data', (bytes: Buffer) => this.#carry(direction, bytes))
    from.on('end', () => {
      if (!this.#swallowed.has(direction)) to.end()
    })
    // What follows is a close, and it is forwarded.
    from.on('error', () => {})
    from.on('close', () => {
      if (!this.#swallowed.has(direction)) to.destroy()
    })
    to.on('drain', () => {
      if (!this.#stalled.has(direction)) from.resume()
    })
  }

  #carry(direction: Direction, bytes: Buffer): void {
    if (this.#swallowed.has(direction)) return
    const { from, to } = this.#ends[direction]
    if (this.#endsMidRecord && bytes.length > 1) {
      this.#endsMidRecord = false
      // The rest of this record, and everything after it, never arrives.
      this.#swallowed.add(direction)
      to.end(bytes.subarray(0, bytes.length - 1))
      to.once('close', () => from.destroy())
      return this.#broken()
    }
    this.#bytesLeft -= bytes.length
    if (this.#bytesLeft <= 0) {
      to.write(bytes.subarray(0, bytes.length + this.#bytesLeft))
      this.#bytesLeft = Infinity
      // The last bytes must arrive, and nothing after them.
      to.destroySoon()
      from.destroy()
      return this.#broken()
    }
    this.carried += bytes.length
    if (this.onBytes !== null) return this.onBytes(direction, bytes, to)
    if (!to.write(bytes)) from.pause()
  }

  #broken(): void {
    this.#onBroken?.(performance.now())
    this.#onBroken = null
  }

  /** Sends RST to both sides. @returns the time */
  reset(): number {
    for (const { from } of Object.values(this.#ends)) from.resetAndDestroy()
    return performance.now()
  }

  destroy(): void {
    for (const { from } of Object.values(this.#ends)) from.destroy()
  }

  /**
   * Drops the last byte of the next chunk in either direction and sends FIN instead. @returns the time at which that
   * happened
   */
  endMidRecord(): Promise<number> {
    this.#endsMidRecord = true
    return this.#whenBroken()
  }

  /**
   * Closes both sockets after this many more bytes, counted over both directions. @returns the time at which that
   * happened
   */
  cutAfter(lengthBytes: number): Promise<number> {
    this.#bytesLeft = Math.max(1, lengthBytes)
    return this.#whenBroken()
  }

  #whenBroken(): Promise<number> {
    return new Promise((resolve) => {
      this.#onBroken = resolve
      // The connection may end by itself first.
      this.#ends.up.from.once('close', () => this.#broken())
      if (!this.isOpen) this.#broken()
    })
  }

  /** Nothing arrives in this direction any more, not even an end, and no side is notified: half-open. */
  swallow(direction: Direction): void {
    this.#swallowed.add(direction)
  }

  /** What is sent in this direction stays in kernel buffers. */
  stall(direction: Direction): void {
    this.#stalled.add(direction)
    this.#ends[direction].from.pause()
  }

  goOn(direction: Direction): void {
    this.#stalled.delete(direction)
    this.#ends[direction].from.resume()
  }
}

export class ChaosProxy {
  readonly #server: net.Server
  readonly #throughs = new Set<Through>()
  /** The port behind the proxy, which may change. While it is null, every connection is closed at once. */
  target: number | null = null
  /** The newest connection. */
  newest: Through | null = null
  accepted = 0
  /** Called for each connection that has reached the other side. */
  onThrough: ((through: Through) => void) | null = null

  private constructor(server: net.Server) {
    this.#server = server
    server.on('connection', (near) => this.#accept(near))
  }

  static async listen(): Promise<ChaosProxy> {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new ChaosProxy(server)
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port
  }

  get live(): ReadonlySet<Through> {
    return this.#throughs
  }

  urlOf(scheme: 'tls' | 'tcp'): string {
    return `${scheme}://127.0.0.1:${this.port}`
  }

  #accept(near: net.Socket): void {
    this.accepted++
    near.on('error', () => {})
    if (this.target === null) {
      near.destroy()
      return
    }
    const far = net.connect({ host: '127.0.0.1', port: this.target, allowHalfOpen: true, noDelay: true })
    const onEarlyEnd = (): void => void near.destroy()
    far.once('error', onEarlyEnd)
    near.once('close', () => {
      if (far.connecting) far.destroy()
    })
    far.once('connect', () => {
      if (near.destroyed) return void far.destroy()
      far.off('error', onEarlyEnd)
      const through = new Through(near, far)
      this.#throughs.add(through)
      const forget = (): void => {
        if (near.destroyed && far.destroyed) this.#throughs.delete(through)
      }
      near.once('close', forget)
      far.once('close', forget)
      this.newest = through
      near.resume()
      this.onThrough?.(through)
    })
  }

  async stop(): Promise<void> {
    this.target = null
    for (const through of this.#throughs) through.destroy()
    await new Promise<void>((resolve) => void this.#server.close(() => resolve()))
  }
}
