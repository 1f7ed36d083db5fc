/**
 * Owns: C14, a value much longer than any connection lives: it arrives although the socket is killed every 200 ms, and
 * a session beside it goes on.
 * Independent of: how long a value may wait for memory (test/native/long-frame-memory.test.ts).
 */
import type { Session } from '../../../actors/index.ts'
import { seededRandom } from '../../../testing/index.ts'
import { mebibyte, pause } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'
import { Mesh } from './chaos-mesh.ts'
import type { Pair } from './chaos-mesh.ts'
import type { Direction, Through } from './chaos-proxy.ts'

export interface LongValueOptions {
  readonly lengthBytes: number
  readonly killEveryMs: number
  /** Of the connection in each direction, so that the value takes many times as long as a connection lives. */
  readonly bytesPerSecond: number
  readonly timeoutMs: number
  readonly seed: number
}

export interface LongValueCounts {
  readonly isIntact: boolean
  readonly kills: number
  /** Connections that were up. */
  readonly connections: number
  readonly carriedBytes: number
  /** Small values on the session beside it: how many were sent, and whether each arrived once and in order. */
  readonly besideSent: number
  readonly isBesideIntact: boolean
  readonly tookMs: number
}

/** What a connection carries leaves at this rate at most. */
function throttle(through: Through, bytesPerSecond: number, onCarried: (bytes: number) => void): void {
  through.onBytes = (direction: Direction, bytes, to) => {
    to.write(bytes)
    onCarried(bytes.length)
    through.stall(direction)
    setTimeout(() => through.goOn(direction), (bytes.length / bytesPerSecond) * 1000)
  }
}

function randomBytes(lengthBytes: number, seed: number): Buffer {
  const content = Buffer.allocUnsafe(lengthBytes)
  const block = seededRandom(seed).bytes(64 * 1024 - 1)
  // No two Pieces are the same: the length of the block has no factor in common with theirs.
  for (let at = 0; at < lengthBytes; at += block.length) content.set(block.subarray(0, lengthBytes - at), at)
  return content
}

export async function sendLongValue(options: LongValueOptions): Promise<LongValueCounts> {
  const { lengthBytes, killEveryMs, bytesPerSecond, timeoutMs, seed } = options
  const mesh = await Mesh.start({ members: 2 })
  let kills = 0
  let carriedBytes = 0
  try {
    const pair = mesh.pairs[0] as Pair
    const { dialer, acceptor, proxy } = pair
    const [[long, beside], [reader, besideReader]] = (await Promise.all([
      dialer.network.makeSessions({ count: 2 }),
      acceptor.network.makeSessions({ count: 2 }),
    ])) as [[Session, Session], [Session, Session]]
    const arrivedBeside: number[] = []
    besideReader.handle(dialer.id, (value) => void arrivedBeside.push(value.value as number))
    const slowDown = (through: Through): void => throttle(through, bytesPerSecond, (bytes) => (carriedBytes += bytes))
    for (const through of proxy.live) slowDown(through)
    proxy.onThrough = slowDown
    const content = randomBytes(lengthBytes, seed)
    const startMs = performance.now()
    const whole = new AbortController()
    const killing = (async () => {
      for (;;) {
        await pause(killEveryMs)
        if (whole.signal.aborted) return
        proxy.newest?.reset()
        kills++
      }
    })()
    let besideSent = 0
    const besideSending = (async () => {
      for (; !whole.signal.aborted; await pause(20))
        await beside.send(acceptor.id, { type: 'RingElement32', value: besideSent++ })
    })()
    const sending = long.send(acceptor.id, { type: 'Bytes', value: content }, { timeoutMs })
    const received = await reader.receive(dialer.id, { timeoutMs })
    const tookMs = performance.now() - startMs
    whole.abort()
    await Promise.all([killing, besideSending, sending])
    await beside.flush({ timeoutMs })
    return {
      isIntact: received.type === 'Bytes' && content.equals(received.value),
      kills,
      connections: pair.opened[0],
      carriedBytes,
      besideSent,
      isBesideIntact: arrivedBeside.length === besideSent && arrivedBeside.every((value, at) => value === at),
      tookMs,
    }
  } finally {
    await mesh.stop()
  }
}

export async function longValue({ isQuick, seed }: BarContext): Promise<readonly Bar[]> {
  const lengthBytes = (isQuick ? 16 : 64) * mebibyte
  const counts = await sendLongValue({
    lengthBytes,
    killEveryMs: 200,
    bytesPerSecond: 16 * mebibyte,
    timeoutMs: 120_000,
    seed,
  })
  const { isIntact, kills, connections, carriedBytes, besideSent, isBesideIntact, tookMs } = counts
  return [
    {
      id: 'C14',
      passed: isIntact && isBesideIntact && kills >= (isQuick ? 2 : 8),
      figures: {
        bytes: lengthBytes,
        kills,
        connections,
        carried: carriedBytes / lengthBytes,
        took_ms: tookMs,
        beside: besideSent,
        intact: isIntact && isBesideIntact ? 'yes' : 'no',
      },
      notes: [],
    },
  ]
}
