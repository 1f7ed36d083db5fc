/**
 * Owns: shorter keep-alive times for this whole process, so that a quick run need not wait 20 s.
 * Independent of: what they are used for.
 */
import { defaultKeepAlive } from '../../../protocol/native/epoch/keep-alive.ts'
import type { KeepAliveOptions } from '../../../protocol/native/epoch/keep-alive.ts'

/** A twentieth of the shipped times, in the same proportions. */
export const shortKeepAlive: KeepAliveOptions = { pingIntervalMs: 400, suspectAfterMs: 750, deadAfterMs: 1_000 }

/**
 * There is no option for it; every link reads this object when a connection comes up. @returns a function that restores
 * the times
 */
export function useKeepAlive(options: KeepAliveOptions): () => void {
  const shipped = { ...defaultKeepAlive }
  Object.assign(defaultKeepAlive, options)
  return () => void Object.assign(defaultKeepAlive, shipped)
}
