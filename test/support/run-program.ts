/**
 * Owns: running a compiled program to its end.
 * Independent of: what the program does.
 */
import { execFile } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Finished {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const build = fileURLToPath(new URL('../../build', import.meta.url))

/** @param program its path in build/, such as `bench/main.js`; @param flags those of Node */
export function runProgram(program: string, args: readonly string[], flags: readonly string[] = []): Promise<Finished> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [...flags, path.join(build, program), ...args],
      { maxBuffer: 2 ** 26 },
      (_, stdout, stderr) => {
        resolve({ code: child.exitCode ?? -1, stdout, stderr })
      },
    )
  })
}
