/**
 * Owns: a call that waits: its deadline, its signal, and releasing both when it settles.
 * Independent of: what the call waits for.
 */
import { StatewireError } from '../../codec/errors.ts'
import { onAbort } from './abort-listeners.ts'
import type { TimerWheel } from './timer-wheel.ts'

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
  readonly timeoutMs?: number | undefined
}

/**
 * Waits with a deadline and an abort signal. `start` begins the wait and returns a function that cancels it. If that
 * returns false it was too late, and the call goes on until it settles. `why` is called when the deadline passes; its
 * text is appended to the error message.
 * @throws StatewireError ERR_ABORTED, ERR_INVALID_OPTION, or `code` when the deadline passes
 */
export function bounded<T>(
  { wheel }: { readonly wheel: TimerWheel },
  options: CallOptions | undefined,
  code: 'ERR_TIMED_OUT' | 'ERR_SEND_TIMED_OUT',
  what: string,
  start: (resolve: (value: T) => void, reject: (error: Error) => void) => () => boolean | void,
  why: () => string = () => '',
): Promise<T> {
  const signal = options?.signal
  const timeoutMs = options?.timeoutMs
  return new Promise<T>((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(new StatewireError('ERR_ABORTED', `${what}: aborted`, { cause: signal.reason }))
      return
    }
    // NaN or a negative number would be a deadline that never passes.
    if (timeoutMs !== undefined && !(Number.isFinite(timeoutMs) && timeoutMs >= 0)) {
      reject(
        new StatewireError('ERR_INVALID_OPTION', `timeoutMs must be a number of at least 0, got ${String(timeoutMs)}`),
      )
      return
    }
    let giveUp: () => boolean | void = () => {}
    let done = false
    const finish = (): void => {
      done = true
      deadline?.cancel()
      removeAbort?.()
    }
    const fail = (error: Error): void => {
      if (done) return
      finish()
      reject(error)
    }
    const abort = (): void => {
      if (giveUp() === false) return
      fail(new StatewireError('ERR_ABORTED', `${what}: aborted`, { cause: signal?.reason }))
    }
    const deadline =
      timeoutMs === undefined
        ? undefined
        : wheel.schedule(timeoutMs, () => {
            const reason = why()
            if (giveUp() === false) return
            fail(new StatewireError(code, `${what} within ${timeoutMs} ms${reason}`))
          })
    const removeAbort = signal === undefined ? undefined : onAbort(signal, abort)
    giveUp = start((value) => {
      if (done) return
      finish()
      resolve(value)
    }, fail)
  })
}
