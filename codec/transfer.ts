/**
 * Owns: taking over the memory of a value that is sent with `transfer: true`, the head of its frame, and rejecting
 * memory that cannot be transferred.
 * Independent of: frames, links and sessions.
 */
import { descriptors } from './constants.ts'
import { writeUint32 } from './encode-value.ts'
import { StatewireError } from './errors.ts'
import type { NetworkValue } from './values.ts'

const noMemory = Buffer.alloc(0)

/**
 * Detaches the memory of a value and returns its payload in memory that only the caller has.
 * @throws StatewireError ERR_NOT_TRANSFERABLE; the value is unchanged then
 */
export function transferPayload(value: NetworkValue): Buffer {
  const view = transferableView(value)
  const { buffer } = view
  if (!(buffer instanceof ArrayBuffer)) throw refused(value, 'is in shared memory')
  if (view.byteLength !== buffer.byteLength) {
    throw refused(
      value,
      `is a view of ${view.byteLength} of the ${buffer.byteLength} bytes of its memory, and must own all of it`,
    )
  }
  if (buffer.byteLength === 0) return noMemory
  let memory: ArrayBuffer
  try {
    memory = structuredClone(buffer, { transfer: [buffer] })
  } catch (cause) {
    throw refused(value, 'is in memory that cannot be detached', cause)
  }
  // Node 20 silently copies WebAssembly memory here.
  if (buffer.byteLength !== 0) throw refused(value, 'is in memory that cannot be detached')
  return Buffer.from(memory)
}

/** Descriptor and length field of a transferred value. */
export function writeTransferredHead(value: NetworkValue, payloadBytes: number, target: Buffer, offset: number): void {
  target[offset] = transferredDescriptors[value.type as keyof typeof transferredDescriptors]
  writeUint32(target, offset + 1, payloadBytes)
}

const transferredDescriptors = {
  Bytes: descriptors.Bytes,
  VecRing16: descriptors.VecRing16,
  VecRing32: descriptors.VecRing32,
  VecRing64: descriptors.VecRing64,
} as const

function transferableView(value: NetworkValue): ArrayBufferView {
  switch (value.type) {
    case 'Bytes':
    case 'VecRing16':
    case 'VecRing32':
    case 'VecRing64':
      return value.value
    default:
      throw new StatewireError(
        'ERR_NOT_TRANSFERABLE',
        `a value of type ${value.type} cannot be transferred; only Bytes, VecRing16, VecRing32 and VecRing64 can. ` +
          'Send it without transfer: it is copied.',
      )
  }
}

function refused({ type }: NetworkValue, why: string, cause?: unknown): StatewireError {
  return new StatewireError(
    'ERR_NOT_TRANSFERABLE',
    `${type}.value ${why}. Send it without transfer (it is copied), or transfer a copy: new Uint8Array(bytes).`,
    { cause },
  )
}
