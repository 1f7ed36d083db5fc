/**
 * Owns: mutants in the memory of values: what is sent must not change with the caller's memory, nor with later frames.
 * Independent of: how they are found.
 */
import { FrameWriter } from '../../../codec/frame-writer.ts'
import { replace } from './plant.ts'
import type { Mutant } from './plant.ts'

export const memoryMutants: Readonly<Record<string, Mutant>> = {
  'waiting-value-not-copied': {
    sentence: 'A value that waits to be sent stays in the memory of its caller.',
    plant: () =>
      replace(FrameWriter, 'encode', (_, encode, lane, value, transfer) => {
        const encoded = encode(lane, value, transfer)
        if (transfer || value.type !== 'Bytes') return encoded
        const { buffer, byteOffset, byteLength } = value.value
        const header = encoded.parts[0]!.subarray(0, encoded.lengthBytes - byteLength)
        const payload = Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength)
        return { parts: [header, payload], lengthBytes: encoded.lengthBytes, block: null }
      }),
  },
}
