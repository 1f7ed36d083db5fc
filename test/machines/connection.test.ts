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
  pipe.failed                        -> errored                        noteCause destroyPipe tellErrored
  pipe.ended                         -> closing                        noteCause endPipe
  pipe.closed                        -> closed                         noteCause tellClosed
  handshake.failed                   -> errored                        noteCause destroyPipe tellErrored
  connection.close                   -> closing                        noteCause endPipe
  connection.fail                    -> errored                        noteCause destroyPipe tellErrored
  deadline.passed                    -> errored                        noteCause destroyPipe tellErrored
opening.connected
  pipe.secured                       -> authenticating.greeting        greet
  pipe.failed                        -> errored                        noteCause destroyPipe tellErrored
  pipe.ended                         -> closing                        noteCause endPipe
  pipe.closed                        -> closed                         noteCause tellClosed
  handshake.failed                   -> errored                        noteCause destroyPipe tellErrored
  connection.close                   -> closing                        noteCause endPipe
  connection.fail                    -> errored                        noteCause destroyPipe tellErrored
  deadline.passed                    -> errored                        noteCause destroyPipe tellErrored
errored
  pipe.closed                        -> closed                         tellClosed
  deadline.passed                    -> closed                         tellClosed
closing
  pipe.failed                        -> errored                        noteCause destroyPipe tellErrored
  pipe.closed                        -> closed                         noteCause tellClosed
  handshake.failed                   -> errored                        noteCause destroyPipe tellErrored
  connection.fail                    -> errored                        noteCause destroyPipe tellErrored
  deadline.passed                    -> errored                        destroyPipe tellErrored
closed, final
authenticating.greeting
  pipe.failed                        -> errored                        noteCause destroyPipe tellErrored
  pipe.ended                         -> closing                        noteCause endPipe
  pipe.closed                        -> closed                         noteCause tellClosed
  handshake.claimed                  -> authenticating.claimed         tellClaimed
  handshake.verified                 -> authenticating.authenticated   tellAuthenticated
  handshake.failed                   -> errored                        noteCause destroyPipe tellErrored
  connection.close                   -> closing                        noteCause endPipe
  connection.fail                    -> errored                        noteCause destroyPipe tellErrored
  deadline.passed                    -> errored                        noteCause destroyPipe tellErrored
authenticating.claimed
  pipe.failed                        -> errored                        noteCause destroyPipe tellErrored
  pipe.ended                         -> closing                        noteCause endPipe
  pipe.closed                        -> closed                         noteCause tellClosed
  handshake.failed                   -> errored                        noteCause destroyPipe tellErrored
  connection.handOn                  -> closed                         handOn tellClosed
  connection.close                   -> closing                        noteCause endPipe
  connection.fail                    -> errored                        noteCause destroyPipe tellErrored
  deadline.passed                    -> errored                        noteCause destroyPipe tellErrored
authenticating.authenticated
  pipe.failed                        -> errored                        noteCause destroyPipe tellErrored
  pipe.ended                         -> closing                        noteCause endPipe
  pipe.closed                        -> closed                         noteCause tellClosed
  handshake.failed                   -> errored                        noteCause destroyPipe tellErrored
  connection.adopt                   -> open
  connection.close                   -> closing                        noteCause endPipe
  connection.fail                    -> errored                        noteCause destroyPipe tellErrored
  deadline.passed                    -> errored                        noteCause destroyPipe tellErrored
open
  pipe.failed                        -> errored                        noteCause destroyPipe tellErrored
  pipe.ended                         -> closing                        noteCause endPipe
  pipe.closed                        -> closed                         noteCause tellClosed
  handshake.failed                   -> errored                        noteCause destroyPipe tellErrored
  connection.close                   -> closing                        noteCause endPipe
  connection.fail                    -> errored                        noteCause destroyPipe tellErrored
  deadline.passed                    -> errored                        noteCause destroyPipe tellErrored
# accepted: begins opening.connected secure
# taken by its link: begins authenticating.authenticated tellAuthenticated
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
