/**
 * Owns: changing a frame on its way: the next Bytes that a member sends on a session are passed to a function before
 * they leave.
 * Independent of: what is changed. Frames must come whole in one write, as this runtime writes them.
 */
import { descriptors } from '../../codec/constants.ts'
import type { NativeMember } from './native-scene.ts'

export interface Tampering {
  /** Frames that were changed: 0 or 1. */
  count: number
}

/** In place: session at 0, descriptor at 4, length at 5, body from 9 on. Applies to the connections that exist now. */
export function onWire(member: NativeMember, session: number, tamper: (frame: Buffer) => unknown): Tampering {
  const tampering: Tampering = { count: 0 }
  const begins = Buffer.alloc(5)
  begins.writeUInt32LE(session, 0)
  begins.writeUInt8(descriptors.Bytes, 4)
  for (const pipe of member.faults.pipes) {
    const write = pipe.write.bind(pipe)
    pipe.write = (parts, onFlushed) => {
      // A copy: the sender keeps the original for retransmission, and that one must stay intact.
      const whole = Buffer.concat(parts)
      const at = tampering.count === 0 ? whole.indexOf(begins) : -1
      if (at >= 0) {
        tampering.count++
        tamper(whole.subarray(at))
      }
      return write([whole], onFlushed)
    }
  }
  return tampering
}
