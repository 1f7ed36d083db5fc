/**
 * Owns: the table of planted bugs: what each is in a sentence, and how it gets into a process that runs the real code.
 * Refuses to know: how they are found.
 *
 * The code of the runtime has no branch for any of them: methods of its classes are replaced, for good, in a process that
 * does nothing else.
 */
import { countingMutants } from './mutants-counting.ts'
import { laneMutants } from './mutants-lanes.ts'
import { helloMutants } from './mutants-hello.ts'
import type { Mutant } from './plant.ts'

export const mutants: Readonly<Record<string, Mutant>> = { ...helloMutants, ...countingMutants, ...laneMutants }
