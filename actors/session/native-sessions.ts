/**
 * Owns: how a batch of the native dialect makes its sessions: ids on all links of each peer, and the wait for the peers' first
 * Credits, which say that they have made them too.
 * Refuses to know: the batch's life (session-group.ts), and how links come up.
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

/** Ids are counted by link and epoch; a batch takes the same on all links to a peer. @returns by session, then by peer */
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

/** There is no other validation in this dialect. Rejects with what ended a session meanwhile. */
export async function waitForCredit(channels: readonly ReadonlyMap<string, Channel>[]): Promise<void> {
  const lanes = channels.flatMap((ofPeers) => [...ofPeers.values()].map(({ lane }) => lane as NativeLane))
  // An opened one too: a peer that has made and closed it has gone on, and will not answer for the others.
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

/** A peer that is away holds the next call no longer than this. */
const heardWithinMs = 250
/** A peer acknowledges what it has read, and closes in reaction what it had made a moment later. */
const reactsWithinMs = 4

/**
 * Calls back when the peers have heard that these sessions are closed, and this side what they have closed for it. A call that began
 * earlier would take ids by what it knew before, and two sides that do so may miss each other again and again, by the same number.
 */
export function whenPeersHaveHeard(
  services: SessionContext,
  channels: readonly ReadonlyMap<string, Channel>[],
  callback: () => void,
): void {
  const oneOfEach = new Map(
    channels.flatMap((ofPeers) => [...ofPeers.values()]).map((channel) => [channel.state, channel.lane]),
  )
  let left = oneOfEach.size
  const isHeard = (): void => {
    if (--left > 0) return
    deadline.cancel()
    services.wheel.schedule(reactsWithinMs, callback)
  }
  const deadline = services.wheel.schedule(heardWithinMs, () => {
    left = Infinity
    callback()
  })
  for (const [state, lane] of oneOfEach) state.whenAcked(lane, isHeard, isHeard)
}

/** How many of the sessions each peer has made. */
export function creditsMissing(channels: readonly ReadonlyMap<string, Channel>[], peers: readonly string[]): string {
  const made = peers.map((peer) => {
    const opened = channels.filter(
      (ofPeers) => (ofPeers.get(peer)?.lane as NativeLane | undefined)?.isOpened === true,
    ).length
    return `${peer} has made ${opened}`
  })
  return `of the sessions, ${made.join(', ')} (each side calls makeSessions, in the same order and for the same count)`
}
