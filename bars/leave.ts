/** Owns: the end of a program that may have said much: output to a pipe goes on after `process.exit` only if it is waited for. Refuses to know: the code. */
export function leave(code: number): void {
  process.exitCode = code
  process.stderr.write('', () => process.stdout.write('', () => process.exit(code)))
}
