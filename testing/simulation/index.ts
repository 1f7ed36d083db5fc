/**
 * The input and the result of a simulation run.
 */
export { runSimulation } from './run.ts'
export type { SimulationResult } from './run.ts'
export { planOf } from './plan.ts'
export type { Fault, Plan } from './plan.ts'
export type { Tally, Violation } from './model.ts'
export type { FaultCounts } from './world.ts'
