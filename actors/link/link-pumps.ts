/**
 * Owns: the two forwarders of a link: their start, their current pumps, and the connection events they receive.
 * Independent of: connections beyond their pipe, and what the link does when a pump fails.
 */
import type { AnyEventObject } from '../../machines/xstate.ts'
import type { LinkCore, LinkHooks } from '../../protocol/link-core.ts'
import type { Children } from '../statechart/children.ts'
import { forwarder, inPumpOf, outPumpOf } from './forwarder.ts'
import type { InPump, OutPump } from './forwarder.ts'
import type { LinkContext } from './link-context.ts'
import { send } from '../statechart/send.ts'

export class LinkPumps {
  readonly #context: LinkContext
  readonly #children: Children
  readonly #state: LinkCore
  out: OutPump | null = null
  into: InPump | null = null

  constructor(context: LinkContext, children: Children, state: LinkCore) {
    this.#context = context
    this.#children = children
    this.#state = state
    pumpsOf.set(state, this)
  }

  /** The hooks of the link's state that concern the pumps. */
  get hooks(): Pick<LinkHooks, 'requestFlush' | 'flushNow' | 'onReceiveRoom'> {
    return {
      requestFlush: () => this.out?.requestFlush(),
      flushNow: () => this.out?.flush(),
      onReceiveRoom: () => this.into?.resume(),
    }
  }

  ensure(): void {
    if (this.#children.get('forwarder:out') === undefined) {
      for (const direction of ['out', 'in'] as const) {
        this.#children.spawn({
          id: `forwarder:${direction}`,
          kind: 'forwarder',
          logic: forwarder,
          input: { context: this.#context, direction, state: this.#state },
          restart: 'permanent',
        })
      }
      this.notify({ type: 'connection.started' })
    }
    this.wire()
  }

  /** Call this after a restart: a restarted forwarder has a new pump. */
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

  notify(event: AnyEventObject): void {
    for (const id of ['forwarder:out', 'forwarder:in']) {
      const ref = this.#children.get(id)
      if (ref !== undefined) send(ref, event)
    }
  }
}

const pumpsOf = new WeakMap<LinkCore, LinkPumps>()

/**
 * Calls back when everything sent on this link has been passed to the kernel, as the control channel's `send` promises.
 */
export function whenFlushed(state: LinkCore, callback: (error: Error | null) => void): void {
  const out = pumpsOf.get(state)?.out ?? null
  if (out === null) callback(new Error('there is no connection to send on'))
  else out.whenFlushed(callback)
}
