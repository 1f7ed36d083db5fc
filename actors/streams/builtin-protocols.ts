/**
 * Owns: the protocols that the runtime can serve by itself: `ping`, `echo`, `discard` and `time`, each off until it is
 * enabled.
 * Independent of: how streams are opened.
 */
import { pipeline } from 'node:stream'
import type { Clock } from '../base/environment.ts'
import { formatValue } from '../../codec/format-value.ts'
import { invalid } from '../base/checks.ts'
import { reservedPrefix } from './protocol-name.ts'
import type { StreamCalls } from './stream-calls.ts'
import type { Stream } from './stream.ts'

/** `echo` and `ping` send back what they get, `discard` reads and drops it, `time` sends its clock and ends. */
export const builtinProtocols = ['ping', 'echo', 'discard', 'time'] as const
export type BuiltinProtocol = (typeof builtinProtocols)[number]

export function builtinName(protocol: BuiltinProtocol): string {
  return reservedPrefix + protocol
}

const echo = (stream: Stream): void => {
  pipeline(stream, stream, () => {})
}

/**
 * Serves a protocol of the runtime.
 * @throws StatewireError ERR_INVALID_OPTION, ERR_HANDLER_EXISTS. @returns a function that stops serving it
 */
export function serveBuiltin(calls: StreamCalls, clock: Clock, protocol: BuiltinProtocol): () => void {
  const handlers: Readonly<Record<BuiltinProtocol, (stream: Stream) => void>> = {
    ping: echo,
    echo,
    discard: (stream) => {
      stream.on('error', () => {})
      stream.on('end', () => stream.end())
      stream.resume()
    },
    time: (stream) => {
      stream.on('error', () => {})
      stream.resume()
      stream.end(`${new Date(clock.wallMs()).toISOString()}\n`)
    },
  }
  const known: readonly unknown[] = builtinProtocols
  if (!known.includes(protocol))
    throw invalid(
      `there is no protocol ${formatValue(protocol)} of the runtime; there are: ${builtinProtocols.join(', ')}`,
    )
  return calls.onStream(builtinName(protocol), handlers[protocol], {}, true)
}

export interface PingResult {
  readonly count: number
  readonly minMs: number
  readonly meanMs: number
  readonly maxMs: number
  /** The mean difference between one round trip and the next (RFC 3550). */
  readonly jitterMs: number
}

/** Sends small questions one after the other over one stream, and measures the answers. */
export async function ping(stream: Stream, count: number, nowMs: () => number): Promise<PingResult> {
  const timesMs: number[] = []
  try {
    const answers = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>
    for (let index = 0; index < count; index++) {
      const sentAtMs = nowMs()
      stream.write(Buffer.alloc(8, index))
      for (let bytes = 0; bytes < 8;) {
        const { value, done } = await answers.next()
        if (done === true) throw invalid('the peer ended the ping early')
        bytes += (value as Buffer).length
      }
      timesMs.push(nowMs() - sentAtMs)
    }
    stream.end()
  } finally {
    stream.destroy()
  }
  const jumps = timesMs.slice(1).map((timeMs, index) => Math.abs(timeMs - timesMs[index]!))
  const mean = (values: readonly number[]): number =>
    values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length
  return {
    count,
    minMs: Math.min(...timesMs),
    meanMs: mean(timesMs),
    maxMs: Math.max(...timesMs),
    jitterMs: mean(jumps),
  }
}
