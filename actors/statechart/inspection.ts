/**
 * Owns: what an inspector receives, as three kinds of events: an actor exists, an actor made a transition, and an
 * actor's figures. They hide XState's own inspection events, so that a new major version of XState changes only this
 * folder.
 * Independent of: who inspects, and any particular actor.
 */
import type { AnyActorRef, AnyMachineSnapshot, InspectionEvent } from '../../machines/xstate.ts'
import { onRejection } from '../base/rejections.ts'
import { bodyOf } from './chart-actor.ts'
import type { ChartPool, PoolMember } from './chart-pool.ts'
import type { LiveActors } from './live-actors.ts'
import { parentOf } from './xstate-internals.ts'

export type ActorEvent =
  | {
      readonly type: 'actor'
      /** Unique in the process, like all session ids. */
      readonly session: string
      readonly id: string
      /** The session id of its parent; null at the top. */
      readonly parent: string | null
      /** The configuration of its machine, for drawing. */
      readonly chart: unknown
      readonly state: unknown
      readonly facts: object
    }
  | {
      readonly type: 'transition'
      readonly session: string
      readonly event: string
      /** The session id of the actor that sent the event, if an actor did. */
      readonly from: string | null
      readonly status: 'active' | 'done' | 'error' | 'stopped'
      readonly state: unknown
      readonly facts: object
    }
  | { readonly type: 'figures'; readonly session: string; readonly figures: object }

export type ActorObserver = (event: ActorEvent) => void

export interface Observation {
  /** Sends the current figures of all actors that have any. */
  sampleFigures(): void
  stop(): void
}

/** An observer that throws would throw into the actor that it observes, so it is not called again. */
function guarded(observer: ActorObserver): ActorObserver {
  let hasFailed = false
  const stop = (): void => {
    hasFailed = true
  }
  return (event) => {
    if (hasFailed) return
    try {
      onRejection(observer(event), stop)
    } catch {
      stop()
    }
  }
}

/**
 * Starts an inspection.
 * @param live the existing actors, reported first, parents before children
 */
export function observeActors(root: AnyActorRef, live: LiveActors, given: ActorObserver): Observation {
  const observer = guarded(given)
  const known = new WeakSet<AnyActorRef>()
  /** The senders of events that an actor has not handled yet. */
  const senders = new WeakMap<AnyActorRef, Map<object, AnyActorRef>>()

  const onStarted = (ref: AnyActorRef): void => {
    known.add(ref)
    const { value: state } = ref.getSnapshot() as AnyMachineSnapshot
    const { sessionId: session, id } = ref
    const chart = (ref as unknown as { readonly logic: { readonly config: unknown } }).logic.config
    observer({
      type: 'actor',
      session,
      id,
      parent: parentOf(ref)?.sessionId ?? null,
      chart,
      state,
      facts: factsOf(ref),
    })
  }

  const onInspection = (inspected: InspectionEvent): void => {
    const ref = inspected.actorRef as AnyActorRef
    if (inspected.type === '@xstate.event') {
      const { event, sourceRef } = inspected
      if (sourceRef !== undefined && known.has(ref)) {
        const waiting = senders.get(ref) ?? new Map<object, AnyActorRef>()
        senders.set(ref, waiting.set(event, sourceRef as AnyActorRef))
      }
      // An actor that fails sends no snapshot; its parent gets this event.
      const failed = event.type.startsWith('xstate.error.actor.') ? (sourceRef as AnyActorRef | undefined) : undefined
      if (failed !== undefined && known.has(failed))
        tell(failed, event.type, null, failed.getSnapshot() as AnyMachineSnapshot)
      return
    }
    if (inspected.type !== '@xstate.snapshot' || !known.has(ref)) return
    const source = senders.get(ref)?.get(inspected.event)
    senders.get(ref)?.delete(inspected.event)
    tell(ref, inspected.event.type, source ?? null, inspected.snapshot as AnyMachineSnapshot)
  }

  const tell = (ref: AnyActorRef, event: string, source: AnyActorRef | null, snapshot: AnyMachineSnapshot): void => {
    const { status, value: state } = snapshot
    const from = source?.sessionId ?? null
    observer({ type: 'transition', session: ref.sessionId, event, from, status, state, facts: factsOf(ref) })
  }

  for (const ref of live) onStarted(ref)
  const stopWatching = live.watch(onStarted)
  const subscription = root.system.inspect(onInspection)
  return {
    sampleFigures() {
      for (const ref of live) {
        const figures = bodyOf(ref)?.figures?.()
        if (figures !== undefined) observer({ type: 'figures', session: ref.sessionId, figures })
      }
    },
    stop() {
      stopWatching()
      subscription.unsubscribe()
    },
  }
}

/** How the members of a pool are named. */
export interface MemberNames<Member> {
  /** The actor that its members are shown below. */
  parentOf(): AnyActorRef
  idOf(member: Member): string
}

/** Inspects the members of a pool, which are not actors. */
export function observePool<Member extends PoolMember>(
  pool: ChartPool<Member>,
  names: MemberNames<Member>,
  given: ActorObserver,
): Observation {
  const observer = guarded(given)
  const known = new WeakSet<Member>()
  const sessions = new WeakMap<Member, string>()
  const parentOf = (): string => names.parentOf().sessionId
  const sessionOf = (member: Member): string => sessions.get(member) ?? ''
  const onStarted = (member: Member): void => {
    known.add(member)
    const parent = parentOf()
    const session = `${parent}/${names.idOf(member)}`
    sessions.set(member, session)
    const [id, facts] = [names.idOf(member), member.facts()]
    observer({ type: 'actor', session, id, parent, chart: pool.config, state: pool.valueOf(member), facts })
  }
  const onTransition = (member: Member, state: unknown, { type: event }: { readonly type: string }): void => {
    if (!known.has(member)) return onStarted(member)
    observer({
      type: 'transition',
      session: sessionOf(member),
      event,
      from: null,
      status: 'active',
      state,
      facts: member.facts(),
    })
  }
  for (const member of pool.members()) onStarted(member)
  pool.watch({
    onTransition,
    onEnd: (member, status, { type: event }) =>
      observer({
        type: 'transition',
        session: sessionOf(member),
        event,
        from: null,
        status,
        state: null,
        facts: member.facts(),
      }),
  })
  return {
    sampleFigures() {
      for (const member of pool.members()) {
        const figures = member.figures?.()
        if (figures !== undefined) observer({ type: 'figures', session: sessionOf(member), figures })
      }
    },
    stop() {
      pool.watch(null)
    },
  }
}

function factsOf(ref: AnyActorRef): object {
  return (ref.getSnapshot() as { readonly context?: { readonly facts: object } }).context?.facts ?? {}
}
