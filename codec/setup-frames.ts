/**
 * Owns: the frames of the lane that sets up sessions (docs/protocol.md, native): how they are written and read, and the
 * rules that one frame alone can break.
 * Independent of: who may send which of them, and in what order (protocol/native/setup/).
 */
import { maxUint16 } from './constants.ts'
import { InvalidValueError, ProtocolError, StatewireError } from './errors.ts'
import { readUint32 } from './frame-length.ts'
import { windowBytesMax } from './hello.ts'
import { nameLengthBytesMax, textOf } from './message-frames.ts'
import { frameOf, nativeDescriptors, setupLane } from './native-frames.ts'

export type RefuseReason = 'withdrawn' | 'counts-differ' | 'limit'

/** `k` is the number of the Want that the frame belongs to. */
export type SetupFrame =
  | {
      readonly type: 'Want'
      readonly k: number
      readonly callId: bigint
      readonly count: number
      readonly name: string
    }
  | {
      readonly type: 'Make'
      readonly k: number
      readonly callId: bigint
      readonly firstId: number
      readonly windowBytes: number
    }
  | { readonly type: 'Made'; readonly k: number; readonly windowBytes: number }
  | { readonly type: 'Refuse'; readonly k: number; readonly reason: RefuseReason; readonly ownCount: number }
  | { readonly type: 'Agree'; readonly k: number; readonly set: bigint }

const reasonNumbers: Readonly<Record<RefuseReason, number>> = { withdrawn: 1, 'counts-differ': 2, limit: 3 }
const wantHeadLengthBytes = 15

/** @throws InvalidValueError for a field that the peer would refuse */
export function encodeSetupFrame(setup: SetupFrame): Buffer {
  switch (setup.type) {
    case 'Want': {
      const name = Buffer.from(setup.name, 'utf8')
      if (name.length > nameLengthBytesMax) {
        throw new InvalidValueError(
          `The name of a makeSessions call must have at most ${String(nameLengthBytesMax)} bytes of UTF-8; this ` +
            `one has ${String(name.length)}.`,
        )
      }
      checkRange('The count of a Want', setup.count, maxUint16)
      const { frame, body } = begin('Want', setup.k, wantHeadLengthBytes + name.length)
      frame.writeBigUInt64LE(setup.callId, body + 4)
      frame.writeUInt16LE(setup.count, body + 12)
      frame[body + 14] = name.length
      frame.set(name, body + wantHeadLengthBytes)
      return frame
    }
    case 'Make': {
      checkRange('The window of a Make', setup.windowBytes, windowBytesMax)
      const { frame, body } = begin('Make', setup.k, 20)
      frame.writeBigUInt64LE(setup.callId, body + 4)
      frame.writeUInt32LE(setup.firstId, body + 12)
      frame.writeUInt32LE(setup.windowBytes, body + 16)
      return frame
    }
    case 'Made': {
      checkRange('The window of a Made', setup.windowBytes, windowBytesMax)
      const { frame, body } = begin('Made', setup.k, 8)
      frame.writeUInt32LE(setup.windowBytes, body + 4)
      return frame
    }
    case 'Refuse': {
      const { frame, body } = begin('Refuse', setup.k, 7)
      frame[body + 4] = reasonNumbers[setup.reason]
      frame.writeUInt16LE(setup.ownCount, body + 5)
      return frame
    }
    case 'Agree': {
      const { frame, body } = begin('Agree', setup.k, 12)
      frame.writeBigUInt64LE(setup.set, body + 4)
      return frame
    }
  }
}

/**
 * Reads the body of a frame of the set-up lane, whose length the reader has checked.
 * @throws ProtocolError ERR_SETUP_FIELD (a count of 0, a name that is not UTF-8), ERR_CREDIT_ZERO, ERR_CREDIT_OVERFLOW
 */
export function decodeSetupFrame(descriptor: number, buffer: Buffer, bodyStart: number, bodyEnd: number): SetupFrame {
  const k = readUint32(buffer, bodyStart)
  switch (descriptor) {
    case nativeDescriptors.Want: {
      const count = buffer.readUInt16LE(bodyStart + 12)
      if (count === 0) throw new ProtocolError('ERR_SETUP_FIELD', 'A Want asks for 0 sessions; it is at least 1.')
      const name = textOf(buffer.subarray(bodyStart + wantHeadLengthBytes, bodyEnd))
      if (name === null) throw new ProtocolError('ERR_SETUP_FIELD', 'The name in a Want is not UTF-8.')
      return { type: 'Want', k, callId: buffer.readBigUInt64LE(bodyStart + 4), count, name }
    }
    case nativeDescriptors.Make: {
      const windowBytes = readWindow('Make', buffer, bodyStart + 16)
      const firstId = readUint32(buffer, bodyStart + 12)
      return { type: 'Make', k, callId: buffer.readBigUInt64LE(bodyStart + 4), firstId, windowBytes }
    }
    case nativeDescriptors.Made:
      return { type: 'Made', k, windowBytes: readWindow('Made', buffer, bodyStart + 4) }
    case nativeDescriptors.Refuse:
      return {
        type: 'Refuse',
        k,
        reason: reasonOf(buffer[bodyStart + 4]!),
        ownCount: buffer.readUInt16LE(bodyStart + 5),
      }
    case nativeDescriptors.Agree:
      return { type: 'Agree', k, set: buffer.readBigUInt64LE(bodyStart + 4) }
    default:
      throw new StatewireError('ERR_INTERNAL', `No frame of the set-up lane has the descriptor ${String(descriptor)}.`)
  }
}

function begin(
  type: SetupFrame['type'],
  k: number,
  bodyLengthBytes: number,
): { readonly frame: Buffer; readonly body: number } {
  const begun = frameOf(setupLane, nativeDescriptors[type], bodyLengthBytes)
  begun.frame.writeUInt32LE(k, begun.body)
  return begun
}

/** Unknown reasons are read as `withdrawn`. */
function reasonOf(number: number): RefuseReason {
  if (number === reasonNumbers['counts-differ']) return 'counts-differ'
  return number === reasonNumbers.limit ? 'limit' : 'withdrawn'
}

function readWindow(type: 'Make' | 'Made', buffer: Buffer, offset: number): number {
  const windowBytes = readUint32(buffer, offset)
  if (windowBytes === 0) throw new ProtocolError('ERR_CREDIT_ZERO', `A ${type} grants 0 bytes; it is at least 1.`)
  if (windowBytes > windowBytesMax) {
    throw new ProtocolError(
      'ERR_CREDIT_OVERFLOW',
      `A ${type} grants ${String(windowBytes)} bytes; it is at most 2^31 - 1.`,
    )
  }
  return windowBytes
}

function checkRange(what: string, value: number, most: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= most) return
  throw new InvalidValueError(`${what} must be an integer from 1 to ${String(most)}; it is ${String(value)}.`)
}
