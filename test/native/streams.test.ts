/**
 * Owns: streams between two links: opening, both directions, every way to end, limits, and what a peer may not do.
 * Independent of: sockets, Duplexes and charts.
 */
import { describe, expect, it } from 'vitest'
import * as frames from '../../codec/native-frames.ts'
import { encodeFrame } from '../../codec/index.ts'
import type { StatewireError } from '../../codec/errors.ts'
import type { ByteCounts, StreamEvents, StreamPort, StreamReset } from '../../protocol/streams.ts'
import { LinkPair, type PairEnd, type PairOptions } from './link-pair.ts'

/** One side of a stream: takes what arrives at once, and records what happens. */
class Recorder implements StreamEvents {
  readonly seen: string[] = []
  readonly chunks: Buffer[] = []
  port!: StreamPort
  takes = true
  onOpen: (() => void) | null = null
  lost: { error: Error; counts: ByteCounts } | null = null

  onSent(): void {
    this.seen.push('sent')
  }
  onAccepted(): void {
    this.seen.push('accepted')
  }
  onBytes(bytes: Buffer): void {
    this.chunks.push(bytes)
    if (this.takes) this.port.taken(bytes.length)
  }
  onFin(): void {
    this.seen.push('fin')
  }
  onReset({ code, reason }: StreamReset, keepsReading: boolean): void {
    this.seen.push(`reset ${code} ${reason}${keepsReading ? ', keeps reading' : ''}`)
  }
  onLost(error: Error, counts: ByteCounts): void {
    this.seen.push(`lost ${(error as StatewireError).code}`)
    this.lost = { error, counts }
  }
  get text(): string {
    return Buffer.concat(this.chunks).toString()
  }
}

class Scene {
  readonly pair: LinkPair
  /** What Bob was asked to open, in order. */
  readonly incoming: { port: StreamPort; protocol: string; extra: string; events: Recorder }[] = []
  answer: 'accept' | 'wait' | StreamReset = 'accept'

  constructor(options: PairOptions = {}) {
    this.pair = new LinkPair(options)
    this.serve(this.pair.bob)
    this.pair.connect()
  }

  serve(side: PairEnd): void {
    side.link.streams.setAcceptor((port, { protocol, extra }) => {
      const events = new Recorder()
      events.port = port
      this.incoming.push({ port, protocol, extra: Buffer.from(extra).toString(), events })
      if (typeof this.answer !== 'string') return this.answer
      if (this.answer === 'accept') port.accept()
      return events
    })
  }

  open(protocol = 'p', extra = '', side = this.pair.alice): Recorder {
    const events = new Recorder()
    events.port = side.link.streams.open({ protocol, extra: Buffer.from(extra) }, events)
    return events
  }

  /** An accepted stream, from both sides. */
  both(): [Recorder, Recorder] {
    const mine = this.open()
    this.pair.settle()
    return [mine, this.incoming.at(-1)!.events]
  }
}

const refused = (code: string): Error => expect.objectContaining({ code }) as Error

describe('opening a stream', () => {
  it('a stream is open once the peer accepts it, and the peer gets the protocol and the extra bytes', () => {
    const scene = new Scene()
    const stream = scene.open('chat/1', 'hello')
    expect(stream.seen).toEqual(['sent'])
    expect(stream.port.trySend(Buffer.from('early'))).toBe(false)
    scene.pair.settle()
    expect(stream.seen).toEqual(['sent', 'accepted'])
    expect(scene.incoming.map(({ protocol, extra }) => [protocol, extra])).toEqual([['chat/1', 'hello']])
  })

  it('a stream that is not served is reset as an unknown protocol', () => {
    const scene = new Scene()
    scene.pair.bob.link.streams.setAcceptor(null)
    const stream = scene.open()
    scene.pair.settle()
    expect(stream.seen).toEqual(['sent', 'reset 2 no handler is set for this protocol'])
    expect([scene.pair.alice, scene.pair.bob].map(({ link }) => link.streams.openedHere)).toEqual([0, 0])
  })

  it('an application refuses a stream with its own code and reason, at once or later', () => {
    const scene = new Scene()
    scene.answer = { code: 0x123, reason: 'not today' }
    const first = scene.open()
    scene.pair.settle()
    scene.answer = 'wait'
    const second = scene.open()
    scene.pair.settle()
    scene.incoming.at(-1)!.port.reset({ code: 3, reason: 'no' })
    scene.pair.settle()
    expect([first.seen.at(-1), second.seen.at(-1)]).toEqual(['reset 291 not today', 'reset 3 no'])
    expect(scene.pair.bob.link.streams.openedByPeer).toBe(0)
  })

  it('Opens wait for a connection, and leave in order', () => {
    const scene = new Scene()
    scene.pair.disconnect()
    const streams = ['a', 'b', 'c'].map((protocol) => scene.open(protocol))
    expect(streams.map(({ seen }) => seen)).toEqual([[], [], []])
    streams[1]!.port.reset({ code: 0, reason: '' })
    scene.pair.connect()
    scene.pair.settle()
    expect(scene.incoming.map(({ protocol }) => protocol)).toEqual(['a', 'c'])
  })

  it('Opens over the limit of the peer wait until a stream is over, whichever side ends it', () => {
    const scene = new Scene({ streamsMax: 2 })
    const streams = Array.from({ length: 5 }, (_, index) => scene.open(String(index)))
    scene.pair.settle()
    const opened = (): number => scene.incoming.length
    expect([opened(), scene.pair.alice.link.streams.hasPlace]).toEqual([2, false])
    streams[0]!.port.reset({ code: 0, reason: '' })
    scene.pair.settle()
    expect(opened()).toBe(3)
    scene.incoming[1]!.port.reset({ code: 0, reason: '' })
    scene.pair.settle()
    expect(opened()).toBe(4)
    streams[2]!.port.finish()
    scene.pair.settle()
    expect(opened()).toBe(4)
    scene.incoming[2]!.port.finish()
    scene.pair.settle()
    expect(opened()).toBe(5)
  })

  it('an acceptor without memory resets with limit, and an opener without memory fails with its own error', () => {
    const scene = new Scene({ memoryBudgetBytes: 1 << 20 })
    const streams = Array.from({ length: 200 }, () => scene.open())
    scene.pair.settle()
    const last = streams.map(({ seen }) => seen.at(-1))
    expect(new Set(last)).toEqual(new Set(['accepted', 'lost ERR_MEMORY_BUDGET']))
    const small = new Scene()
    const limited = new LinkPair({ memoryBudgetBytes: 1 << 20 })
    expect(limited.alice.memory.held).toBeDefined()
    small.answer = 'wait'
    const waiting = small.open()
    small.pair.settle()
    small.pair.bob.link.memory.close()
    expect(small.incoming[0]!.port.accept()).toBe(false)
    small.pair.settle()
    expect(waiting.seen.at(-1)).toMatch(/^reset 4 /)
  })
})

describe('an open stream', () => {
  it('bytes arrive in both directions in the order in which they were written', () => {
    const scene = new Scene()
    const [mine, theirs] = scene.both()
    for (const part of ['a', 'bc', 'def']) expect(mine.port.trySend(Buffer.from(part))).toBe(true)
    expect(theirs.port.trySend(Buffer.from('answer'))).toBe(true)
    scene.pair.settle()
    expect([theirs.text, mine.text]).toEqual(['abcdef', 'answer'])
  })

  it('a reader that takes nothing stops its writer at the window, and the writer goes on when it takes', () => {
    const scene = new Scene({ windowBytes: 65_536 })
    const [mine, theirs] = scene.both()
    theirs.takes = false
    const chunk = Buffer.alloc(16_000)
    let sent = 0
    while (mine.port.trySend(chunk)) sent++
    scene.pair.settle()
    let resolved = 0
    mine.port.waitToSend(
      chunk,
      () => void resolved++,
      () => {},
    )
    scene.pair.settle()
    expect([sent, theirs.chunks.length, resolved]).toEqual([5, 5, 0])
    for (const { length } of theirs.chunks) theirs.port.taken(length)
    scene.pair.settle()
    expect([theirs.chunks.length, resolved]).toEqual([6, 1])
  })

  it('one stream whose reader takes nothing does not delay another', () => {
    const scene = new Scene()
    const [blocked, slow] = scene.both()
    slow.takes = false
    const [mine, theirs] = scene.both()
    while (blocked.port.trySend(Buffer.alloc(30_000)));
    for (let count = 0; count < 100; count++) {
      mine.port.trySend(Buffer.alloc(30_000))
      scene.pair.settle()
    }
    expect(Buffer.concat(theirs.chunks).length).toBe(3_000_000)
  })

  it('each direction is finished by itself, and the stream is over after both', () => {
    const scene = new Scene()
    const [mine, theirs] = scene.both()
    mine.port.trySend(Buffer.from('question'))
    mine.port.finish()
    scene.pair.settle()
    expect([theirs.text, theirs.seen]).toEqual(['question', ['fin']])
    theirs.port.trySend(Buffer.from('answer'))
    theirs.port.finish()
    scene.pair.settle()
    expect([mine.text, mine.seen.at(-1)]).toEqual(['answer', 'fin'])
    expect([mine.port.isOver, theirs.port.isOver]).toEqual([true, true])
    expect(scene.pair.bob.memory.held.windowsBytes).toBe(scene.pair.alice.memory.held.windowsBytes)
  })

  it('a Reset ends both directions; one that follows a Fin lets what came before be read', () => {
    const scene = new Scene()
    const [first, gone] = scene.both()
    gone.port.reset({ code: 0x100, reason: 'enough' })
    scene.pair.settle()
    expect(first.seen.at(-1)).toBe('reset 256 enough')
    const [asking, answering] = scene.both()
    answering.port.trySend(Buffer.from('short answer'))
    answering.port.finish()
    answering.port.reset({ code: 0, reason: 'stop' })
    scene.pair.settle()
    expect([asking.text, asking.seen.at(-1)]).toEqual(['short answer', 'reset 0 stop, keeps reading'])
    expect(asking.port.trySend(Buffer.from('x'))).toBe(false)
  })

  it('what is in flight on a stream that was reset is dropped, and its writer is told', async () => {
    const scene = new Scene()
    const [mine, theirs] = scene.both()
    mine.port.trySend(Buffer.from('lost'))
    const waiting = new Promise((resolve, reject) => mine.port.waitToSend(Buffer.alloc(9), () => resolve(1), reject))
    theirs.port.reset({ code: 0, reason: 'no' })
    scene.pair.settle()
    await expect(waiting).resolves.toBe(1)
    expect([theirs.text, scene.pair.bob.link.counters.framesDropped]).toEqual(['', 2])
  })

  it('whenAcked calls back when the peer has everything, Fin included', () => {
    const scene = new Scene()
    const [mine] = scene.both()
    mine.port.trySend(Buffer.from('x'))
    mine.port.finish()
    let acked = 0
    mine.port.whenAcked(
      () => void acked++,
      () => {},
    )
    expect(acked).toBe(0)
    scene.pair.settle()
    expect(acked).toBe(1)
  })
})

describe('streams and lost connections', () => {
  it('a stream continues on the next connection, and nothing is lost or repeated', () => {
    const scene = new Scene()
    const [mine, theirs] = scene.both()
    mine.port.trySend(Buffer.from('one '))
    scene.pair.alice.take()
    scene.pair.disconnect()
    let sent = false
    mine.port.waitToSend(
      Buffer.from('two '),
      () => (sent = true),
      () => {},
    )
    scene.pair.connect()
    mine.port.trySend(Buffer.from('three'))
    expect(sent).toBe(true)
    scene.pair.settle()
    expect(theirs.text).toBe('one two three')
  })

  it('the end of the link tells how many of the written bytes arrived, may have arrived, and were not sent', () => {
    const scene = new Scene()
    const [mine] = scene.both()
    mine.port.trySend(Buffer.alloc(10))
    scene.pair.settle()
    mine.port.trySend(Buffer.alloc(20))
    scene.pair.alice.take()
    mine.port.trySend(Buffer.alloc(30))
    scene.pair.restartBob()
    scene.serve(scene.pair.bob)
    scene.pair.connect()
    expect(mine.lost?.counts).toEqual({ acked: 10, unknown: 20, notSent: 30 })
    expect(mine.lost?.error.message).toMatch(/10 were delivered, 20 may have arrived, and 30 were not sent/)
    expect(mine.lost?.error).toMatchObject({ code: 'ERR_LINK_RESET', reason: 'peer-restarted' })
    const next = scene.open()
    scene.pair.settle()
    expect(next.seen).toEqual(['sent', 'accepted'])
  })

  it('an Open that was not handed over survives the end of an epoch', () => {
    const scene = new Scene({ streamsMax: 1 })
    scene.both()
    const waiting = scene.open('later')
    scene.pair.restartBob()
    scene.serve(scene.pair.bob)
    scene.pair.connect()
    scene.pair.settle()
    expect(waiting.seen).toEqual(['sent', 'accepted'])
  })

  it('a link that leaves opens no stream any more, and its end ends every stream', () => {
    const scene = new Scene({ streamsMax: 1 })
    const [mine] = scene.both()
    const waiting = scene.open()
    const error = Object.assign(new Error('stopping'), { code: 'ERR_STOPPED' })
    scene.pair.alice.link.leave(error)
    expect(waiting.seen).toEqual(['lost ERR_STOPPED'])
    expect(() => scene.open()).toThrow('stopping')
    scene.pair.alice.link.close(error)
    expect(mine.seen.at(-1)).toBe('lost ERR_STOPPED')
  })
})

describe('what a peer may not do with streams', () => {
  const id = frames.firstStreamLane
  const open = (lane: number): Buffer =>
    frames.encodeOpen(lane, { windowBytes: 9, protocol: 'x', extra: Buffer.alloc(0) })
  const bytes = (lane: number): Buffer => encodeFrame(lane, { type: 'Bytes', value: Buffer.from('x') })
  const credit = (lane: number): Buffer => frames.encodeCredit(lane, 1)
  const fin = frames.encodeFin
  const accept = (lane: number): Buffer => frames.encodeAccept(lane, 9)
  const reset = (lane: number): Buffer => frames.encodeReset(lane, { code: 0, reason: '' })

  // Bob, who has the greater id, opens odd ids; he is told what Alice sends.
  it.each<[string, string, 'accept' | 'wait', Buffer[]]>([
    ['an Open with the id of the other side', 'ERR_STREAM_ID', 'accept', [open(id + 1)]],
    ['an Open with an id in use', 'ERR_STREAM_ID', 'accept', [open(id), open(id)]],
    ['an Open that goes back', 'ERR_STREAM_ID', 'accept', [open(id + 4), open(id + 2)]],
    ['Bytes before Accept', 'ERR_STREAM_ORDER', 'wait', [open(id), bytes(id)]],
    ['Credit before Accept', 'ERR_STREAM_ORDER', 'wait', [open(id), credit(id)]],
    ['Fin before Accept', 'ERR_STREAM_ORDER', 'wait', [open(id), fin(id)]],
    ['an Accept by the opener', 'ERR_STREAM_ORDER', 'accept', [open(id), accept(id)]],
    ['Bytes after Fin', 'ERR_STREAM_ORDER', 'accept', [open(id), fin(id), bytes(id)]],
    ['a second Fin', 'ERR_STREAM_ORDER', 'accept', [open(id), fin(id), fin(id)]],
    ['a frame for a stream that was never opened', 'ERR_STREAM_ID', 'accept', [open(id), reset(id + 2)]],
    ['a frame for a stream of this side that was never opened', 'ERR_STREAM_ID', 'accept', [reset(id + 1)]],
    ['one stream more than allowed', 'ERR_STREAM_LIMIT_EXCEEDED', 'accept', [open(id), open(id + 2), open(id + 4)]],
  ])('%s breaks the protocol', (_, code, answer, all) => {
    const scene = new Scene({ streamsMax: 2 })
    scene.answer = answer
    expect(() => all.forEach((frame) => scene.pair.bob.read(frame))).toThrow(refused(code))
  })

  it('Bytes beyond the credit break the protocol', () => {
    const scene = new Scene({ windowBytes: 65_536 })
    const [, theirs] = scene.both()
    theirs.takes = false
    const long = encodeFrame(id, { type: 'Bytes', value: Buffer.alloc(65_536) })
    scene.pair.bob.read(long)
    expect(() => scene.pair.bob.read(long)).toThrow(refused('ERR_CREDIT_EXCEEDED'))
  })

  it('frames for a stream that is over are counted and dropped', () => {
    const scene = new Scene()
    scene.pair.bob.read(open(id))
    scene.pair.bob.read(reset(id))
    for (const late of [bytes(id), credit(id), fin(id), reset(id)]) scene.pair.bob.read(late)
    expect(scene.pair.bob.link.counters.framesDropped).toBe(4)
  })

  it('more Opens in a second than allowed are a flood', () => {
    const scene = new Scene({ streamOpensPerSecond: 10 })
    let next = id - 2
    const openAndReset = (): void => {
      scene.pair.bob.read(open((next += 2)))
      scene.pair.bob.read(reset(next))
    }
    for (let count = 0; count < 5; count++) openAndReset()
    scene.pair.bob.nowMs += 1000
    for (let count = 0; count < 5; count++) openAndReset()
    expect(openAndReset).toThrow(refused('ERR_FLOOD'))
  })
})
