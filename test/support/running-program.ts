/**
 * Owns: a compiled program that runs beside a test: what it says, signals, and its exit code.
 * Independent of: what the program does. For one that only has to end, see run-program.ts.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { within } from './bounded-wait.ts'

const build = fileURLToPath(new URL('../../build', import.meta.url))
const running = new Set<ChildProcess>()
/** Enough for a loaded machine. */
const waitMs = 30_000

/** @param program its path in build/ */
export function pathOf(program: string): string {
  return path.join(build, program)
}

/** Call it after each test. */
export function killPrograms(): void {
  for (const child of running) child.kill('SIGKILL')
}

export class Program {
  readonly #child: ChildProcess
  readonly #exit: Promise<number | string | null>
  text = ''
  readonly #looks = new Set<() => void>()

  /** @param program its path in build/, such as `bench/main.js`, or a command */
  constructor(program: string, ...args: string[]) {
    const [command, all] = program.endsWith('.js') ? [process.execPath, [pathOf(program), ...args]] : [program, args]
    const child = (this.#child = spawn(command, all, { stdio: ['ignore', 'pipe', 'pipe'] }))
    running.add(child)
    this.#exit = new Promise((resolve) =>
      child.on('close', (code, signal) => (running.delete(child), resolve(code ?? signal))),
    )
    for (const output of [child.stdout, child.stderr])
      output?.on('data', (chunk: Buffer) => {
        this.text += chunk.toString()
        for (const look of this.#looks) look()
      })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** The exit code, or the name of the signal. */
  async ended(): Promise<number | string | null> {
    return within(this.#exit, `the program ends, after it said: ${this.text}`, waitMs)
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  shows(pattern: RegExp): Promise<RegExpExecArray> {
    const found = new Promise<RegExpExecArray>((resolve) => {
      const look = (): void => {
        const match = pattern.exec(this.text)
        if (match !== null && this.#looks.delete(look)) resolve(match)
      }
      this.#looks.add(look)
      look()
    })
    return within(found, `it says ${String(pattern)}`, waitMs)
  }
}
