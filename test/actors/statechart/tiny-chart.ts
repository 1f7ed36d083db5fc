/**
 * Owns: the set-up that tiny charts of tests share.
 * Independent of: what they are for.
 */
import { setup as xstateSetup } from 'xstate'
import { resting as restingTag } from '../../../machines/index.ts'
import type { StateMeta } from '../../../machines/index.ts'
import { placeholders } from '../../../machines/chart.ts'

export interface TinyContext {
  readonly facts: object
  readonly body: unknown
}

export const resting = restingTag

export const setup = xstateSetup({
  types: { context: {} as TinyContext, input: {} as TinyContext, meta: {} as StateMeta, tags: {} as typeof restingTag },
  actions: placeholders(['haveChildren', 'ask', 'bug']),
  guards: { beginsBadly: ({ context }) => (context.facts as { begins?: string }).begins === 'bad' },
})
