/**
 * Owns: one lane: the order of values, losses and the end; waiters, handlers, discarding. Independent of: links and
 * frames.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConnectionLostError, Lane } from '../../protocol/index.ts'
import type { NetworkValue } from '../../codec/index.ts'
import { number } from '../support/link-bench.ts'

class Owner {
  takenBytes = 0
  onTaken(costBytes: number): void {
    this.takenBytes += costBytes
  }
  onUnread(): void {}
}

function create(): { lane: Lane; owner: Owner; receive: () => Promise<NetworkValue> } {
  const owner = new Owner()
  const lane = new Lane(1, owner)
  const receive = async (): Promise<NetworkValue> =>
    lane.take() ?? (await new Promise<NetworkValue>((resolve, reject) => void lane.wait({ resolve, reject })))
  return { lane, owner, receive }
}

const loss = (at: number): ConnectionLostError => new ConnectionLostError(`loss ${at}`, at)

describe('values on a lane', () => {
  it('values are queued in order until read, and then release their cost', () => {
    const { lane, owner } = create()
    expect([lane.deliver(number(1), 10), lane.deliver(number(2), 20)]).toEqual([10, 20])
    expect([lane.take(), lane.take(), lane.take()]).toEqual([number(1), number(2), undefined])
    expect([owner.takenBytes, lane.received]).toEqual([30, 2])
  })

  it('values go to waiting calls first come, first served, at no cost', async () => {
    const { lane, owner, receive } = create()
    const both = [receive(), receive()]
    expect([lane.deliver(number(1), 10), lane.deliver(number(2), 10)]).toEqual([0, 0])
    expect(await Promise.all(both)).toEqual([number(1), number(2)])
    expect(owner.takenBytes).toBe(0)
  })

  it('values skip waiting calls that have given up', () => {
    const { lane } = create()
    const seen: NetworkValue[] = []
    const giveUp = lane.wait({ resolve: (value) => seen.push(value), reject() {} })
    giveUp()
    lane.deliver(number(1), 1)
    expect([seen, lane.unreadValues]).toEqual([[], 1])
  })

  it.each([
    [1023, 'waits'],
    [1024, 'waits'],
    [1025, 'ERR_RECEIVE_QUEUE_FULL'],
  ])('at most 1024 calls wait for a value on one lane: call %i %s', async (count, outcome) => {
    const { lane } = create()
    let last = 'waits'
    for (let i = 0; i < count; i++)
      void lane.wait({ resolve() {}, reject: (error) => (last = (error as Error & { code: string }).code) })
    expect(last).toBe(outcome)
  })
})

describe('a loss', () => {
  it('a loss is delivered once, in order between the values', () => {
    const { lane } = create()
    lane.deliver(number(1), 1)
    lane.deliverLoss(loss(7))
    lane.deliver(number(2), 1)
    expect(lane.take()).toEqual(number(1))
    expect(() => lane.take()).toThrow('loss 7')
    expect(lane.take()).toEqual(number(2))
  })

  it('a loss rejects one waiting call, and the others keep waiting', async () => {
    const { lane, receive } = create()
    const both = [receive(), receive()]
    lane.deliverLoss(loss(1))
    lane.deliver(number(5), 1)
    expect((await Promise.allSettled(both)).map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
  })

  it('a loss is reported at once to its listener, and also in order', () => {
    const { lane } = create()
    const lossCounts: number[] = []
    lane.onLoss = ({ outboundAtMost }) => lossCounts.push(outboundAtMost)
    lane.deliver(number(1), 1)
    lane.deliverLoss(loss(3))
    expect(lossCounts).toEqual([3])
    expect(lane.take()).toEqual(number(1))
    expect(() => lane.take()).toThrow('loss 3')
  })

  it('a loss on a lane that has ended is not reported', () => {
    const { lane } = create()
    lane.close(new Error('over'))
    lane.deliverLoss(loss(1))
    expect(lane.unreadValues).toBe(0)
  })
})

describe('whenEnded()', () => {
  it('whenEnded() gives every caller the first reason, before and after the end', async () => {
    const { lane } = create()
    const before = [lane.whenEnded(), lane.whenEnded()]
    lane.setHandler(() => {})
    lane.close(new Error('first'))
    lane.close(new Error('second'))
    expect((await Promise.all([...before, lane.whenEnded()])).map(({ message }) => message)).toEqual([
      'first',
      'first',
      'first',
    ])
  })
})

describe('a handler', () => {
  it('a handler gets the queued values first, and then each value as it arrives', () => {
    const { lane, owner } = create()
    const seen: string[] = []
    lane.deliver(number(1), 5)
    lane.deliverLoss(loss(9))
    lane.deliver(number(2), 5)
    lane.setHandler((value) => seen.push(String(value.value)), {
      onLost: ({ outboundAtMost }) => seen.push(`lost ${outboundAtMost}`),
    })
    expect(lane.deliver(number(3), 5)).toBe(0)
    lane.deliverLoss(loss(8))
    expect([seen, owner.takenBytes, lane.unreadValues]).toEqual([['1', 'lost 9', '2', '3', 'lost 8'], 10, 0])
  })

  it('a handler may be removed from within its call, and the rest is queued', () => {
    const { lane } = create()
    for (const i of [1, 2, 3]) lane.deliver(number(i), 1)
    const seen: NetworkValue[] = []
    lane.setHandler((value) => {
      seen.push(value)
      lane.setHandler(null)
    })
    expect([seen, lane.unreadValues]).toEqual([[number(1)], 2])
  })

  it('a handler may be replaced from within its call, and the next one gets the rest', () => {
    const { lane } = create()
    for (const i of [1, 2, 3]) lane.deliver(number(i), 1)
    const seen: string[] = []
    lane.setHandler((value) => {
      seen.push(`first ${String(value.value)}`)
      lane.setHandler((next) => seen.push(`second ${String(next.value)}`))
    })
    expect(seen).toEqual(['first 1', 'second 2', 'second 3'])
  })

  it('a handler rejects waiting and later calls, and takes their values', async () => {
    const { lane, receive } = create()
    const before = receive()
    const seen: NetworkValue[] = []
    lane.setHandler((value) => void seen.push(value))
    await expect(before).rejects.toMatchObject({ code: 'ERR_HANDLER_SET' })
    await expect(receive()).rejects.toMatchObject({ code: 'ERR_HANDLER_SET' })
    lane.deliver(number(1), 1)
    lane.setHandler(null)
    const after = receive()
    lane.deliver(number(2), 1)
    expect([seen, await after]).toEqual([[number(1)], number(2)])
  })

  it('a handler borrows read buffers only if it asks for it', () => {
    const { lane } = create()
    lane.setHandler(() => {}, { borrow: true })
    expect(lane.isBorrowing).toBe(true)
    lane.setHandler(() => {})
    expect(lane.isBorrowing).toBe(false)
  })
})

describe('the end of a lane', () => {
  it('the end of a lane lets queued values be read first, then gives its reason each time', async () => {
    const { lane, receive } = create()
    lane.deliver(number(1), 1)
    lane.close(new Error('over'))
    expect(await receive()).toEqual(number(1))
    await expect(receive()).rejects.toThrow('over')
    await expect(receive()).rejects.toThrow('over')
  })

  it('the end of a lane rejects all waiting calls, and keeps its first reason', async () => {
    const { lane, receive } = create()
    const both = [receive(), receive()]
    lane.close(new Error('over'))
    lane.close(new Error('again'))
    expect(
      (await Promise.allSettled(both)).map(
        (result) => result.status === 'rejected' && (result.reason as Error).message,
      ),
    ).toEqual(['over', 'over'])
    expect(lane.end?.message).toBe('over')
  })

  it('the end of a lane rejects a later wait at once', () => {
    const { lane } = create()
    lane.close(new Error('over'))
    let reason = ''
    lane.wait({ resolve() {}, reject: (error) => (reason = error.message) })
    expect(reason).toBe('over')
  })

  it('the end of a lane may discard unread values, and returns their cost', () => {
    const { lane } = create()
    lane.deliver(number(1), 10)
    lane.deliverLoss(loss(1))
    lane.deliver(number(2), 5)
    expect([lane.discardUnread(), lane.unreadValues]).toEqual([15, 0])
  })
})

describe('any sequence of operations', () => {
  it('a lane loses, repeats and reorders nothing, and releases every byte it was charged', async () => {
    const steps = fc.array(fc.constantFrom('deliver', 'lose', 'receive', 'handle', 'unhandle'), { maxLength: 60 })
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const { lane, owner, receive } = create()
        const [sent, seen]: [string[], string[]] = [[], []]
        let charged = 0
        const pending: Promise<void>[] = []
        const see = (value: NetworkValue): void => void seen.push(String(value.value))
        for (const [i, step] of all.entries()) {
          if (step === 'deliver') charged += (sent.push(String(i)), lane.deliver(number(i), 3))
          else if (step === 'lose') lane.deliverLoss((sent.push(`loss ${i}`), loss(i)))
          else if (step === 'handle') lane.setHandler(see, { onLost: ({ message }) => seen.push(message) })
          else if (step === 'unhandle') lane.setHandler(null)
          // A waiting call and a handler at the same time would share the values between them.
          else if (lane.handler === null && lane.unreadValues > 0)
            pending.push(receive().then(see, (error: Error) => void seen.push(error.message)))
          await Promise.all(pending)
        }
        lane.setHandler(see, { onLost: ({ message }) => seen.push(message) })
        await Promise.all(pending)
        expect(seen).toEqual(sent)
        expect(owner.takenBytes).toBe(charged)
      }),
    )
  })
})
