/**
 * Owns: the table of machines/batch.ts: sessions that start together, and end together or independently.
 * Independent of: what the actions do (actors/batch.ts).
 */
import { describe } from 'vitest'
import { batchMachine } from '../../machines/index.ts'
import { chartContract, named } from './chart-contract.ts'

const table = `
# sessions: begins queued takeTurn
queued
  turn.granted                       -> connecting                     openLinks
  link.failed                        -> failed                         noteFailure releaseLinks reject tellClosed
  batch.fail                         -> failed                         noteFailure releaseLinks reject tellClosed
  batch.close                        -> failed                         noteFailure releaseLinks reject tellClosed
  deadline.passed                    -> failed                         noteFailure releaseLinks reject tellClosed
connecting
  link.ready                         -> stays                          noteReady
  link.up                            -> stays                          noteReady
  link.down                          -> stays                          noteDown
  link.failed                        -> failed                         noteFailure releaseLinks reject tellClosed
  batch.whole                        -> validating                     validate
  batch.fail                         -> failed                         noteFailure releaseLinks reject tellClosed
  batch.close                        -> failed                         noteFailure releaseLinks reject tellClosed
  deadline.passed                    -> failed                         noteFailure releaseLinks reject tellClosed
failed, final
validating
  link.down                          -> failed                         noteFailure releaseLinks reject tellClosed
  link.failed                        -> failed                         noteFailure releaseLinks reject tellClosed
  batch.validated                    -> open                           settle
  batch.fail                         -> failed                         noteFailure releaseLinks reject tellClosed
  batch.close                        -> failed                         noteFailure releaseLinks reject tellClosed
  deadline.passed                    -> failed                         noteFailure releaseLinks reject tellClosed
open
  link.down                          -> stays                          noteDown
  link.failed                        -> failed                         noteFailure releaseLinks reject tellClosed
  batch.fail                         -> failed                         noteFailure releaseLinks reject tellClosed
  batch.close                        -> closed                         noteFailure releaseLinks tellClosed
  deadline.passed                    -> failed                         noteFailure releaseLinks reject tellClosed
closed, final
# sessions that resume: begins queued takeTurn
validating
  link.down                          -> stays                          noteDown
  link.failed                        -> failed                         noteFailure releaseLinks reject tellClosed
  batch.validated                    -> open                           settle
  batch.fail                         -> failed                         noteFailure releaseLinks reject tellClosed
  batch.close                        -> failed                         noteFailure releaseLinks reject tellClosed
  deadline.passed                    -> failed                         noteFailure releaseLinks reject tellClosed
# a control channel: begins queued takeTurn
open
  link.down                          -> stays                          noteDown
  link.failed                        -> stays                          noteGone
  batch.fail                         -> failed                         noteFailure releaseLinks reject tellClosed
  batch.close                        -> closed                         noteFailure releaseLinks tellClosed
  deadline.passed                    -> failed                         noteFailure releaseLinks reject tellClosed
`

describe('the session group chart', () => {
  chartContract(batchMachine, {
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
        'batch.whole',
        'batch.validated',
        'batch.fail',
        'batch.close',
        'deadline.passed',
      ),
    ],
    finals: ['failed', 'closed'],
    ignored: [],
    table,
  })
})
