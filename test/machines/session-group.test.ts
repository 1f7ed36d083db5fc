/**
 * Owns: the table of machines/session-group.ts: sessions that start together, and end together or independently.
 * Independent of: what the actions do (actors/session/session-group.ts).
 */
import { describe } from 'vitest'
import { sessionGroupMachine } from '../../machines/index.ts'
import { chartContract, named } from './chart-contract.ts'

const table = `
# sessions: begins queued takeTurn
queued
  turn.granted                       -> connecting                     openLinks
  link.failed                        -> failed                         recordFailure releaseLinks reject notifyClosed
  group.fail                         -> failed                         recordFailure releaseLinks reject notifyClosed
  group.close                        -> failed                         recordFailure releaseLinks reject notifyClosed
  deadline.passed                    -> failed                         recordFailure releaseLinks reject notifyClosed
connecting
  link.ready                         -> stays                          recordReady
  link.up                            -> stays                          recordReady
  link.down                          -> stays                          recordDown
  link.failed                        -> failed                         recordFailure releaseLinks reject notifyClosed
  group.whole                        -> validating                     validate
  group.fail                         -> failed                         recordFailure releaseLinks reject notifyClosed
  group.close                        -> failed                         recordFailure releaseLinks reject notifyClosed
  deadline.passed                    -> failed                         recordFailure releaseLinks reject notifyClosed
failed, final
validating
  link.down                          -> failed                         recordFailure releaseLinks reject notifyClosed
  link.failed                        -> failed                         recordFailure releaseLinks reject notifyClosed
  group.validated                    -> open                           settle
  group.fail                         -> failed                         recordFailure releaseLinks reject notifyClosed
  group.close                        -> failed                         recordFailure releaseLinks reject notifyClosed
  deadline.passed                    -> failed                         recordFailure releaseLinks reject notifyClosed
open
  link.down                          -> stays                          recordDown
  link.failed                        -> failed                         recordFailure releaseLinks reject notifyClosed
  group.fail                         -> failed                         recordFailure releaseLinks reject notifyClosed
  group.close                        -> closed                         recordFailure releaseLinks notifyClosed
  deadline.passed                    -> failed                         recordFailure releaseLinks reject notifyClosed
closed, final
# sessions that resume: begins queued takeTurn
queued
  turn.granted                       -> pairing                        pair
  link.failed                        -> failed                         recordFailure releaseLinks reject notifyClosed
  group.fail                         -> failed                         recordFailure releaseLinks reject notifyClosed
  group.close                        -> failed                         recordFailure releaseLinks reject notifyClosed
  deadline.passed                    -> failed                         recordFailure releaseLinks reject notifyClosed
pairing
  link.ready                         -> stays                          recordReady
  link.up                            -> stays                          recordReady
  link.down                          -> stays                          recordDown
  link.failed                        -> failed                         recordFailure releaseLinks reject notifyClosed
  group.whole                        -> validating                     validate
  group.fail                         -> failed                         recordFailure releaseLinks reject notifyClosed
  group.close                        -> failed                         recordFailure releaseLinks reject notifyClosed
  deadline.passed                    -> failed                         recordFailure releaseLinks reject notifyClosed
validating
  link.down                          -> stays                          recordDown
  link.failed                        -> failed                         recordFailure releaseLinks reject notifyClosed
  group.validated                    -> open                           settle
  group.fail                         -> failed                         recordFailure releaseLinks reject notifyClosed
  group.close                        -> failed                         recordFailure releaseLinks reject notifyClosed
  deadline.passed                    -> failed                         recordFailure releaseLinks reject notifyClosed
# a control channel: begins queued takeTurn
open
  link.down                          -> stays                          recordDown
  link.failed                        -> stays                          recordGone
  group.fail                         -> failed                         recordFailure releaseLinks reject notifyClosed
  group.close                        -> closed                         recordFailure releaseLinks notifyClosed
  deadline.passed                    -> failed                         recordFailure releaseLinks reject notifyClosed
`

describe('the session group chart', () => {
  chartContract(sessionGroupMachine, {
    lives: {
      sessions: { purpose: 'sessions', onConnectionLost: 'fail' },
      'sessions that resume': { purpose: 'sessions', onConnectionLost: 'resume' },
      'a control channel': { purpose: 'control', onConnectionLost: 'fail' },
    },
    events: [
      ...named(
        'turn.granted',
        'link.ready',
        'link.up',
        'link.down',
        'link.failed',
        'group.whole',
        'group.validated',
        'group.fail',
        'group.close',
        'deadline.passed',
      ),
    ],
    finals: ['failed', 'closed'],
    ignored: [],
    table,
  })
})
