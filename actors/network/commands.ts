/**
 * Owns: the commands of RFC 33 as events of the supervisor: their types, their answers, and running them.
 * Independent of: what they do; each is one call of Network.
 *
 * A command event is turned into one opaque CommandCall before it reaches the chart, so the chart decides whether
 * commands are taken, and neither it nor an inspector sees bytes.
 */
import { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import type { AnyActorRef, AnyEventObject } from '../../machines/xstate.ts'
import { causeOf } from '../base/causes.ts'
import type { Cause } from '../base/causes.ts'
import { checkNames, invalid } from '../base/checks.ts'
import type { PeerRef } from '../base/peer-ref.ts'
import { QuorumError } from '../base/send-to-all.ts'
import type { Need, SendResults } from '../base/send-to-all.ts'
import type { PeerOption } from '../config/options.ts'
import type { Headers } from '../messaging/content.ts'
import { send } from '../statechart/send.ts'
import type { DrainReport } from './drain.ts'
import { Network } from './network.ts'
import type { Peer } from './peer-handle.ts'
import { Payload, payloadBytes } from './payload.ts'
import type { Services } from './services.ts'

interface CommandFields {
  /** Repeated in the answer. */
  readonly id?: string | number | undefined
  /** Gets the answer: `command.done` or `command.failed`. Without it a failure is the network event `command.failed`. */
  readonly replyTo?: AnyActorRef | undefined
  readonly timeoutMs?: number | undefined
}

interface MessageFields extends CommandFields {
  readonly payload: Payload
  readonly name?: string | undefined
  readonly headers?: Headers | undefined
}

/** An event that an application sends to the supervisor. Each does what the call of Network or Peer does. */
export type Command =
  | ({ readonly type: 'peer.add'; readonly peer: PeerOption } & Omit<CommandFields, 'timeoutMs'>)
  | ({ readonly type: 'peer.remove'; readonly peer: PeerRef; readonly reason?: string | undefined } & CommandFields)
  | ({ readonly type: 'peer.connect'; readonly peer: PeerRef } & CommandFields)
  | ({ readonly type: 'peer.disconnect'; readonly peer: PeerRef; readonly reason?: string | undefined } & CommandFields)
  | ({ readonly type: 'message.send'; readonly peer: PeerRef } & MessageFields)
  | ({
      readonly type: 'message.multicast'
      readonly peers: readonly PeerRef[]
      readonly need?: Need | undefined
    } & MessageFields)
  | ({
      readonly type: 'message.broadcast'
      readonly except?: readonly PeerRef[] | undefined
      readonly need?: Need | undefined
    } & MessageFields)

export type CommandType = Command['type']

/** By the id of the peer: null if its link has accepted the message, otherwise why not. */
export type CommandResults = Readonly<Record<string, Cause | null>>

export interface CommandResult {
  readonly 'peer.add': { readonly peer: string; readonly urls: readonly string[] }
  readonly 'peer.remove': DrainReport
  readonly 'peer.connect': { readonly peer: string; readonly address: string | null; readonly rttMs: number | null }
  readonly 'peer.disconnect': DrainReport
  readonly 'message.send': null
  readonly 'message.multicast': CommandResults
  readonly 'message.broadcast': CommandResults
}

/** What `replyTo` gets, once for each command. */
export type CommandReply =
  | {
      [T in CommandType]: {
        readonly type: 'command.done'
        readonly command: T
        readonly id: string | number | null
        readonly result: CommandResult[T]
      }
    }[CommandType]
  | {
      readonly type: 'command.failed'
      readonly command: CommandType
      readonly id: string | number | null
      readonly cause: Cause
      /** With ERR_QUORUM: who has accepted. */
      readonly results?: CommandResults
    }

const always = ['type', 'id', 'replyTo']
const message = [...always, 'payload', 'name', 'headers', 'timeoutMs']

const fieldsOf: Readonly<Record<CommandType, readonly string[]>> = {
  'peer.add': [...always, 'peer'],
  'peer.remove': [...always, 'peer', 'timeoutMs', 'reason'],
  'peer.connect': [...always, 'peer', 'timeoutMs'],
  'peer.disconnect': [...always, 'peer', 'timeoutMs', 'reason'],
  'message.send': [...message, 'peer'],
  'message.multicast': [...message, 'peers', 'need'],
  'message.broadcast': [...message, 'except', 'need'],
}

/** One command on its way through the chart. */
export class CommandCall {
  readonly type: CommandType
  readonly #event: Command

  constructor(event: Command) {
    this.type = event.type
    this.#event = event
  }

  toJSON(): object {
    const { type, id, payload } = this.#event as MessageFields & { type: CommandType }
    return { type, id, ...(payload instanceof Payload ? { lengthBytes: payload.lengthBytes } : {}) }
  }

  /** Never throws: what is wrong is the answer. */
  run(services: Services, ref: AnyActorRef): void {
    run(ref, this.#event).then(
      (result) => this.#answer({ type: 'command.done', command: this.type, id: this.#id, result }),
      (error: unknown) => this.fail(services, error),
    )
  }

  fail(services: Services, error: unknown): void {
    const failed = { type: 'command.failed', command: this.type, id: this.#id, cause: causeOf(error) } as const
    const results = error instanceof QuorumError ? { results: plain(error.results) } : {}
    if (!this.#answer({ ...failed, ...results })) services.emit(failed)
  }

  get #id(): string | number | null {
    const { id } = this.#event
    return typeof id === 'string' || typeof id === 'number' ? id : null
  }

  /** @returns whether somebody asked for the answer */
  #answer(reply: AnyEventObject): boolean {
    const { replyTo } = this.#event
    if (!isActor(replyTo)) return false
    send(replyTo, reply)
    return true
  }
}

/** Returns the same logic, whose chart gets each command as one CommandCall. */
export function takingCommands<L>(logic: L): L {
  const own = logic as unknown as { transition(snapshot: unknown, event: AnyEventObject, scope: unknown): unknown }
  const transition: typeof own.transition = (snapshot, event, scope) =>
    own.transition(
      snapshot,
      Object.hasOwn(fieldsOf, event.type) ? { type: event.type, command: new CommandCall(event as Command) } : event,
      scope,
    )
  return { ...own, transition } as unknown as L
}

function isFunction(of: object, name: string): boolean {
  return typeof (of as Record<string, unknown>)[name] === 'function'
}

function isActor(ref: unknown): ref is AnyActorRef {
  return typeof ref === 'object' && ref !== null && isFunction(ref, 'send') && isFunction(ref, 'getSnapshot')
}

/** @throws StatewireError ERR_INVALID_OPTION, ERR_INVALID_VALUE */
function checked(event: Command): Command {
  const { type, id, replyTo } = event
  checkNames(event, fieldsOf[type], `a field of ${type}`)
  if (id !== undefined && typeof id !== 'string' && typeof id !== 'number')
    throw invalid(`id of ${type} must be a string or a number, got ${formatValue(id)}`)
  if (replyTo !== undefined && !isActor(replyTo))
    throw invalid(`replyTo of ${type} must be the reference of an actor, got ${formatValue(replyTo)}`)
  if (type.startsWith('message.') && !((event as MessageFields).payload instanceof Payload))
    throw new StatewireError(
      'ERR_INVALID_VALUE',
      `payload of ${type} must be a Payload: new Payload(bytes). Bytes in an event would be visible to inspectors`,
    )
  return event
}

/** Calls the network before the first await, so commands are carried out in the order in which they were sent. */
async function run(ref: AnyActorRef, event: Command): Promise<unknown> {
  const command = checked(event)
  const network = Network.from(ref)
  switch (command.type) {
    case 'peer.add': {
      const { id, urls } = network.add(command.peer)
      return { peer: id, urls }
    }
    case 'peer.remove':
      return peerOf(network, command.peer).remove(given(command, ['timeoutMs', 'reason']))
    case 'peer.connect': {
      const peer = peerOf(network, command.peer)
      await peer.connect(given(command, ['timeoutMs']))
      return { peer: peer.id, address: peer.address, rttMs: peer.rttMs }
    }
    case 'peer.disconnect':
      return peerOf(network, command.peer).disconnect(given(command, ['timeoutMs', 'reason']))
    case 'message.send':
      await network.send(command.peer, payloadBytes(command.payload), given(command, sending))
      return null
    case 'message.multicast':
      return plain(
        await network.multicast(command.peers, payloadBytes(command.payload), given(command, [...sending, 'need'])),
      )
    case 'message.broadcast':
      return plain(
        await network.broadcast(payloadBytes(command.payload), given(command, [...sending, 'need', 'except'])),
      )
  }
}

const sending = ['name', 'headers', 'timeoutMs'] as const

/** The options of the call that the command has. */
function given<C extends object, K extends string>(command: C, names: readonly K[]): Partial<Pick<C, K & keyof C>> {
  return Object.fromEntries(
    names.filter((name) => Object.hasOwn(command, name)).map((name) => [name, command[name as unknown as keyof C]]),
  ) as Partial<Pick<C, K & keyof C>>
}

function peerOf(network: Network, ref: PeerRef): Peer {
  const peer = network.peer(ref)
  if (peer !== undefined) return peer
  throw new StatewireError(
    'ERR_UNKNOWN_PEER',
    `${formatValue(ref)} is not a peer of this network: add it with peer.add`,
  )
}

function plain(results: SendResults): CommandResults {
  return Object.fromEntries([...results].map(([peer, result]) => [peer, result.ok ? null : causeOf(result.error)]))
}
