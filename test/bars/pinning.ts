/**
 * Owns: pinning the processes of a bar to cores, if `taskset` and the cores exist.
 * Independent of: which process gets which core.
 */
import { fork, spawnSync } from 'node:child_process'
import type { ChildProcess, ForkOptions } from 'node:child_process'

export function canPin(cores: Readonly<Record<string, number>>): boolean {
  return Object.values(cores).every((core) => spawnSync('taskset', ['-c', String(core), 'true']).status === 0)
}

/** The words to put before a command. */
export function pinnedTo(core: number): readonly string[] {
  return ['taskset', '-c', String(core)]
}

/**
 * @param before words before `node`: each replaces itself by node with exec, so the channel and the process id are
 *   node's own
 */
export function forkBehind(
  before: readonly string[],
  program: string,
  input: unknown,
  flags: readonly string[] = [],
  options: ForkOptions = {},
): ChildProcess {
  const [execPath = process.execPath, ...execArgv] = [...before, process.execPath, ...flags]
  return fork(program, [JSON.stringify(input)], {
    ...options,
    execPath,
    execArgv,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}
