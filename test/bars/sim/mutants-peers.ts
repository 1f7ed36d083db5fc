/**
 * Owns: mutants in peers that change at run time: dialled although they were left, or not taken back.
 * Independent of: how they are found.
 */
import { PeerTable } from '../../../actors/config/peer-table.ts'
import { Children } from '../../../actors/statechart/children.ts'
import { Peers } from '../../../actors/network/peers.ts'
import { replace } from './plant.ts'
import type { Mutant } from './plant.ts'

export const peerMutants: Readonly<Record<string, Mutant>> = {
  'disconnected-peer-dialled': {
    sentence: 'A peer that was disconnected is wanted again at once.',
    plant: () =>
      replace(Peers, 'disconnect', async (peers, disconnect, handle, options) => {
        const report = await disconnect(handle, options)
        peers.connect(handle, {}).catch(() => {})
        return report
      }),
  },
  'old-actor-kept-at-add': {
    sentence: 'A peer that is added again meets the actor of its removal.',
    plant: () =>
      replace(Children, 'stop', (_, stop, id) => {
        if (!id.startsWith('peer:')) stop(id)
      }),
  },
  'removed-peer-stays-leaving': {
    sentence: 'A peer that was removed counts as leaving when it is added again.',
    plant: () =>
      replace(PeerTable, 'remove', (table, remove, id) => {
        const isRemoved = remove(id)
        replace(PeerTable, 'isLeaving', (other, isLeaving, one) => (other === table && one === id) || isLeaving(one))
        return isRemoved
      }),
  },
}
