/**
 * Owns: that the outgoing pump adds nothing to a queue that is not drained, and what it writes together with a received
 * chunk.
 * Independent of: what its write batches hold.
 */
import { expect, it } from 'vitest'
import { OutPump } from '../../actors/link/forwarder.ts'
import { WriteScheduler } from '../../actors/link/write-scheduler.ts'
import type { Pipe } from '../../actors/base/pipe.ts'
import type { LinkCore } from '../../protocol/link-core.ts'
import { VirtualClock } from '../../testing/index.ts'

function bench(): {
  pump: OutPump
  outbound: { pendingBytes: number; flowError: Error | null }
  writes: number[]
  room: { left: boolean }
  crashes: unknown[]
} {
  const room = { left: false }
  const writes: number[] = []
  let pending = 0
  const outbound = { hasPending: true, isAckDue: false, pendingBytes: 1, flowError: null as Error | null }
  const crashes: unknown[] = []
  const flow = (): void => {
    if (outbound.flowError !== null) throw outbound.flowError
  }
  const state = { outbound, takeBatch: () => [Buffer.alloc(++pending)], flow, block() {} } as unknown as LinkCore
  const pipe = { write: (parts: readonly Buffer[]) => (writes.push(parts.length), room.left) } as unknown as Pipe
  const ignore = (): void => {}
  const clock = new VirtualClock()
  const pump = new OutPump(state, new WriteScheduler(clock), {
    onBlocked: ignore,
    onDrained: ignore,
    onBroken: ignore,
    onCrashed: (error) => void crashes.push(error),
  })
  pump.attach(pipe)
  return { pump, outbound, writes, room, crashes }
}

it('the outgoing pump writes nothing while the pipe is blocked, and the rest once it has drained', () => {
  const { pump, writes, room } = bench()
  pump.flush()
  for (let time = 0; time < 100; time++) pump.flush()
  expect(writes).toHaveLength(1)
  room.left = true
  pump.drained()
  expect(writes).toHaveLength(2)
  pump.flush()
  expect(writes).toHaveLength(3)
})

it('the outgoing pump writes the last batch of a link however full the pipe is', () => {
  const { pump, writes } = bench()
  pump.flush()
  pump.flush(true)
  expect(writes).toHaveLength(2)
})

it('the outgoing pump writes replies at the end of a chunk, and leaves an earlier batch to its schedule', () => {
  const { pump, outbound, writes, room } = bench()
  room.left = true
  pump.drained()
  const read = (repliesLengthBytes: number): number => {
    const before = writes.length
    pump.chunkBegins()
    outbound.pendingBytes += repliesLengthBytes
    if (repliesLengthBytes > 0) pump.requestFlush()
    pump.chunkEnds()
    pump.flushReplies()
    return writes.length - before
  }
  expect(read(10)).toBe(1)
  pump.requestFlush()
  expect([read(0), read(10), read(0)]).toEqual([0, 1, 0])
  pump.writeBatch()
  expect(read(0)).toBe(1)
})

it('the outgoing pump reports an internal error that occurs when the pipe has room again', () => {
  const { pump, crashes, outbound } = bench()
  pump.flush()
  outbound.flowError = new TypeError('an injected error')
  pump.drained()
  expect(crashes).toEqual([outbound.flowError])
})
