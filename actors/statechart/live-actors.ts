/**
 * Owns: the list of the live actors of one network, in the order in which they started. An inspector that attaches late
 * starts with it, and leak tests check it.
 * Independent of: what the actors do.
 */
import type { AnyActorRef } from '../../machines/xstate.ts'

export class LiveActors {
  readonly #refs = new Set<AnyActorRef>()
  readonly #watchers = new Set<(ref: AnyActorRef) => void>()

  get size(): number {
    return this.#refs.size
  }

  add(ref: AnyActorRef): void {
    this.#refs.add(ref)
    for (const onStarted of this.#watchers) onStarted(ref)
  }

  delete(ref: AnyActorRef): void {
    this.#refs.delete(ref)
  }

  /**
   * Calls back for each actor that starts from now on.
   * @returns a function that stops the calls
   */
  watch(onStarted: (ref: AnyActorRef) => void): () => void {
    this.#watchers.add(onStarted)
    return () => void this.#watchers.delete(onStarted)
  }

  [Symbol.iterator](): Iterator<AnyActorRef> {
    return this.#refs.values()
  }
}
