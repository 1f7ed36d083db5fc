/**
 * Owns: the table of machines/stream-manager.ts.
 * Independent of: what the actions do (actors/streams/).
 */
import { describe } from 'vitest'
import { streamManagerMachine } from '../../machines/index.ts'
import { chartContract, named } from './chart-contract.ts'

const table = `
# a manager: begins connecting look
connecting
  manager.connected                  -> ready                          open
  manager.failed                     -> failed                         fail
  link.close                         -> closed                         fail
  deadline.passed                    -> failed                         giveUp
ready
  manager.disconnected               -> connecting                     look
  manager.failed                     -> failed                         fail
  link.close                         -> closed                         fail
failed, final
closed, final
`

describe('the stream manager chart', () => {
  chartContract(streamManagerMachine, {
    lives: { 'a manager': {} },
    events: named('manager.connected', 'manager.disconnected', 'manager.failed', 'link.close', 'deadline.passed'),
    finals: ['failed', 'closed'],
    ignored: [],
    table,
  })
})
