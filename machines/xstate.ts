/**
 * Owns: the one place where XState is imported, so that a next major version touches one file.
 * Refuses to know: anything of networking.
 */
export { assign, createActor, createMachine, setup, transition } from 'xstate'
export type {
  ActorLogic,
  ActorRef,
  ActorRefFrom,
  ActorScope,
  ActorSystem,
  AnyActorRef,
  AnyActorScope,
  AnyEventObject,
  AnyMachineSnapshot,
  AnyStateMachine,
  AnyStateNode,
  EventObject,
  InspectionEvent,
  NonReducibleUnknown,
  Observer,
  Snapshot,
} from 'xstate'
