/**
 * Owns: that a listener of losses which throws costs its own session, and no other one the loss that it is to hear.
 * Refuses to know: what is lost (reconnect.test.ts).
 */
import { describe, expect, it } from 'vitest'
import type { Session } from '../../index.ts'
import { rejectionOf } from '../support/native-scene.ts'
import { number, play } from '../support/scene.ts'

const oops = (): never => {
  throw new Error('oops')
}

const rejects = (async () => Promise.reject(new Error('oops'))) as () => void

const ways: [string, (session: Session) => void][] = [
  ['onConnectionLost', (session) => session.onConnectionLost(oops)],
  ['onLost of handle', (session) => session.handle('bob', () => {}, { onLost: oops })],
  ['onConnectionLost, asynchronously,', (session) => session.onConnectionLost(rejects)],
  ['onLost of handle, asynchronously,', (session) => session.handle('bob', () => {}, { onLost: rejects })],
]

describe('a listener of losses that throws', () => {
  it.each(ways)(
    'a listener of losses that throws in %s ends its session; the others hear of the loss at its place, and go on',
    (_, listen) =>
      play({ on: 'memory', ids: ['alice', 'bob'], onConnectionLost: 'reconnect' }, async (scene) => {
        const made = await scene.sessions(3)
        const [first, second, third] = made.get('alice') as [Session, Session, Session]
        const ofBob = made.get('bob') as [Session, Session, Session]
        const alice = scene.of('alice')
        const heard: string[] = []
        listen(first)
        second.onConnectionLost((peer) => void heard.push(peer))
        const received = rejectionOf(third.receive('bob'))
        const connection = [...alice.actors.keys()].findLast((path) => path.includes('/connection:')) as string
        scene.tell('alice', connection, { type: 'connection.fail', cause: { code: 'ERR_TRANSPORT', message: 'cut' } })
        expect(await scene.run(received)).toMatchObject({ code: 'ERR_CONNECTION_LOST' })
        expect(heard).toEqual(['bob'])
        expect(await scene.run(rejectionOf(first.receive('bob')))).toMatchObject({ code: 'ERR_HANDLER_FAILED' })
        expect(alice.eventsOf('handler.failed')).toMatchObject([
          { peer: 'bob', session: first.id, cause: { code: 'ERR_HANDLER_FAILED' } },
        ])
        expect(await scene.run(rejectionOf(second.receive('bob')))).toMatchObject({ code: 'ERR_CONNECTION_LOST' })
        await scene.run(ofBob[1].send('alice', number(5)))
        expect(await scene.run(second.receive('bob'))).toEqual(number(5))
      }),
  )
})
