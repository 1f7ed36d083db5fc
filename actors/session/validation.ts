/**
 * Owns: how a batch says and hears something of its own on a lane before the lane is the application's, and what it tells of what it heard.
 * Refuses to know: what is to be said (session-group.ts).
 */
import type { NetworkValue } from '../../codec/values.ts'
import { validationKey } from '../../protocol/ampc/session-numbering.ts'
import type { Channel } from './session.ts'

export function sendWhenPossible({ state, lane }: Channel, value: NetworkValue): void {
  // A link that ends rejects the lane's receive as well, and that is where it is heard.
  if (!state.trySend(lane, value))
    state.waitToSend(
      lane,
      value,
      () => {},
      () => {},
    )
}

export function nextOf({ lane }: Channel): Promise<NetworkValue> {
  const value = lane.take()
  return value === undefined
    ? new Promise((resolve, reject) => void lane.wait({ resolve, reject }))
    : Promise.resolve(value)
}

/** A key may be a secret one, and an error reaches logs and inspectors: only the number of a session is shown. */
export function describe(value: NetworkValue): string {
  if (value.type !== 'PrfKey') return `a value of type ${value.type}`
  const index = Buffer.from(value.value).readUInt32LE(0)
  return Buffer.compare(value.value, validationKey(index)) === 0 ? `the number ${index}` : 'a key that is no number'
}
