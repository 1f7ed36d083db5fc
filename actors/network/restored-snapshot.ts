/**
 * Owns: what happens when an application persists and restores an actor that holds sockets: the restored actor fails
 * with a named error when it is started.
 * Independent of: which actor it is.
 *
 * Without this the actor would look alive and do nothing. It fails when it starts and not earlier, because XState does
 * not start a restored child that has failed already, and its parent would never be notified.
 */
import { StatewireError } from '../../codec/errors.ts'

/** The methods of actor logic that are replaced here. XState's own type is narrower than what it calls. */
interface Restorable {
  start(snapshot: unknown, scope: unknown): void
  transition(snapshot: unknown, event: unknown, scope: unknown): unknown
  getPersistedSnapshot(snapshot: unknown): unknown
}

interface Status {
  readonly status: string
  readonly output?: unknown
  readonly error?: unknown
  readonly value?: unknown
}

const restored = new WeakSet<object>()

const message =
  'a network cannot be restored from a persisted snapshot, which has neither its sockets nor its key; ' +
  'start it again from its config (in a chart: in the onError of its invoke)'

/** The error with which the actor of this snapshot will fail, or undefined. */
export function restoreError(snapshot: unknown): StatewireError | undefined {
  return typeof snapshot === 'object' && snapshot !== null && restored.has(snapshot)
    ? new StatewireError('ERR_NOT_RESTORABLE', message)
    : undefined
}

/**
 * Returns the same logic, except that its persisted snapshots are plain data and fail with ERR_NOT_RESTORABLE when
 * started again.
 */
export function refusingRestore<L>(logic: L): L {
  const own = logic as unknown as Restorable
  const refusing: Restorable & { restoreSnapshot(snapshot: unknown): unknown } = {
    ...own,
    start(snapshot, scope) {
      const error = restoreError(snapshot)
      if (error !== undefined) throw error
      own.start(snapshot, scope)
    },
    transition: (snapshot, event, scope) =>
      restoreError(snapshot) === undefined ? own.transition(snapshot, event, scope) : snapshot,
    getPersistedSnapshot(snapshot) {
      const { status, output, error, value } = snapshot as Status
      return { status, output, error, value }
    },
    restoreSnapshot(snapshot) {
      const { status, output, error, value } = snapshot as Status
      // A network that had stopped or failed stays so.
      if (status === 'done' || status === 'error') return { status, output, error, value }
      const active = { status: 'active', output: undefined, error: undefined, value }
      restored.add(active)
      return active
    },
  }
  return refusing as unknown as L
}
