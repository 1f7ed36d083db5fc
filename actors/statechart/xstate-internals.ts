/**
 * Owns: every use of an undocumented XState name. Each has a reason, a fallback, and a canary test in
 * test/actors/statechart/xstate-internals.test.ts.
 * Independent of: charts and bodies.
 */
import type { AnyActorRef, AnyEventObject } from '../../machines/xstate.ts'

interface System {
  readonly _relay?: (source: AnyActorRef, target: AnyActorRef, event: AnyEventObject) => void
}

/** `_parent`: actor logic gets its parent in no other way. Fallback: undefined, as for an actor at the top. */
export function parentOf(ref: AnyActorRef): AnyActorRef | undefined {
  return (ref as { readonly _parent?: AnyActorRef })._parent
}

/** `_relay`: the only way to show inspectors who sent an event. Fallback: the event arrives without its sender. */
export function sendFrom(source: AnyActorRef, target: AnyActorRef, event: AnyEventObject): void {
  const system = source.system as unknown as System
  if (system._relay === undefined) target.send(event)
  else system._relay(source, target, event)
}
