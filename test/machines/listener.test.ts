/**
 * Owns: the table of machines/listener.ts: bound or not.
 * Independent of: what the actions do (actors/connection/listener.ts).
 */
import { describe } from 'vitest'
import { listenerMachine } from '../../machines/index.ts'
import { chartContract, childEvents, named } from './chart-contract.ts'

const table = `
# a listener: begins binding bind
binding
  listener.bound                     -> listening                      notifyListening
  listener.failed                    -> errored                        recordFailure unbind notifyFailed fail
  pipe.accepted                      -> stays                          refusePipe
  connection.claimed                 -> stays                          place
  admission.decided                  -> stays                          decide
  connection.errored                 -> stays                          recordFailed
  connection.closed                  -> stays                          recordFailed forget
  listener.close                     -> closed                         unbind
  child.done                         -> stays                          forget
  child.failed                       -> stays                          forget
  deadline.passed                    -> errored                        recordFailure unbind notifyFailed fail
listening
  listener.failed                    -> errored                        recordFailure unbind notifyFailed fail
  pipe.accepted                      -> stays                          admit
  connection.claimed                 -> stays                          place
  admission.decided                  -> stays                          decide
  connection.errored                 -> stays                          recordFailed
  connection.closed                  -> stays                          recordFailed forget
  listener.close                     -> closed                         unbind
  child.done                         -> stays                          forget
  child.failed                       -> stays                          forget
errored
  pipe.accepted                      -> stays                          refusePipe
  connection.claimed                 -> stays                          place
  admission.decided                  -> stays                          decide
  connection.errored                 -> stays                          recordFailed
  connection.closed                  -> stays                          recordFailed forget
  listener.close                     -> closed                         unbind
  child.done                         -> stays                          forget
  child.failed                       -> stays                          forget
closed, final
`

describe('the listener chart', () => {
  chartContract(listenerMachine, {
    lives: {
      'a listener': {},
    },
    events: [
      ...named(
        'listener.bound',
        'listener.failed',
        'pipe.accepted',
        'connection.claimed',
        'admission.decided',
        'connection.errored',
        'connection.closed',
        'listener.close',
      ),
      ...childEvents,
      ...named('deadline.passed'),
    ],
    finals: ['closed'],
    ignored: ['child.restarted', 'child.escalated'],
    table,
  })
})
