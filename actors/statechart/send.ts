/**
 * Owns: sending an event to an actor that may have ended. Such an event is dropped here, because XState's development
 * build would print a warning for each.
 * Independent of: who sends what.
 */
import type { AnyActorRef, AnyEventObject } from '../../machines/xstate.ts'

export function isActive(ref: AnyActorRef): boolean {
  return (ref.getSnapshot() as { readonly status: string }).status === 'active'
}

export function send(ref: AnyActorRef | undefined, event: AnyEventObject): void {
  if (ref !== undefined && isActive(ref)) ref.send(event)
}
