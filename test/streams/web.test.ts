/**
 * Owns: streams as Web Streams: what `toWeb` keeps that Node's own `Duplex.toWeb` (Node 20) loses.
 * Independent of: the Duplex itself (duplex-conformance.test.ts).
 */
import { Duplex } from 'node:stream'
import { describe, expect, it } from 'vitest'
import type { Stream } from '../../actors/index.ts'
import type { WebStream } from '../../actors/streams/stream-web.ts'
import { rejectionOf } from '../support/native-scene.ts'
import { overSockets, overStreams, readingOf } from './duplex-scene.ts'
import type { End } from './duplex-scene.ts'

const ours = (end: End): WebStream => (end as unknown as Stream).toWeb()
const nodes = (end: End): WebStream => Duplex.toWeb(end) as unknown as WebStream
const coded = (message: string): Error => Object.assign(new Error(message), { streamErrorCode: 0x1234 })
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

describe('abort of the writer', () => {
  it("looks like a clean end at the peer with Node's toWeb over a socket", async () => {
    const seen = await overSockets(async ({ near, far }) => {
      const writer = nodes(near).writable.getWriter()
      writer.closed.catch(() => {})
      await writer.write(bytes('part'))
      const reading = readingOf(far)
      await writer.abort(coded('given up'))
      return reading
    })
    expect(seen).toBe('end')
  })

  it('resets the stream at the peer with its code and reason', async () => {
    const seen = await overStreams(async ({ near, far }) => {
      const writer = ours(near).writable.getWriter()
      writer.closed.catch(() => {})
      await writer.write(bytes('part'))
      const closed = (far as unknown as Stream).closed
      far.resume()
      await writer.abort(coded('given up'))
      return closed
    })
    expect(seen).toMatchObject({ how: 'reset', by: 'peer', code: 0x1234, reason: 'given up' })
  })
})

describe('close of the writer', () => {
  it("waits for the end of the other direction with Node's toWeb over a socket", async () => {
    const seen = await overSockets(async ({ near, far }) => {
      const order: string[] = []
      const writer = nodes(near).writable.getWriter()
      await writer.write(bytes('question'))
      const closed = writer.close().then(() => order.push('closed'))
      far.resume()
      await new Promise((resolve) => far.once('end', resolve))
      order.push('the peer has read the end')
      near.resume()
      far.end()
      await closed
      return order
    })
    expect(seen).toEqual(['the peer has read the end', 'closed'])
  })

  it('resolves once the peer has everything, while the peer keeps its side open', async () => {
    const seen = await overStreams(async ({ near, far }) => {
      const { readable, writable } = ours(near)
      const writer = writable.getWriter()
      await writer.write(bytes('question'))
      far.resume()
      await writer.close()
      const isOpen = !far.writableEnded
      far.end('answer')
      const { value } = await readable.getReader().read()
      return [isOpen, new TextDecoder().decode(value)]
    })
    expect(seen).toEqual([true, 'answer'])
  })
})

describe('cancel of the reader', () => {
  it("ends writing too with Node's toWeb over a socket", async () => {
    const seen = await overSockets(async ({ near }) => {
      const { readable } = nodes(near)
      await readable.cancel().catch(() => {})
      return near.destroyed
    })
    expect(seen).toBe(true)
  })

  it('leaves writing open, and resets the stream with its reason once writing has finished', async () => {
    const seen = await overStreams(async ({ near, far }) => {
      const { readable, writable } = ours(near)
      const { closed } = far as unknown as Stream
      await readable.cancel(coded('enough'))
      const isOpen = !near.destroyed
      const writer = writable.getWriter()
      await writer.write(bytes('still'))
      const text = new Promise((resolve) => far.once('data', (part: Buffer) => resolve(part.toString())))
      writer.close().catch(() => {})
      return [isOpen, await text, await closed]
    })
    expect(seen).toEqual([
      true,
      'still',
      expect.objectContaining({ how: 'reset', by: 'peer', code: 0x1234, reason: 'enough' }),
    ])
  })
})

describe('toWeb', () => {
  it('errors the reader with the reset of the peer', async () => {
    const seen = await overStreams(async ({ near, far }) => {
      const reader = ours(near).readable.getReader()
      const failed = rejectionOf(reader.read())
      ;(far as unknown as Stream).reset(0x1234, 'no more')
      return failed
    })
    expect(seen).toMatchObject({ code: 'ERR_STREAM_RESET', source: 'stream', streamErrorCode: 0x1234 })
  })

  it('stops the peer while its reader does not read', async () => {
    const seen = await overStreams(async ({ near, far }) => {
      const { readable } = ours(near)
      const total = 4 << 20
      far.end(Buffer.alloc(total))
      const reader = readable.getReader()
      let length = (await reader.read()).value?.byteLength ?? 0
      const isHeld = far.writableLength > 0
      for (let part = await reader.read(); !part.done; part = await reader.read()) length += part.value.byteLength
      return [isHeld, length === total]
    })
    expect(seen).toEqual([true, true])
  })

  it('is a source of tee and a target of pipeTo', async () => {
    const seen = await overStreams(async ({ near, far }) => {
      const { readable, writable } = ours(near)
      far.end('both')
      const [one, other] = readable.tee()
      const text = new Response(other as never).text()
      await one.pipeTo(writable)
      return [await text, near.writableFinished]
    })
    expect(seen).toEqual(['both', true])
  })
})
