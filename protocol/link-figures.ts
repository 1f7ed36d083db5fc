/**
 * Owns: the figures that a link shows in metrics and to inspectors.
 * Independent of: the dialect, and who collects them.
 */

/** Of one connection, in milliseconds. */
export interface RoundTrip {
  readonly lastMs: number
  /** The new one counts an eighth, as in TCP (RFC 6298). */
  readonly smoothedMs: number
  readonly minMs: number
}

/** What one node, or one link of it, holds, in bytes. */
export interface HeldMemory {
  /** Granted to peers as credit, or arrived and unread. */
  readonly windowsBytes: number
  /** Of single values longer than their window: arriving or unread. */
  readonly largeFramesBytes: number
  /** Values that wait to be sent. */
  readonly sendQueueBytes: number
  /** Room for values that are encoded, or sent and not acknowledged. */
  readonly replayBytes: number
}

/** Of one link since it was made, in bytes and milliseconds as the names say. */
export interface LinkFigures {
  /** Of the connection that is up. Null before its first Pong, and while there is none. */
  readonly roundTrip: RoundTrip | null
  /** Handed to a connection and not acknowledged. */
  readonly replay: { readonly frames: number; readonly bytes: number }
  readonly sendQueue: {
    readonly values: number
    readonly bytes: number
    /** Encoded and not handed to a connection. */
    readonly pendingBytes: number
  }
  /**
   * Over all lanes. `receivableBytes`: what the peer may still send; `sendableBytes`: what this side may still send.
   * Below 0 while a large value is paid off.
   */
  readonly credit: {
    readonly sendableBytes: number
    readonly receivableBytes: number
    readonly windowBytes: number
    readonly unreadBytes: number
  }
  readonly memory: HeldMemory
  readonly lanes: number
  /** Connections adopted, and how many of them resumed the one before. */
  readonly connections: number
  readonly resumes: number
  /** Epochs that ended, each with outcomes for all its values. */
  readonly resets: number
}
