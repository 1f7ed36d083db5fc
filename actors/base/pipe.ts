/**
 * Owns: the pipe interface: an ordered, reliable, two-way byte stream between two processes.
 * Independent of: frames, peers, sessions, and the transport below (TCP, TLS, memory).
 *
 * Every transport must pass the conformance suite test/conformance/pipe.ts.
 */

/** The remote address of a pipe, or the address that a listener binds. */
export interface Address {
  /** A name, an IP address (IPv6 may have a zone: `fe80::1%eth0`), or the path of a unix socket, with port 0. */
  readonly host: string
  readonly port: number
}

/** Whether a host is the path of a unix socket. */
export function isUnixPath(host: string): boolean {
  return host.startsWith('/')
}

/** As in a URL: "127.0.0.1:15600", "[::1]:15600", "unix:/run/app.sock". */
export function formatAddress({ host, port }: Address): string {
  if (isUnixPath(host)) return `unix:${host}`
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

export interface PipeHandlers {
  /** A dialled pipe is connected. Not called for an accepted pipe, which is connected from the start. */
  onOpen(): void
  /**
   * Bytes in order. They are valid during the call only; copy what you keep. Never called while the pipe is paused.
   */
  onBytes(bytes: Buffer): void
  /** There is room again after `write` returned false. */
  onDrain(): void
  /** The other side will send no more. There is no half-close: the owner should end its side as well. */
  onEnd(): void
  /** Called once, last, when all resources are released. `error` is null after an orderly close. */
  onClose(error: Error | null): void
}

/** Handlers that do nothing, for a pipe that has no owner any more. */
export const noopHandlers: PipeHandlers = { onOpen() {}, onBytes() {}, onDrain() {}, onEnd() {}, onClose() {} }

export interface Pipe {
  /** For logs and events: "127.0.0.1:15600". */
  readonly remoteAddress: string
  readonly remoteHost: string
  /** The identity that `secure()` proved; undefined on transports that prove none. */
  readonly peerId: string | undefined
  /** Whether what `secure()` proved covers this identity; absent on transports that prove nothing. */
  isAnchoredIn?(identity: string): boolean
  /** Bytes accepted by `write` and not yet taken by the layer below. */
  readonly bufferedBytes: number
  readonly closed: boolean
  /** How long it was connected before its owner got it, if its dialect had to be found out first. */
  readonly waitedMs?: number
  /** Takes the pipe over. A pipe starts paused; bytes that arrive meanwhile stay in the transport's buffers. */
  handle(handlers: PipeHandlers): void
  /**
   * Proves identities and encrypts, if the transport does; otherwise completes at once. Must precede the first byte.
   */
  secure(): Promise<void>
  /**
   * Writes bytes in order. Returns false above the high-water mark: wait for `onDrain`. `onFlushed` is called when all
   * bytes have left the process (for TCP: the kernel has them), or with the error that prevented it.
   */
  write(bytes: readonly Buffer[], onFlushed?: (error: Error | null) => void): boolean
  pause(): void
  resume(): void
  /** Sends what is buffered, then ends this side. */
  end(): void
  /** Ends both sides now and drops what is buffered. `onClose` follows, with `cause` if given. */
  destroy(cause?: Error): void
}

export interface ListenerHandlers {
  /** An accepted pipe, paused. The owner must handle or destroy it. */
  onPipe(pipe: Pipe): void
  onError(error: Error): void
}

export interface PipeListener {
  /** The bound address, with the real port if port 0 was requested. */
  readonly address: Address
  /** Stops accepting. Accepted pipes stay open. */
  close(): Promise<void>
}

export interface DialOptions {
  /** Buffered bytes above which `write` returns false. */
  readonly highWaterMarkBytes: number
  /** The identity expected at the dialled address; transports that prove identities enforce it. */
  readonly expectedPeerId?: string
  /**
   * Instead of an expected identity: called with the one that was proved; what it throws ends the pipe. Transports that
   * prove none ignore it.
   */
  readonly identify?: (peerId: string) => void
  /**
   * The host name that was resolved to the address, which certificates may have to name. Absent for a literal address.
   */
  readonly serverName?: string
}

export interface NameService {
  /**
   * Finds the addresses of a host name, in order of preference. Rejects if there are none; the error's `code` (such as
   * ENOTFOUND) says why. An unanswered lookup is given up after `limits.nameLookupTimeoutMs`.
   */
  lookup(host: string): Promise<readonly string[]>
}

/** For transports whose hosts are not internet names: returns the host as its own address. */
export const literalNames: NameService = { lookup: (host) => Promise.resolve([host]) }

export interface Transport {
  /** Resolves this transport's host names, if the system's resolver does not. */
  readonly names?: NameService
  dial(address: Address, options: DialOptions): Pipe
  listen(address: Address, options: DialOptions, handlers: ListenerHandlers): Promise<PipeListener>
  /** Pipes and listeners that are not closed yet, for leak checks. */
  readonly openHandles: number
}
