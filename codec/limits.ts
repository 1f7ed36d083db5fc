/**
 * Owns: the default limits that the codec and its callers apply, each with its reason.
 * Independent of: limits of time, counts of connections, and anything about queues.
 */

/**
 * The longest body of one frame in the ampc dialect, counted in the bytes that follow the 9-byte header: 64 MiB. The
 * Rust stack has no limit of its own. 64 MiB is well above what its protocols send, and bounds what one connection can
 * make this side hold.
 */
export const defaultMaxMessageLengthBytes = 64 * 1024 * 1024

/** The longest value, descriptor included, in a control frame: 1 MiB. The Rust stack refuses longer ones. */
export const maxControlValueLengthBytes = 1_048_576

/** The longest identity in the ampc handshake, in UTF-8 bytes. The Rust acceptor closes on longer ones. */
export const maxIdentityLengthBytes = 128

/** From this frame length on, a frame may start a longer arena, and a transferred payload is not copied: 16 KiB. */
export const largeFrameThresholdBytes = 16 * 1024

/**
 * Up to this length, a frame that spans chunks gets its exact memory at once: 256 KiB. Beyond it at most four times
 * what has arrived is allocated, because a peer can declare 64 MiB and send nothing.
 */
export const exactAssemblyLimitBytes = 256 * 1024

/**
 * Memory of such frames that is kept for reuse, over all links of a node and outside its memory budget: 4 MiB. That is
 * four values of 1 MiB, or sixty of 64 KiB, that arrive at once. A longer value gets fresh memory.
 */
export const spareMemoryLengthBytesMax = 4 * 1024 * 1024

/**
 * An arena for large frames: 512 KiB, seven values of 64 KiB in one buffer. A longer frame gets an arena of its own.
 */
export const largeArenaLengthBytes = 512 * 1024

/** The length of an arena for a longer frame is a multiple of this, so that frames of similar lengths can reuse it. */
export const arenaGranularityBytes = 16 * 1024

/** Rounds up, so that memory for frames of similar lengths is interchangeable. */
export function roundedUp(lengthBytes: number): number {
  return Math.ceil(lengthBytes / arenaGranularityBytes) * arenaGranularityBytes
}

/**
 * Free arenas that are kept for the next write batches, over all links of a node: 4 MiB (one retransmit buffer), or two
 * arenas for each link if that is more, and 8 MiB at most. Many links need theirs at the same moment, and fresh arenas
 * are external memory, which makes V8 mark its heap.
 */
export const spareArenasLengthBytesMax = 8 * 1024 * 1024

/** The length of a writer's first arena; small because idle connections are many … */
export const firstArenaLengthBytes = 4 * 1024
/** … doubled up to this: one write of 64 KiB already amortises its system call. */
export const maxArenaLengthBytes = 64 * 1024

/**
 * Full arenas of one link that the peer may not have received completely: 32 of 64 KiB, half of a retransmit buffer.
 * The oldest are left to the garbage collector.
 */
export const retiredArenasMax = 32
