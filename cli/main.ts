#!/usr/bin/env node
/**
 * Owns: the process around the command line: its streams and its exit code. Independent of: the commands (run.ts).
 */
import { run } from './run.ts'

process.exitCode = await run(process.argv.slice(2), {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
})
