/**
 * Owns: what is known of each peer beside its links: whether it is connected, from where, and how the last attempt
 * failed; and the events that say so.
 * Independent of: how connections are made, and who asks.
 */
import type { ErrorCode } from '../../codec/errors.ts'
import type { ResetReason } from '../../protocol/native/epoch/outcomes.ts'
import type { NetworkEvent } from '../base/events.ts'

/** How far an attempt to connect came. */
export type FailureStage = 'dns' | 'tcp' | 'tls' | 'identity' | 'hello'

export interface PeerFailure {
  readonly stage: FailureStage
  readonly code: ErrorCode
  readonly message: string
  /** Milliseconds since 1970. */
  readonly atMs: number
}

interface PeerRecord {
  isConnected: boolean
  address: string | null
  lastFailure: PeerFailure | null
  isErrored: boolean
}

export interface PeerRecordsOptions {
  readonly wallMs: () => number
  /** Whether links are resumed: then the end of a socket is no disconnect. */
  readonly resumes: boolean
  /** Whether this side wants the peer connected. */
  readonly isWanted: (peer: string) => boolean
  /** Whether this side itself is leaving the peer. */
  readonly isLeaving: (peer: string) => boolean
  readonly isAnyUp: (peer: string) => boolean
  readonly emit: (event: NetworkEvent) => void
}

export class PeerRecords {
  readonly #options: PeerRecordsOptions
  readonly #records = new Map<string, PeerRecord>()

  constructor(options: PeerRecordsOptions) {
    this.#options = options
  }

  addressOf(peer: string): string | null {
    return this.#records.get(peer)?.address ?? null
  }

  lastFailureOf(peer: string): PeerFailure | null {
    return this.#records.get(peer)?.lastFailure ?? null
  }

  /** Its actors failed too often, and it was not tried again yet. */
  isErrored(peer: string): boolean {
    return this.#records.get(peer)?.isErrored ?? false
  }

  isConnected(peer: string): boolean {
    return this.#records.get(peer)?.isConnected ?? false
  }

  /** Called before the event is passed on. */
  record(event: NetworkEvent): void {
    if (event.type === 'peer.errored') this.#of(event.peer).isErrored = true
    else if (event.type === 'dial.scheduled') this.#of(event.peer).isErrored = false
    else if (event.type === 'connection.failed') {
      const { code, message } = event.cause
      this.#of(event.peer).lastFailure = { stage: stageOf(code), code, message, atMs: this.#options.wallMs() }
    }
  }

  /** Called after the event was passed on. */
  follow(event: NetworkEvent): void {
    switch (event.type) {
      case 'connection.opened': {
        const record = this.#of(event.peer)
        record.address = event.remoteAddress
        record.isErrored = false
        if (record.isConnected) return
        record.isConnected = true
        return this.#options.emit({ type: 'peer.connected', peer: event.peer, address: event.remoteAddress })
      }
      case 'link.reset':
        if (event.linkIndex === 0) this.disconnected(event.peer, event.reason)
        return
      case 'peer.errored':
        this.disconnected(event.peer, 'internal-error')
        return
      case 'connection.lost':
        if (!this.#options.resumes && !this.#options.isAnyUp(event.peer))
          this.disconnected(event.peer, 'connection-lost')
        return
      default:
    }
  }

  disconnected(peer: string, reason: ResetReason | 'connection-lost'): void {
    const record = this.#records.get(peer)
    if (record === undefined || !record.isConnected) return
    record.isConnected = false
    record.address = null
    const { isWanted, isLeaving, emit } = this.#options
    const by = isLeaving(peer) ? 'self' : reason === 'expired' || reason === 'connection-lost' ? 'network' : 'peer'
    emit({ type: 'peer.disconnected', peer, reason, by, willRetry: isWanted(peer) })
  }

  forget(peer: string): void {
    this.#records.delete(peer)
  }

  #of(peer: string): PeerRecord {
    let record = this.#records.get(peer)
    if (record === undefined)
      this.#records.set(peer, (record = { isConnected: false, address: null, lastFailure: null, isErrored: false }))
    return record
  }
}

const tlsCodes: ReadonlySet<ErrorCode> = new Set([
  'ERR_TLS_PROTOCOL',
  'ERR_CERTIFICATE_UNUSABLE',
  'ERR_CERTIFICATE_REJECTED',
])

/** By the code: each belongs to one stage. */
function stageOf(code: ErrorCode): FailureStage {
  if (code === 'ERR_NAME_NOT_RESOLVED') return 'dns'
  if (code === 'ERR_UNEXPECTED_PEER') return 'identity'
  if (tlsCodes.has(code)) return 'tls'
  if (code === 'ERR_TRANSPORT' || code === 'ERR_TIMED_OUT' || code === 'ERR_CONNECTION_REFUSED') return 'tcp'
  return 'hello'
}
