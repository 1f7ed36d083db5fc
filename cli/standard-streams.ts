/**
 * Owns: standard input and output of the process as streams that end like a connection does.
 * Independent of: what flows through them.
 *
 * `process.stdout` never closes its file descriptor, so that the reader of a pipe would get no end before the process
 * has ended.
 */
import { createWriteStream, fstatSync } from 'node:fs'
import net from 'node:net'
import type { Readable, Writable } from 'node:stream'

const outputFd = 1

export interface StandardStreams {
  readonly input: Readable
  readonly output: Writable
}

export function standardStreams(): StandardStreams {
  return { input: process.stdin, output: openOutput() }
}

function openOutput(): Writable {
  if (process.stdout.isTTY) return process.stdout
  const kind = fstatSync(outputFd)
  // Writes to a pipe must not block one of the few threads for files.
  if (kind.isFIFO() || kind.isSocket()) return new net.Socket({ fd: outputFd, readable: false, writable: true })
  return createWriteStream('', { fd: outputFd })
}
