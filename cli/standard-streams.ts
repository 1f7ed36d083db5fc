/**
 * Owns: standard input and output of the process as streams that end like a connection does.
 * Independent of: what flows through them.
 *
 * `process.stdout` never closes its file descriptor, and neither does libuv for the first three: the reader of a pipe
 * would get no end before the process has ended.
 */
import { closeSync, createWriteStream, fstatSync, openSync } from 'node:fs'
import net from 'node:net'
import { devNull } from 'node:os'
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
  if (kind.isSocket()) return openPipe()
  return kind.isFIFO() ? openPipe().once('close', closeOutput) : createWriteStream('', { fd: outputFd })
}

function openPipe(): net.Socket {
  return new net.Socket({ fd: outputFd, readable: false, writable: true })
}

/** The number is taken again at once, so that no other file gets it. */
function closeOutput(): void {
  closeSync(outputFd)
  openSync(devNull, 'w')
}
