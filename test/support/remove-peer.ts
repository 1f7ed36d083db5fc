/**
 * Owns: removing a peer by its id; the same handle for the same network and id, also after the removal.
 * Independent of: what is tested.
 */
import type { DrainOptions, DrainReport, Network, Peer } from '../../actors/index.ts'

const handles = new WeakMap<Network, Map<string, Peer>>()

export function removePeer(network: Network, id: string, options?: DrainOptions): Promise<DrainReport> {
  const ofNetwork = handles.get(network) ?? new Map<string, Peer>()
  handles.set(network, ofNetwork)
  const peer = ofNetwork.get(id) ?? network.peer(id)
  if (peer === undefined) return Promise.reject(new Error(`${id} is not a peer`))
  ofNetwork.set(id, peer)
  return peer.remove(options)
}
