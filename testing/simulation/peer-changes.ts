/**
 * Owns: peers that change while a network runs: one is disconnected, removed or not allowed any more, and taken back.
 * Independent of: when that happens, and what was sent to the peer (model.ts).
 */
import type { DrainReport } from '../../actors/network/drain.ts'
import { StatewireError } from '../../codec/errors.ts'
import type { Network } from '../../actors/network/network.ts'
import type { Member } from './member.ts'
import type { PeerChange } from './plan-faults.ts'
import type { Plan } from './plan.ts'
import type { World } from './world.ts'

/** What calls for a peer fail with while it is being removed, and until it is added again. */
export const goneCodes: ReadonlySet<string> = new Set(['ERR_PEER_DRAINED', 'ERR_PEER_REMOVED', 'ERR_UNKNOWN_PEER'])

/** The plan lets a party remove a peer, which is then refused like a stranger until it is taken back. */
export function isRefusedAtTimes({ faults }: Plan): boolean {
  return faults.some((fault) => fault.kind === 'leavePeer' && fault.change.how !== 'disconnect')
}

export function isPeerGone(error: unknown): boolean {
  return error instanceof StatewireError && goneCodes.has(error.code)
}

/** @returns whether the party can leave the peer now */
export function changePeer(world: World, change: PeerChange): boolean {
  const member = world.members[change.node] as Member
  const peer = world.members[change.peer] as Member
  const { network, process } = member
  if (network === null || process === null || member.isAway || process.isStalled || member.leaving !== null)
    return false
  const leaving: NonNullable<Member['leaving']> = { peer, hasLeft: false }
  member.leaving = leaving
  member.partings.set(peer.name, (member.partings.get(peer.name) ?? 0) + 1)
  world.network.trace.note(member.name, `leaves ${peer.name} (${change.how})`)
  const startedMs = world.network.clock.nowMs()
  const left = world.track(member.name, `${change.how} of ${peer.name}`, leave(network, peer, change))
  const isRunning = (): boolean => member.leaving === leaving && member.network === network && !member.isAway
  left.then(
    (report) => {
      if (!isRunning()) return
      leaving.hasLeft = true
      checkReport(world, member, change, report, world.network.clock.nowMs() - startedMs)
      process.clock.setTimeout(() => {
        if (!isRunning()) return
        member.leaving = null
        takeBack(world, member, network, peer, change)
      }, change.forMs)
    },
    (error: Error) => {
      if (isRunning())
        world.model.breach('wrong', `${member.name}: ${change.how} of ${peer.name} failed: ${error.message}`)
    },
  )
  return true
}

function leave(network: Network, peer: Member, { how, timeoutMs }: PeerChange): Promise<DrainReport> {
  const handle = network.peer(peer.key.id)!
  if (how === 'disconnect') return handle.disconnect({ timeoutMs })
  if (how === 'cut') network.setAllowed(network.peers.filter((one) => one !== handle).map(({ id }) => id))
  return handle.remove({ timeoutMs })
}

/** Where nothing breaks, what is drained before its time limit is acknowledged. */
function checkReport(world: World, member: Member, change: PeerChange, report: DrainReport, tookMs: number): void {
  const { acked, unknown, notSent } = report
  world.network.trace.note(member.name, `has left: ${acked} acknowledged, ${unknown} unknown, ${notSent} not sent`)
  if (!world.plan.onlyPeersChange || change.how === 'cut' || tookMs >= change.timeoutMs * 0.9) return
  if (unknown + notSent > 0)
    world.model.breach(
      'lost',
      `${member.name}: ${change.how} of ${report.peer} left ${unknown} values unknown and ${notSent} not sent after ` +
        `${tookMs} of ${change.timeoutMs} ms, and nothing was broken`,
    )
}

function takeBack(world: World, member: Member, network: Network, peer: Member, { how }: PeerChange): void {
  world.network.trace.note(member.name, `takes ${peer.name} back`)
  if (how === 'disconnect') {
    world.track(member.name, `connect to ${peer.name}`, network.peer(peer.key.id)!.connect()).catch(() => {})
    return
  }
  if (how === 'cut') network.setAllowed([...network.peers.map(({ id }) => id), peer.key.id])
  network.add(member.optionOf(peer))
}
