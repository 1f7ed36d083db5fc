/**
 * Owns: that wrong calls on a control channel of the ampc dialect are refused, and that the channel goes on.
 * Independent of: what a control channel does (test/ampc/control.test.ts).
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ControlChannel, NetworkValue } from '../../index.ts'
import { number } from '../support/native-scene.ts'
import { Scene } from '../support/scene.ts'
import { callRows, none, peerRows, refuses, valueRows } from './live-rows.ts'
import type { Live, Row } from './live-rows.ts'

const channelRows: Row[] = [
  ...peerRows('send', ({ channel }, peer) => channel.send(peer, number(1)), 'a peer of this control channel'),
  ...peerRows('receive', ({ channel }, peer) => channel.receive(peer), 'a peer of this control channel'),
  ...valueRows('send', ({ channel, peer }, value) => channel.send(peer, value)),
  [
    'send with a MsgPack value',
    ({ channel, peer }) => channel.send(peer, { type: 'MsgPack', value: 1 }),
    'ERR_DIALECT_UNSUPPORTED',
    'The ampc dialect has no MsgPack values. Send Bytes',
  ],
  ...callRows('send', ({ channel, peer }, options) => channel.send(peer, number(1), options)),
  ...callRows('receive', ({ channel, peer }, options) => channel.receive(peer, options)),
  ...callRows('sync', ({ channel }, options) => channel.sync(options)),
]

describe('a wrong call on a control channel of the ampc dialect', () => {
  const scene = new Scene('memory', 1)
  let live: Live
  let bobChannel: ControlChannel

  beforeAll(async () => {
    await scene.start({ on: 'memory', ids: ['alice', 'bob'], onConnectionLost: 'reconnect' })
    const { network } = scene.of('alice')
    const [channel, other] = (await scene.run(
      Promise.all([network.openControlChannel(), scene.of('bob').network.openControlChannel()]),
    )) as [ControlChannel, ControlChannel]
    bobChannel = other
    live = { network, channel, peer: 'bob', session: none }
  })
  afterAll(() => scene.stop())

  it.each(channelRows)('refuses %s on a control channel and passes the next value', async (...row) => {
    await refuses(live, row)
    const value: NetworkValue = number(7)
    await scene.run(live.channel.send('bob', value))
    expect(await scene.run(bobChannel.receive('alice'))).toEqual(value)
  })
})
