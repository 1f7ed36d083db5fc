/**
 * Owns: the table of machines/link.ts: what outlives sockets, in both roles and both modes.
 * Independent of: what the actions do (actors/link/link.ts).
 */
import { describe } from 'vitest'
import { linkMachine } from '../../machines/index.ts'
import { chartContract, childEvents, named } from './chart-contract.ts'
import { table } from './link-table.ts'

/** Where a lost connection may not be replaced, it matters whether it had been up. */
const closings = [
  { type: 'connection.closed', authenticated: false, as: 'connection.closed before it was up' },
  { type: 'connection.closed', authenticated: true, as: 'connection.closed after it was up' },
]

/** A peer that this side does not want to be connected to now. */
const unwanted = `# dialer, resume, not wanted: begins down.paused openClaim
down.paused
  link.claimed                       -> accepting                      accept
  connection.closed before it was up -> stays                          recordLost openClaim
  connection.closed after it was up  -> stays                          recordLost openClaim
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        closeConnection
  link.resume                        -> stays                          openClaim
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
accepting
  link.claimed                       -> stays                          replace accept
  connection.authenticated           -> up.fresh                       adopt endDial
  connection.closed before it was up -> down.paused                    recordLost openClaim
  connection.closed after it was up  -> down.paused                    recordLost openClaim
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        closeConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
  deadline.passed                    -> stays                          failConnection
up.fresh
  link.claimed                       -> accepting                      replace accept
  connection.errored                 -> stays                          recordErrored
  connection.closed before it was up -> down.paused                    recordLost openClaim
  connection.closed after it was up  -> down.paused                    recordLost openClaim
  pump.started                       -> up.stable                      resetBackoff
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        closeConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
  deadline.passed                    -> up.stable                      resetBackoff
up.stable
  link.claimed                       -> accepting                      replace accept
  connection.errored                 -> stays                          recordErrored
  connection.closed before it was up -> down.paused                    recordLost openClaim
  connection.closed after it was up  -> down.paused                    recordLost openClaim
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        closeConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
`

describe('the link chart', () => {
  chartContract(linkMachine, {
    lives: {
      'dialer, reconnect': { role: 'dialer', onConnectionLost: 'reconnect', readsAtOnce: false, isWanted: true },
      'acceptor, reconnect': { role: 'acceptor', onConnectionLost: 'reconnect', readsAtOnce: false, isWanted: true },
      'dialer, fail': { role: 'dialer', onConnectionLost: 'fail', readsAtOnce: false, isWanted: true },
      'acceptor, fail': { role: 'acceptor', onConnectionLost: 'fail', readsAtOnce: false, isWanted: true },
      'dialer, resume': { role: 'dialer', onConnectionLost: 'reconnect', readsAtOnce: true, isWanted: true },
      'acceptor, resume': { role: 'acceptor', onConnectionLost: 'reconnect', readsAtOnce: true, isWanted: true },
      'dialer, resume, not wanted': {
        role: 'dialer',
        onConnectionLost: 'reconnect',
        readsAtOnce: true,
        isWanted: false,
      },
    },
    events: [
      ...named('dial.granted', 'dial.unresolved', 'link.claimed', 'connection.authenticated', 'connection.errored'),
      ...closings,
      ...named(
        'pump.started',
        'pump.failed',
        'link.adopt',
        'link.close',
        'reconnector.restarted',
        'link.wanted',
        'link.retry',
        'link.resume',
        'link.pause',
        'link.unwanted',
      ),
      ...childEvents,
      ...named('deadline.passed'),
    ],
    finals: ['closed', 'failed'],
    ignored: ['child.done'],
    table: `${table}${unwanted}`,
  })
})
