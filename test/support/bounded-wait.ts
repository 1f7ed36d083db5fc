/**
 * Owns: waiting in tests: always for something, never for ever, and with a sentence for when it does not come.
 * Refuses to know: what is waited for.
 */
import type { Network, NetworkEventOf, NetworkEventType } from '../../index.ts'

/** Long enough for a loaded machine; a test that waits so long has failed. */
const patienceMs = 8_000

/** The promise, or an error that names what did not happen. */
export async function within<T>(promise: Promise<T>, what: string, timeoutMs = patienceMs): Promise<T> {
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

/** Looks once in each turn of the event loop. For conditions that no event tells of. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const giveUpAtMs = performance.now() + patienceMs
  while (!condition()) {
    if (performance.now() > giveUpAtMs) throw new Error(`not within ${patienceMs} ms: ${what}`)
    await turn()
  }
}

/** One look of the event loop at its sockets. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Several turns: what would have happened "at once" has happened. Only for saying that something does not happen. */
export async function settle(turns = 20): Promise<void> {
  for (let i = 0; i < turns; i++) await turn()
}

/** The next event of a type that fits; put on before the cause, so that nothing is missed. */
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
  // Whoever awaits it hears; a test that failed before it did shall not fail twice.
  bounded.catch(() => {})
  return bounded
}

/** The error of a promise that must reject. The handler is put on at once: a rejection in between is not unhandled. */
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
