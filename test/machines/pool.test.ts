/**
 * Owns: the table of machines/pool.ts: many children below one name.
 * Independent of: what the actions do (actors/network/pool.ts).
 */
import { describe } from 'vitest'
import { poolMachine } from '../../machines/index.ts'
import { chartContract, childEvents, named } from './chart-contract.ts'

const table = `
# a pool: begins running begin
running
  pool.add                           -> stays                          add
  pool.drain                         -> draining                       drain
  pool.pass                          -> stays                          pass
  child.done                         -> stays                          recordEnd
  child.failed                       -> stays                          recordEnd
  child.restarted                    -> stays                          recordEnd
  child.escalated                    -> stays                          recordEnd
draining
  pool.pass                          -> stays                          pass
  pool.empty                         -> empty                          notifyEmpty
  child.done                         -> stays                          recordEnd
  child.failed                       -> stays                          recordEnd
  child.restarted                    -> stays                          recordEnd
  child.escalated                    -> stays                          recordEnd
empty, final
`

describe('the pool chart', () => {
  chartContract(poolMachine, {
    lives: {
      'a pool': {},
    },
    events: [...named('pool.add', 'pool.drain', 'pool.pass', 'pool.empty'), ...childEvents],
    finals: ['empty'],
    ignored: [],
    table,
  })
})
