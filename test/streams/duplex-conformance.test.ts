/**
 * Owns: the table of behaviours of a Duplex: one test body runs over a pair of TCP sockets and over one of our streams.
 * Where they must differ, the row says why.
 * Independent of: how streams are opened (get-stream.test.ts), and Web Streams (web.test.ts).
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { describe, expect, it } from 'vitest'
import { rejectionOf } from '../support/native-scene.ts'
import { callbackOf, eventsOf, hashOf, overSockets, overStreams, readingOf, textOf } from './duplex-scene.ts'
import type { Body } from './duplex-scene.ts'

interface Row {
  readonly behaviour: string
  readonly body: Body
  /** What both do, or what each does and why they differ. */
  readonly expected: unknown
  readonly differs?: { readonly stream: unknown; readonly why: string }
}

const mebibytes8 = Buffer.alloc(8 << 20, 'statewire')

const rows: Row[] = [
  {
    behaviour: 'the side that ends first can still read the answer',
    body: async ({ near, far }) => {
      near.end('question')
      const question = await textOf(far).catch(String)
      return [question, near.writableFinished, near.readableEnded]
    },
    expected: ['question', true, false],
  },
  {
    behaviour: 'ends of both sides close both, in either order',
    body: async ({ near, far }) => {
      const events = Promise.all([eventsOf(near), eventsOf(far)])
      far.resume()
      far.end('answer')
      near.on('end', () => near.end('late'))
      near.resume()
      const [nearEvents, farEvents] = await events
      return [nearEvents, farEvents, near.bytesRead, far.bytesRead]
    },
    expected: [['end', 'finish', 'close'], ['finish', 'end', 'close'], 6, 4],
  },
  {
    behaviour: 'half-open is allowed: the end of the peer does not end writing',
    body: async ({ near, far }) => {
      near.end()
      far.resume()
      await once(far, 'end')
      return [far.allowHalfOpen, far.writable, far.writableEnded]
    },
    expected: [true, true, false],
  },
  {
    behaviour: 'end sends what is still waiting before it',
    body: async ({ near, far }) => {
      near.write(mebibytes8.subarray(0, 1 << 20))
      near.end('last')
      let length = 0
      far.on('data', (part: Buffer) => (length += part.length))
      await once(far, 'end')
      return length
    },
    expected: (1 << 20) + 4,
  },
  {
    behaviour: 'destroy without an error emits close and no error at its own side',
    body: ({ near }) => {
      const events = eventsOf(near)
      near.destroy()
      return events
    },
    expected: ['close'],
  },
  {
    behaviour: 'destroy with an error emits error and then close at its own side',
    body: ({ near }) => {
      const events = eventsOf(near)
      near.destroy(new Error('boom'))
      return events
    },
    expected: ['error', 'close'],
  },
  {
    behaviour: 'the other side of destroy without an error',
    body: ({ near, far }) => {
      near.destroy()
      return readingOf(far)
    },
    expected: 'end',
    differs: {
      stream: expect.stringContaining('ERR_STREAM_RESET') as unknown,
      why: 'a stream that reads to its end was finished by its writer; TCP cannot tell',
    },
  },
  {
    behaviour: 'the other side of destroy with an error',
    body: ({ near, far }) => {
      near.destroy(new Error('boom'))
      return readingOf(far)
    },
    expected: 'end',
    differs: {
      stream: expect.stringMatching(/^ERR_STREAM_RESET: .*boom$/) as unknown,
      why: 'a Reset carries a code and a reason; TCP has no place for them',
    },
  },
  {
    behaviour: 'pipeline resolves when everything is written',
    body: async ({ near, far }) => {
      far.end()
      const [text] = await Promise.all([textOf(far).catch(String), pipeline(Readable.from(['a', 'b']), near)])
      return text
    },
    expected: 'ab',
  },
  {
    behaviour: 'pipeline rejects with the error of its source, and destroys its target',
    body: async ({ near }) => {
      const source = new Readable({ read: () => source.destroy(new Error('source')) })
      const { message } = await rejectionOf(pipeline(source, near))
      return [message, near.destroyed]
    },
    expected: ['source', true],
  },
  {
    behaviour: 'finished resolves after both ends',
    body: async ({ near, far }) => {
      const both = Promise.all([finished(near), finished(far)])
      for (const end of [near, far]) end.resume().end()
      return (await both).length
    },
    expected: 2,
  },
  {
    behaviour: 'finished rejects with a premature close after destroy',
    body: async ({ near }) => {
      const rejection = rejectionOf(finished(near))
      near.destroy()
      return (await rejection).code
    },
    expected: 'ERR_STREAM_PREMATURE_CLOSE',
  },
  {
    behaviour: 'finished rejects with the error of destroy',
    body: async ({ near }) => {
      const rejection = rejectionOf(finished(near))
      near.destroy(new Error('boom'))
      return (await rejection).message
    },
    expected: 'boom',
  },
  {
    behaviour: 'the high-water mark of writing',
    body: ({ near }) => Promise.resolve(near.writableHighWaterMark),
    expected: 16_384,
    differs: { stream: 65_536, why: 'a full frame of a stream fits below the mark' },
  },
  {
    behaviour: 'write returns false while the reader does not read, and drain follows once it does',
    body: async ({ near, far }) => {
      const part = mebibytes8.subarray(0, 1 << 20)
      let count = 1
      while (near.write(part) && count < 64) count++
      const needed = near.writableNeedDrain
      const drained = once(near, 'drain')
      far.resume()
      await drained
      return [needed, near.writableNeedDrain, near.writableLength]
    },
    expected: [true, false, 0],
  },
  {
    behaviour: 'cork holds writes until uncork',
    body: async ({ near, far }) => {
      near.cork()
      near.write('a')
      near.write('b')
      const held = [near.writableLength, near.bytesWritten]
      near.uncork()
      const [data] = (await once(far, 'data')) as [Buffer]
      return [held[0], near.writableLength, data.toString()]
    },
    expected: [2, 0, 'ab'],
  },
  {
    behaviour: 'setTimeout emits timeout and leaves the stream open',
    body: async ({ near }) => {
      near.setTimeout(20)
      await once(near, 'timeout')
      near.setTimeout(0)
      return near.destroyed
    },
    expected: false,
  },
  {
    behaviour: 'leaving an async iteration destroys',
    body: async ({ near, far }) => {
      far.write('a')
      for await (const part of near) {
        if ((part as Buffer).length > 0) break
      }
      return near.destroyed
    },
    expected: true,
  },
  {
    behaviour: 'Symbol.asyncDispose destroys',
    body: async ({ near }) => {
      const events = eventsOf(near)
      await near[Symbol.asyncDispose]()
      return [near.destroyed, await events]
    },
    expected: [true, ['error', 'close']],
    differs: {
      stream: [true, ['close']],
      why: 'Node emits an AbortError, which ends a process that has no listener; leaving a scope is no failure',
    },
  },
  {
    behaviour: 'bytesRead and bytesWritten count bytes, not characters',
    body: async ({ near, far }) => {
      near.end('€1')
      far.resume()
      await once(far, 'end')
      return [near.bytesWritten, far.bytesRead, near.bytesRead]
    },
    expected: [4, 4, 0],
  },
  {
    behaviour: 'setEncoding joins characters that arrive in parts',
    body: async ({ near, far }) => {
      far.setEncoding('utf8')
      let text = ''
      far.on('data', (part: string) => (text += part))
      const euro = Buffer.from('€')
      near.write(euro.subarray(0, 1))
      near.end(euro.subarray(1))
      await once(far, 'end')
      return text
    },
    expected: '€',
  },
  {
    behaviour: 'read takes a length, and unshift gives back',
    body: async ({ near, far }) => {
      near.end('abcdef')
      while (far.readableLength < 6) await once(far, 'readable')
      const head = far.read(2) as Buffer
      far.unshift(head)
      return [head.toString(), String(far.read(3)), String(far.read())]
    },
    expected: ['ab', 'abc', 'def'],
  },
  {
    behaviour: 'pause keeps data back until resume',
    body: async ({ near, far }) => {
      const parts: string[] = []
      far.on('data', (part: Buffer) => parts.push(part.toString()))
      far.pause()
      near.end('a')
      await once(near, 'finish')
      const before = parts.length
      far.resume()
      await once(far, 'end')
      return [before, parts]
    },
    expected: [0, ['a']],
  },
  {
    behaviour: 'write after end fails',
    body: ({ near }) => {
      near.end()
      return callbackOf((callback) => near.write('late', callback))
    },
    expected: 'ERR_STREAM_WRITE_AFTER_END',
  },
  {
    behaviour: 'after destroy a write fails, and end neither throws nor emits an error',
    body: async ({ near }) => {
      const events = eventsOf(near)
      near.destroy()
      const failed = callbackOf((callback) => near.write('late', callback))
      near.end()
      return [await failed, await events]
    },
    expected: ['ERR_STREAM_DESTROYED', ['close']],
  },
  {
    behaviour: 'an async iteration that reaches the end destroys, even while writing goes on',
    body: async ({ near, far }) => {
      far.end('a')
      return [await textOf(near), near.writableEnded, near.destroyed]
    },
    expected: ['a', false, true],
  },
  {
    behaviour: 'an empty write calls back and delivers nothing',
    body: async ({ near, far }) => {
      const result = await callbackOf((callback) => near.write(Buffer.alloc(0), callback))
      near.end()
      return [result, await readingOf(far), far.bytesRead]
    },
    expected: ['no error', 'end', 0],
  },
  {
    behaviour: '8 MiB in both directions at once arrive unchanged',
    body: async ({ near, far }) => {
      near.end(mebibytes8)
      far.end(mebibytes8)
      return Promise.all([hashOf(near), hashOf(far)])
    },
    expected: Array(2).fill(createHash('sha256').update(mebibytes8).digest('hex')),
  },
]

describe('a Duplex over a pair of sockets and over a stream', () => {
  it.each(rows)('$behaviour: sockets', async ({ body, expected }) => {
    expect(await overSockets(body)).toEqual(expected)
  })

  it.each(rows)('$behaviour: streams', async ({ body, expected, differs }) => {
    expect(await overStreams(body)).toEqual(differs === undefined ? expected : differs.stream)
  })
})
