/**
 * Owns: what a session group sends and expects on its lanes before the application gets them: the index of each
 * session, and the keys of `agreePrfKeys`.
 * Independent of: how the lanes were opened, and what follows from a failure (session-group.ts).
 */
import { StatewireError } from '../../codec/errors.ts'
import type { NetworkValue } from '../../codec/values.ts'
import { ringAround } from '../../protocol/ampc/party-ring.ts'
import { validationKey } from '../../protocol/ampc/session-numbering.ts'
import type { SessionContext } from './session-context.ts'
import type { Channel, PrfKeys } from './session.ts'

/** The channels of a group, by session index, then by peer. */
export type GroupChannels = readonly ReadonlyMap<string, Channel>[]

/**
 * Checks that all parties make the same sessions: sends the index of each session, and expects it from every peer. All
 * indexes are sent first, so this cannot deadlock and takes one round trip for any number of sessions.
 * @throws StatewireError ERR_SESSION_VALIDATION, or the error that ended a lane
 */
export async function validateIndexes(group: GroupChannels): Promise<void> {
  for (const [index, channels] of group.entries()) {
    for (const channel of channels.values()) sendWhenPossible(channel, { type: 'PrfKey', value: validationKey(index) })
  }
  for (const [index, channels] of group.entries()) {
    for (const [peer, channel] of channels) {
      const value = await nextValue(channel)
      if (value.type === 'PrfKey' && Buffer.compare(value.value, validationKey(index)) === 0) continue
      throw new StatewireError(
        'ERR_SESSION_VALIDATION',
        `${peer} started session ${channel.lane.name} with ${describe(value)} instead of the number ${index}: all parties must make the same sessions in the same order`,
      )
    }
  }
}

/**
 * Sends a random key to the next party in the ring and receives that of the previous one, like `make_sessions` of the
 * Rust crate.
 * @returns the keys by session index
 */
export async function agreePrfKeys(
  context: SessionContext,
  peers: readonly string[],
  group: GroupChannels,
): Promise<PrfKeys[]> {
  const { next, previous } = ringAround(context.options.identity, peers)
  const own = group.map((channels) => {
    const key = context.environment.random.bytes(16)
    sendWhenPossible(channels.get(next) as Channel, { type: 'PrfKey', value: key })
    return key
  })
  const keys: PrfKeys[] = []
  for (const [index, channels] of group.entries()) {
    const channel = channels.get(previous) as Channel
    const value = await nextValue(channel)
    if (value.type !== 'PrfKey')
      throw new StatewireError(
        'ERR_SESSION_VALIDATION',
        `${previous} sent ${describe(value)} instead of its key on session ${channel.lane.name}`,
      )
    keys.push({ mine: own[index] as Uint8Array, previous: Uint8Array.from(value.value) })
  }
  return keys
}

function sendWhenPossible({ state, lane }: Channel, value: NetworkValue): void {
  // Errors are ignored here. When a link ends, the lane's `receive` rejects too, and reports it.
  if (!state.trySend(lane, value))
    state.waitToSend(
      lane,
      value,
      () => {},
      () => {},
    )
}

function nextValue({ lane }: Channel): Promise<NetworkValue> {
  const value = lane.take()
  return value === undefined
    ? new Promise((resolve, reject) => void lane.wait({ resolve, reject }))
    : Promise.resolve(value)
}

/** A key may be secret, and errors reach logs and inspectors. Only the number of a session is shown. */
function describe(value: NetworkValue): string {
  if (value.type !== 'PrfKey') return `a value of type ${value.type}`
  const index = Buffer.from(value.value).readUInt32LE(0)
  return Buffer.compare(value.value, validationKey(index)) === 0
    ? `the number ${index}`
    : 'a key that is not a session number'
}
