/**
 * Owns: the table of machines/stream.ts.
 * Independent of: what the actions do (actors/streams/).
 */
import { describe } from 'vitest'
import { streamMachine } from '../../machines/index.ts'
import { chartContract, named } from './chart-contract.ts'

const table = `
# a stream: begins opening
opening
  open.sent                          -> authenticating
  stream.failed                      -> errored
  stream.destroyed                   -> closed
  deadline.passed                    -> stays                          giveUp
authenticating
  stream.accepted                    -> open.both
  stream.failed                      -> errored
  stream.destroyed                   -> closed
  deadline.passed                    -> stays                          giveUp
errored
  stream.destroyed                   -> closed
  deadline.passed                    -> stays                          giveUpReading
closed, final
open.both
  fin.sent                           -> open.reading
  fin.received                       -> open.writing
  stream.failed                      -> errored
  stream.destroyed                   -> closed
open.reading
  fin.received                       -> closed
  stream.failed                      -> errored
  stream.destroyed                   -> closed
open.writing
  fin.sent                           -> closed
  stream.failed                      -> errored
  stream.destroyed                   -> closed
`

describe('the stream chart', () => {
  chartContract(streamMachine, {
    lives: { 'a stream': {} },
    events: named(
      'open.sent',
      'stream.accepted',
      'fin.sent',
      'fin.received',
      'stream.failed',
      'stream.destroyed',
      'deadline.passed',
    ),
    finals: ['closed'],
    ignored: [],
    table,
  })
})
