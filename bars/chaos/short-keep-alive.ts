/**
 * Owns: other keep-alive times than those that are shipped, for this whole process, so that a quick run need not wait 20 s.
 * Refuses to know: what they are for.
 */
import { defaultKeepAlive } from '../../protocol/native/keep-alive.ts'
import type { KeepAliveOptions } from '../../protocol/native/keep-alive.ts'

/** A twentieth of what is shipped, and like it in its proportions. */
export const shortKeepAlive: KeepAliveOptions = { pingIntervalMs: 400, suspectAfterMs: 750, deadAfterMs: 1_000 }

/** There is no option for it; every link reads this object when a connection of it comes up. @returns what puts it back */
export function useKeepAlive(options: KeepAliveOptions): () => void {
  const shipped = { ...defaultKeepAlive }
  Object.assign(defaultKeepAlive, options)
  return () => void Object.assign(defaultKeepAlive, shipped)
}
