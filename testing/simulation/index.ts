/**
 * The input and the result of a simulation run.
 */
export { runSimulation } from './run.ts'
export type { SimulationResult } from './run.ts'
export { planOf } from './plan.ts'
export type { Plan } from './plan.ts'
export type { Fault } from './plan-faults.ts'
export type { Tally, Violation } from './model.ts'
export type { FaultCounts } from './faults.ts'
