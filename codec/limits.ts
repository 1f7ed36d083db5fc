/**
 * Owns: the default limits that the codec and its callers apply, each with its reason.
 * Refuses to know: limits of time, counts of connections, and anything about queues.
 */

/**
 * Largest body of one frame in the ampc dialect, counted in the bytes that follow the 9-byte header: 64 MiB.
 * The Rust stack has no limit of its own; 64 MiB holds a VecRing64 of 8 Mi elements, well above what its protocols send,
 * and bounds what one connection can make this side hold.
 */
export const defaultMaxMessageLengthBytes = 64 * 1024 * 1024

/** Largest value, descriptor included, in a control frame: 1 MiB. The Rust stack refuses more, so more is never sent. */
export const maxControlValueLengthBytes = 1_048_576

/** Longest identity in the ampc handshake, in UTF-8 bytes. The Rust acceptor closes on more. */
export const maxIdentityLengthBytes = 128

/** A frame of this many bytes or more may begin a longer arena, and a transferred payload of this length is not copied: 16 KiB. */
export const largeFrameThresholdBytes = 16 * 1024

/**
 * A frame that spans chunks gets its exact length at once up to this size: 256 KiB. Above it no more than four times
 * what has arrived is allocated, because a peer can declare 64 MiB and send nothing.
 */
export const exactAssemblyLimitBytes = 256 * 1024

/**
 * Memory of such frames that is kept to be used again, over all links of a node, beside its memory budget: 4 MiB, which is four
 * values of 1 MiB or sixty of 64 KiB that arrive at once. A longer value has fresh memory each time.
 */
export const spareMemoryLengthBytesMax = 4 * 1024 * 1024

/** An arena for large frames: 512 KiB, seven values of 64 KiB in one buffer. A longer frame has one of its own length. */
export const largeArenaLengthBytes = 512 * 1024

/** The length of an arena for a longer frame is a multiple of this, so that frames of similar lengths can reuse it. */
export const arenaGranularityBytes = 16 * 1024

/**
 * Free batch buffers that are kept for the next batches, over all links of a node: 4 MiB (one retransmit buffer), or two
 * batch buffers for each link if that is more, and 8 MiB at the most. Many links need theirs at the same moment; those that are made anew are
 * memory outside of V8's heap, for which it marks the heap: 64 links with 1 MiB reached 0.59 of what one link did, and reach 0.75.
 */
export const spareArenasLengthBytesMax = 8 * 1024 * 1024

/** The batch buffer of a writer starts with this (idle connections are many) … */
export const firstArenaLengthBytes = 4 * 1024
/** … and doubles to this: one write of 64 KiB already amortises its system call. */
export const maxArenaLengthBytes = 64 * 1024

/** Full batch buffers of one link of which the peer may lack something yet: 32 of 64 KiB, half of a replay window. The oldest are left to the collector. */
export const retiredArenasMax = 32
