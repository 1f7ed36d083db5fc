/**
 * Owns: reading the vectors of test/vectors and converting their notation to values and back.
 * Independent of: the codec under test.
 */
import { readFileSync } from 'node:fs'
import type { NetworkValue, NetworkVecElement } from '../../codec/index.ts'

/** A value in the notation of the vectors: integers as decimal strings, bytes as hex. */
export interface Notation {
  type: NetworkValue['type']
  value: unknown
}

export interface ValidVector {
  name: string
  is: Notation
  hex: string
}
export interface DecisionVector {
  why: string
  hex: string
  accept: boolean
  is?: Notation
  again?: string
}
export interface TranscriptFrame {
  session?: number
  is: Notation
}
export interface TranscriptLink {
  dialer: string
  acceptor: string
  connectionId: number
  batch: number
  dialerBytes: string
  acceptorBytes: string
  dialerHandshakeLength: number
  acceptorHandshakeLength: number
  dialerFrames: TranscriptFrame[]
  acceptorFrames: TranscriptFrame[]
}
export interface Transcript {
  name: string
  control: boolean
  links: TranscriptLink[]
}

function read(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8'))
}

export const valueVectors = read('values.json') as { valid: ValidVector[]; decisions: DecisionVector[] }
export const transcripts = read('transcripts.json') as Transcript[]

export function fromHex(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'))
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

export function fromNotation({ type, value }: Notation): NetworkValue {
  const text = value as string
  const list = value as string[]
  switch (type) {
    case 'PrfKey':
    case 'Bytes':
      return { type, value: fromHex(text) }
    case 'RingElementBit':
      return { type, value: value as boolean }
    case 'RingElement16':
    case 'RingElement32':
    case 'RingElement48':
      return { type, value: Number(text) }
    case 'RingElement64':
    case 'PrfCheck':
      return { type, value: BigInt(text) }
    case 'VecRing16':
      return { type, value: Uint16Array.from(list, Number) }
    case 'VecRing32':
      return { type, value: Uint32Array.from(list, Number) }
    case 'VecRing48':
      return { type, value: Float64Array.from(list, Number) }
    case 'VecRing64':
      return { type, value: BigUint64Array.from(list, BigInt) }
    case 'VecRingBit': {
      const { bits, packed } = value as { bits: number; packed: string }
      return { type, value: { bits, packed: fromHex(packed) } }
    }
    case 'StateChecksum': {
      const { irises, graph } = value as { irises: string; graph: string }
      return { type, value: { irises: BigInt(irises), graph: BigInt(graph) } }
    }
    case 'NetworkVec':
      return { type, value: (value as Notation[]).map(fromNotation) as NetworkVecElement[] }
    default:
      throw new Error(`there are no vectors of ${type}`)
  }
}

export function toNotation(value: NetworkValue): Notation {
  const { type } = value
  switch (value.type) {
    case 'PrfKey':
    case 'Bytes':
      return { type, value: toHex(value.value) }
    case 'RingElementBit':
      return { type, value: value.value }
    case 'RingElement16':
    case 'RingElement32':
    case 'RingElement48':
    case 'RingElement64':
    case 'PrfCheck':
      return { type, value: String(value.value) }
    case 'VecRing16':
    case 'VecRing32':
    case 'VecRing48':
      return { type, value: Array.from(value.value, String) }
    case 'VecRing64':
      return { type, value: Array.from(value.value, String) }
    case 'VecRingBit':
      return { type, value: { bits: value.value.bits, packed: toHex(value.value.packed) } }
    case 'StateChecksum':
      return { type, value: { irises: String(value.value.irises), graph: String(value.value.graph) } }
    case 'NetworkVec':
      return { type, value: value.value.map(toNotation) }
    default:
      throw new Error(`there are no vectors of ${type}`)
  }
}
