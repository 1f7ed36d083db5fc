/**
 * Owns: the two forwarders of a link: that they exist once bytes are to flow, which pumps are theirs now, and what they hear
 * of the connection.
 * Refuses to know: connections beyond their pipe; what the link does when a pump fails.
 */
import type { AnyEventObject } from '../../machines/xstate.ts'
import type { LinkCore } from '../../protocol/link-core.ts'
import type { Children } from '../statechart/children.ts'
import { forwarder, inPumpOf, outPumpOf } from './forwarder.ts'
import type { InPump, OutPump } from './forwarder.ts'
import type { LinkContext } from './link-context.ts'
import { send } from '../statechart/send.ts'

export class LinkPumps {
  readonly #services: LinkContext
  readonly #children: Children
  readonly #state: LinkCore
  out: OutPump | null = null
  into: InPump | null = null

  constructor(services: LinkContext, children: Children, state: LinkCore) {
    this.#services = services
    this.#children = children
    this.#state = state
    pumpsOf.set(state, this)
  }

  ensure(): void {
    if (this.#children.get('forwarder:out') === undefined) {
      for (const direction of ['out', 'in'] as const) {
        this.#children.spawn({
          id: `forwarder:${direction}`,
          kind: 'forwarder',
          logic: forwarder,
          input: { services: this.#services, direction, state: this.#state },
          restart: 'permanent',
        })
      }
      this.tell({ type: 'connection.started' })
    }
    this.wire()
  }

  /** A restarted forwarder has a new pump. */
  wire(): void {
    const outRef = this.#children.get('forwarder:out')
    const inRef = this.#children.get('forwarder:in')
    const out = outRef === undefined ? undefined : outPumpOf(outRef)
    const into = inRef === undefined ? undefined : inPumpOf(inRef)
    if (out === undefined || into === undefined) return
    this.out = out
    this.into = into
    into.replies = out
  }

  detach(): void {
    this.out?.detach()
    this.into?.detach()
  }

  tell(event: AnyEventObject): void {
    for (const id of ['forwarder:out', 'forwarder:in']) {
      const ref = this.#children.get(id)
      if (ref !== undefined) send(ref, event)
    }
  }
}

const pumpsOf = new WeakMap<LinkCore, LinkPumps>()

/** Calls back when what was sent on this link is with the kernel: the control channel's promise. */
export function whenFlushed(state: LinkCore, callback: (error: Error | null) => void): void {
  const out = pumpsOf.get(state)?.out ?? null
  if (out === null) callback(new Error('there is no connection'))
  else out.whenFlushed(callback)
}
