/** What a run of a simulation is started with, and what it gives back. */
export { runSimulation } from './run.ts'
export type { SimulationResult } from './run.ts'
export { planOf } from './plan.ts'
export type { Fault, Plan } from './plan.ts'
export type { Tally, Violation } from './model.ts'
export type { FaultCounts } from './world.ts'
