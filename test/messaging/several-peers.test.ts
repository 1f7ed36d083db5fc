/**
 * Owns: requests to several peers: one that answers, and a quorum of answers.
 * Independent of: how a link carries them (test/native/exchange-requests.test.ts).
 */
import { describe, expect, it } from 'vitest'
import { AllPeersFailedError, RequestError } from '../../index.ts'
import type { PeerReply, RequestContext } from '../../index.ts'
import { play, rejectionOf } from '../support/native-scene.ts'
import type { NativeMember, NativeScene } from '../support/native-scene.ts'

const text = ({ bytes }: { readonly bytes: Buffer }): string => bytes.toString()
const never = new Promise<string>(() => {})
const failure = (error: Error): { code: unknown; outcome: unknown } => {
  const { code, outcome } = error as RequestError
  return { code, outcome }
}

async function trio(scene: NativeScene): Promise<[NativeMember, NativeMember, NativeMember]> {
  const all: NativeMember[] = []
  for (const key of [0, 1, 2]) {
    const peers = [0, 1, 2].filter((peer) => peer !== key)
    all.push(await scene.start({ key, peers, dials: peers.filter((peer) => peer < key) }))
  }
  await scene.run(all[0]!.network.broadcast(''))
  await scene.run(all[1]!.network.broadcast(''))
  return all as [NativeMember, NativeMember, NativeMember]
}

/** The request fails, and says how. */
async function fails(scene: NativeScene, asked: Promise<unknown>): Promise<RequestError> {
  const error = await scene.run(rejectionOf(asked))
  expect(error).toBeInstanceOf(RequestError)
  return error as RequestError
}

describe('requestAny', () => {
  const serve = (member: NativeMember, handler: (request: RequestContext) => Promise<string> | string): void =>
    void member.network.onRequest('n', handler)

  it('it asks the peer with the fewest outstanding requests', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob, carol] = await trio(scene)
      for (const member of [bob, carol]) member.network.onRequest('hang', () => never)
      serve(bob, () => 'bob')
      serve(carol, () => 'carol')
      const hangs = rejectionOf(alice.network.request(bob.id, '', { name: 'hang', timeoutMs: 1e6 }))
      const reply = await scene.run(alice.network.requestAny([bob.id, carol.id], '', { name: 'n' }))
      expect([reply.peer, text(reply)]).toEqual([carol.id, 'carol'])
      await scene.run(alice.network.shutdown())
      await hangs
    }))

  it('it goes on to the next peer where no handler can have run', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob, carol] = await trio(scene)
      serve(carol, () => 'carol')
      for (let round = 0; round < 2; round++)
        expect((await scene.run(alice.network.requestAny([bob.id, carol.id], '', { name: 'n' }))).peer).toBe(carol.id)
      const error = await scene.run(rejectionOf(alice.network.requestAny([bob.id], '', { name: 'n' })))
      expect(failure(error)).toEqual({ code: 'ERR_NO_HANDLER', outcome: 'no-handler' })
    }))

  it('an error of the handler is the answer, and no other peer is asked', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob, carol] = await trio(scene)
      let calls = 0
      for (const member of [bob, carol])
        serve(member, () => {
          calls++
          throw new Error('no')
        })
      const asked = alice.network.requestAny([bob.id, carol.id], '', { name: 'n', idempotent: true })
      expect(failure(await fails(scene, asked))).toEqual({ code: 'ERR_REMOTE', outcome: 'remote' })
      expect(calls).toBe(1)
    }))

  it.each([
    [true, 'carol'],
    [false, 'unknown'],
  ])('where a handler may have run, it goes on only with idempotent: %s', (idempotent, expected) =>
    play({ on: 'memory', limits: { resumeTimeoutMs: 1_000 } }, async (scene) => {
      const [alice, bob, carol] = await trio(scene)
      let calls = 0
      serve(bob, () => (calls++, never))
      serve(carol, () => 'carol')
      const hangs = rejectionOf(alice.network.request(carol.id, '', { name: 'hang', timeoutMs: 1e6 }))
      carol.network.onRequest('hang', () => never)
      const asked = alice.network
        .requestAny([bob.id, carol.id], '', { name: 'n', idempotent, timeoutMs: 1e6 })
        .then(text, (error: RequestError) => error.outcome)
      await scene.until('the handler of bob', () => calls === 1)
      await scene.crash(bob)
      expect(await scene.run(asked)).toBe(expected)
      await scene.run(alice.network.shutdown())
      await hangs
    }),
  )

  it('when every peer fails, the error has the error of each', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob, carol] = await trio(scene)
      const error = await scene.run(rejectionOf(alice.network.requestAny([bob.id, carol.id], '', { name: 'n' })))
      expect(error).toBeInstanceOf(AllPeersFailedError)
      expect(new Set((error as unknown as AllPeersFailedError).errors.keys())).toEqual(new Set([bob.id, carol.id]))
    }))
})

describe('requestMany', () => {
  async function collect(replies: AsyncIterable<PeerReply>): Promise<PeerReply[]> {
    const all: PeerReply[] = []
    for await (const reply of replies) all.push(reply)
    return all
  }

  it('it iterates over the answers and failures of all peers', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob, carol] = await trio(scene)
      bob.network.onRequest('vote', () => 'yes')
      const all = await scene.run(collect(alice.network.requestMany([bob.id, carol.id], '', { name: 'vote' })))
      const byPeer = Object.fromEntries(all.map((one) => [one.peer, one.ok ? text(one) : failure(one.error).outcome]))
      expect(byPeer).toEqual({ [bob.id]: 'yes', [carol.id]: 'no-handler' })
    }))

  it.each<[string, 1 | ((answers: ReadonlyMap<string, Buffer>) => boolean)]>([
    ['the number', 1],
    ['the function', (answers) => answers.size === 1],
  ])('when there are enough by %s, it ends and cancels the rest', (_, need) =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob, carol] = await trio(scene)
      bob.network.onRequest('vote', () => 'yes')
      let signal: AbortSignal | null = null
      carol.network.onRequest('vote', (request) => {
        signal = request.signal
        return never
      })
      const replies = alice.network.requestMany([bob.id, carol.id], '', { name: 'vote', need, timeoutMs: 1e6 })
      expect((await scene.run(collect(replies))).map(({ peer }) => peer)).toEqual([bob.id])
      await scene.until('the cancel', () => signal?.aborted === true)
    }),
  )

  it('it ends when nothing has come for stallMs, and when its reader stops', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob, carol] = await trio(scene)
      bob.network.onRequest('vote', () => 'yes')
      carol.network.onRequest('vote', () => never)
      const options = { name: 'vote', timeoutMs: 1e6 }
      const stalled = alice.network.requestMany([bob.id, carol.id], '', { ...options, stallMs: 200 })
      expect((await scene.run(collect(stalled))).length).toBe(1)
      const reading = (async () => {
        for await (const reply of alice.network.requestMany([bob.id, carol.id], '', options)) return reply.ok
      })()
      expect(await scene.run(reading)).toBe(true)
      await scene.until('the cancelled requests', () => alice.link(carol).exchange?.outstanding === 0)
    }))

  it('its signal ends it with an error', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, , carol] = await trio(scene)
      carol.network.onRequest('vote', () => never)
      const controller = new AbortController()
      const asked = collect(alice.network.requestMany([carol.id], '', { name: 'vote', signal: controller.signal }))
      const error = rejectionOf(asked)
      controller.abort()
      expect(await scene.run(error)).toMatchObject({ code: 'ERR_ABORTED' })
    }))

  it('with a signal that has aborted, nothing is asked', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, , carol] = await trio(scene)
      let ran = 0
      carol.network.onRequest('vote', () => String(++ran))
      const asked = collect(alice.network.requestMany([carol.id], '', { name: 'vote', signal: AbortSignal.abort() }))
      expect(await scene.run(rejectionOf(asked))).toMatchObject({ code: 'ERR_ABORTED' })
      await scene.clock.advance(100)
      expect(ran).toBe(0)
    }))

  it('a peer for which too many requests wait is one failure, and the others are asked', () =>
    play({ on: 'memory', limits: { requestsMax: 1 } }, async (scene) => {
      const [alice, bob, carol] = await trio(scene)
      for (const member of [bob, carol]) member.network.onRequest('vote', () => 'yes')
      bob.network.onRequest('hang', () => never)
      const waiting = [0, 1].map(() => rejectionOf(alice.network.request(bob.id, '', { name: 'hang' })))
      const all = await scene.run(collect(alice.network.requestMany([bob.id, carol.id], '', { name: 'vote' })))
      expect(all.map((one) => [one.peer, one.ok ? text(one) : failure(one.error)])).toEqual([
        [bob.id, { code: 'ERR_SEND_QUEUE_FULL', outcome: 'notSent' }],
        [carol.id, 'yes'],
      ])
      await scene.run(Promise.all([alice.network.shutdown(), ...waiting]))
    }))

  it('a body over the limit is an error of the call, and no peer is asked', () =>
    play({ on: 'memory' }, async (scene) => {
      const [alice, bob] = await trio(scene)
      expect(() => alice.network.requestMany([bob.id], Buffer.alloc((1 << 20) + 1))).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_VALUE' }),
      )
    }))
})
