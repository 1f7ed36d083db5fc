/**
 * Owns: the table of machines/connection.ts: one socket from the first packet to the last.
 * Independent of: what the actions do (actors/connection/connection.ts).
 */
import { describe, expect, it } from 'vitest'
import { connectionMachine } from '../../machines/index.ts'
import { chartContract, named } from './chart-contract.ts'

const table = `
# dialled: begins opening.connecting
opening.connecting
  pipe.opened                        -> opening.connected              secure
  pipe.failed                        -> errored                        recordCause destroyPipe notifyErrored
  pipe.ended                         -> closing                        recordCause endPipe
  pipe.closed                        -> closed                         recordCause notifyClosed
  handshake.failed                   -> errored                        recordCause destroyPipe notifyErrored
  connection.close                   -> closing                        recordCause endPipe
  connection.fail                    -> errored                        recordCause destroyPipe notifyErrored
  deadline.passed                    -> errored                        recordCause destroyPipe notifyErrored
opening.connected
  pipe.secured                       -> authenticating.greeting        greet
  pipe.failed                        -> errored                        recordCause destroyPipe notifyErrored
  pipe.ended                         -> closing                        recordCause endPipe
  pipe.closed                        -> closed                         recordCause notifyClosed
  handshake.failed                   -> errored                        recordCause destroyPipe notifyErrored
  connection.close                   -> closing                        recordCause endPipe
  connection.fail                    -> errored                        recordCause destroyPipe notifyErrored
  deadline.passed                    -> errored                        recordCause destroyPipe notifyErrored
errored
  pipe.closed                        -> closed                         notifyClosed
  deadline.passed                    -> closed                         notifyClosed
closing
  pipe.failed                        -> errored                        recordCause destroyPipe notifyErrored
  pipe.closed                        -> closed                         recordCause notifyClosed
  handshake.failed                   -> errored                        recordCause destroyPipe notifyErrored
  connection.fail                    -> errored                        recordCause destroyPipe notifyErrored
  deadline.passed                    -> errored                        destroyPipe notifyErrored
closed, final
authenticating.greeting
  pipe.failed                        -> errored                        recordCause destroyPipe notifyErrored
  pipe.ended                         -> closing                        recordCause endPipe
  pipe.closed                        -> closed                         recordCause notifyClosed
  handshake.claimed                  -> authenticating.claimed         notifyClaimed
  handshake.verified                 -> authenticating.authenticated   notifyAuthenticated
  handshake.failed                   -> errored                        recordCause destroyPipe notifyErrored
  connection.close                   -> closing                        recordCause endPipe
  connection.fail                    -> errored                        recordCause destroyPipe notifyErrored
  deadline.passed                    -> errored                        recordCause destroyPipe notifyErrored
authenticating.claimed
  pipe.failed                        -> errored                        recordCause destroyPipe notifyErrored
  pipe.ended                         -> closing                        recordCause endPipe
  pipe.closed                        -> closed                         recordCause notifyClosed
  handshake.failed                   -> errored                        recordCause destroyPipe notifyErrored
  connection.handOn                  -> closed                         handOn notifyClosed
  connection.close                   -> closing                        recordCause endPipe
  connection.fail                    -> errored                        recordCause destroyPipe notifyErrored
  deadline.passed                    -> errored                        recordCause destroyPipe notifyErrored
authenticating.authenticated
  pipe.failed                        -> errored                        recordCause destroyPipe notifyErrored
  pipe.ended                         -> closing                        recordCause endPipe
  pipe.closed                        -> closed                         recordCause notifyClosed
  handshake.failed                   -> errored                        recordCause destroyPipe notifyErrored
  connection.adopt                   -> open
  connection.close                   -> closing                        recordCause endPipe
  connection.fail                    -> errored                        recordCause destroyPipe notifyErrored
  deadline.passed                    -> errored                        recordCause destroyPipe notifyErrored
open
  pipe.failed                        -> errored                        recordCause destroyPipe notifyErrored
  pipe.ended                         -> closing                        recordCause endPipe
  pipe.closed                        -> closed                         recordCause notifyClosed
  handshake.failed                   -> errored                        recordCause destroyPipe notifyErrored
  connection.close                   -> closing                        recordCause endPipe
  connection.fail                    -> errored                        recordCause destroyPipe notifyErrored
  deadline.passed                    -> errored                        recordCause destroyPipe notifyErrored
# accepted: begins opening.connected secure
# taken by its link: begins authenticating.authenticated notifyAuthenticated
`

interface Node {
  readonly key: string
  readonly states: Readonly<Record<string, Node>>
}

const namesBelow = (node: Node): string[] =>
  Object.values(node.states).flatMap((child) => [child.key, ...namesBelow(child)])

describe('the connection chart', () => {
  chartContract(connectionMachine, {
    lives: {
      dialled: { begins: 'connecting' },
      accepted: { begins: 'connected' },
      'taken by its link': { begins: 'authenticated' },
    },
    events: [
      ...named(
        'pipe.opened',
        'pipe.secured',
        'pipe.failed',
        'pipe.ended',
        'pipe.closed',
        'handshake.claimed',
        'handshake.verified',
        'handshake.failed',
      ),
      ...named('connection.handOn', 'connection.adopt', 'connection.close', 'connection.fail', 'deadline.passed'),
    ],
    finals: ['closed'],
    ignored: [],
    table,
  })

  const names = new Set(namesBelow(connectionMachine.root))

  it.each([
    'opening',
    'connecting',
    'authenticating',
    'authenticated',
    'connected',
    'open',
    'errored',
    'closing',
    'closed',
  ])('the connection chart has the state %s of the Pocket design', (name) => {
    expect(names).toContain(name)
  })

  it('the connection chart never leaves the state closed, so a connection is never reused', () => {
    expect(connectionMachine.getStateNodeById('connection.closed').type).toBe('final')
  })
})
