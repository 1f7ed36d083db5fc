/**
 * Owns: one call of makeSessions on this side, and its attempts: the pairings with one call of each peer.
 * Independent of: how frames bring an attempt about, and when it is void.
 */
import type { SetupCall } from './setup-port.ts'

/** A call that is not done and has not failed, with one attempt for each peer whose call was found. */
export class PendingCall<Lane> {
  readonly request: SetupCall<Lane>
  readonly id: bigint
  readonly attempts = new Map<string, Attempt<Lane>>()
  /** The peers with which it was paired before. */
  readonly pairedBefore = new Set<string>()
  /** By peer: how many Wants were sent for it. */
  readonly wants = new Map<string, number>()
  /** The exclusive or of the call ids of all parties while the call is paired with all peers; null otherwise. */
  set: bigint | null = null
  hasEnded = false

  constructor(request: SetupCall<Lane>, id: bigint) {
    this.request = request
    this.id = id
  }

  /** @returns null while it is not paired with all peers */
  pairedSet(): bigint | null {
    let set = this.id
    for (const peer of this.request.peers) {
      const attempt = this.attempts.get(peer)
      if (attempt === undefined || !attempt.isPaired) return null
      set ^= attempt.peerCallId
    }
    return set
  }
}

export class Attempt<Lane> {
  readonly k: number
  readonly call: PendingCall<Lane>
  readonly peerCallId: bigint
  /** The number of links in use: session i is on link i mod this number. */
  readonly links: number
  /** What this side grants on each lane. */
  readonly windowBytes: number
  /** By link: the lanes that this side has opened. */
  readonly lanes = new Map<number, readonly Lane[]>()
  /** The links whose Make (at the lesser side) or Made (at the greater side) came. */
  readonly confirmed = new Set<number>()
  /** The set of the last Agree that came for this attempt. */
  agreedSet: bigint | null = null
  /** False once it is void or its call is done. */
  isLiving = true

  constructor(k: number, call: PendingCall<Lane>, peerCallId: bigint, links: number, windowBytes: number) {
    this.k = k
    this.call = call
    this.peerCallId = peerCallId
    this.links = links
    this.windowBytes = windowBytes
  }

  get linksUsed(): number {
    return linksUsed(this.call.request.count, this.links)
  }

  uses(link: number): boolean {
    return link < this.linksUsed
  }

  get isPaired(): boolean {
    return this.confirmed.size === this.linksUsed
  }

  /** Sessions whose lanes this side has not opened. */
  get unopened(): number {
    let opened = 0
    for (const lanes of this.lanes.values()) opened += lanes.length
    return this.call.request.count - opened
  }

  laneOf(session: number): Lane {
    return this.lanes.get(session % this.links)?.[Math.floor(session / this.links)] as Lane
  }
}

/** The links 0 … n - 1 that carry sessions of a call, where n is the result. */
export function linksUsed(count: number, links: number): number {
  return Math.min(count, links)
}

/** How many of the sessions of a call are on this link. */
export function sessionsOnLink(link: number, count: number, links: number): number {
  return Math.ceil((count - link) / links)
}
