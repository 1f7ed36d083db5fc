/**
 * Owns: the only import of XState, so that a new major version touches one file.
 * Independent of: networking.
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
