/**
 * Owns: the end of a program that may have printed much: output to a pipe is only complete if it is awaited before
 * `process.exit`. Independent of: the exit code.
 */
export function leave(code: number): void {
  process.exitCode = code
  process.stderr.write('', () => process.stdout.write('', () => process.exit(code)))
}
