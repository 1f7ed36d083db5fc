/**
 * Owns: the check that this host's typed arrays have the byte order of the wire.
 * Independent of: what is encoded.
 *
 * Vectors are copied to and from the wire as memory, which is only right on a little-endian host. Every platform that
 * Node 20 supports is little-endian except s390x, where the codec refuses to load.
 */
import { StatewireError } from './errors.ts'

/**
 * Checks the byte order.
 * @param probe the memory of a Uint16Array that holds 0x0102
 * @throws StatewireError ERR_UNSUPPORTED_HOST if its low byte is not first
 */
export function assertLittleEndian(probe: Uint8Array): void {
  if (probe[0] !== 0x02) {
    throw new StatewireError(
      'ERR_UNSUPPORTED_HOST',
      'statewire needs a little-endian host: vectors are copied to the wire directly from memory.',
    )
  }
}

assertLittleEndian(new Uint8Array(Uint16Array.of(0x0102).buffer))

// A 16-byte scratch buffer for u64 and u128. Two views of the same memory convert a bigint to bytes without BigInt
// arithmetic. It is only used within one synchronous function, so it is not module state.
export const scratchWords = new BigUint64Array(2)
export const scratchBytes = new Uint8Array(scratchWords.buffer)
export const scratchHalves = new Uint32Array(scratchWords.buffer)
