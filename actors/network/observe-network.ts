/**
 * Owns: the inspection of a whole network: its actors, and the streams of each peer, which are not actors.
 * Independent of: who inspects.
 */
import type { AnyActorRef } from '../../machines/xstate.ts'
import { observeActors, observePool } from '../statechart/inspection.ts'
import type { ActorObserver, Observation } from '../statechart/inspection.ts'
import type { Services } from './services.ts'

/** A stream is shown below the actor of its peer. */
export function observeNetwork(services: Services, root: AnyActorRef, observer: ActorObserver): Observation {
  const actors = observeActors(root, services.actors, observer)
  const pools: Observation[] = []
  const stopWatching = services.streams.watchPools((peer, pool) => {
    const parentOf = (): AnyActorRef => {
      for (const ref of services.actors) if (ref.id === `peer:${peer}`) return ref
      return root
    }
    pools.push(observePool(pool, { parentOf, idOf: ({ number }) => `stream:${number}` }, observer))
  })
  return {
    sampleFigures() {
      for (const observation of [actors, ...pools]) observation.sampleFigures()
    },
    stop() {
      stopWatching()
      for (const observation of [actors, ...pools]) observation.stop()
    },
  }
}
