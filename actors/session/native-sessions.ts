/**
 * Owns: how a session group of the native dialect creates its sessions: their ids on all links of each peer, and the
 * wait for the peers' first Credits, which confirm that they have created them too.
 * Independent of: the life of the group (session-group.ts), and how links come up.
 */
import { connectionOf } from '../../protocol/ampc/session-numbering.ts'
import type { LinkCore } from '../../protocol/link-core.ts'
import type { NativeLane } from '../../protocol/native/lanes/native-lane.ts'
import type { NativeLink } from '../../protocol/native/link/native-link.ts'
import { firstIdOfBatch } from '../../protocol/native/lanes/session-numbering.ts'
import type { SessionContext } from './session-context.ts'
import type { Channel } from './session.ts'

interface PeerLink {
  readonly peer: string
  readonly number: number
  readonly state: LinkCore
}

/**
 * Opens the lanes. Ids are counted per link and epoch; a group uses the same ids on all links to a peer.
 * @returns by session, then by peer
 */
export function openNativeLanes(
  count: number,
  peers: readonly string[],
  links: readonly PeerLink[],
): Map<string, Channel>[] {
  const channels = Array.from({ length: count }, () => new Map<string, Channel>())
  for (const peer of peers) {
    const own = links
      .filter((link) => link.peer === peer)
      .map(({ number, state }) => ({ number, state: state as NativeLink }))
    const first = firstIdOfBatch(
      own.map(({ state }) => state.nextSessionId),
      count,
    )
    for (const { number, state } of own) {
      const indexes = [...channels.keys()].filter((index) => number === connectionOf(index, own.length))
      state.takeIds(
        first,
        count,
        indexes.map((index) => first + index),
      )
      for (const index of indexes) channels[index]?.set(peer, { state, lane: state.openLane(first + index) })
    }
  }
  return channels
}

/**
 * Resolves when all lanes have credit; this dialect needs no other validation. Rejects with the error of a lane that
 * ends first.
 */
export async function waitForCredit(channels: readonly ReadonlyMap<string, Channel>[]): Promise<void> {
  const lanes = channels.flatMap((ofPeers) => [...ofPeers.values()].map(({ lane }) => lane as NativeLane))
  // Lanes with credit count too: a peer that created a session and closed it will not answer for the others.
  const ended = new Promise<never>((_, reject) => {
    for (const lane of lanes) {
      if (lane.end === null) lane.onEnded = reject
      else reject(lane.end)
    }
  })
  await Promise.race([Promise.all(lanes.map(({ whenOpened }) => whenOpened)), ended]).finally(() => {
    for (const lane of lanes) lane.onEnded = null
  })
}

/** The longest delay of the next call when a peer does not answer. */
const ackTimeoutMs = 250
/** After it acknowledges, a peer may still close sessions that it had just created. */
const reactionMs = 4

/**
 * Calls back when the peers have received the close of these sessions, and this side has received theirs.
 *
 * A call that starts earlier would choose ids from outdated counters. Two sides that do so may miss each other
 * repeatedly.
 */
export function whenPeersHaveClosed(
  context: SessionContext,
  channels: readonly ReadonlyMap<string, Channel>[],
  callback: () => void,
): void {
  const laneOfLink = new Map(
    channels.flatMap((ofPeers) => [...ofPeers.values()]).map((channel) => [channel.state, channel.lane]),
  )
  let left = laneOfLink.size
  const onAcked = (): void => {
    if (--left > 0) return
    deadline.cancel()
    context.wheel.schedule(reactionMs, callback)
  }
  const deadline = context.wheel.schedule(ackTimeoutMs, () => {
    left = Infinity
    callback()
  })
  for (const [state, lane] of laneOfLink) state.whenAcked(lane, onAcked, onAcked)
}

/** Describes how many of the sessions each peer has created. */
export function describeCredits(channels: readonly ReadonlyMap<string, Channel>[], peers: readonly string[]): string {
  const made = peers.map((peer) => {
    const opened = channels.filter(
      (ofPeers) => (ofPeers.get(peer)?.lane as NativeLane | undefined)?.isOpened === true,
    ).length
    return `${peer} has made ${opened}`
  })
  return `${made.join(', ')} of ${channels.length} (every party must call makeSessions with the same count, in the same order)`
}
