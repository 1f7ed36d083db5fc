/**
 * The runtime: actors that run the charts of statewire/machines on real sockets.
 */
/// <reference types="node" preserve="true" />
export { createNetwork } from './network/create-network.ts'
export type { NetworkRuntimeOptions } from './network/create-network.ts'
export { Network } from './network/network.ts'
export type { SupervisorRef } from './network/network.ts'
export type { MakeSessionsOptions, OpenControlChannelOptions, Sessions } from './network/session-calls.ts'
export type { Command, CommandReply, CommandResult, CommandResults, CommandType } from './network/commands.ts'
export { init, Shutdown, workersOf } from './network/init.ts'
export type { Initialized, ShutdownReport, Workers } from './network/init.ts'
export { Payload } from './network/payload.ts'
export { supervisor } from './network/supervisor.ts'
export type { SupervisorEvent, SupervisorInput, SupervisorLogic } from './network/supervisor.ts'
export { Session } from './session/session.ts'
/** The name that sessions have in the first design. */
export { Session as TcpSession } from './session/session.ts'
export type { CallOptions } from './base/bounded.ts'
export type { FlushOptions, PrfKeys, SendOptions } from './session/session.ts'
export type { SessionValues } from './session/session-values.ts'
export type { PeerHandle, PeerRef } from './base/peer-ref.ts'
export { QuorumError } from './base/send-to-all.ts'
export type { Need, SendResult, SendResults } from './base/send-to-all.ts'
export type { Headers } from './messaging/content.ts'
export { Message } from './messaging/message-handlers.ts'
export type { MessageHandler } from './messaging/message-handlers.ts'
export type {
  BroadcastOptions,
  MessageOptions,
  MulticastOptions,
  RequestOptions,
  SendMessageOptions,
} from './messaging/messaging.ts'
export type { Reply } from './messaging/request-call.ts'
export { RequestError } from './messaging/request-error.ts'
export type { RemoteFailure, RequestOutcome } from './messaging/request-error.ts'
export type {
  HandlerResult,
  RequestContext,
  RequestHandler,
  RequestHandlerOptions,
} from './messaging/request-handlers.ts'
export { AllPeersFailedError } from './messaging/several-peers.ts'
export type { PeerReply, RequestAnyOptions, RequestManyOptions } from './messaging/several-peers.ts'
export { defineService, ServiceValidationError } from './services/define-service.ts'
export type { FieldIssue, MethodDefinition, Methods, ServiceDefinition } from './services/define-service.ts'
export type { MethodFigures } from './services/call-figures.ts'
export type { Implementation, ServiceContext } from './services/implementation.ts'
export type { Client, ServiceCallOptions } from './services/service-calls.ts'
export type { ServiceInfo } from './services/service-list.ts'
export type { StandardSchema } from './services/standard-schema.ts'
export { Stream } from './streams/stream.ts'
export type { CloseReason } from './streams/stream-error.ts'
export { Channel } from './streams/channel.ts'
export { StreamError } from './streams/stream-error.ts'
export type { EndedBy } from './streams/stream-error.ts'
export type { Permission, StreamHandler, StreamHandlerOptions, StreamRequest } from './streams/accepted-streams.ts'
export type { GetStreamOptions } from './streams/stream-calls.ts'
export type { WebStream } from './streams/stream-web.ts'
export type { BuiltinProtocol, PingResult } from './streams/builtin-protocols.ts'
export type { PingOptions } from './network/network-streams.ts'
export type { ByteCounts } from '../protocol/streams.ts'
export { ControlChannel } from './session/control-channel.ts'
export { PeerConnectionBuilder, PeerConnections, Reconnector, TcpNetworkHandle } from './network/builder.ts'
export type { BuildOptions, BuilderConfig, BuiltPeers } from './network/builder.ts'
export { defaultLimits } from './config/limits.ts'
export type { Limits } from './config/limits.ts'
export type { AdmissionOptions, AdmitInfo } from './config/admission-options.ts'
export { Identity } from './tls/identity.ts'
export { SharedPort } from './connection/shared-port.ts'
export type { SharedPortOptions } from './connection/shared-port.ts'
export { TlsTransport } from './tls/tls-transport.ts'
export type { TlsTransportOptions } from './tls/tls-transport.ts'
export { UnexpectedPeerError } from './tls/tls-errors.ts'
export type {
  AmpcConfig,
  AmpcPlaintextConfig,
  AmpcTlsConfig,
  CommonConfig,
  ConfigOf,
  DialectName,
  NativeConfig,
  NetworkConfig,
  OnConnectionLost,
  PeerOption,
  Security,
} from './config/options.ts'
export type { DrainOptions, DrainReport } from './network/drain.ts'
export { Peer } from './network/peer-handle.ts'
export type { PeerState } from './network/peer-handle.ts'
export type { FailureStage, PeerFailure } from './network/peer-records.ts'
export type { AllowedReport } from './network/peers.ts'
export type { ReadyOptions } from './network/network-peers.ts'
export type { ConnectMode } from './config/options.ts'
export type { LinkMetrics, NetworkMetrics, PeerMetrics } from './network/metrics.ts'
export { networkEventTypes } from './base/events.ts'
export type { NetworkEvent as Event } from './base/events.ts'
export type { NetworkEvent, NetworkEventOf, NetworkEventType } from './base/events.ts'
export type { Cause } from './base/causes.ts'
export type { ActorEvent, ActorObserver, Observation } from './statechart/inspection.ts'
export type { MissedEvents } from './base/event-queue.ts'
export { systemClock, systemEnvironment, systemNames, systemRandom } from './config/system-environment.ts'
export type { Clock, Environment, Log, LogLevel, Random, TimerHandle } from './base/environment.ts'
export { logChannelName } from './base/log.ts'
export type { LogLine } from './base/log.ts'
export { Address, Endpoint, EndpointId, Port, Protocol, Url } from './config/endpoint-values.ts'
export { literalNames } from './base/pipe.ts'
export type {
  DialOptions,
  ListenerHandlers,
  NameService,
  Pipe,
  PipeHandlers,
  PipeListener,
  Transport,
} from './base/pipe.ts'
export { TcpPipe, TcpTransport } from './transport/tcp-pipe.ts'
export type { TcpTransportOptions } from './transport/tcp-pipe.ts'
export { MemoryTransport } from './transport/memory-pipe.ts'
