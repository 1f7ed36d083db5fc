/**
 * Owns: the listeners that an application adds to a network's events. Errors thrown by a listener are reported and go
 * no further.
 * Independent of: the kinds of events, and who emits them.
 */
import { formatValue } from '../../codec/format-value.ts'
import type { ActorRefFrom } from '../../machines/xstate.ts'
import { causeOf } from '../base/causes.ts'
import { checkFunction, unknownName } from '../base/checks.ts'
import type { Log } from '../base/environment.ts'
import { networkEventTypes } from '../base/events.ts'
import { onRejection } from '../base/rejections.ts'
import type { NetworkEventOf, NetworkEventType } from '../base/events.ts'
import type { SupervisorLogic } from './supervisor.ts'

type Listener<T extends NetworkEventType> = (event: NetworkEventOf<T>) => unknown

interface Registration {
  readonly type: NetworkEventType
  readonly listener: unknown
  readonly remove: () => void
}

export class EventListeners {
  readonly #ref: ActorRefFrom<SupervisorLogic>
  readonly #log: Log
  readonly #registrations = new Set<Registration>()

  constructor(ref: ActorRefFrom<SupervisorLogic>, log: Log) {
    this.#ref = ref
    this.#log = log
  }

  /**
   * @returns a function that removes the listener
   * @throws StatewireError ERR_INVALID_OPTION
   */
  add<T extends NetworkEventType>(type: T, listener: Listener<T>, isOnce: boolean): () => void {
    checkListener(type, listener)
    const report = this.#reporter(type)
    const subscription = this.#ref.on(type as never, (event: never) => {
      if (isOnce) registration.remove()
      try {
        onRejection(listener(event), report)
      } catch (error) {
        report(error)
      }
    })
    const registration: Registration = {
      type,
      listener,
      remove: () => {
        this.#registrations.delete(registration)
        subscription.unsubscribe()
      },
    }
    this.#registrations.add(registration)
    return registration.remove
  }

  has(type: NetworkEventType): boolean {
    return [...this.#registrations].some((each) => each.type === type)
  }

  /** @throws StatewireError ERR_INVALID_OPTION */
  remove<T extends NetworkEventType>(type: T, listener: Listener<T>): void {
    checkListener(type, listener)
    const found = [...this.#registrations].findLast((each) => each.type === type && each.listener === listener)
    found?.remove()
  }

  /**
   * Logs each failure of a listener. Only the first one is a process warning, because an event may be emitted thousands
   * of times.
   */
  #reporter(type: NetworkEventType): (error: unknown) => void {
    let hasWarned = false
    return (error) => {
      const cause = causeOf(error, 'ERR_HANDLER_FAILED')
      this.#log.write('error', 'listener.failed', { type, cause })
      if (hasWarned) return
      hasWarned = true
      const detail = error instanceof Error && error.stack !== undefined ? { detail: error.stack } : {}
      process.emitWarning(`A listener of the network event '${type}' failed: ${cause.message}`, {
        type: 'StatewireWarning',
        ...detail,
      })
    }
  }
}

function checkListener(type: NetworkEventType, listener: unknown): void {
  if (!networkEventTypes.includes(type)) throw unknownName(type, networkEventTypes, 'an event of a network')
  if (typeof listener !== 'function') checkFunction(listener, `the listener of ${formatValue(type)}`)
}
