/**
 * Owns: that a loss listener which throws ends only its own session; every other session still gets its loss.
 * Independent of: what is lost (reconnect.test.ts).
 */
import { describe, expect, it } from 'vitest'
import type { Session } from '../../index.ts'
import { rejectionOf } from '../support/native-scene.ts'
import { number, play } from '../support/scene.ts'

const throws = (): never => {
  throw new Error('throws')
}

const rejects = (async () => Promise.reject(new Error('throws'))) as () => void

const ways: [string, (session: Session) => void][] = [
  ['onConnectionLost', (session) => session.onConnectionLost(throws)],
  ['onLost of handle', (session) => session.handle('bob', () => {}, { onLost: throws })],
  ['onConnectionLost, asynchronously,', (session) => session.onConnectionLost(rejects)],
  ['onLost of handle, asynchronously,', (session) => session.handle('bob', () => {}, { onLost: rejects })],
]

describe('a loss listener that throws', () => {
  it.each(ways)(
    'a loss listener that throws in %s ends its own session; the others get the loss in order and continue',
    (_, listen) =>
      play({ on: 'memory', ids: ['alice', 'bob'], onConnectionLost: 'reconnect' }, async (scene) => {
        const made = await scene.sessions(3)
        const [first, second, third] = made.get('alice') as [Session, Session, Session]
        const bobSessions = made.get('bob') as [Session, Session, Session]
        const alice = scene.of('alice')
        const lostPeers: string[] = []
        listen(first)
        second.onConnectionLost((peer) => void lostPeers.push(peer))
        const received = rejectionOf(third.receive('bob'))
        const connection = [...alice.actors.keys()].findLast((path) => path.includes('/connection:')) as string
        scene.sendEvent('alice', connection, {
          type: 'connection.fail',
          cause: { code: 'ERR_TRANSPORT', message: 'cut' },
        })
        expect(await scene.run(received)).toMatchObject({ code: 'ERR_CONNECTION_LOST' })
        expect(lostPeers).toEqual(['bob'])
        expect(await scene.run(rejectionOf(first.receive('bob')))).toMatchObject({ code: 'ERR_HANDLER_FAILED' })
        expect(alice.eventsOf('handler.failed')).toMatchObject([
          { peer: 'bob', session: first.id, cause: { code: 'ERR_HANDLER_FAILED' } },
        ])
        expect(await scene.run(rejectionOf(second.receive('bob')))).toMatchObject({ code: 'ERR_CONNECTION_LOST' })
        await scene.run(bobSessions[1].send('alice', number(5)))
        expect(await scene.run(second.receive('bob'))).toEqual(number(5))
      }),
  )
})
