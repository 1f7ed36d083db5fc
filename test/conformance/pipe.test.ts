/**
 * Owns: the list of carriers, each tested against the same contract. Independent of: what the contract says.
 */
import { describe } from 'vitest'
import { memoryCarrier, simulatedCarrier, tcpCarrier, virtualCarrier } from '../support/pipe-bench.ts'
import { pipeContract } from './pipe.ts'
import { transportContract } from './transport.ts'

describe.each([tcpCarrier, memoryCarrier, virtualCarrier, simulatedCarrier])('$name', (carrier) => {
  pipeContract(carrier)
  transportContract(carrier)
})
