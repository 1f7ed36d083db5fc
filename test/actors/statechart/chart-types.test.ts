/**
 * Owns: that types join a chart and its body: what a body sends to its chart, and what its actions take, are events
 * that the chart has. Each `@ts-expect-error` below is an error of the compiler that must stay one.
 * Independent of: what any chart is for.
 */
import { expect, it } from 'vitest'
import type { ActionName, ActorPort } from '../../../actors/statechart/chart-actor.ts'

interface Handover {
  readonly remoteAddress: string
}

type Event =
  | { readonly type: 'link.claimed'; readonly handover: Handover }
  | { readonly type: 'link.closed'; readonly reason: string }

class Body {
  begin(): void {}
  accept(_event: { handover: Handover }): void {}
  note(_event: { type: string; reason?: string }): void {}
  takesAnotherOffer(_event: { handover: number }): void {}
  takesWhatNoEventHas(_event: { peer: string }): void {}
}

it('the types let a chart name only body methods that take what its event has', () => {
  const names: ActionName<Body, Event>[] = ['begin', 'accept', 'note']
  // @ts-expect-error -- the payload has another type
  names.push('takesAnotherOffer')
  // @ts-expect-error -- no event has it
  names.push('takesWhatNoEventHas')
  // @ts-expect-error -- there is no such method
  names.push('missing')
  expect(names.filter((name) => name in Body.prototype)).toHaveLength(5)
})

it('the types let a body send only events that its chart has', () => {
  const sent: string[] = []
  const port: Pick<ActorPort<Event>, 'send'> = { send: ({ type }) => void sent.push(type) }
  port.send({ type: 'link.closed', reason: 'idle' })
  // @ts-expect-error -- the payload is missing
  port.send({ type: 'link.claimed' })
  // @ts-expect-error -- there is no such event
  port.send({ type: 'link.opened' })
  expect(sent).toHaveLength(3)
})
