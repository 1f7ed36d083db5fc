/**
 * Owns: which events and resets of links a run explains by its faults; the others are violations.
 * Independent of: values and their outcomes (model.ts).
 */
import type { NetworkEvent } from '../../actors/base/events.ts'
import type { OutcomeCounts, ResetReason } from '../../protocol/native/epoch/outcomes.ts'
import { failureCode } from './message-model.ts'
import type { Member } from './member.ts'
import type { Twin } from './twin.ts'
import type { World } from './world.ts'

/** A session was told that its link could not be resumed. */
export interface Reset {
  readonly node: string
  readonly peer: string
  readonly link: number
  /** The epoch of the node that ended: sessions that end with the same one were ended by the same reset. */
  readonly epoch: bigint
  readonly reason: ResetReason
  readonly outcomes: OutcomeCounts
}

type FaultEvent = NetworkEvent & { readonly type: 'child.restarted' | 'handler.failed' | 'peer.errored' }

/** A bug in the runtime: no fault of a simulation causes it. */
export function isFault(event: NetworkEvent): event is FaultEvent {
  if (event.type === 'handler.failed' && event.cause.message.includes(failureCode)) return false
  return event.type === 'child.restarted' || event.type === 'handler.failed' || event.type === 'peer.errored'
}

/** How often two processes with one key may take a peer from each other, beyond what faults explain. */
const takeoversMax = 5

/** Events that a run explains. */
export interface EventCounts {
  /** A party was told that its clock went back. */
  behind: number
  /** A party was told that another process uses its key. */
  duplicates: number
}

export class Judge {
  readonly resets = new Map<string, Reset>()
  readonly counts: EventCounts = { behind: 0, duplicates: 0 }
  /** One party says Goodbye while all connections are sound. */
  isGoodbyeClean = false
  /** Nothing is sent, and nothing may happen. */
  isIdle = false
  /** The parties leave: connections may end. */
  isEnding = false
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  #breach(kind: 'reset' | 'wrong', sentence: string): void {
    this.#world.model.breach(kind, sentence)
  }

  reset(reset: Reset): void {
    const { node, peer, link, epoch, outcomes } = reset
    this.#world.recordProgress()
    this.resets.set(`${node} ${peer} ${link} ${epoch}`, reset)
    this.#checkReason(reset)
    if (this.isGoodbyeClean && outcomes.unknown > 0)
      this.#breach('wrong', `${node}: ${outcomes.unknown} values are unknown after a Goodbye on a sound connection`)
  }

  #partings(node: string, peer: string): number {
    return this.#world.members.find(({ name }) => name === node)?.partings.get(peer) ?? 0
  }

  #ends(...names: readonly string[]): number {
    return this.#world.members.reduce((sum, { name, ends }) => sum + (names.includes(name) ? ends : 0), 0)
  }

  hasTwin(node: string, peer: string): boolean {
    return this.#world.members.some(({ name, twin }) => (name === node || name === peer) && twin !== null)
  }

  /** It has stopped, or has left that peer. */
  hasLeft(node: string, peer: string): boolean {
    return this.#ends(node) + this.#partings(node, peer) > 0
  }

  isExplained({ node, peer, link, reason }: Pick<Reset, 'node' | 'peer' | 'link' | 'reason'>): boolean {
    // Two processes with one key reset each other's links.
    if (this.hasTwin(node, peer)) return true
    const ends = this.#ends(node, peer)
    const partings = this.#partings(node, peer) + this.#partings(peer, node)
    // Links that a restarted peer does not have any more expire at once, and those of a peer that got no Goodbye.
    if (reason === 'expired') return this.#world.plan.canExpire || (link > 0 && ends > 0) || partings > 0
    return (reason === 'goodbye' || reason === 'peer-restarted') && ends + partings > 0
  }

  #checkReason(reset: Reset): void {
    const { node, peer, link, reason } = reset
    const { plan } = this.#world
    if (this.hasTwin(node, peer)) return
    const ends = this.#ends(node, peer)
    const partings = this.#partings(node, peer) + this.#partings(peer, node)
    if (!this.isExplained(reset))
      return this.#breach('reset', `${node}: the link to ${peer} was reset (${reason}) without a cause`)
    const count = [...this.resets.values()].filter(
      (other) => other.node === node && other.peer === peer && other.link === link,
    ).length
    if (!plan.canExpire && count > ends + partings)
      this.#breach(
        'reset',
        `${node}: the link to ${peer} was reset ${count} times for ${ends} ends of a process and ${partings} of a peer`,
      )
  }

  event(member: Member, event: NetworkEvent): void {
    if (isFault(event)) return this.#breach('wrong', `${member.name}: ${event.type}: ${event.cause.message}`)
    switch (event.type) {
      case 'connection.opened':
      case 'connection.lost':
      case 'connection.failed':
        return this.#connection(member, event)
      case 'peer.disconnected':
        return this.#disconnected(member, event)
      case 'peer.duplicate':
        this.counts.duplicates += 1
        if (member.twin === null && !member.isBehind)
          this.#breach('wrong', `${member.name}: peer.duplicate, and every key is in use once`)
        return
      case 'clock.behind':
        return this.#clockBehind(member, event.peer)
      default:
    }
  }

  /** Each side is told who ended it. */
  #disconnected(member: Member, event: NetworkEvent & { readonly type: 'peer.disconnected' }): void {
    const peer = this.#world.members.find(({ key }) => key.id === event.peer)
    if (peer === undefined || member.twin !== null || peer.twin !== null) return
    const { by, reason } = event
    this.#world.network.trace.note(member.name, `peer.disconnected ${peer.name}: ${reason} by ${by}`)
    const hasLeft = (one: Member, other: Member): boolean => one.ends > 0 || one.partings.has(other.name)
    if ((by === 'self' && !hasLeft(member, peer)) || (by === 'peer' && !hasLeft(peer, member)))
      this.#breach('wrong', `${member.name}: ${peer.name} was disconnected (${reason}) by ${by}, which did not leave`)
  }

  #connection(
    member: Member,
    event: NetworkEvent & { readonly type: 'connection.opened' | 'connection.lost' | 'connection.failed' },
  ): void {
    const { network, plan, members } = this.#world
    const why = 'cause' in event ? `: ${event.cause.message.replace(/[a-v0-9]{52}/g, '…')}` : ''
    network.trace.note(member.name, `${event.type} ${event.connection}${why}`)
    const isUntouched = this.isIdle || (plan.isFair && !this.isEnding && event.type === 'connection.lost')
    if (isUntouched) this.#breach('wrong', `${member.name}: ${event.type} although nothing broke it${why}`)
    const peer = members.find(({ key }) => key.id === event.peer)
    // Of two crossing dials the one of the greater key stays.
    if (why.includes('(crossing)') && peer !== undefined && peer.index < member.index)
      this.#breach('wrong', `${member.name} was refused for a crossing by ${peer.name}, whose key is the lesser`)
    if (event.type === 'connection.opened' && member.leaving?.hasLeft === true && member.leaving.peer === peer)
      this.#breach('wrong', `${member.name}: a connection to ${peer.name} was opened, which it had left`)
    if (event.type === 'connection.opened' && peer?.twin?.isRunning === true) this.#takenOver(member, peer.twin)
  }

  /** While one of two processes with one key is connected, the other stays out. */
  #takenOver(at: Member, twin: Twin): void {
    const opened = (twin.opened.get(at.name) ?? 0) + 1
    twin.opened.set(at.name, opened)
    const faults = this.#world.faults.total - twin.faultsBefore
    if (opened > takeoversMax + 3 * faults)
      this.#breach(
        'wrong',
        `${at.name} connected ${opened} times with two processes of one key (${twin.of.name}), for ${faults} faults`,
      )
  }

  #clockBehind(member: Member, peer: string): void {
    this.counts.behind += 1
    const times = (member.behind.get(peer) ?? 0) + 1
    member.behind.set(peer, times)
    if (member.twin !== null) return
    if (!member.isBehind) this.#breach('wrong', `${member.name}: clock.behind, and its clock did not go back`)
    if (times > 1) this.#breach('wrong', `${member.name}: clock.behind ${times} times with one peer in one process`)
  }
}
