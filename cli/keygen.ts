/** Owns: the command that makes a key. Refuses to know: how keys are kept (actors/identity.ts). */
import { parseArgs } from 'node:util'
import { Identity } from '../actors/identity.ts'
import { escaped } from '../codec/legible.ts'
import { UsageError } from './command.ts'
import type { Output } from './command.ts'

/** @throws UsageError, or StatewireError if the file cannot be written */
export async function keygen(args: readonly string[], { out, err }: Output): Promise<void> {
  const { file, overwrite } = parse(args)
  const identity = Identity.generate()
  if (file === undefined) {
    out(identity.toPem())
    err(`${identity.id}\n`)
    return
  }
  await identity.save(file, { overwrite })
  out(`${identity.id}\n`)
}

function parse(args: readonly string[]): { file: string | undefined; overwrite: boolean } {
  let values: { out?: string; force?: boolean }
  try {
    values = parseArgs({ args: [...args], options: { out: { type: 'string' }, force: { type: 'boolean' } }, strict: true }).values
  } catch (error) {
    // Words of the parser, which repeat an argument as it came.
    throw new UsageError(escaped((error as Error).message))
  }
  const { out: file, force: overwrite = false } = values
  if (file === '') throw new UsageError('--out needs a file')
  if (overwrite && file === undefined) throw new UsageError('--force means nothing without --out')
  return { file, overwrite }
}
