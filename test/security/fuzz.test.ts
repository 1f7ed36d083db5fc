/**
 * Owns: S5 in short: a few ten thousand corrupted frames in every state; and that the fuzzer would find a fault.
 * Independent of: how streams are corrupted (test/bars/fuzz). A million frames: fuzz.long.test.ts.
 */
import { describe, expect, it } from 'vitest'
import { ampcTargets } from '../bars/fuzz/ampc-states.ts'
import { Fuzzer, replay } from '../bars/fuzz/fuzzer.ts'
import { Seeds } from '../bars/fuzz/mutate.ts'
import { nativeTargets } from '../bars/fuzz/native-states.ts'
import { parserTargets } from '../bars/fuzz/parser-targets.ts'
import { holds } from '../bars/fuzz/target.ts'
import type { Target, Trace } from '../bars/fuzz/target.ts'
import type { Dice } from '../bars/fuzz/dice.ts'
import { encodeFrame, FrameReader, ProtocolError } from '../../codec/index.ts'

const framesMin = 30_000
const seed = Number(process.env['FUZZ_SEED'] ?? 20)

const targets = [...nativeTargets(), ...ampcTargets(), ...parserTargets()]

function frame(byte: number): Buffer {
  return encodeFrame(0, { type: 'Bytes', value: Buffer.of(1, 2, byte) })
}

/** A reader with a bug. */
function brokenTarget(run: (input: Buffer, dice: Dice, trace: Trace) => void): Target {
  return { name: 'broken', seeds: new Seeds([{ bytes: frame(3), weight: 1 }]), weight: 1, framesMax: 8, run }
}

describe('corrupted frames', () => {
  it(`corrupted frames end in a typed error in every state (seed ${seed})`, { timeout: 60_000 }, () => {
    const fuzzer = new Fuzzer(targets, seed)
    while (fuzzer.frames < framesMin && !fuzzer.isFull) fuzzer.batch()
    const { findings, states, outcomes } = fuzzer.result()
    expect(
      findings.map(
        ({ kind, target, what, input, dice }) =>
          `${kind} in '${target}', dice ${dice}: ${what}: ${input.toString('hex').slice(0, 4_000)}`,
      ),
    ).toEqual([])
    expect(states).toBe(targets.length)
    expect(outcomes.size).toBeGreaterThan(60)
  })

  it('corrupted frames give the same result for the same seed', () => {
    const results = [1, 1, 2].map((each) => {
      const fuzzer = new Fuzzer(targets, each)
      for (let count = 0; count < 40; count++) fuzzer.batch()
      const { frames, behaviours, outcomes } = fuzzer.result()
      return JSON.stringify([frames, behaviours, [...outcomes]])
    })
    expect(results[0]).toBe(results[1])
    expect(results[2]).not.toBe(results[0])
  })
})

describe('the fuzzer', () => {
  const reader = (input: Buffer, trace: Trace, onFrame: (buffer: Buffer, start: number, end: number) => void): void => {
    const frames = new FrameReader(
      { maxMessageLengthBytes: 1000 },
      {
        onFrame: (_lane, descriptor, buffer, start, end) => {
          trace.accepted(descriptor)
          onFrame(buffer, start, end)
          return true
        },
      },
    )
    try {
      frames.push(input)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      trace.ended(error.code)
    }
  }

  it('the fuzzer finds an untyped error and the few bytes that cause it', () => {
    const fuzzer = new Fuzzer(
      [
        brokenTarget((input, _dice, trace) =>
          reader(input, trace, (buffer, start, end) => {
            if (end - start === 7 && buffer[start + 5] === 0xff) throw new TypeError('a bug')
          }),
        ),
      ],
      5,
    )
    for (let count = 0; count < 500 && fuzzer.result().findings.length === 0; count++) fuzzer.batch()
    const [finding] = fuzzer.result().findings
    expect(finding).toMatchObject({ kind: 'crash', target: 'broken' })
    expect(finding?.what).toContain('TypeError: a bug')
    expect(finding?.input).toHaveLength(12)
  })

  it('the fuzzer finds a violation of a rule of its state', () => {
    let frames = 0
    const target = brokenTarget((input, _dice, trace) => {
      frames = 0
      reader(input, trace, () => void frames++)
      holds(frames < 8, `${frames} frames were kept`)
    })
    const fuzzer = new Fuzzer([target], 6)
    for (let count = 0; count < 500 && fuzzer.result().findings.length === 0; count++) fuzzer.batch()
    const [finding] = fuzzer.result().findings
    expect(finding?.what).toContain('8 frames were kept')
    expect(() => replay([target], 'broken', finding!.input, finding!.dice)).toThrow('8 frames were kept')
  })

  it('the fuzzer finds an input that takes too long, and names its stream', () => {
    const target = brokenTarget((input, _dice, trace) => {
      trace.frames++
      const untilMs = performance.now() + 70
      if (input.length > 60) while (performance.now() < untilMs);
    })
    const fuzzer = new Fuzzer([target], 7, 1)
    for (let count = 0; count < 20 && fuzzer.result().findings.length === 0; count++) fuzzer.batch()
    expect(fuzzer.result().findings[0]).toMatchObject({ kind: 'hang', target: 'broken' })
    expect(fuzzer.result().findings[0]!.input.length).toBeGreaterThan(60)
  })
})
