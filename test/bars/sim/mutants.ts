/**
 * Owns: the table of mutants: a sentence about each, and how it is applied to a process that runs the real code.
 * Independent of: how they are found.
 *
 * The runtime has no branch for any of them: methods of its classes are replaced, permanently, in a process that does
 * nothing else.
 */
import { countingMutants } from './mutants-counting.ts'
import { laneMutants } from './mutants-lanes.ts'
import { helloMutants } from './mutants-hello.ts'
import { memoryMutants } from './mutants-memory.ts'
import { messageMutants } from './mutants-messages.ts'
import { peerMutants } from './mutants-peers.ts'
import { piecesMutants } from './mutants-pieces.ts'
import { setupMutants } from './mutants-setup.ts'
import { staleMutants } from './mutants-stale.ts'
import { streamMutants } from './mutants-streams.ts'
import type { Mutant } from './plant.ts'

export const mutants: Readonly<Record<string, Mutant>> = {
  ...helloMutants,
  ...countingMutants,
  ...laneMutants,
  ...memoryMutants,
  ...staleMutants,
  ...setupMutants,
  ...piecesMutants,
  ...messageMutants,
  ...peerMutants,
  ...streamMutants,
}
