/**
 * Owns: a conversation of two real networks over plain TCP: values of every type in both directions on two sessions,
 * acknowledged, and a Goodbye; its bytes as they were sent, or cut into pieces on the way.
 * Independent of: how pieces relate to frames.
 */
import type { Socket } from 'node:net'
import { encodeFrame } from '../../../codec/index.ts'
import type { NetworkValue } from '../../../codec/index.ts'
import { smallValues } from '../fuzz/corpus.ts'
import { eventually } from '../bar.ts'
import { Mesh } from './chaos-mesh.ts'
import type { Member, Pair } from './chaos-mesh.ts'
import type { Direction } from './chaos-proxy.ts'

export const sessionsOfConversation = 2

/** Every type, and a few values that span reads. */
const spoken: readonly NetworkValue[] = [
  ...smallValues,
  { type: 'Bytes', value: Buffer.alloc(300, 0x33) },
  { type: 'VecRing32', value: Uint32Array.from({ length: 200 }, (_, index) => index) },
]

/**
 * How bytes are forwarded: as they came, in pieces of this many bytes with one tick each, or everything that arrives
 * within this many ticks at once.
 */
export type Slicing = { readonly pieceBytes: number } | { readonly gluedTurns: number } | null

export interface Conversation {
  readonly dialer: string
  readonly acceptor: string
  readonly bytes: Readonly<Record<Direction, Buffer>>
  /** Received values that differ from what was sent at their position. */
  readonly wrong: number
  readonly values: number
  /** Pieces that were written. */
  readonly writes: number
}

const textOf = (value: NetworkValue): string => encodeFrame(0, value).toString('hex')

/** Writes pieces one after the other; an end waits for all of them. */
class SlowWriter {
  readonly #slicing: NonNullable<Slicing>
  readonly #to: Socket
  #waiting: Buffer = Buffer.alloc(0)
  #isRunning = false
  #turns = 0
  writes = 0

  constructor(slicing: NonNullable<Slicing>, to: Socket) {
    this.#slicing = slicing
    this.#to = to
  }

  push(bytes: Buffer): void {
    this.#waiting = Buffer.concat([this.#waiting, bytes])
    if (this.#isRunning) return
    this.#isRunning = true
    setImmediate(() => this.#turn())
  }

  #turn(): void {
    const { pieceBytes, gluedTurns } = { pieceBytes: Infinity, gluedTurns: 0, ...this.#slicing }
    if (this.#turns++ >= gluedTurns) {
      this.#turns = 0
      this.#to.write(this.#waiting.subarray(0, pieceBytes))
      this.writes++
      this.#waiting = this.#waiting.subarray(Math.min(pieceBytes, this.#waiting.length))
    }
    this.#isRunning = this.#waiting.length > 0
    if (this.#isRunning) setImmediate(() => this.#turn())
  }
}

async function talk(
  from: Member,
  to: Member,
  made: ReadonlyMap<
    Member,
    readonly {
      send(peer: string, value: NetworkValue): Promise<void>
      receive(peer: string): Promise<NetworkValue>
      flush(): Promise<void>
    }[]
  >,
): Promise<number> {
  let wrong = 0
  for (const [index, session] of made.get(from)!.entries()) {
    const other = made.get(to)![index]!
    for (const value of spoken) void session.send(to.id, value).catch(() => wrong++)
    for (const value of spoken) if (textOf(await other.receive(from.id)) !== textOf(value)) wrong++
    await session.flush()
  }
  return wrong
}

export async function converse(slicing: Slicing): Promise<Conversation> {
  const mesh = await Mesh.start({ members: 2, carrier: 'plaintext' })
  const pair = mesh.pairs[0] as Pair
  const { dialer, acceptor, proxy } = pair
  const recorded: Record<Direction, Buffer[]> = { up: [], down: [] }
  const writers: SlowWriter[] = []
  proxy.onThrough = (through) => {
    const own = slicing === null ? null : new Map<Socket, SlowWriter>()
    through.onBytes = (direction, bytes, to) => {
      recorded[direction].push(bytes)
      if (own === null || slicing === null) return void to.write(bytes)
      let writer = own.get(to)
      if (writer === undefined) {
        own.set(to, (writer = new SlowWriter(slicing, to)))
        writers.push(writer)
      }
      writer.push(bytes)
    }
  }
  let wrong = 0
  try {
    await eventually('the connection', () => pair.isUp)
    const made = new Map(
      await Promise.all(
        [dialer, acceptor].map(
          async (member) => [member, await member.network.makeSessions({ count: sessionsOfConversation })] as const,
        ),
      ),
    )
    const both = await Promise.all([talk(dialer, acceptor, made), talk(acceptor, dialer, made)])
    wrong = both[0] + both[1]
  } finally {
    await mesh.stop()
  }
  return {
    dialer: dialer.id,
    acceptor: acceptor.id,
    bytes: { up: Buffer.concat(recorded.up), down: Buffer.concat(recorded.down) },
    wrong,
    values: 2 * sessionsOfConversation * spoken.length,
    writes: writers.reduce((sum, { writes }) => sum + writes, 0),
  }
}
