/**
 * Owns: the bounds of what messages cost this side: names that are reported, and messages that are not read.
 * Independent of: networks and links.
 */
import { describe, expect, it } from 'vitest'
import {
  MessageHandlers,
  MessageIterator,
  unhandledNamesMax,
  unreadBytesMax,
} from '../../actors/messaging/message-handlers.ts'

describe('names without a handler', () => {
  it.each([
    [unhandledNamesMax - 1, unhandledNamesMax - 1],
    [unhandledNamesMax, unhandledNamesMax],
    [unhandledNamesMax + 1, unhandledNamesMax],
  ])('of %i names, %i are reported, and every message is counted', (names, expected) => {
    let reported = 0
    const handlers = new MessageHandlers({
      messageBytesMax: 1,
      onOverrun: () => {},
      onFailed: () => {},
      onUnhandled: () => reported++,
    })
    const hold = (): never => {
      throw new Error('nothing is held')
    }
    for (let index = 0; index < 2 * names; index++)
      handlers.take('bob', String(index % names), new Map(), Buffer.alloc(0), hold)
    expect([reported, handlers.unhandled]).toEqual([expected, 2 * names])
  })
})

describe('messages that an iterator holds unread', () => {
  const bodyBytes = 1 << 20

  /** An iterator, and a function by which messages of a peer arrive. What is taken is in `taken`. */
  function reader() {
    const overruns: string[] = []
    const handlers = new MessageHandlers({
      messageBytesMax: bodyBytes,
      onOverrun: (peer) => void overruns.push(peer),
      onFailed: () => {},
      onUnhandled: () => {},
    })
    const iterator = new MessageIterator()
    handlers.add('n', iterator)
    const held = { now: 0, most: 0 }
    const hold = () => {
      held.most = Math.max(held.most, ++held.now)
      return { taken: () => void held.now-- }
    }
    const body = Buffer.alloc(bodyBytes)
    const arrive = (peer: string): boolean => handlers.take(peer, 'n', new Map(), body, hold)
    return { arrive, iterator, overruns, held }
  }

  it('messages of a peer whose link resets repeatedly are dropped above the bound, reported once', async () => {
    const { arrive, iterator, overruns, held } = reader()
    // The bound is exceeded by the last one that is held.
    const most = Math.floor((unreadBytesMax + 2 * bodyBytes) / (bodyBytes + 12)) + 1
    for (let index = 0; index < most; index++) expect(arrive('bob')).toBe(true)
    expect(overruns).toEqual([])
    expect([arrive('bob'), arrive('bob')]).toEqual([false, false])
    expect([overruns, held.most]).toEqual([['bob'], most])
    // Another peer is not affected, and a read message makes room for the next.
    expect(arrive('carol')).toBe(true)
    await iterator.next()
    expect(arrive('bob')).toBe(true)
    expect(arrive('bob')).toBe(false)
    expect(overruns).toEqual(['bob', 'bob'])
  })

  it('nothing is held any more when the iterator has ended', () => {
    const { arrive, iterator, held } = reader()
    for (let index = 0; index < 3; index++) arrive('bob')
    iterator.end()
    expect(held.now).toBe(0)
  })
})
