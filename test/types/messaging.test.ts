/**
 * Owns: what the compiler must accept and refuse where an application sends messages and requests, and answers them.
 * Each `@ts-expect-error` is checked by `npm run typecheck`.
 * Independent of: what the calls do.
 */
import { describe, expect, expectTypeOf, it } from 'vitest'
import { RequestError } from '../../index.ts'
import type {
  Message,
  Network,
  PeerReply,
  RemoteFailure,
  Reply,
  RequestContext,
  RequestOutcome,
  SendResults,
} from '../../index.ts'

/** Never called: only the compiler reads it. */
async function checked(network: Network): Promise<void> {
  expectTypeOf(network.send('bob', 'text', { name: 'n', headers: { lang: 'en' } })).toEqualTypeOf<Promise<void>>()
  await network.send('bob', new Uint8Array(1), { transfer: true })
  // @ts-expect-error -- numbers are neither bytes nor text
  await network.send('bob', 7)
  // @ts-expect-error -- headers are text
  await network.send('bob', '', { headers: { tries: 7 } })
  // @ts-expect-error -- only a message is handed over
  await network.request('bob', '', { transfer: true })

  const remove = network.onMessage('n', (message) => expectTypeOf(message).toEqualTypeOf<Message>())
  expectTypeOf(remove).toEqualTypeOf<() => void>()
  for await (const message of network.messages('n')) {
    expectTypeOf(message.bytes).toEqualTypeOf<Buffer>()
    // @ts-expect-error -- headers are read only
    message.headers['a'] = 'b'
  }

  const reply = await network.request('bob', '', { timeoutMs: 1_000 })
  expectTypeOf(reply).toEqualTypeOf<Reply>()
  expectTypeOf(await network.requestAny(['bob'], '', { idempotent: true })).toEqualTypeOf<Reply>()
  for await (const one of network.requestMany(['bob'], '', { need: (answers) => answers.has('bob') })) {
    expectTypeOf(one).toEqualTypeOf<PeerReply>()
    // @ts-expect-error -- whether there are bytes is known after `ok`
    void one.bytes
    if (one.ok) expectTypeOf(one.bytes).toEqualTypeOf<Buffer>()
    else expectTypeOf(one.error).toEqualTypeOf<Error>()
  }
  // @ts-expect-error -- no such need
  network.requestMany(['bob'], '', { need: 'most' })

  network.onRequest('n', (request) => {
    expectTypeOf(request).toEqualTypeOf<RequestContext>()
    expectTypeOf(request.signal).toEqualTypeOf<AbortSignal>()
    expectTypeOf(request.deadline).toEqualTypeOf<number | null>()
    return request.bytes
  })
  network.onRequest('n', async ({ bytes }) => bytes.toString(), { concurrency: 2 })
  // @ts-expect-error -- a handler returns bytes or text
  network.onRequest('n', () => 7)
  // @ts-expect-error -- nothing is not an answer: return ''
  network.onRequest('n', async () => {})

  expectTypeOf(await network.broadcast('', { need: 'all' })).toEqualTypeOf<SendResults>()
}

function outcomes(error: unknown): void {
  if (!(error instanceof RequestError)) return
  expectTypeOf(error.outcome).toEqualTypeOf<RequestOutcome>()
  expectTypeOf(error.remote).toEqualTypeOf<RemoteFailure | null>()
  // @ts-expect-error -- no such outcome: a misspelt comparison is never true
  if (error.outcome === 'lost') return
}

describe('the types of messages and requests', () => {
  it('messages, requests, their handlers and their errors have the documented types', () => {
    expect([checked, outcomes].every((one) => typeof one === 'function')).toBe(true)
  })
})
