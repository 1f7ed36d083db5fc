/**
 * Owns: reading test/vectors/native.json and turning its notation into bytes.
 * Independent of: the codec under test.
 */
import { readFileSync } from 'node:fs'

export type Part = string | { readonly zeros: number } | { readonly pattern: readonly [number, number] }
export interface NativeFrameVector {
  readonly name: string
  readonly hex: string
  readonly lane: number
  readonly descriptor: number
  readonly is: Readonly<Record<string, unknown>>
}
export interface HelloVector {
  readonly name: string
  readonly hex: string
  readonly is: Readonly<Record<string, string | number | boolean>>
}
export interface RefusalVector {
  readonly name: string
  readonly hex: string
  readonly is: { readonly code: number; readonly message: string; readonly bootId: string | null }
}
export interface TranscriptStep {
  readonly from?: 'L' | 'G'
  readonly what?: string
  readonly parts?: readonly Part[]
  readonly break?: true
}
export interface NativeTranscript {
  readonly name: string
  readonly call: { name: string; count: number; callIdL: string; callIdG: string; set: string; k: number }
  readonly value?: { readonly session: number; readonly pattern: number }
  readonly steps: readonly TranscriptStep[]
}
export interface NativeVectors {
  readonly keys: { readonly G: string; readonly L: string }
  readonly hellos: readonly HelloVector[]
  readonly badHellos: readonly { readonly name: string; readonly hex: string; readonly refusal: number }[]
  readonly refusals: readonly RefusalVector[]
  readonly frames: readonly NativeFrameVector[]
  readonly rejected: readonly { readonly name: string; readonly parts: readonly Part[]; readonly link: number }[]
  readonly pieces: {
    readonly cases: readonly { readonly lengthBytes: number; readonly frames: number[]; readonly sha256: string }[]
  }
  readonly transcripts: readonly NativeTranscript[]
}

export const nativeVectors = JSON.parse(
  readFileSync(new URL('../vectors/native.json', import.meta.url), 'utf8'),
) as NativeVectors

/** Bytes of the pattern that the vectors use for long values, from `from` to before `to`. */
export function patternBytes(from: number, to: number): Buffer {
  const bytes = Buffer.alloc(to - from)
  for (let at = from; at < to; at += 1) bytes[at - from] = (at * 7 + (at >> 8) + (at >> 16) * 13) & 0xff
  return bytes
}

export function bytesOfParts(parts: readonly Part[]): Buffer {
  return Buffer.concat(
    parts.map((part) => {
      if (typeof part === 'string') return Buffer.from(part, 'hex')
      return 'zeros' in part ? Buffer.alloc(part.zeros) : patternBytes(...part.pattern)
    }),
  )
}
