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
  link.failed                        -> failed                         noteFailure releaseLinks reject tellClosed
  group.fail                         -> failed                         noteFailure releaseLinks reject tellClosed
  group.close                        -> failed                         noteFailure releaseLinks reject tellClosed
  deadline.passed                    -> failed                         noteFailure releaseLinks reject tellClosed
connecting
  link.ready                         -> stays                          noteReady
  link.up                            -> stays                          noteReady
  link.down                          -> stays                          noteDown
  link.failed                        -> failed                         noteFailure releaseLinks reject tellClosed
  group.whole                        -> validating                     validate
  group.fail                         -> failed                         noteFailure releaseLinks reject tellClosed
  group.close                        -> failed                         noteFailure releaseLinks reject tellClosed
  deadline.passed                    -> failed                         noteFailure releaseLinks reject tellClosed
failed, final
validating
  link.down                          -> failed                         noteFailure releaseLinks reject tellClosed
  link.failed                        -> failed                         noteFailure releaseLinks reject tellClosed
  group.validated                    -> open                           settle
  group.fail                         -> failed                         noteFailure releaseLinks reject tellClosed
  group.close                        -> failed                         noteFailure releaseLinks reject tellClosed
  deadline.passed                    -> failed                         noteFailure releaseLinks reject tellClosed
open
  link.down                          -> stays                          noteDown
  link.failed                        -> failed                         noteFailure releaseLinks reject tellClosed
  group.fail                         -> failed                         noteFailure releaseLinks reject tellClosed
  group.close                        -> closed                         noteFailure releaseLinks tellClosed
  deadline.passed                    -> failed                         noteFailure releaseLinks reject tellClosed
closed, final
# sessions that resume: begins queued takeTurn
validating
  link.down                          -> stays                          noteDown
  link.failed                        -> failed                         noteFailure releaseLinks reject tellClosed
  group.validated                    -> open                           settle
  group.fail                         -> failed                         noteFailure releaseLinks reject tellClosed
  group.close                        -> failed                         noteFailure releaseLinks reject tellClosed
  deadline.passed                    -> failed                         noteFailure releaseLinks reject tellClosed
# a control channel: begins queued takeTurn
open
  link.down                          -> stays                          noteDown
  link.failed                        -> stays                          noteGone
  group.fail                         -> failed                         noteFailure releaseLinks reject tellClosed
  group.close                        -> closed                         noteFailure releaseLinks tellClosed
  deadline.passed                    -> failed                         noteFailure releaseLinks reject tellClosed
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
