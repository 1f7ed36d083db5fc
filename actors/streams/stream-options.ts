/**
 * Owns: what a stream is made with, and who waits for it to be accepted.
 * Independent of: what it carries.
 */
import type { StreamError } from './stream-error.ts'

/** The call that waits for a stream to be accepted. */
export interface StreamOpener {
  onSent(): void
  onAccepted(): void
  onFailed(error: StreamError): void
}

export interface StreamOptions {
  readonly peer: string
  readonly protocol: string
  readonly extra: Buffer
  /** Null for a stream that the peer opened. */
  readonly opener: StreamOpener | null
}
