/**
 * Owns: canaries for the names that XState does not document: if a release of XState changes one, a test here fails and
 * names it; and that everything but the sender's name still works without them.
 * Independent of: charts and bodies.
 */
import { expect, it } from 'vitest'
import * as xstate from 'xstate'
import { createActor, createMachine, fromCallback } from 'xstate'
import type { AnyActorRef, InspectionEvent } from 'xstate'
import { parentOf, sendFrom } from '../../../actors/statechart/xstate-internals.ts'

function family(): { parent: AnyActorRef; child: AnyActorRef; events: InspectionEvent[] } {
  const events: InspectionEvent[] = []
  const machine = createMachine({
    id: 'parent',
    invoke: { id: 'child', src: fromCallback(() => {}) },
    on: { hello: {} },
  })
  const parent = createActor(machine, { inspect: (event) => events.push(event) }).start() as unknown as AnyActorRef
  const child = (parent.getSnapshot() as { children: { child: AnyActorRef } }).children.child
  return { parent, child, events: events.splice(0) && events }
}

it('the installed release of XState is the requested one', () => {
  const isOldest = process.env['MODE'] === 'xstate-5-19'
  expect('getNextTransitions' in xstate).toBe(!isOldest)
})

it('the parent of an actor is found by `_parent` of XState', () => {
  const { parent, child } = family()
  expect([parentOf(child), parentOf(parent)]).toEqual([parent, undefined])
})

it('inspectors see the sender of an event by `_relay` of XState', () => {
  const { parent, child, events } = family()
  sendFrom(child, parent, { type: 'hello' })
  expect(events).toContainEqual(
    expect.objectContaining({ type: '@xstate.event', event: { type: 'hello' }, sourceRef: child }),
  )
})

it('an event is delivered without its sender if XState has no `_relay`', () => {
  const { parent, events } = family()
  sendFrom({ system: {} } as AnyActorRef, parent, { type: 'hello' })
  expect(events).toContainEqual(
    expect.objectContaining({ type: '@xstate.event', event: { type: 'hello' }, sourceRef: undefined }),
  )
})
