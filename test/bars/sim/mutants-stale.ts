/**
 * Owns: mutants of the stale rule: late hellos, clocks that went back, two processes with one key.
 * Independent of: how they are found.
 */
import { PeerProcesses } from '../../../protocol/native/handshake/peer-processes.ts'
import { replace, replaceGetter } from './plant.ts'
import type { Mutant } from './plant.ts'

/** The own boot id is private. */
interface Own {
  bootId: bigint
}

export const staleMutants: Readonly<Record<string, Mutant>> = {
  'greatest-boot-id-forgotten': {
    sentence: 'Only hellos of the current process can be stale.',
    plant: () => {
      replace(PeerProcesses, 'isStale', (processes, isStale, link, hello) =>
        processes.isOfCurrent(hello) ? isStale(link, hello) : false,
      )
    },
  },
  'duplicate-told-the-boot-id': {
    sentence: 'A refusal as stale carries the greatest boot id although that process is connected.',
    plant: () => replaceGetter(PeerProcesses, 'staleBootId', (processes) => processes.greatestBootId),
  },
  'stale-never-answered-with-a-boot-id': {
    sentence: 'A refusal as stale carries 0 although no process with that key is connected.',
    plant: () => replaceGetter(PeerProcesses, 'staleBootId', () => 0n),
  },
  'clock-behind-ignored': {
    sentence: 'A side whose clock went back keeps its boot id.',
    plant: () =>
      replace(PeerProcesses, 'refused', (_, refused, link, hello, stale) =>
        stale === 0n ? refused(link, hello, stale) : 'ignored',
      ),
  },
  'boot-id-of-one-hello': {
    sentence: 'A side whose clock went back takes the boot id of the refusal, and not the one above it.',
    plant: () => {
      const own = new WeakMap<PeerProcesses, Own>()
      replace(PeerProcesses, 'refused', (processes, refused, link, hello, stale) => {
        const meaning = refused(link, hello, stale)
        if (meaning === 'behind' || meaning === 'behind-now') own.set(processes, { bootId: stale })
        return meaning
      })
      const real = Object.getOwnPropertyDescriptor(PeerProcesses.prototype, 'ownBootId')?.get as () => bigint
      replaceGetter(PeerProcesses, 'ownBootId', (processes) => own.get(processes)?.bootId ?? real.call(processes))
    },
  },
  'numbers-not-remembered-by-link': {
    sentence: 'The number of the last adopted hello is remembered for a peer, and not for each of its links.',
    plant: () => {
      replace(PeerProcesses, 'adopted', (_, adopted, __, hello) => adopted(0, hello))
      replace(PeerProcesses, 'isStale', (_, isStale, __, hello) => isStale(0, hello))
    },
  },
}
