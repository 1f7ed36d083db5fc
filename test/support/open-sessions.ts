/**
 * Owns: sessions on one native link as if a call of makeSessions had made them, for tests of what sessions do.
 * Independent of: how calls find each other, and of the other side.
 */
import { firstWindowBytes } from '../../protocol/native/lanes/credit.ts'
import type { NativeLane } from '../../protocol/native/lanes/native-lane.ts'
import type { NativeLink } from '../../protocol/native/link/native-link.ts'

/** @param options `creditBytes`: what the peer has granted on each; `firstId`: by default the next */
export function openSessions(
  state: NativeLink,
  count: number,
  { creditBytes = 0, firstId }: { readonly creditBytes?: number; readonly firstId?: number } = {},
): NativeLane[] {
  let first = firstId
  if (first === undefined) first = state.sessionIds.take(count)
  else state.sessionIds.make(first, count)
  const windowBytes = state.memory.openWindow(firstWindowBytes, count)
  return Array.from({ length: count }, (_, index) => state.openSession({ id: first + index, windowBytes, creditBytes }))
}
