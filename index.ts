/**
 * statewire: supervised peer-to-peer networking for Node, in which every connection, stream and forwarder is a
 * statechart you can watch.
 */
/// <reference types="node" preserve="true" />
export {
  createNetwork,
  Identity,
  Network,
  networkEventTypes,
  supervisor,
  ControlChannel,
  Session,
  defaultLimits,
} from './actors/index.ts'
export type {
  AmpcConfig,
  AmpcPlaintextConfig,
  AmpcTlsConfig,
  CallOptions,
  ConfigOf,
  Cause,
  DrainOptions,
  DrainReport,
  Environment,
  Limits,
  MakeSessionsOptions,
  LinkMetrics,
  MissedEvents,
  NativeConfig,
  NetworkConfig,
  NetworkEvent,
  NetworkEventOf,
  NetworkEventType,
  NetworkMetrics,
  NetworkRuntimeOptions,
  OnConnectionLost,
  OpenControlChannelOptions,
  PeerMetrics,
  PeerOption,
  PrfKeys,
  SendOptions,
  Sessions,
  SupervisorEvent,
  SupervisorInput,
  SupervisorLogic,
  SupervisorRef,
} from './actors/index.ts'
export { ConnectionLostError } from './protocol/lane.ts'
export { LinkResetError } from './protocol/native/lanes/native-lane.ts'
export type { HandlerOptions, LaneHandler } from './protocol/lane.ts'
export { errorCodes, InvalidValueError, ProtocolError, StatewireError } from './codec/errors.ts'
export type { ErrorCode } from './codec/errors.ts'
export type { MsgPackData, MsgPackValue, NetworkValue, NetworkVecElement } from './codec/values.ts'
