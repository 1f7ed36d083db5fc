/**
 * Owns: that the metrics of a network are plain JSON, and match what happened. Independent of: who collects them.
 */
import { expect, it } from 'vitest'
import { KeepAlive, defaultKeepAlive } from '../../protocol/native/epoch/keep-alive.ts'
import { bytes, play } from '../support/native-scene.ts'

it('metrics() is plain JSON, counts connections, resumes and resets, and shows what is held', () =>
  play({ on: 'memory' }, async (scene) => {
    const [alice, bob] = await scene.pair()
    const [[mine], [theirs]] = await scene.sessions([alice, bob], 1)
    const linkOf = (member: typeof alice) => member.network.metrics().peers[0]!.links[0]!
    for (let index = 0; index < 50; index++) await scene.run(mine!.send(bob.id, bytes(1000)))
    await scene.run(mine!.flush())
    const metrics = bob.network.metrics()
    expect(JSON.parse(JSON.stringify(metrics))).toEqual(metrics)
    expect(metrics).toMatchObject({
      identity: bob.id,
      memory: { budgetBytes: 256 * 1024 * 1024, waitingLinks: 0 },
      peers: [{ peer: alice.id, isUp: true }],
    })
    expect(metrics.memory.usedBytes).toBe(bob.usedBytes)
    expect(linkOf(bob)).toMatchObject({
      linkIndex: 0,
      isUp: true,
      valuesReceived: 50,
      native: {
        lanes: 1,
        connections: 1,
        resumes: 0,
        resets: 0,
        credit: { windowBytes: 65_536, unreadBytes: 50 * 1009, receivableBytes: 65_536 - 50 * 1009 },
      },
    })
    expect(linkOf(alice).native).toMatchObject({
      replay: { frames: 0, bytes: 0 },
      sendQueue: { values: 0, bytes: 0, pendingBytes: 0 },
      credit: { sendableBytes: 65_536 - 50 * 1009 },
    })
    expect(linkOf(alice).native?.roundTrip).toEqual({
      lastMs: expect.any(Number),
      smoothedMs: expect.any(Number),
      minMs: expect.any(Number),
    })
    bob.kill()
    expect(mine!.trySend(bob.id, bytes(500))).toBe(true)
    await scene.until('it is up again', () => linkOf(alice).native?.connections === 2)
    expect([
      linkOf(alice).native?.resumes,
      alice.eventsOf('connection.opened').filter(({ resumed }) => resumed).length,
    ]).toEqual([1, 1])
    await scene.run(theirs!.receive(alice.id))
    await bob.faults.die()
    mine!.trySend(bob.id, bytes(500))
    await scene.until('the link was reset', () => alice.eventsOf('link.reset').length === 1)
    expect(linkOf(alice)).toMatchObject({ isUp: false, native: { lanes: 0, resets: 1, roundTrip: null } })
    await scene.run(bob.network.shutdown())
  }))

it('a round trip is reported as the last, the one smoothed by an eighth, and the least', () => {
  const watchdog = new KeepAlive(defaultKeepAlive, 0)
  expect(watchdog.roundTrip).toBeNull()
  for (const [sentAtMs, tookMs] of [
    [100, 80],
    [200, 8],
    [300, 80],
  ] as const)
    watchdog.pong(watchdog.ping(sentAtMs), sentAtMs + tookMs)
  expect(watchdog.roundTrip).toEqual({ lastMs: 80, smoothedMs: 80 - 72 / 8 + 9 / 8, minMs: 8 })
})
