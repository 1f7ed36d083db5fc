/**
 * Owns: all tunnels of a process: numbers for their connections, and their events as plain data.
 * Independent of: how a tunnel works (tunnel/), and who shows what happens.
 */
import type { Network } from '../actors/network/network.ts'
import type { ErrorCode } from '../codec/errors.ts'
import { Tunnels } from '../tunnel/index.ts'
import type { TunnelConnection, TunnelDescription, TunnelEnd, TunnelEvent, TunnelSide } from '../tunnel/index.ts'

interface ConnectionNames {
  readonly id: number
  readonly side: TunnelSide
  readonly name: string
  readonly peer: string
  /** The client at the opening side, the target at the exposing side. */
  readonly address: string
}

/** One connection, as `tunnel ps` gets it. */
export interface ConnectionRow extends ConnectionNames {
  readonly ageMs: number
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly state: string
}

export type TunnelLogEvent =
  | {
      readonly type: 'tunnel.started'
      readonly side: TunnelSide
      readonly name: string
      /** Null at the exposing side. */
      readonly peer: string | null
      /** The target, or where clients connect. */
      readonly address: string
    }
  | ({ readonly type: 'tunnel.opened' } & ConnectionNames)
  | ({
      readonly type: 'tunnel.closed'
      readonly how: TunnelEnd['how']
      readonly by: string
      readonly reason: string
      readonly bytesSent: number
      readonly bytesReceived: number
      readonly ageMs: number
    } & ConnectionNames)
  | {
      readonly type: 'tunnel.refused'
      readonly side: TunnelSide
      readonly name: string
      readonly peer: string
      readonly code: ErrorCode
      readonly reason: string
    }

type Listener = (event: TunnelLogEvent) => void

export class TunnelBoard {
  readonly network: Network
  readonly #groups = new Set<Tunnels>()
  readonly #closing = new Map<Tunnels, Promise<void>>()
  /** The open connections, in the order of their opening. */
  readonly #open = new Map<TunnelConnection, { readonly id: number; readonly group: Tunnels }>()
  readonly #listeners = new Set<Listener>()
  #nextId = 1

  constructor(network: Network) {
    this.network = network
  }

  /** Tunnels that are closed together. `onEvent` gets the events of these only. */
  createGroup(onEvent: Listener = () => {}): Tunnels {
    const group: Tunnels = new Tunnels(this.network, {
      onEvent: (event) => {
        const plain = this.#plain(group, event)
        onEvent(plain)
        for (const listener of this.#listeners) listener(plain)
      },
    })
    this.#groups.add(group)
    return group
  }

  /** As Tunnels.close. A second call waits for the first. */
  closeGroup(group: Tunnels, timeoutMs: number): Promise<void> {
    const known = this.#closing.get(group)
    if (known !== undefined) return known
    const closing = group.close({ timeoutMs }).finally(() => {
      this.#groups.delete(group)
      this.#closing.delete(group)
    })
    this.#closing.set(group, closing)
    return closing
  }

  async close(timeoutMs: number): Promise<void> {
    await Promise.all([...this.#groups].map((group) => this.closeGroup(group, timeoutMs)))
  }

  /** @returns a function that removes the listener */
  onEvent(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  get tunnels(): readonly TunnelDescription[] {
    return [...this.#groups].flatMap(({ tunnels }) => tunnels)
  }

  get connections(): readonly ConnectionRow[] {
    return [...this.#open].map(([connection, { id }]) => {
      const { bytesSent, bytesReceived, state } = connection
      return { ...namesOf(connection, id), ageMs: ageMsOf(connection), bytesSent, bytesReceived, state }
    })
  }

  /** @returns whether there was such a connection */
  kill(id: number, reason?: string): boolean {
    for (const [connection, { id: own, group }] of this.#open)
      if (own === id) return group.kill(connection.id, ...(reason === undefined ? [] : [reason]))
    return false
  }

  #plain(group: Tunnels, event: TunnelEvent): TunnelLogEvent {
    if (event.type === 'tunnel.refused') {
      const { type, side, name, peer, code, message } = event
      return { type, side, name, peer, code, reason: message }
    }
    const { connection } = event
    if (event.type === 'tunnel.opened') {
      const id = this.#nextId++
      this.#open.set(connection, { id, group })
      return { type: event.type, ...namesOf(connection, id) }
    }
    const id = this.#open.get(connection)?.id ?? 0
    this.#open.delete(connection)
    const { how, by, message, bytesSent, bytesReceived } = event.end
    const names = namesOf(connection, id)
    return {
      type: event.type,
      ...names,
      how,
      by,
      reason: message,
      bytesSent,
      bytesReceived,
      ageMs: ageMsOf(connection),
    }
  }
}

function namesOf({ side, name, peer, address }: TunnelConnection, id: number): ConnectionNames {
  return { id, side, name, peer, address }
}

function ageMsOf({ openedAtMs }: TunnelConnection): number {
  return Math.max(0, Date.now() - openedAtMs)
}
