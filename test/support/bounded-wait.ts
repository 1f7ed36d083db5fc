/**
 * Owns: waiting in tests: always for a condition, always bounded, and with a sentence for when it does not happen.
 * Independent of: what is waited for.
 */
import type { Network, NetworkEventOf, NetworkEventType } from '../../index.ts'

/** Long enough for a loaded machine; a test that waits this long has failed. */
const timeLimitMs = 8_000

/** Resolves as the promise does, or rejects with an error that names what did not happen. */
export async function within<T>(promise: Promise<T>, what: string, timeoutMs = timeLimitMs): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${timeoutMs} ms: ${what}`)), timeoutMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Checks once in each tick of the event loop. For conditions that no event reports. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const giveUpAtMs = performance.now() + timeLimitMs
  while (!condition()) {
    if (performance.now() > giveUpAtMs) throw new Error(`not within ${timeLimitMs} ms: ${what}`)
    await nextTick()
  }
}

/** One poll phase of the event loop. */
export function nextTick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/**
 * Lets several ticks pass: what would have happened "at once" has happened. Only for asserting that something does not
 * happen.
 */
export async function settle(ticks = 20): Promise<void> {
  for (let i = 0; i < ticks; i++) await nextTick()
}

/** The next matching event of a type. Call it before the cause, so that nothing is missed. */
export function nextEvent<T extends NetworkEventType>(
  network: Network,
  type: T,
  fits: (event: NetworkEventOf<T>) => boolean = () => true,
): Promise<NetworkEventOf<T>> {
  const event = new Promise<NetworkEventOf<T>>((resolve) => {
    const off = network.on(type, (event) => {
      if (!fits(event)) return
      off()
      resolve(event)
    })
  })
  const bounded = within(event, `${network.identity} emits ${type}`)
  // The awaiting caller gets the rejection; a test that failed earlier must not fail twice.
  bounded.catch(() => {})
  return bounded
}

/**
 * The error of a promise that must reject. The handler is attached at once, so a rejection in between is not unhandled.
 */
export function rejection(promise: Promise<unknown>, what: string): Promise<Error & { code?: string }> {
  const error = promise.then(
    (value) => {
      throw new Error(`${what} should have rejected, and gave ${String(value)}`)
    },
    (error: Error & { code?: string }) => error,
  )
  const bounded = within(error, `${what} rejects`)
  bounded.catch(() => {})
  return bounded
}
