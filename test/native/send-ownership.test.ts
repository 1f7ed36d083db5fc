/**
 * Owns: that `send` copies before it returns, that `transfer` hands memory over, and that both hold across a broken
 * connection; and that an internal error while a session ends does not affect the next epoch.
 * Independent of: how frames are encoded (test/codec) and counted (outcomes-after-errors.test.ts).
 */
import { describe, expect, it } from 'vitest'
import type { NetworkValue, Session } from '../../index.ts'
import { number, numberOf, play, rejectionOf } from '../support/native-scene.ts'
import type { Carrier, NativeMember, NativeScene } from '../support/native-scene.ts'
import { wasmMemory } from '../support/wasm-memory.ts'

const lengths = [4, 1_000, 16_375, 16_384, 65_536, 300_000]

interface Two {
  readonly alice: NativeMember
  readonly bob: NativeMember
  readonly mine: readonly [Session, Session]
  readonly theirs: readonly [Session, Session]
}

async function twoSessions(scene: NativeScene): Promise<Two> {
  const [alice, bob] = await scene.pair()
  const [mine, theirs] = (await scene.sessions([alice, bob], 2)) as [[Session, Session], [Session, Session]]
  return { alice, bob, mine, theirs }
}

function isFilled(value: NetworkValue, lengthBytes: number, fill: number): boolean {
  return value.type === 'Bytes' && value.value.length === lengthBytes && value.value.every((byte) => byte === fill)
}

describe('the memory of a sent value', () => {
  it.each<Carrier>(['memory', 'tcp', 'tls'])(
    'a value arrives as it was when sent, over %s, even if its memory is reused and the connection breaks',
    (on) =>
      play({ on }, async (scene) => {
        const { alice, bob, mine, theirs } = await twoSessions(scene)
        const memory = Buffer.alloc(Math.max(...lengths))
        const sending: Promise<void>[] = []
        for (const [index, length] of [...lengths, ...lengths].entries()) {
          const value = memory.subarray(0, length).fill(index + 1)
          sending.push(mine[0].send(bob.id, { type: 'Bytes', value }))
          value.fill(0xff)
        }
        await scene.run(sending[0] as Promise<void>)
        // Some have left, and are sent again; others wait.
        alice.kill()
        for (const [index, length] of [...lengths, ...lengths].entries()) {
          expect(isFilled(await scene.run(theirs[0].receive(alice.id)), length, index + 1), `value ${index}`).toBe(true)
        }
        await scene.run(Promise.all(sending))
        expect([alice.eventsOf('link.reset'), bob.eventsOf('link.reset')]).toEqual([[], []])
      }),
  )

  it('a value sent from WebAssembly memory arrives, even if the memory grows in the same tick', () =>
    play({ on: 'memory' }, async (scene) => {
      const { alice, bob, mine, theirs } = await twoSessions(scene)
      const memory = wasmMemory(10)
      const view = new Uint8Array(memory.buffer, 1000, 40_000).fill(7)
      const sending = [
        mine[0].send(bob.id, { type: 'Bytes', value: view }),
        mine[0].send(bob.id, { type: 'Bytes', value: view }),
      ]
      memory.grow(1)
      expect(view).toHaveLength(0)
      await scene.run(Promise.all(sending))
      alice.kill()
      for (let count = 0; count < 2; count++)
        expect(isFilled(await scene.run(theirs[0].receive(alice.id)), 40_000, 7)).toBe(true)
      expect([alice.eventsOf('link.reset'), alice.eventsOf('child.restarted')]).toEqual([[], []])
    }))

  it('a sent value counts against the memory budget while it waits, whatever its length', () =>
    play({ on: 'memory' }, async (scene) => {
      const { alice, bob, mine } = await twoSessions(scene)
      const before = alice.usedBytes
      const sending = Array.from({ length: 3 }, () =>
        mine[0].send(bob.id, { type: 'Bytes', value: new Uint8Array(200_000) }),
      )
      // The first uses up the credit, the others wait.
      expect(alice.usedBytes - before).toBeGreaterThanOrEqual(600_000)
      for (const each of sending) each.catch(() => {})
    }))
})

describe('the transfer option', () => {
  it('transfer detaches the view, also of a value that waits and is sent again', () =>
    play({ on: 'memory' }, async (scene) => {
      const { alice, bob, mine, theirs } = await twoSessions(scene)
      const views = [...lengths, ...lengths].map((length, index) => new Uint8Array(length).fill(index + 1))
      const sending = views.map((value) => mine[0].send(bob.id, { type: 'Bytes', value }, { transfer: true }))
      expect(views.map(({ length }) => length)).toEqual(views.map(() => 0))
      await scene.run(sending[0] as Promise<void>)
      alice.kill()
      for (const [index, length] of [...lengths, ...lengths].entries()) {
        expect(isFilled(await scene.run(theirs[0].receive(alice.id)), length, index + 1), `value ${index}`).toBe(true)
      }
    }))

  it('send and trySend refuse to transfer memory that cannot be detached, and the session stays open', () =>
    play({ on: 'memory' }, async (scene) => {
      const { alice, bob, mine, theirs } = await twoSessions(scene)
      const pooled: NetworkValue = { type: 'Bytes', value: Buffer.from('statewire') }
      expect(await scene.run(rejectionOf(mine[0].send(bob.id, pooled, { transfer: true })))).toMatchObject({
        code: 'ERR_NOT_TRANSFERABLE',
      })
      expect(() => mine[0].trySend(bob.id, pooled, { transfer: true })).toThrow(
        expect.objectContaining({ code: 'ERR_NOT_TRANSFERABLE' }),
      )
      await scene.run(mine[0].send(bob.id, number(5)))
      expect(numberOf(await scene.run(theirs[0].receive(alice.id)))).toBe(5)
    }))

  it('transfer is not an option of broadcast, and must be true or false', () =>
    play({ on: 'memory' }, async (scene) => {
      const { bob, mine } = await twoSessions(scene)
      const value: NetworkValue = { type: 'Bytes', value: new Uint8Array(10) }
      for (const call of [
        mine[0].broadcast(value, { transfer: true } as never),
        mine[0].send(bob.id, value, { transfer: 1 } as never),
      ]) {
        expect(await scene.run(rejectionOf(call))).toMatchObject({ code: 'ERR_INVALID_OPTION' })
      }
      expect(value.value).toHaveLength(10)
    }))
})

describe('an internal error while values are sent', () => {
  it.each([
    ['send', true],
    ['trySend', false],
  ])('an internal error in %s ends the sessions once, and none of their values are sent later', (_, isAwaited) =>
    play({ on: 'memory' }, async (scene) => {
      const { alice, bob, mine } = await twoSessions(scene)
      const { retransmit: window } = alice.link(bob).epoch
      let errors = 0
      window.push = () => {
        delete (window as { push?: unknown }).push
        errors++
        throw new TypeError('an injected error')
      }
      const ended = [mine[0].ended(bob.id), mine[1].ended(bob.id)]
      const accepted = [1, 0]
      mine[0].send(bob.id, { type: 'Bytes', value: new Uint8Array(14_000) }).catch(() => {})
      const error = await scene.run(
        rejectionOf(
          (async () => {
            for (;;) {
              if (isAwaited) await mine[1].send(bob.id, number(1))
              else if (!mine[1].trySend(bob.id, number(1))) await mine[1].send(bob.id, number(1))
              accepted[1]!++
            }
          })(),
        ),
      )
      expect(error).toMatchObject({ code: 'ERR_LINK_RESET', reason: 'internal-error' })
      expect(errors).toBe(1)
      const outcomes = (await scene.run(Promise.all(ended))).map(
        (end) => (end as unknown as { outcomes: unknown }).outcomes,
      )
      expect(outcomes).toEqual(accepted.map((notSent) => ({ acked: 0, unknown: 0, notSent })))
      await scene.until(
        'both have reset the link',
        () => bob.eventsOf('link.reset').length > 0 && alice.eventsOf('connection.opened').length > 1,
      )
      const [[again], [other]] = (await scene.sessions([alice, bob], 1)) as [[Session], [Session]]
      await scene.run(again.send(bob.id, number(9)))
      expect(numberOf(await scene.run(other.receive(alice.id)))).toBe(9)
      expect(
        [alice, bob].map((member) => member.eventsOf('link.reset').map(({ reason }) => reason)).flat(),
      ).not.toContain('protocol-error')
      expect(alice.eventsOf('link.reset')).toHaveLength(1)
    }),
  )
})
