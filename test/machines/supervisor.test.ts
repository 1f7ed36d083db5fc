/**
 * Owns: the table of machines/supervisor.ts: a whole network as its application sees it.
 * Independent of: what the actions do (actors/network/supervisor.ts).
 */
import { describe } from 'vitest'
import { supervisorMachine } from '../../machines/index.ts'
import { commandNames } from '../../machines/supervisor.ts'
import { chartContract, childEvents, named } from './chart-contract.ts'

const table = `
# a network: begins starting begin
starting
  listener.listening                 -> running                        notifyReady
  listener.failed                    -> failed                         recordFailure notifyFailed fail
  listener.notWanted                 -> running                        notifyReady
  sessions.make                      -> stays                          makeGroup
  control.open                       -> stays                          makeGroup
  peer.add                           -> stays                          runCommand
  peer.remove                        -> stays                          runCommand
  peer.connect                       -> stays                          runCommand
  peer.disconnect                    -> stays                          runCommand
  message.send                       -> stays                          runCommand
  message.multicast                  -> stays                          runCommand
  message.broadcast                  -> stays                          runCommand
  link.ready                         -> stays                          recordLink
  link.up                            -> stays                          recordLink
  link.down                          -> stays                          recordLink
  link.failed                        -> stays                          recordLink
  network.shutdown                   -> draining                       drain
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> failed                         recordFailure notifyFailed fail
  deadline.passed                    -> failed                         recordFailure notifyFailed fail
running
  sessions.make                      -> stays                          makeGroup
  control.open                       -> stays                          makeGroup
  peer.add                           -> stays                          runCommand
  peer.remove                        -> stays                          runCommand
  peer.connect                       -> stays                          runCommand
  peer.disconnect                    -> stays                          runCommand
  message.send                       -> stays                          runCommand
  message.multicast                  -> stays                          runCommand
  message.broadcast                  -> stays                          runCommand
  link.ready                         -> stays                          recordLink
  link.up                            -> stays                          recordLink
  link.down                          -> stays                          recordLink
  link.failed                        -> stays                          recordLink
  network.shutdown                   -> draining                       drain
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> failed                         recordFailure notifyFailed fail
failed
  sessions.make                      -> stays                          refuse
  control.open                       -> stays                          refuse
  peer.add                           -> stays                          refuseCommand
  peer.remove                        -> stays                          refuseCommand
  peer.connect                       -> stays                          refuseCommand
  peer.disconnect                    -> stays                          refuseCommand
  message.send                       -> stays                          refuseCommand
  message.multicast                  -> stays                          refuseCommand
  message.broadcast                  -> stays                          refuseCommand
  link.ready                         -> stays                          recordLink
  link.up                            -> stays                          recordLink
  link.down                          -> stays                          recordLink
  link.failed                        -> stays                          recordLink
  network.shutdown                   -> draining                       drain
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          recordFailure notifyFailed fail
draining
  sessions.make                      -> stays                          refuse
  control.open                       -> stays                          refuse
  peer.add                           -> stays                          refuseCommand
  peer.remove                        -> stays                          refuseCommand
  peer.connect                       -> stays                          refuseCommand
  peer.disconnect                    -> stays                          refuseCommand
  message.send                       -> stays                          refuseCommand
  message.multicast                  -> stays                          refuseCommand
  message.broadcast                  -> stays                          refuseCommand
  link.ready                         -> stays                          recordLink
  link.up                            -> stays                          recordLink
  link.down                          -> stays                          recordLink
  link.failed                        -> stays                          recordLink
  links.settled                      -> stays                          drainGroups
  pool.emptied                       -> stays                          drainPeers
  network.quiet                      -> stopped                        notifyStopped
  deadline.passed                    -> stopped                        notifyStopped
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
        ...commandNames,
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
