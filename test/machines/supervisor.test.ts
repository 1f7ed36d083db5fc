/**
 * Owns: the table of machines/supervisor.ts: a whole network as its application sees it.
 * Independent of: what the actions do (actors/network/supervisor.ts).
 */
import { describe } from 'vitest'
import { supervisorMachine } from '../../machines/index.ts'
import { chartContract, childEvents, named } from './chart-contract.ts'

const table = `
# a network: begins starting begin
starting
  listener.listening                 -> running                        tellReady
  listener.failed                    -> failed                         noteFailure tellFailed fail
  listener.notWanted                 -> running                        tellReady
  sessions.make                      -> stays                          makeGroup
  control.open                       -> stays                          makeGroup
  link.ready                         -> stays                          noteLink
  link.up                            -> stays                          noteLink
  link.down                          -> stays                          noteLink
  link.failed                        -> stays                          noteLink
  network.shutdown                   -> draining                       drain
  child.restarted                    -> stays                          noteRestart
  child.escalated                    -> failed                         noteFailure tellFailed fail
  deadline.passed                    -> failed                         noteFailure tellFailed fail
running
  sessions.make                      -> stays                          makeGroup
  control.open                       -> stays                          makeGroup
  link.ready                         -> stays                          noteLink
  link.up                            -> stays                          noteLink
  link.down                          -> stays                          noteLink
  link.failed                        -> stays                          noteLink
  network.shutdown                   -> draining                       drain
  child.restarted                    -> stays                          noteRestart
  child.escalated                    -> failed                         noteFailure tellFailed fail
failed
  sessions.make                      -> stays                          refuse
  control.open                       -> stays                          refuse
  link.ready                         -> stays                          noteLink
  link.up                            -> stays                          noteLink
  link.down                          -> stays                          noteLink
  link.failed                        -> stays                          noteLink
  network.shutdown                   -> draining                       drain
  child.restarted                    -> stays                          noteRestart
  child.escalated                    -> stays                          noteFailure tellFailed fail
draining
  sessions.make                      -> stays                          refuse
  control.open                       -> stays                          refuse
  link.ready                         -> stays                          noteLink
  link.up                            -> stays                          noteLink
  link.down                          -> stays                          noteLink
  link.failed                        -> stays                          noteLink
  links.settled                      -> stays                          drainGroups
  pool.emptied                       -> stays                          drainPeers
  network.quiet                      -> stopped                        tellStopped
  deadline.passed                    -> stopped                        tellStopped
stopped, final
`

describe('the supervisor chart', () => {
  chartContract(supervisorMachine, {
    lives: {
      'a network': {},
    },
    events: [
      ...named(
        'listener.listening',
        'listener.failed',
        'listener.notWanted',
        'sessions.make',
        'control.open',
        'link.ready',
        'link.up',
        'link.down',
        'link.failed',
        'links.settled',
        'pool.emptied',
        'network.quiet',
        'network.shutdown',
      ),
      ...childEvents,
      ...named('deadline.passed'),
    ],
    finals: ['stopped'],
    ignored: ['child.done', 'child.failed'],
    table,
  })
})
