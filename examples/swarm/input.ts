/**
 * Owns: reading the file to send, from a path, from stdin, or the sample beside this source; once, and bounded.
 * Independent of: which peers send it.
 */
import { existsSync } from 'node:fs'
import { open } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { UsageError } from './options.ts'
import { digestOf, fileBytesMax } from './transfer.ts'
import type { SwarmFile } from './transfer.ts'

/** @throws UsageError in one sentence */
export async function readInput(input: string | null): Promise<SwarmFile> {
  const file = input === '-' ? null : (input ?? samplePath())
  const name = file === null ? 'stdin' : path.basename(file)
  const bytes = file === null ? await readStdin() : await readFile(file)
  if (bytes.length === 0) throw new UsageError(`--input ${input ?? name} is empty; there is nothing to send`)
  return { name, bytes, sha256: digestOf(bytes) }
}

/**
 * "Alice's Adventures in Wonderland" by Lewis Carroll, 1865, in the public domain. The compiler does not copy it beside
 * the compiled files.
 */
function samplePath(): string {
  const beside = fileURLToPath(new URL('sample.txt', import.meta.url))
  return existsSync(beside) ? beside : fileURLToPath(new URL('../../../examples/swarm/sample.txt', import.meta.url))
}

async function readFile(file: string): Promise<Buffer> {
  try {
    const handle = await open(file, 'r')
    try {
      const { size } = await handle.stat()
      if (size > fileBytesMax) throw tooLong(file)
      return await handle.readFile()
    } finally {
      await handle.close()
    }
  } catch (cause) {
    if (cause instanceof UsageError) throw cause
    throw new UsageError(`--input ${file} cannot be read: ${(cause as Error).message}`, { cause })
  }
}

async function readStdin(): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    length += chunk.length
    if (length > fileBytesMax) throw tooLong('-')
  }
  return Buffer.concat(chunks)
}

function tooLong(input: string): UsageError {
  return new UsageError(
    `--input ${input} is longer than ${fileBytesMax / 1024 / 1024} MiB, and receivers hold the files in memory`,
  )
}
