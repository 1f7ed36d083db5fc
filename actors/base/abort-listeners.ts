/**
 * Owns: one 'abort' listener for each AbortSignal, shared by all calls that use it. Node 20 prints a MaxListeners
 * warning from eleven listeners on.
 * Independent of: the calls, and what they do when the signal aborts.
 */
interface AbortListener {
  readonly callbacks: Set<{ readonly callback: () => void }>
  readonly listener: () => void
}

const listeners = new WeakMap<AbortSignal, AbortListener>()

/**
 * Calls `onAbort` once, when the signal aborts.
 * @returns a function that removes the callback
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const { callbacks, listener } = listeners.get(signal) ?? listen(signal)
  const entry = { callback }
  callbacks.add(entry)
  return () => {
    if (!callbacks.delete(entry) || callbacks.size > 0 || signal.aborted) return
    signal.removeEventListener('abort', listener)
    listeners.delete(signal)
  }
}

function listen(signal: AbortSignal): AbortListener {
  const callbacks: AbortListener['callbacks'] = new Set()
  const listener = (): void => {
    listeners.delete(signal)
    for (const entry of callbacks) if (callbacks.delete(entry)) entry.callback()
  }
  const created = { callbacks, listener }
  listeners.set(signal, created)
  signal.addEventListener('abort', listener, { once: true })
  return created
}
