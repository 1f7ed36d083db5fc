/**
 * Owns: how a call names a peer: by its id, or by its handle.
 * Independent of: what a peer is.
 */
import { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'

/** What a call needs of the handle of a peer. */
export interface PeerHandle {
  readonly id: string
  readonly isRemoved: boolean
}

/** A peer: its id, or the handle that `network.add` and `network.peer` return. */
export type PeerRef = string | PeerHandle

/**
 * The id of a handle; anything else as it is, for a lookup that finds nothing.
 * @throws StatewireError ERR_PEER_REMOVED for the handle of a removed peer
 */
export function peerKeyOf(peer: PeerRef): string {
  return typeof peer === 'object' && peer !== null && 'isRemoved' in peer ? peerIdOf(peer) : (peer as string)
}

/** @throws StatewireError ERR_UNKNOWN_PEER for anything else, ERR_PEER_REMOVED for the handle of a removed peer */
export function peerIdOf(peer: PeerRef): string {
  if (typeof peer === 'string') return peer
  const handle: unknown = peer
  if (typeof handle !== 'object' || handle === null || typeof peer.id !== 'string')
    throw new StatewireError('ERR_UNKNOWN_PEER', `a peer is named by its id or its handle, got ${formatValue(handle)}`)
  if (peer.isRemoved)
    throw new StatewireError(
      'ERR_PEER_REMOVED',
      `${peer.id} was removed from this network, so its handle is not valid any more: add it again`,
    )
  return peer.id
}
