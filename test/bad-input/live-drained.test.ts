/**
 * Owns: that calls for a peer that was drained are refused, and that wrong calls are refused as before.
 * Independent of: how a drain works (test/native/drain.test.ts).
 */
import type { SendResults } from '../../index.ts'
import { removePeer } from '../support/remove-peer.ts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Session } from '../../index.ts'
import { NativeScene, number } from '../support/native-scene.ts'
import { drainRows, errorOf, none, refuses } from './live-rows.ts'
import type { Live, Row } from './live-rows.ts'

const drained = 'was removed, and this network accepts nothing new for it'
/** Rejects if the first peer did not accept the value. */
async function firstOf(results: Promise<SendResults>): Promise<void> {
  for (const result of (await results).values()) if (!result.ok) throw result.error
}

const drainedRows: Row[] = [
  ['send', ({ session, peer }) => session.send(peer, number(1)), 'ERR_PEER_DRAINED', drained, 'maintenance'],
  ['trySend', ({ session, peer }) => session.trySend(peer, number(1)), 'ERR_PEER_DRAINED', drained, 'maintenance'],
  ['broadcast', ({ session }) => firstOf(session.broadcast(number(1))), 'ERR_PEER_DRAINED', drained, 'maintenance'],
  ['receive', ({ session, peer }) => session.receive(peer), 'ERR_PEER_DRAINED', drained, 'maintenance'],
  ['flush', ({ session }) => session.flush(), 'ERR_PEER_DRAINED', drained, 'maintenance'],
  ['makeSessions', ({ network }) => network.makeSessions({ count: 1 }), 'ERR_INVALID_OPTION', 'at least one peer'],
]

describe('a call for a peer that is drained', () => {
  const scene = new NativeScene({ on: 'memory' })
  let live: Live

  beforeAll(async () => {
    const members = await scene.pair()
    const [[session]] = (await scene.sessions(members, 1)) as [[Session], [Session]]
    const [{ network }, { id: peer }] = members
    await scene.run(removePeer(network, peer, { reason: 'maintenance' }))
    live = { network, session, peer, channel: none }
  })
  afterAll(() => scene.stop())

  it.each([...drainedRows, ...drainRows])('refuses %s for a peer that was drained', async (...row) => {
    await refuses(live, row)
  })

  it('names the peer that was drained in the error of a send', async () => {
    expect(await errorOf(({ session, peer }) => session.send(peer, number(1)), live)).toMatchObject({
      message: `${live.peer} ${drained}: maintenance`,
    })
  })
})
