/**
 * Owns: S5 at a million corrupted frames, or as many as fit into twelve seconds, in every state.
 * Independent of: how streams are corrupted (test/bars/fuzz). A smaller run: fuzz.test.ts.
 */
import { expect, it } from 'vitest'
import { ampcTargets } from '../bars/fuzz/ampc-states.ts'
import { Fuzzer } from '../bars/fuzz/fuzzer.ts'
import { nativeTargets } from '../bars/fuzz/native-states.ts'
import { parserTargets } from '../bars/fuzz/parser-targets.ts'

const framesMax = 1_000_000
/** On a machine that is busy with other work. */
const framesMin = 60_000
const timeLimitMs = 12_000
const seed = Number(process.env['FUZZ_SEED'] ?? 20)

const targets = [...nativeTargets(), ...ampcTargets(), ...parserTargets()]

it(`a million corrupted frames end in a typed error in every state (seed ${seed})`, { timeout: 60_000 }, async () => {
  const fuzzer = new Fuzzer(targets, seed)
  const untilMs = performance.now() + timeLimitMs
  while (fuzzer.frames < framesMax && !fuzzer.isFull && (fuzzer.frames < framesMin || performance.now() < untilMs)) {
    fuzzer.batch()
    await Promise.resolve()
  }
  const { findings, states, outcomes } = fuzzer.result()
  console.log(`${fuzzer.frames} frames`)
  expect(
    findings.map(
      ({ kind, target, what, input, dice }) =>
        `${kind} in '${target}', dice ${dice}: ${what}: ${input.toString('hex').slice(0, 4_000)}`,
    ),
  ).toEqual([])
  expect(states).toBe(targets.length)
  expect(outcomes.size).toBeGreaterThan(60)
})
