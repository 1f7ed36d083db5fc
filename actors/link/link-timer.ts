/**
 * Owns: polling a link's state when something is due: acknowledgements, keep-alive, expiry. Uses one entry of the timer
 * wheel per link.
 * Independent of: what is due. The state decides it, and the link acts on it.
 */
import type { DueAction, LinkLifecycle } from '../../protocol/link-core.ts'
import type { LinkContext } from './link-context.ts'
import type { Deadline } from '../base/timer-wheel.ts'

export class LinkTimer {
  readonly #context: LinkContext
  readonly #state: LinkLifecycle
  readonly #onDue: (action: Exclude<DueAction, 'look-again'>) => void
  #deadline: Deadline | null = null
  #dueAtMs = 0

  constructor(context: LinkContext, state: LinkLifecycle, onDue: (action: Exclude<DueAction, 'look-again'>) => void) {
    this.#context = context
    this.#state = state
    this.#onDue = onDue
  }

  /** Call this when `nextDueAtMs` may have become earlier. */
  set(): void {
    const dueAtMs = this.#state.nextDueAtMs
    if (dueAtMs === null || (this.#deadline !== null && this.#dueAtMs <= dueAtMs)) return
    this.#deadline?.cancel()
    this.#dueAtMs = dueAtMs
    // An overdue action has been reported already and takes a tick or two to finish, so do not poll again in this tick.
    this.#deadline = this.#context.wheel.schedule(Math.max(1, dueAtMs - this.#context.nowMs()), () => {
      this.#deadline = null
      for (const action of this.#state.poll(this.#context.nowMs(), dueAtMs)) this.#act(action)
      this.set()
    })
  }

  #act(action: DueAction | null): void {
    // Checks again two ticks later: bytes may wait in the kernel while timers run first.
    if (action === 'look-again') this.#context.environment.clock.setImmediate(() => this.#act(this.#state.lookAgain()))
    else if (action !== null) this.#onDue(action)
  }

  cancel(): void {
    this.#deadline?.cancel()
    this.#deadline = null
  }
}
