/**
 * Owns: how a stream ends or fails, for applications: who ended it, with which code and reason.
 * Independent of: how streams travel.
 */
import { StatewireError } from '../../codec/errors.ts'
import type { ErrorCode } from '../../codec/errors.ts'
import { resetCodes } from '../../codec/native-frames.ts'
import type { ByteCounts, StreamReset } from '../../protocol/streams.ts'

/** Whose doing the end of a stream was. */
export type EndedBy = 'self' | 'peer' | 'network'

/** How a stream ended. */
export interface CloseReason {
  /** `finished`: both sides had finished writing. `reset`: one side ended it. `lost`: its link could not be resumed. */
  readonly how: 'finished' | 'reset' | 'lost'
  readonly by: EndedBy | 'both'
  /** The code of the Reset; null if there was none. */
  readonly code: number | null
  readonly reason: string
  /** The number of the link that carried it; null if none did. */
  readonly link: number | null
  readonly bytesRead: number
  readonly bytesWritten: number
}

export interface StreamErrorDetails {
  readonly peer: string
  readonly protocol: string
  readonly by: EndedBy
  readonly streamErrorCode?: number | undefined
  readonly reason?: string | undefined
  readonly bytes?: ByteCounts | undefined
  readonly cause?: unknown
}

/** Why a stream could not be opened, or ended before both sides had finished. */
export class StreamError extends StatewireError {
  /** As in WebTransport. */
  readonly source = 'stream'
  readonly peer: string
  readonly protocol: string
  readonly by: EndedBy
  /** The code that the peer gave: from 256 on it is the application's own. Null if there was none. */
  readonly streamErrorCode: number | null
  /** The peer's text, or ''. */
  readonly reason: string
  /** Of a stream that was lost with its link: how many of the written bytes arrived. Null otherwise. */
  readonly bytes: ByteCounts | null

  constructor(code: ErrorCode, message: string, details: StreamErrorDetails) {
    super(code, message, details.cause === undefined ? undefined : { cause: details.cause })
    this.peer = details.peer
    this.protocol = details.protocol
    this.by = details.by
    this.streamErrorCode = details.streamErrorCode ?? null
    this.reason = details.reason ?? ''
    this.bytes = details.bytes ?? null
  }
}

const refusals: Readonly<Record<number, { readonly code: ErrorCode; readonly says: string }>> = {
  [resetCodes['no-such-protocol']]: { code: 'ERR_NO_PROTOCOL', says: 'is not served' },
  [resetCodes.limit]: { code: 'ERR_STREAM_OVERLOADED', says: 'is overloaded' },
  [resetCodes['time-out']]: { code: 'ERR_TIMED_OUT', says: 'was not decided in time' },
}

/** The peer did not accept the stream. */
export function refusedError(peer: string, protocol: string, { code, reason }: StreamReset): StreamError {
  const { code: errorCode, says } = refusals[code] ?? { code: 'ERR_STREAM_REFUSED' as const, says: 'was refused' }
  return new StreamError(errorCode, `${nameOf(peer, protocol)} ${says}${reason === '' ? '' : `: ${reason}`}`, {
    peer,
    protocol,
    by: 'peer',
    streamErrorCode: code,
    reason,
  })
}

/** The peer ended an open stream. */
export function resetError(peer: string, protocol: string, { code, reason }: StreamReset): StreamError {
  const why = reason === '' ? '' : `: ${reason}`
  return new StreamError('ERR_STREAM_RESET', `${peer} reset the stream ${JSON.stringify(protocol)} (${code})${why}`, {
    peer,
    protocol,
    by: 'peer',
    streamErrorCode: code,
    reason,
  })
}

export function nameOf(peer: string, protocol: string): string {
  return `the stream ${JSON.stringify(protocol)} to ${peer}`
}

/** What this side says when it resets a stream because of an error. */
export function resetOf(error: Error | null): StreamReset {
  if (error === null) return { code: resetCodes.application, reason: 'closed' }
  const { streamErrorCode } = error as { streamErrorCode?: unknown }
  const isCode =
    typeof streamErrorCode === 'number' &&
    Number.isInteger(streamErrorCode) &&
    streamErrorCode >= 0 &&
    streamErrorCode <= 0xffff
  return {
    code: isCode ? streamErrorCode : resetCodes.application,
    reason: (error instanceof StreamError && error.reason) || error.message,
  }
}
