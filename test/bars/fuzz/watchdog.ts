/**
 * Owns: a second thread that watches the run: an endless loop in one stream would otherwise hang it.
 * Independent of: states and streams; it sees the bytes of the arena and four numbers.
 */
import { writeSync } from 'node:fs'
import { Worker } from 'node:worker_threads'

/** Longer than any garbage collection on a shared machine. */
const patienceMs = 20_000
const lookMs = 1000

/** The position of the run, for the other thread: [begun, start, end, dice, target]. */
export class Progress {
  readonly numbers: Int32Array
  readonly arena: Buffer
  readonly names: readonly string[]

  constructor(arenaLengthBytes: number, names: readonly string[]) {
    this.numbers = new Int32Array(new SharedArrayBuffer(20))
    this.arena = Buffer.from(new SharedArrayBuffer(arenaLengthBytes))
    this.names = names
  }

  begins(start: number, end: number, dice: number, target: number): void {
    const { numbers } = this
    numbers[1] = start
    numbers[2] = end
    numbers[3] = dice | 0
    numbers[4] = target
    Atomics.add(numbers, 0, 1)
  }
}

/** Starts the second thread from the calling program, which calls {@link watch} there. */
export function startWatching(progress: Progress, program: string): void {
  const worker = new Worker(new URL(program), {
    workerData: { numbers: progress.numbers, arena: progress.arena.buffer, names: progress.names },
  })
  worker.unref()
}

interface Watched {
  readonly numbers: Int32Array
  readonly arena: SharedArrayBuffer
  readonly names: readonly string[]
}

/** In the second thread: exits the process when one stream runs for too long, and prints which. */
export function watch({ numbers, arena, names }: Watched): void {
  let seen = -1
  let sinceMs = performance.now()
  setInterval(() => {
    const begun = Atomics.load(numbers, 0)
    const nowMs = performance.now()
    if (begun !== seen) {
      seen = begun
      sinceMs = nowMs
    } else if (nowMs - sinceMs > patienceMs) {
      const input = Buffer.from(arena).subarray(numbers[1], numbers[2])
      writeSync(
        1,
        `  hang for ever in state '${names[numbers[4] as number]}'\n  again: npm run fuzz -- --state '${names[numbers[4] as number]}' --dice ${(numbers[3] as number) >>> 0} --replay ${input.toString('hex')}\nBAR S5 fail crashes=0 hangs=1 streams=${begun}\n`,
      )
      // The hung thread processes no messages.
      process.kill(process.pid, 'SIGKILL')
    }
  }, lookMs)
}
