/**
 * Owns: what several codec tests share: a recording sink, arbitrary values, and a check of an error's code.
 * Independent of: what any single test is about.
 */
import fc from 'fast-check'
import { expect } from 'vitest'
import {
  decodeBody,
  ProtocolError,
  StatewireError,
  type ErrorCode,
  type FrameSink,
  type NetworkValue,
  type NetworkVecElement,
  type NetworkValueType,
} from '../../codec/index.ts'

export interface SeenFrame {
  lane: number
  descriptor: number
  body: string
}

/** Keeps the frames as text at the moment of delivery, and as views for later checks. */
export class RecordingSink implements FrameSink {
  readonly frames: SeenFrame[] = []
  readonly buffers: Buffer[] = []
  readonly bodies: Buffer[] = []
  readonly values: NetworkValue[] = []
  /** Called after each frame with the number of frames so far. */
  after: (count: number) => void = () => undefined

  onFrame(lane: number, descriptor: number, buffer: Buffer, bodyStart: number, bodyEnd: number): boolean {
    const body = buffer.subarray(bodyStart, bodyEnd)
    this.frames.push({ lane, descriptor, body: body.toString('hex') })
    this.buffers.push(buffer)
    this.bodies.push(body)
    this.values.push(decodeBody(descriptor, buffer, bodyStart, bodyEnd))
    this.after(this.frames.length)
    // The bodies above are views.
    return false
  }
}

/** Runs `action` and returns the error that it threw; fails if it threw no StatewireError or another code. */
export function expectError(code: ErrorCode, action: () => unknown): StatewireError {
  let thrown: unknown
  try {
    action()
  } catch (error) {
    thrown = error
  }
  expect(thrown, `expected ${code}, nothing of ours was thrown`).toBeInstanceOf(StatewireError)
  expect((thrown as StatewireError).code).toBe(code)
  return thrown as StatewireError
}

/** Like expectError, and the error must be a ProtocolError. */
export function expectProtocolError(code: ErrorCode, action: () => unknown): ProtocolError {
  const error = expectError(code, action)
  expect(error).toBeInstanceOf(ProtocolError)
  return error as ProtocolError
}

const uint48 = fc.oneof(fc.integer({ min: 0, max: 2 ** 48 - 1 }), fc.constantFrom(0, 2 ** 32 - 1, 2 ** 32, 2 ** 48 - 1))
const uint64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })
const bytes = fc.uint8Array({ maxLength: 300 })

const listElements = {
  RingElementBit: fc.boolean().map((value): NetworkVecElement => ({ type: 'RingElementBit', value })),
  RingElement16: fc
    .integer({ min: 0, max: 2 ** 16 - 1 })
    .map((value): NetworkVecElement => ({ type: 'RingElement16', value })),
  RingElement32: fc
    .integer({ min: 0, max: 2 ** 32 - 1 })
    .map((value): NetworkVecElement => ({ type: 'RingElement32', value })),
  RingElement48: uint48.map((value): NetworkVecElement => ({ type: 'RingElement48', value })),
  RingElement64: uint64.map((value): NetworkVecElement => ({ type: 'RingElement64', value })),
  // Up to 40 elements: both sides of the 64 bytes up to which vectors are copied element by element.
  VecRing16: fc.uint16Array({ maxLength: 40 }).map((value): NetworkVecElement => ({ type: 'VecRing16', value })),
  VecRing32: fc.uint32Array({ maxLength: 40 }).map((value): NetworkVecElement => ({ type: 'VecRing32', value })),
  VecRing48: fc
    .array(uint48, { maxLength: 40 })
    .map((list): NetworkVecElement => ({ type: 'VecRing48', value: Float64Array.from(list) })),
  VecRing64: fc
    .array(uint64, { maxLength: 40 })
    .map((list): NetworkVecElement => ({ type: 'VecRing64', value: BigUint64Array.from(list) })),
  VecRingBit: fc
    .integer({ min: 0, max: 100 })
    .chain((bits) =>
      fc
        .uint8Array({ minLength: Math.ceil(bits / 8), maxLength: Math.ceil(bits / 8) })
        .map((packed): NetworkVecElement => ({ type: 'VecRingBit', value: { bits, packed } })),
    ),
  Bytes: bytes.map((value): NetworkVecElement => ({ type: 'Bytes', value })),
}

/** An arbitrary value of each type that both dialects have. */
export const valuesByType: Record<Exclude<NetworkValueType, 'MsgPack'>, fc.Arbitrary<NetworkValue>> = {
  ...listElements,
  PrfKey: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((value) => ({ type: 'PrfKey', value })),
  StateChecksum: fc.record({ irises: uint64, graph: uint64 }).map((value) => ({ type: 'StateChecksum', value })),
  PrfCheck: fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }).map((value) => ({ type: 'PrfCheck', value })),
  NetworkVec: fc
    .array(fc.oneof(...Object.values(listElements)), { maxLength: 12 })
    .map((value) => ({ type: 'NetworkVec', value })),
}

/** An arbitrary value of any type. */
export const anyValue: fc.Arbitrary<NetworkValue> = fc.oneof(...Object.values(valuesByType))
