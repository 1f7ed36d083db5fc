/**
 * Owns: the one place where XState is imported, so that a next major version touches one file.
 * Refuses to know: anything of networking.
 */
export { createActor, setup, assign } from 'xstate'
export type {
  ActorLogic,
  ActorRef,
  ActorRefFrom,
  ActorScope,
  ActorSystem,
  AnyActorRef,
  AnyEventObject,
  AnyMachineSnapshot,
  AnyStateMachine,
  EventObject,
  InspectionEvent,
  NonReducibleUnknown,
  Observer,
  Snapshot,
} from 'xstate'
