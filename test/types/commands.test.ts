/**
 * Owns: what the compiler must accept and refuse where an application sends commands and reads their answers. Each
 * `@ts-expect-error` is checked by `npm run typecheck`.
 * Independent of: what commands do.
 */
import { describe, expect, expectTypeOf, it } from 'vitest'
import { Payload } from '../../actors/index.ts'
import type {
  Cause,
  Command,
  CommandReply,
  CommandResult,
  CommandType,
  Event,
  Network,
  NetworkEvent,
} from '../../actors/index.ts'

/** Never called: only the compiler reads it. */
function checked({ ref }: Network, reply: CommandReply): void {
  ref.send({ type: 'peer.add', peer: { id: 'a', urls: ['tls://192.0.2.7:1'] }, id: 1 })
  ref.send({ type: 'message.multicast', peers: ['a'], payload: new Payload('x'), need: 'all', replyTo: ref })
  // @ts-expect-error -- bytes would be visible to inspectors
  ref.send({ type: 'message.send', peer: 'a', payload: Buffer.from('x') })
  // @ts-expect-error -- a broadcast names nobody
  ref.send({ type: 'message.broadcast', peers: ['a'], payload: new Payload('x') })
  // @ts-expect-error -- no such command
  ref.send({ type: 'peer.ad', peer: { id: 'a' } })
  // @ts-expect-error -- a command is not told by its answer
  ref.send({ type: 'command.done', command: 'peer.add', id: null, result: null })
  if (reply.type === 'command.failed') expectTypeOf(reply.cause).toEqualTypeOf<Cause>()
  else if (reply.command === 'peer.connect') expectTypeOf(reply.result).toEqualTypeOf<CommandResult['peer.connect']>()
  else if (reply.command === 'message.send') expectTypeOf(reply.result).toEqualTypeOf<null>()
}

describe('the types of commands', () => {
  it('the compiler knows each command, and the result of each answer', () => {
    expect(checked).toBeTypeOf('function')
    expectTypeOf<CommandType>().toEqualTypeOf<Command['type']>()
    expectTypeOf<keyof CommandResult>().toEqualTypeOf<CommandType>()
    expectTypeOf<Event>().toEqualTypeOf<NetworkEvent>()
  })
})
