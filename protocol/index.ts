/**
 * The state of one link and the rules of the dialects, as plain classes and pure functions: no I/O, clock, randomness
 * or XState.
 */
/// <reference types="node" preserve="true" />
export { Admission } from './admission.ts'
export { PeerAddresses } from './peer-addresses.ts'
export type { AdmissionLimits, AdmissionVerdict } from './admission.ts'
export { ampcDialect } from './ampc/ampc-dialect.ts'
export { AmpcAcceptorHandshake, AmpcDialerHandshake } from './ampc/ampc-handshake.ts'
export { backoffMs } from './backoff.ts'
export type { BackoffOptions } from './backoff.ts'
export { connectionOf, connectionsFor, SessionNumbering, validationKey } from './ampc/session-numbering.ts'
export type {
  AcceptorHandshake,
  Claim,
  DialerHandshake,
  Dialect,
  FrameSource,
  Framing,
  HandshakeStep,
} from './dialect.ts'
export { ConnectionLostError, Lane } from './lane.ts'
export type { HandlerOptions, LaneHandler, LaneWaiter } from './lane.ts'
export { AmpcLink } from './ampc/ampc-link.ts'
export type { LinkLimits } from './ampc/ampc-link.ts'
export { HandshakeRefusedError } from './dialect.ts'
export type {
  DeliveryReports,
  DueAction,
  LinkCore,
  LinkCounters,
  LinkHooks,
  LinkLifecycle,
  LinkReceiving,
  LinkSending,
} from './link-core.ts'
export type { HeldMemory, LinkFigures, RoundTrip } from './link-figures.ts'
export { checkIdentity, compareIdentities, roleTowards } from './ampc/peer-id.ts'
export { ringAround } from './ampc/party-ring.ts'
export type { Ring } from './ampc/party-ring.ts'
