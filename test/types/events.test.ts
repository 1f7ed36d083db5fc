/**
 * Owns: what the compiler must accept and refuse where an application listens to events. Each `@ts-expect-error` is
 * checked by `npm run typecheck`.
 * Independent of: when events are emitted.
 */
import { describe, expect, expectTypeOf, it } from 'vitest'
import { networkEventTypes } from '../../index.ts'
import type { Cause, ErrorCode, Network, NetworkEvent, NetworkEventType } from '../../index.ts'

/** Never called: only the compiler reads it. */
function checked(network: Network): void {
  network.on('connection.failed', ({ cause }) => {
    expectTypeOf(cause).toEqualTypeOf<Cause>()
    expectTypeOf(cause.code).toEqualTypeOf<ErrorCode>()
    // @ts-expect-error -- no such code: a misspelt comparison is never true
    if (cause.code === 'ERR_TIMEOUT') return
  })
  network.once('peer.connected', (event) =>
    expectTypeOf(event).toEqualTypeOf<{
      readonly type: 'peer.connected'
      readonly peer: string
      readonly address: string
    }>(),
  )
  network.on('handler.failed', ({ peer, session, cause }) =>
    expectTypeOf({ peer, session, cause }).toEqualTypeOf<{ peer: string; session: string | null; cause: Cause }>(),
  )
  const onReady = ({ url }: { readonly url: string | null }): void => expect(url).toBeNull()
  network.off('network.ready', onReady)
  // @ts-expect-error -- this listener is for another event
  network.off('peer.connected', onReady)
  // @ts-expect-error -- no such event
  network.once('peer.upp', () => {})
  // @ts-expect-error -- no such event
  network.off('peer.upp', () => {})
  for (const type of networkEventTypes) network.on(type, (event) => expectTypeOf(event).toEqualTypeOf<NetworkEvent>())
}

describe('the types of events', () => {
  it('the event types name every event, what its listener gets, and the codes of causes', () => {
    expect(checked).toBeTypeOf('function')
    expectTypeOf<(typeof networkEventTypes)[number]>().toEqualTypeOf<NetworkEventType>()
    expectTypeOf(networkEventTypes[0]).toEqualTypeOf<'network.ready'>()
    expect(new Set(networkEventTypes).size).toBe(networkEventTypes.length)
  })
})
