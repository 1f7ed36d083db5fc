/**
 * Owns: that a link's state is asked when something of it is due: acknowledgements, keep-alive, expiry. One entry in the
 * wheel a link.
 * Refuses to know: what is due; the state says it, and the link does it.
 */
import type { DueAction, LinkLifecycle } from '../../protocol/link-core.ts'
import type { LinkContext } from './link-context.ts'
import type { Deadline } from '../base/timer-wheel.ts'

export class LinkTimer {
  readonly #services: LinkContext
  readonly #state: LinkLifecycle
  readonly #onDue: (action: Exclude<DueAction, 'look-again'>) => void
  #deadline: Deadline | null = null
  #dueAtMs = 0

  constructor(services: LinkContext, state: LinkLifecycle, onDue: (action: Exclude<DueAction, 'look-again'>) => void) {
    this.#services = services
    this.#state = state
    this.#onDue = onDue
  }

  /** `nextDueAtMs` may be earlier than it was. */
  set(): void {
    const dueAtMs = this.#state.nextDueAtMs
    if (dueAtMs === null || (this.#deadline !== null && this.#dueAtMs <= dueAtMs)) return
    this.#deadline?.cancel()
    this.#dueAtMs = dueAtMs
    // What is overdue has been asked for already, and its end takes a turn or two: looking again in this turn finds the same.
    this.#deadline = this.#services.wheel.schedule(Math.max(1, dueAtMs - this.#services.nowMs()), () => {
      this.#deadline = null
      for (const action of this.#state.poll(this.#services.nowMs(), dueAtMs)) this.#act(action)
      this.set()
    })
  }

  #act(action: DueAction | null): void {
    // Two more turns of the loop: bytes may wait in the kernel while timers run first.
    if (action === 'look-again') this.#services.environment.clock.setImmediate(() => this.#act(this.#state.lookAgain()))
    else if (action !== null) this.#onDue(action)
  }

  cancel(): void {
    this.#deadline?.cancel()
    this.#deadline = null
  }
}
