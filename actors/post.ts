/**
 * Owns: the call by which a connect's events go from actor to actor, in one place.
 * Refuses to know: who sends what to whom.
 *
 * An actor's `send` is a function of its own. Where one place always calls the same one, V8 compiles the mailbox into it, and the chart
 * behind; a connect has ten such places, each run once. Here all of them meet, and the mailbox is compiled once.
 */
import type { AnyActorRef, AnyEventObject } from '../machines/xstate.ts'

export function post(ref: AnyActorRef, event: AnyEventObject): void {
  ref.send(event)
}
