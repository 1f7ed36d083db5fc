/**
 * Owns: the error message of a makeSessions or openControlChannel call that timed out: what was not made, and what was
 * missing.
 * Independent of: how connections come up, and why a peer is not connected (connect-diagnostics.ts).
 */
import { describeCredits } from './native-sessions.ts'
import type { SessionContext } from './session-context.ts'
import type { Channel } from './session.ts'

export interface RequiredLink {
  readonly peer: string
  readonly linkIndex: number
  readonly isReady: boolean
}

export interface UnfinishedCall {
  readonly context: SessionContext
  readonly request: {
    readonly purpose: 'sessions' | 'control'
    readonly count: number
    readonly peers: readonly string[]
    readonly timeoutMs: number
  }
  /** Empty while the call waits for earlier ones. */
  readonly links: readonly RequiredLink[]
  readonly channels: readonly Map<string, Channel>[]
  readonly needsCredit: boolean
}

/** For example "1 session was not made". */
export function notMade({ purpose, count }: UnfinishedCall['request']): string {
  const what =
    purpose === 'control' ? 'the control channel was' : `${count} ${count === 1 ? 'session was' : 'sessions were'}`
  return `${what} not made`
}

export function timeoutMessage(call: UnfinishedCall): string {
  return `${notMade(call.request)} within ${call.request.timeoutMs} ms: ${describeMissing(call)}`
}

function describeMissing({ context, request, links, channels, needsCredit }: UnfinishedCall): string {
  if (links.length === 0) return 'earlier calls to the same peers have not ended'
  const peers = new Set(links.filter(({ isReady }) => !isReady).map(({ peer }) => peer))
  if (peers.size > 0) return [...peers].map((peer) => describeMissingConnections(context, peer, links)).join(', ')
  return needsCredit ? describeCredits(channels, request.peers) : 'the validation of the sessions was not complete'
}

function describeMissingConnections(context: SessionContext, peer: string, links: readonly RequiredLink[]): string {
  const all = links.filter((link) => link.peer === peer)
  const missing = new Set(all.filter(({ isReady }) => !isReady).map(({ linkIndex }) => linkIndex))
  const what =
    missing.size === all.length ? 'no connection' : `only ${all.length - missing.size} of ${all.length} connections`
  return `${what} with ${peer}${context.explainNotConnected(peer, missing)}`
}
