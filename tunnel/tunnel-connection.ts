/**
 * Owns: what is known of a tunnel and of one of its connections, for lists, logs and events.
 * Independent of: sockets.
 */
import type { Stream } from '../actors/index.ts'
import type { ErrorCode } from '../codec/errors.ts'
import type { Join, TunnelEnd } from './join.ts'

/** `expose`: the target is here. `open`: the clients are here. */
export type TunnelSide = 'expose' | 'open'

export interface TunnelDescription {
  readonly side: TunnelSide
  readonly name: string
  /** Where it leads; null at the exposing side, which serves several peers. */
  readonly peer: string | null
  /** The target, or where clients connect. */
  readonly address: string
  /** Open now. */
  readonly connections: number
  /** Since it began. */
  readonly served: number
  /** Connections that came to nothing, since it began. */
  readonly refused: number
}

export type TunnelEvent =
  | { readonly type: 'tunnel.opened'; readonly connection: TunnelConnection }
  | { readonly type: 'tunnel.closed'; readonly connection: TunnelConnection; readonly end: TunnelEnd }
  | {
      readonly type: 'tunnel.refused'
      readonly side: TunnelSide
      readonly name: string
      readonly peer: string
      readonly code: ErrorCode
      readonly message: string
    }

export class TunnelConnection {
  readonly id: number
  readonly side: TunnelSide
  readonly name: string
  readonly peer: string
  /** The client at the opening side, the target at the exposing side. */
  readonly address: string
  /** Milliseconds since 1970. */
  readonly openedAtMs: number
  readonly #stream: Stream
  readonly #join: Join
  #isOver = false

  constructor(
    { id, side, name, peer, address }: Pick<TunnelConnection, 'id' | 'side' | 'name' | 'peer' | 'address'>,
    stream: Stream,
    join: Join,
  ) {
    this.id = id
    this.side = side
    this.name = name
    this.peer = peer
    this.address = address
    this.openedAtMs = Date.now()
    this.#stream = stream
    this.#join = join
    void join.ended.then(() => (this.#isOver = true))
  }

  /** To the peer. */
  get bytesSent(): number {
    return this.#stream.bytesWritten
  }

  /** From the peer. */
  get bytesReceived(): number {
    return this.#stream.bytesRead
  }

  get state(): 'open' | 'half-closed' | 'closed' {
    if (this.#isOver) return 'closed'
    return this.#join.isHalfClosed ? 'half-closed' : 'open'
  }

  toJSON(): object {
    const { id, side, name, peer, address, openedAtMs, bytesSent, bytesReceived, state } = this
    return { id, side, name, peer, address, openedAtMs, bytesSent, bytesReceived, state }
  }
}
