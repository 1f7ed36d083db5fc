/** Owns: that the outgoing pump adds nothing to a queue that nobody drains. Refuses to know: what its batches hold. */
import { expect, it } from 'vitest'
import { FlushSchedule } from '../../actors/flush-schedule.ts'
import { OutPump } from '../../actors/forwarder.ts'
import type { Pipe } from '../../actors/pipe.ts'
import type { LinkCore } from '../../protocol/link-core.ts'
import { VirtualClock } from '../../testing/index.ts'

function bench(): { pump: OutPump; writes: number[]; room: { left: boolean } } {
  const room = { left: false }
  const writes: number[] = []
  let pending = 0
  const state = { outbound: { hasPending: true, isAckDue: false, pendingBytes: 1 }, takeBatch: () => [Buffer.alloc(++pending)], flow() {}, block() {} } as unknown as LinkCore
  const pipe = { write: (parts: readonly Buffer[]) => (writes.push(parts.length), room.left) } as unknown as Pipe
  const ignore = (): void => {}
  const clock = new VirtualClock()
  const pump = new OutPump(state, clock, new FlushSchedule(clock), { onBlocked: ignore, onDrained: ignore, onBroken: ignore, onCrashed: ignore })
  pump.attach(pipe)
  return { pump, writes, room }
}

it('writes nothing while the pipe is blocked, and what waits once it has drained', () => {
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

it('writes the last batch of a link however full the pipe is', () => {
  const { pump, writes } = bench()
  pump.flush()
  pump.flush(true)
  expect(writes).toHaveLength(2)
})
