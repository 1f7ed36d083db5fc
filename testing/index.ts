/**
 * What is needed to test on top of statewire without a network: a memory transport and a virtual clock.
 */
export { MemoryTransport } from '../actors/memory-pipe.ts'
export { VirtualClock } from './virtual-clock.ts'
export { seededRandom } from './seeded-random.ts'
