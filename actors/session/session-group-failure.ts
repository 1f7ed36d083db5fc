/**
 * Owns: the error message of a makeSessions or openControlChannel call that timed out: what was not made, and what was
 * missing.
 * Independent of: how connections come up, and why a peer is not connected (connect-diagnostics.ts).
 */
import { formatValue } from '../../codec/format-value.ts'
import type { SetupProgress } from '../../protocol/native/setup/setup-port.ts'
import type { SessionContext } from './session-context.ts'

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
    readonly name: string
    readonly peers: readonly string[]
    readonly timeoutMs: number
  }
  /** Empty in ampc while the call waits for earlier ones. */
  readonly links: readonly RequiredLink[]
  /** Native, until the sessions are made: how far the call is with each peer. */
  readonly progress: ReadonlyMap<string, SetupProgress> | null
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

function describeMissing({ context, request, links, progress }: UnfinishedCall): string {
  if (progress !== null) return describeSetup(context, request, links, progress)
  if (links.length === 0) return 'earlier calls to the same peers have not ended'
  const peers = new Set(links.filter(({ isReady }) => !isReady).map(({ peer }) => peer))
  if (peers.size > 0) return [...peers].map((peer) => describeMissingConnections(context, peer, links)).join(', ')
  return 'the validation of the sessions was not complete'
}

/** What each peer that holds up the call has not done. */
function describeSetup(
  context: SessionContext,
  { peers, name }: UnfinishedCall['request'],
  links: readonly RequiredLink[],
  progress: ReadonlyMap<string, SetupProgress>,
): string {
  const isPaired = peers.every((peer) => progress.get(peer) === 'paired')
  // A peer that is paired does not hold up the call, unless all are: then one of them waits for another party.
  if (isPaired)
    return `paired with ${peers.join(', ')}, but not all have agreed: one of them waits for another party, or names other peers`
  return peers
    .filter((peer) => progress.get(peer) !== 'paired')
    .map((peer) => describePeer(context, name, peer, links, progress.get(peer)))
    .join(', ')
}

function describePeer(
  context: SessionContext,
  name: string,
  peer: string,
  links: readonly RequiredLink[],
  progress: SetupProgress | undefined,
): string {
  const called = name === '' ? '' : ` named ${formatValue(name)}`
  if (progress === 'waiting for an earlier call') return `an earlier call${called} with ${peer} has not ended`
  if (links.some((link) => link.peer === peer && !link.isReady)) return describeMissingConnections(context, peer, links)
  if (progress === 'being set up') return `${peer} has called makeSessions${called}, but has not made its sessions yet`
  return progress === 'waiting again'
    ? `${peer} was paired with this call${called} and withdrew: it gave up, or the parties do not name the same peers`
    : `${peer} has not called makeSessions${called} yet`
}

function describeMissingConnections(context: SessionContext, peer: string, links: readonly RequiredLink[]): string {
  const all = links.filter((link) => link.peer === peer)
  const missing = new Set(all.filter(({ isReady }) => !isReady).map(({ linkIndex }) => linkIndex))
  const what =
    missing.size === all.length ? 'no connection' : `only ${all.length - missing.size} of ${all.length} connections`
  return `${what} with ${peer}${context.explainNotConnected(peer, missing)}`
}
