/**
 * What is needed to test code built on statewire without a real network: a virtual clock, a memory transport, and a
 * simulated network with faults (docs/testing.md).
 */
/// <reference types="node" preserve="true" />
export { MemoryTransport } from '../actors/transport/memory-pipe.ts'
export { VirtualClock } from './virtual-clock.ts'
export { seededRandom } from './seeded-random.ts'
export { SimulatedNames } from './simulated-names.ts'
export type { NameFault } from './simulated-names.ts'
export { SimulatedNetwork } from './simulated-network.ts'
export type { Break, SimulatedNetworkOptions } from './simulated-network.ts'
export { SimulatedNode, SimulatedProcess } from './simulated-node.ts'
export { SimulatedPipe } from './simulated-pipe.ts'
export { Trace } from './trace.ts'
export { planOf, runSimulation } from './simulation/index.ts'
export type { Plan, SimulationResult, Violation } from './simulation/index.ts'
