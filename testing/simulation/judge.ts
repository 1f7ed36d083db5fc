/**
 * Owns: which events and resets of links a run explains by its faults; the others are violations.
 * Independent of: values and their outcomes (model.ts).
 */
import type { NetworkEvent } from '../../actors/base/events.ts'
import type { OutcomeCounts, ResetReason } from '../../protocol/native/epoch/outcomes.ts'
import type { Member } from './member.ts'
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

export class Judge {
  readonly resets = new Map<string, Reset>()
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
    const { node, peer, link, epoch, reason, outcomes } = reset
    this.#world.recordProgress()
    this.resets.set(`${node} ${peer} ${link} ${epoch}`, reset)
    const { canExpire } = this.#world.plan
    const ends = this.#world.members
      .filter(({ name }) => name === node || name === peer)
      .reduce((sum, member) => sum + member.ends, 0)
    const isExplained =
      reason === 'expired'
        ? canExpire || ends > 0
        : reason === 'goodbye' || reason === 'peer-restarted'
          ? ends > 0
          : false
    if (!isExplained) return this.#breach('reset', `${node}: the link to ${peer} was reset (${reason}) without a cause`)
    const count = [...this.resets.values()].filter(
      (other) => other.node === node && other.peer === peer && other.link === link,
    ).length
    if (!canExpire && count > ends)
      this.#breach('reset', `${node}: the link to ${peer} was reset ${count} times for ${ends} ends of a process`)
    if (this.isGoodbyeClean && outcomes.unknown > 0)
      this.#breach('wrong', `${node}: ${outcomes.unknown} values are unknown after a Goodbye on a sound connection`)
  }

  event(member: Member, event: NetworkEvent): void {
    const { network, plan, members } = this.#world
    switch (event.type) {
      case 'connection.opened':
      case 'connection.lost':
      case 'connection.failed': {
        const why = 'cause' in event ? `: ${event.cause.message.replace(/[a-v0-9]{52}/g, '…')}` : ''
        network.trace.note(member.name, `${event.type} ${event.connection}${why}`)
        const isUntouched = this.isIdle || (plan.isFair && !this.isEnding && event.type === 'connection.lost')
        if (isUntouched) this.#breach('wrong', `${member.name}: ${event.type} although nothing broke it${why}`)
        const peer = members.find(({ key }) => key.id === event.peer)
        // Of two crossing dials the one of the greater key stays.
        if (why.includes('(crossing)') && peer !== undefined && peer.index < member.index)
          this.#breach('wrong', `${member.name} was refused for a crossing by ${peer.name}, whose key is the lesser`)
        return
      }
      case 'child.restarted':
      case 'handler.failed':
      case 'peer.errored':
        return this.#breach('wrong', `${member.name}: ${event.type}: ${event.cause.message}`)
      case 'peer.duplicate':
        return this.#breach('wrong', `${member.name}: peer.duplicate, and every key is in use once`)
      default:
    }
  }
}
