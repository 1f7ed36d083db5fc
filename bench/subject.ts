/**
 * What a subject of the benchmark must offer. Owns the interface between the harness and the subjects.
 * Independent of how values are made, counted, timed or verified (workload.ts), and of what a subject does.
 *
 * A subject is two ends of one connection with `row.lanes` ordered lanes. The harness owns both loops, so that every
 * subject runs between the same code: the same stamping, the same checks, the same yields.
 */
import type { Row } from './rows.ts'

/**
 * Called by a subject once for every value that arrives, in the order of its lane. The view need only stay valid during
 * the call.
 */
export type Accept = (lane: number, value: Uint8Array) => void

/** One end of an open connection. */
export interface End {
  /**
   * Takes one value. It is always accepted; `false` asks the harness to stop until `whenWritable` calls back. A value
   * under 16 KiB is overwritten by the harness right after the call. A larger one never changes again, so it may be
   * kept by reference.
   */
  send(lane: number, value: Buffer): boolean

  /** Calls `resume` once, as soon as sending may continue; never within this call. */
  whenWritable(resume: () => void): void

  close(): Promise<void>
}

export interface Serving {
  port: number
  close(): Promise<void>
}

/**
 * `serve` runs in the server's process and `dial` in the client's; each process exists for one cell. The lanes of a row
 * are numbered from 0 to `row.lanes - 1` on both sides.
 */
export interface Subject {
  readonly name: string
  /**
   * Listens on a port of 127.0.0.1 that the system chooses. `open` is called once, before the first value is delivered.
   */
  serve(row: Row, open: (end: End) => Accept): Promise<Serving>
  /** Resolves when all lanes can send. */
  dial(row: Row, port: number, accept: Accept): Promise<End>
}
