/**
 * Owns: how a request fails: its outcome, and what that says about the handler of the peer.
 * Independent of: how requests travel.
 */
import { StatewireError } from '../../codec/errors.ts'
import type { ErrorCode } from '../../codec/errors.ts'
import type { Answer } from '../../protocol/exchange.ts'
import { LinkResetError } from '../../protocol/native/lanes/native-lane.ts'

/**
 * - `notSent`, `no-handler`, `refused`, `too-late`: no handler ran, so another peer may be asked
 * - `remote`: the handler failed
 * - `unknown`: it was sent, and not answered: a handler may have run
 * - `cancelled`: given up after it was sent: a handler may have run, and its signal was aborted
 */
export type RequestOutcome = 'notSent' | 'no-handler' | 'refused' | 'too-late' | 'remote' | 'unknown' | 'cancelled'

/** Whether a handler ran (docs/api.md). */
export const requestOutcomes: Readonly<Record<RequestOutcome, 'no' | 'yes' | 'perhaps'>> = {
  notSent: 'no',
  'no-handler': 'no',
  refused: 'no',
  'too-late': 'no',
  remote: 'yes',
  cancelled: 'perhaps',
  unknown: 'perhaps',
}

/** What the handler of a peer threw, as data: it is never thrown here as its class. */
export interface RemoteFailure {
  /** The `code` of the error that was thrown, or ''. Printable ASCII, at most 64 characters. */
  readonly code: string
  /** At most 1,024 bytes of UTF-8. */
  readonly message: string
  /** The `data` of the error, if that is bytes. */
  readonly data: Buffer
}

export class RequestError extends StatewireError {
  readonly outcome: RequestOutcome
  readonly peer: string
  /** What the peer answered; null if it did not. */
  readonly remote: RemoteFailure | null

  constructor(
    code: ErrorCode,
    message: string,
    details: {
      readonly outcome: RequestOutcome
      readonly peer: string
      readonly remote?: RemoteFailure
      readonly cause?: unknown
    },
  ) {
    super(code, message, 'cause' in details ? { cause: details.cause } : undefined)
    this.outcome = details.outcome
    this.peer = details.peer
    this.remote = details.remote ?? null
  }
}

const answers = {
  failed: { code: 'ERR_REMOTE', outcome: 'remote', says: 'failed' },
  'no-handler': { code: 'ERR_NO_HANDLER', outcome: 'no-handler', says: 'has no handler' },
  refused: { code: 'ERR_REFUSED', outcome: 'refused', says: 'was refused' },
  cancelled: { code: 'ERR_CANCELLED', outcome: 'cancelled', says: 'was cancelled' },
  'too-late': { code: 'ERR_TOO_LATE', outcome: 'too-late', says: 'came too late' },
} as const

/** The error of a request that the peer answered without success, or that was lost with its link. */
export function errorOfAnswer(peer: string, name: string, answer: Exclude<Answer, { status: 'ok' }>): RequestError {
  const what = `the request ${JSON.stringify(name)} to ${peer}`
  if (answer.status === 'lost') {
    const { outcome, error } = answer
    const how = outcome === 'notSent' ? 'was not sent' : 'may have run: the answer is lost'
    if (error instanceof LinkResetError)
      return new RequestError('ERR_LINK_RESET', `${what} ${how} (${error.reason})`, { outcome, peer, cause: error })
    const code = error instanceof StatewireError ? error.code : 'ERR_CONNECTION_LOST'
    return new RequestError(code, `${what} ${how}: ${error.message}`, { outcome, peer, cause: error })
  }
  const { code, outcome, says } = answers[answer.status]
  const { message } = answer
  const byCode = answer.code === '' ? '' : ` (${answer.code})`
  return new RequestError(code, `${what} ${says}${byCode}${message === '' ? '' : `: ${message}`}`, {
    outcome,
    peer,
    remote: { code: answer.code, message, data: answer.bytes },
  })
}
