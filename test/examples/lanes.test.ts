/**
 * Owns: the lanes of the swarm on fake sessions: how they end, and how they are made again, in cases that a run of the
 * program does not reach reliably.
 * Independent of: networks.
 */
import { describe, expect, it } from 'vitest'
import { LinkResetError, StatewireError } from '../../index.ts'
import type { NetworkValue, Session } from '../../index.ts'
import { Lanes } from '../../examples/swarm/lanes.ts'

/** A session that yields an array of values, and then an error, at once or on request. */
function fakeSession(values: readonly NetworkValue[]) {
  const left = [...values]
  let end: Error | null = null
  let endWith = (_: Error): void => {}
  const over = new Promise<never>((_, reject) => (endWith = reject))
  over.catch(() => {})
  const sent: NetworkValue[] = []
  const fake = {
    sent,
    send: async (_: string, value: NetworkValue) => {
      await Promise.resolve()
      if (end !== null) throw end
      sent.push(value)
    },
    receive: async () => left.shift() ?? (await over),
    close: () => fake.fail(new StatewireError('ERR_SESSION_CLOSED', 'closed here')),
    fail: (error: Error) => {
      end ??= error
      endWith(end)
    },
  }
  return { ...fake, session: fake as unknown as Session }
}

describe('lanes', () => {
  const one: NetworkValue = { type: 'Bytes', value: Buffer.from([1]) }
  function lanesOf(generations: (ReturnType<typeof fakeSession>[] | Error)[]) {
    const seen: string[] = []
    const made: number[] = []
    const lanes = new Lanes({
      peer: 'other',
      connections: 2,
      makeSessions: async (timeoutMs) => {
        made.push(timeoutMs)
        await Promise.resolve()
        const next = generations.shift()
        if (next === undefined || next instanceof Error) throw next ?? new Error('no more')
        return next.map(({ session }) => session)
      },
      hooks: {
        onBytes: (lane) => seen.push(`bytes ${lane}`),
        onLost: (lane) => seen.push(`lost ${lane}`),
        onFailed: (lane, error) => seen.push(`failed ${lane} ${error.message}`),
      },
    })
    return { lanes, seen, made }
  }
  const reset = (reason: 'expired' | 'goodbye'): LinkResetError =>
    new LinkResetError('other', reason, { acked: 1, unknown: 2, notSent: 0 })
  const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 60))

  it('all lanes are made again when a link is reset, and values not accepted yet go on the new ones', async () => {
    const [first, second] = [[0, 1, 2].map(() => fakeSession([one])), [0, 1, 2].map(() => fakeSession([one]))]
    const { lanes, seen, made } = lanesOf([first, second])
    await lanes.make()
    await lanes.send(1, Buffer.from([7]))
    for (const lane of [0, 2]) first[lane]?.fail(reset('expired'))
    await lanes.send(0, Buffer.from([8]))
    await soon()
    expect([first[1]?.sent.length, second[0]?.sent.length]).toEqual([1, 1])
    expect([...seen].sort()).toEqual([
      'bytes 0',
      'bytes 0',
      'bytes 1',
      'bytes 1',
      'bytes 2',
      'bytes 2',
      'lost 0',
      'lost 1',
      'lost 2',
    ])
    // Also the lane whose link was up: its end notifies the peer.
    await expect(first[1]?.session.send('other', one)).rejects.toMatchObject({ code: 'ERR_SESSION_CLOSED' })
    // Two lanes of one link: one reset, and both lanes' outcomes.
    expect(lanes).toMatchObject({ linkResets: 1, unknown: 4 })
    expect(made).toHaveLength(2)
  })

  it('lanes end for good when the peer leaves, when they are stopped, and when they cannot be made again', async () => {
    for (const [error, act] of [
      [reset('goodbye'), () => {}],
      [reset('expired'), (lanes: Lanes) => lanes.stop()],
    ] as const) {
      const session = fakeSession([])
      const { lanes, seen, made } = lanesOf([[session]])
      await lanes.make()
      act(lanes)
      session.fail(error)
      await expect(lanes.send(0, Buffer.from([1]))).rejects.toBe(error)
      await soon()
      expect(seen).toEqual([`failed 0 ${error.message}`])
      expect(made).toHaveLength(1)
    }
  })

  it('a value that is not a message ends its lane and no other', async () => {
    const sessions = [fakeSession([{ type: 'RingElement32', value: 1 }, one]), fakeSession([one])]
    const { lanes, seen } = lanesOf([sessions])
    await lanes.make()
    await soon()
    expect(seen.sort()).toEqual(['bytes 1', 'failed 0 received a RingElement32 instead of Bytes'])
  })
})
