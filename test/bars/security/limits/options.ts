/**
 * Owns: S9, limits as options: the allowed range of each value, at its minimum, its maximum, and next to both.
 * Independent of: what a running network does with them (times.ts, counts.ts).
 */
import { createNetwork, defaultLimits, Identity } from '../../../../actors/index.ts'
import type { Limits } from '../../../../actors/index.ts'
import { resolveLimits } from '../../../../actors/config/limits.ts'
import { readBufferBytesMax, readBufferBytesMin } from '../../../../actors/transport/borrowed-reads.ts'
import { TcpTransport } from '../../../../actors/transport/tcp-pipe.ts'
import { helloMaxMessageLengthBytesMax, windowBytesMax } from '../../../../codec/hello.ts'
import { around } from './case.ts'
import type { LimitCase } from './case.ts'

const refused = 'ERR_INVALID_OPTION'
const fine = 'in order'
const timerMsMax = 2 ** 31 - 1
const key = Identity.generate()

/** Moves the other limit away if a pair of limits depends on each other. */
function resolve(name: keyof Limits, value: number): void {
  const others: Partial<Limits> =
    name === 'backoffMaxMs'
      ? { backoffMinMs: 1 }
      : name === 'backoffMinMs'
        ? { backoffMaxMs: timerMsMax }
        : name === 'pendingInboundMax'
          ? { pendingInboundPerAddressMax: 1 }
          : name === 'pendingInboundPerAddressMax'
            ? { pendingInboundMax: Number.MAX_SAFE_INTEGER }
            : {}
  resolveLimits({ ...others, [name]: value })
}

function mostOf(name: keyof Limits): number {
  if (name.endsWith('Ms')) return timerMsMax
  if (name === 'laneWindowBytes') return windowBytesMax
  if (name === 'maxMessageLengthBytes') return helloMaxMessageLengthBytesMax
  if (name === 'requestsMax') return 1024
  if (name === 'readBufferBytes') return readBufferBytesMax
  return name === 'replayWindowBytes' || name === 'streamsMax' ? 0xffff_ffff : Number.MAX_SAFE_INTEGER
}

function leastOf(name: keyof Limits): number {
  return name === 'readBufferBytes' ? readBufferBytesMin : 1
}

function rangeOf(name: keyof Limits): LimitCase[] {
  const isFraction = name === 'backoffFactor' || name === 'connectRatePerSecond'
  const odd: readonly (readonly [string, number])[] = [
    ['NaN', NaN],
    ['Infinity', Infinity],
    ['half', 1.5],
  ]
  return [
    ...around(name, 'as an option, least', leastOf(name), [refused, fine, fine], (value) => resolve(name, value)),
    // A fraction has no maximum; it must only be finite.
    ...(isFraction
      ? []
      : around(name, 'as an option, most', mostOf(name), [fine, fine, refused], (value) => resolve(name, value))),
    ...odd.map(([at, value]): LimitCase => ({
      limit: name,
      at: `as an option, ${at}`,
      expected: isFraction && value === 1.5 ? fine : refused,
      run: () => resolve(name, value),
    })),
    { limit: name, at: 'as an option, a text', expected: refused, run: () => resolve(name, '5' as unknown as number) },
  ]
}

const create = (limits: Partial<Limits>, connectionParallelism = 1): Promise<void> =>
  createNetwork({ identity: key, peers: [], limits, connectionParallelism }).shutdown()

const makeTransport = (readBufferBytes: number): void => void new TcpTransport({ readBufferBytes })

export function optionCases(): LimitCase[] {
  return [
    ...(Object.keys(defaultLimits) as (keyof Limits)[]).flatMap(rangeOf),
    ...around('readBufferBytesMin', 'of a transport', readBufferBytesMin, [refused, fine, fine], makeTransport),
    ...around('readBufferBytesMax', 'of a transport', readBufferBytesMax, [fine, fine, refused], makeTransport),
    ...around('backoffMinMs', 'against backoffMaxMs', 100, [fine, fine, refused], (value) =>
      resolveLimits({ backoffMinMs: value, backoffMaxMs: 100 }),
    ),
    ...around('backoffMaxMs', 'against backoffMinMs', 100, [refused, fine, fine], (value) =>
      resolveLimits({ backoffMinMs: 100, backoffMaxMs: value }),
    ),
    ...around('pendingInboundPerAddressMax', 'against pendingInboundMax', 9, [fine, fine, refused], (value) =>
      resolveLimits({ pendingInboundPerAddressMax: value, pendingInboundMax: 9 }),
    ),
    ...around('pendingInboundMax', 'against pendingInboundPerAddressMax', 9, [refused, fine, fine], (value) =>
      resolveLimits({ pendingInboundPerAddressMax: 9, pendingInboundMax: value }),
    ),
    // An option that a hello cannot carry must be refused before the first dial, not reported as a bug afterwards.
    ...around('maxMessageLengthBytes', 'native, least of a hello', 65_536, [refused, fine, fine], (value) =>
      create({ maxMessageLengthBytes: value }),
    ),
    ...around('connectionsPerPeerMax', 'native, most of a hello', 65_535, [fine, fine, refused], (value) =>
      create({ connectionsPerPeerMax: 100_000 }, value),
    ),
    ...around('connectionsPerPeerMax', 'connectionParallelism', 5, [fine, fine, refused], (value) =>
      create({ connectionsPerPeerMax: 5 }, value),
    ),
  ]
}
