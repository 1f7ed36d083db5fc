/**
 * Owns: the table of machines/forwarder.ts: one direction of a link.
 * Independent of: what the actions do (actors/link/forwarder.ts).
 */
import { describe } from 'vitest'
import { forwarderMachine } from '../../machines/index.ts'
import { chartContract, named } from './chart-contract.ts'

const table = `
# either direction: begins opening
opening
  connection.started                 -> authenticating
  connection.opened                  -> open.flowing
  pump.crashed                       -> stays                          crash
  forwarder.close                    -> closed
authenticating
  connection.opened                  -> open.flowing
  connection.errored                 -> errored
  connection.closed                  -> opening
  pump.crashed                       -> stays                          crash
  forwarder.close                    -> closed
open.flowing
  connection.started                 -> authenticating
  connection.errored                 -> errored
  connection.closed                  -> opening
  pump.blocked                       -> open.blocked
  pump.crashed                       -> stays                          crash
  forwarder.close                    -> closed
closed, final
errored
  connection.started                 -> authenticating
  connection.closed                  -> opening
  pump.crashed                       -> stays                          crash
  forwarder.close                    -> closed
open.blocked
  connection.started                 -> authenticating
  connection.errored                 -> errored
  connection.closed                  -> opening
  pump.drained                       -> open.flowing
  pump.crashed                       -> stays                          crash
  forwarder.close                    -> closed
`

describe('the forwarder chart', () => {
  chartContract(forwarderMachine, {
    lives: {
      'either direction': { direction: 'out' },
    },
    events: [
      ...named(
        'connection.started',
        'connection.opened',
        'connection.errored',
        'connection.closed',
        'pump.blocked',
        'pump.drained',
        'pump.crashed',
        'forwarder.close',
      ),
    ],
    finals: ['closed'],
    ignored: [],
    table,
  })
})
