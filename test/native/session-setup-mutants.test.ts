/**
 * Owns: mutants of session set-up, each of which the model must find: a model that finds nothing proves nothing.
 * Independent of: the rules that the model cannot see; those have cases in session-setup.test.ts.
 */
import { afterEach, describe, expect, test, vi } from 'vitest'
import { Attempt, PendingCall } from '../../protocol/native/setup/attempt.ts'
import { SessionIds } from '../../protocol/native/setup/session-ids.ts'
import { SetupPeer } from '../../protocol/native/setup/setup-peer.ts'
import { ModelLane, ModelSide } from './setup-model-link.ts'
import { noFaults, SetupModel } from './setup-model.ts'
import type { ModelFaults } from './setup-model.ts'

const seedsMax = 400
const faults: ModelFaults = { ...noFaults, resets: 2, aborts: 6, closes: 3, wrongCounts: 5 }

function isFound(seed: number): boolean {
  try {
    const model = new SetupModel(seed, faults)
    for (let steps = 40 + model.chance(800); steps > 0; steps -= 1) model.step()
    model.settle(8000)
    model.check()
    return false
  } catch {
    return true
  }
}

/** Frames that match are not sent. */
function lose(matches: (frame: { readonly type: string; readonly reason?: string }) => boolean): void {
  const write = ModelSide.prototype.write
  vi.spyOn(ModelSide.prototype, 'write').mockImplementation(function (this: ModelSide, frame) {
    if (!matches(frame)) write.call(this, frame)
  })
}

const ignore = (): void => {}

const mutants: readonly [sentence: string, plant: () => void][] = [
  [
    'the lanes of a void attempt are not reset',
    () => void vi.spyOn(ModelLane.prototype, 'close').mockImplementation(ignore),
  ],
  [
    'a Want of a call that failed is not withdrawn',
    () => lose(({ type, reason }) => type === 'Refuse' && reason === 'withdrawn'),
  ],
  ['Agree is not sent', () => lose(({ type }) => type === 'Agree')],
  ['Refuse for counts that differ is not sent', () => lose(({ reason }) => reason === 'counts-differ')],
  [
    'a call is paired with a peer when one of its links is',
    () =>
      void vi.spyOn(Attempt.prototype, 'isPaired', 'get').mockImplementation(function (this: Attempt<unknown>) {
        return this.confirmed.size > 0
      }),
  ],
  [
    'the set leaves out the call of this side',
    () => {
      const pairedSet = PendingCall.prototype.pairedSet
      vi.spyOn(PendingCall.prototype, 'pairedSet').mockImplementation(function (this: PendingCall<unknown>) {
        const set = pairedSet.call(this)
        return set === null ? null : set ^ this.id
      })
    },
  ],
  [
    'the reset of a link voids nothing and ends no Want',
    () => void vi.spyOn(SetupPeer.prototype, 'linkReset').mockImplementation(ignore),
  ],
  [
    'a Want that waits for links is not looked at again',
    () => void vi.spyOn(SetupPeer.prototype, 'linkUp').mockImplementation(ignore),
  ],
  ['a call that fails stays where it is', () => void vi.spyOn(SetupPeer.prototype, 'drop').mockImplementation(ignore)],
  [
    'a call that is done stays the oldest of its name',
    () => void vi.spyOn(SetupPeer.prototype, 'settle').mockImplementation(ignore),
  ],
  ['a void attempt stays', () => void vi.spyOn(SetupPeer.prototype, 'voidAttempt').mockImplementation(ignore)],
  [
    'a call that is paired again with a peer sends it no Agree',
    () => {
      const sendAgree = SetupPeer.prototype.sendAgree
      const asked = new Set<string>()
      vi.spyOn(SetupPeer.prototype, 'sendAgree').mockImplementation(function (this: SetupPeer<unknown>, attempt, set) {
        const key = `${this.id} ${attempt.call.id}`
        if (asked.has(key)) return
        asked.add(key)
        sendAgree.call(this, attempt, set)
      })
    },
  ],
  [
    'ids are assigned twice',
    () => {
      const take = SessionIds.prototype.take
      vi.spyOn(SessionIds.prototype, 'take').mockImplementation(function (this: SessionIds, count) {
        return Math.max(0, take.call(this, count) - 1)
      })
    },
  ],
  [
    'ids of a refused Make are not remembered',
    () => {
      const make = SessionIds.prototype.make
      vi.spyOn(SessionIds.prototype, 'make').mockImplementation(function (this: SessionIds, firstId, count) {
        if (count !== null) make.call(this, firstId, count)
      })
    },
  ],
]

afterEach(() => {
  vi.restoreAllMocks()
})

describe('mutants of session set-up', () => {
  test.each(mutants)(
    'the model finds the mutant: %s',
    (sentence, plant) => {
      plant()
      let seed = 1
      while (seed <= seedsMax && !isFound(seed)) seed += 1
      if (process.env['STATEWIRE_SETUP_SEEDS'] !== undefined) process.stdout.write(`${sentence}: seed ${seed}\n`)
      expect(seed).toBeLessThanOrEqual(seedsMax)
    },
    60_000,
  )
})
