/**
 * Owns: the table of machines/reconnector.ts: whether dials are granted.
 * Independent of: what the actions do (actors/link/reconnector.ts).
 */
import { describe } from 'vitest'
import { reconnectorMachine } from '../../machines/index.ts'
import { chartContract, named } from './chart-contract.ts'

const table = `
# a reconnector: begins granting
granting
  dial.request                       -> stays                          enqueue
  dial.cancel                        -> stays                          cancel
  dial.ended                         -> stays                          end
  dial.reset                         -> stays                          reset
  dial.judged                        -> stays                          judge
  dial.forget                        -> stays                          forget
  dial.hurry                         -> stays                          hurry
  dial.due                           -> stays                          resolve
  dial.resolved                      -> stays                          grant
  dial.unresolved                    -> stays                          giveUp
  slots.used                         -> saturated
  reconnector.stop                   -> stopped                        stopAll
saturated
  dial.request                       -> stays                          enqueue
  dial.cancel                        -> stays                          cancel
  dial.ended                         -> stays                          end
  dial.reset                         -> stays                          reset
  dial.judged                        -> stays                          judge
  dial.forget                        -> stays                          forget
  dial.hurry                         -> stays                          hurry
  dial.due                           -> stays                          resolve
  dial.resolved                      -> stays                          grant
  dial.unresolved                    -> stays                          giveUp
  slots.free                         -> granting                       grantWaiting
  reconnector.stop                   -> stopped                        stopAll
stopped, final
`

describe('the reconnector chart', () => {
  chartContract(reconnectorMachine, {
    lives: {
      'a reconnector': {},
    },
    events: [
      ...named(
        'dial.request',
        'dial.cancel',
        'dial.ended',
        'dial.reset',
        'dial.judged',
        'dial.forget',
        'dial.hurry',
        'dial.due',
        'dial.resolved',
        'dial.unresolved',
        'slots.used',
        'slots.free',
        'reconnector.stop',
      ),
    ],
    finals: ['stopped'],
    ignored: [],
    table,
  })
})
