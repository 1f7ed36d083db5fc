/**
 * Owns: the command that creates a key, and prints the id of one. Independent of: how keys are stored
 * (actors/tls/identity.ts).
 */
import { parseArgs } from 'node:util'
import { Identity } from '../actors/tls/identity.ts'
import { StatewireError } from '../codec/errors.ts'
import { escapeControls } from '../codec/sanitize.ts'
import { formatValue } from '../codec/format-value.ts'
import { UsageError } from './command.ts'
import type { Output } from './command.ts'

/** @throws UsageError, or StatewireError if the file cannot be written or read */
export async function keygen(args: readonly string[], { out, err }: Output): Promise<void> {
  const { keyFile, existingKeyFile, overwrite } = parse(args)
  if (existingKeyFile !== undefined) {
    out(`${(await Identity.load(existingKeyFile)).id}\n`)
    return
  }
  const identity = Identity.generate()
  if (keyFile === undefined) {
    out(identity.toPem())
    err(`${identity.id}\n`)
    return
  }
  await identity.save(keyFile, { overwrite }).catch((error: unknown) => {
    throw inWordsOfTheCommandLine(error, keyFile)
  })
  out(`${identity.id}\n`)
}

/** Errors of the library do not know about flags. */
function inWordsOfTheCommandLine(error: unknown, file: string): unknown {
  if (!(error instanceof StatewireError) || error.code !== 'ERR_KEY_FILE_EXISTS') return error
  return new StatewireError(
    error.code,
    `${formatValue(file)} exists already and was left as it is: name another file, or add --force to overwrite it (a lost key can not be made again); --id FILE prints the id of a key that exists`,
  )
}

function parse(args: readonly string[]): {
  keyFile: string | undefined
  existingKeyFile: string | undefined
  overwrite: boolean
} {
  let values: { out?: string; force?: boolean; id?: string }
  try {
    values = parseArgs({
      args: [...args],
      options: { out: { type: 'string' }, force: { type: 'boolean' }, id: { type: 'string' } },
      strict: true,
    }).values
  } catch (error) {
    // Messages of the argument parser, which repeat an argument unchanged.
    throw new UsageError(escapeControls((error as Error).message))
  }
  const { out: keyFile, id: existingKeyFile, force: overwrite = false } = values
  if (keyFile === '') throw new UsageError('--out needs a file')
  if (existingKeyFile === '') throw new UsageError('--id needs a file')
  if (existingKeyFile !== undefined && (keyFile !== undefined || overwrite))
    throw new UsageError('--id only reads a key: it does not go with --out or --force')
  if (overwrite && keyFile === undefined) throw new UsageError('--force means nothing without --out')
  return { keyFile, existingKeyFile, overwrite }
}
