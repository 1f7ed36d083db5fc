/**
 * Owns: how the processes of a bar are tied to cores, where there is a taskset and the cores are there.
 * Refuses to know: which bar gives which process a core.
 */
import { fork, spawnSync } from 'node:child_process'
import type { ChildProcess, ForkOptions } from 'node:child_process'

export function canPin(cores: Readonly<Record<string, number>>): boolean {
  return Object.values(cores).every((core) => spawnSync('taskset', ['-c', String(core), 'true']).status === 0)
}

/** The words before a command. */
export function pinnedTo(core: number): readonly string[] {
  return ['taskset', '-c', String(core)]
}

/** @param before words before node: each becomes node by exec, so the channel and the process id are node's own */
export function forkBehind(before: readonly string[], program: string, input: unknown, flags: readonly string[] = [], options: ForkOptions = {}): ChildProcess {
  const [execPath = process.execPath, ...execArgv] = [...before, process.execPath, ...flags]
  return fork(program, [JSON.stringify(input)], { ...options, execPath, execArgv, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
}
