/**
 * Owns: the seam under everything, a pipe: an ordered, reliable, two-way run of bytes between two processes.
 * Refuses to know: frames, peers, sessions, and which carrier is beneath (TCP, memory; TLS is a further one).
 *
 * Carriers pass one conformance suite, test/conformance/pipe.ts: whoever writes another carrier runs it.
 */

/** Where a pipe leads, or where a listener binds. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** As in a URL: "127.0.0.1:15600", "[::1]:15600". */
export function formatAddress({ host, port }: Address): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

export interface PipeHandlers {
  /** A dialled pipe is connected. Never called for an accepted one, which is connected from the start. */
  onOpen(): void
  /** Bytes in order, lent for the call: what is kept beyond it is copied. Never while the pipe is paused. */
  onBytes(bytes: Buffer): void
  /** After `write` returned false: there is room again. */
  onDrain(): void
  /** The other side will send no more. Half-close is a close here, so the owner is expected to end its side. */
  onEnd(): void
  /** Once, last, when the carrier has released everything. `error` is null after an orderly close. */
  onClose(error: Error | null): void
}

/** Hears nothing: of a pipe that nobody listens to any more. */
export const noopHandlers: PipeHandlers = { onOpen() {}, onBytes() {}, onDrain() {}, onEnd() {}, onClose() {} }

export interface Pipe {
  /** For logs and events: "127.0.0.1:15600". */
  readonly remoteAddress: string
  readonly remoteHost: string
  /** The identity that `secure()` proved; undefined on carriers that prove none. */
  readonly peerId: string | undefined
  /** Whether what `secure()` proved covers this identity; absent on carriers that prove nothing. */
  isAnchoredIn?(identity: string): boolean
  /** Bytes accepted by `write` and not yet taken by the carrier. */
  readonly bufferedBytes: number
  readonly closed: boolean
  /** Takes the pipe over. A pipe starts paused, and what arrives meanwhile is kept within the carrier's buffers. */
  handle(handlers: PipeHandlers): void
  /** Proves identities and encrypts, where the carrier does; at once where it does not. Before the first byte. */
  secure(): Promise<void>
  /**
   * In order, whole. False: over the high-water mark, wait for `onDrain`. `onFlushed` runs when all has been handed
   * to the carrier's far side of the process (for TCP: the kernel), or with the error that prevented it.
   */
  write(bytes: readonly Buffer[], onFlushed?: (error: Error | null) => void): boolean
  pause(): void
  resume(): void
  /** Sends what is buffered, then ends this side. */
  end(): void
  /** Ends both sides now; what is buffered is lost. `onClose` follows, with `cause` if there is one. */
  destroy(cause?: Error): void
}

export interface ListenerHandlers {
  /** Accepted and paused. The owner must handle or destroy it. */
  onPipe(pipe: Pipe): void
  onError(error: Error): void
}

export interface PipeListener {
  /** What was bound, with the real port where 0 was asked for. */
  readonly address: Address
  /** Stops accepting; accepted pipes stay. */
  close(): Promise<void>
}

export interface DialOptions {
  /** Bytes buffered in the carrier above which `write` says false. */
  readonly highWaterMarkBytes: number
  /** Whom a dialled address is to belong to; carriers that prove identities insist on it. */
  readonly expectedPeerId?: string
  /**
   * The name that was resolved to the address; absent for an address that was dialled as such. Certificates may have
   * to name it.
   */
  readonly serverName?: string
}

export interface NameService {
  /**
   * Finds the addresses of a host name, in order of preference. Rejects if there are none; `code` of the error, such as
   * ENOTFOUND, says why. A lookup without an answer is given up after `limits.nameLookupTimeoutMs`.
   */
  lookup(host: string): Promise<readonly string[]>
}

/** For transports whose hosts are not names of the internet: a host is its own address. */
export const literalNames: NameService = { lookup: (host) => Promise.resolve([host]) }

export interface Transport {
  /** How its host names are resolved, if not by the system. */
  readonly names?: NameService
  dial(address: Address, options: DialOptions): Pipe
  listen(address: Address, options: DialOptions, handlers: ListenerHandlers): Promise<PipeListener>
  /** Pipes and listeners that are not closed yet: what a test of leaks counts. */
  readonly openHandles: number
}
