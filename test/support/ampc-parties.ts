/**
 * Owns: the parties of an ampc test: networks and plain-socket seats that are shut down at its end, and the check that
 * nothing of a network is left then.
 * Independent of: what a test does with them.
 */
import { afterEach, expect } from 'vitest'
import { createNetwork } from '../../index.ts'
import type { Limits, Network, AmpcPlaintextConfig, NetworkRuntimeOptions, NetworkValue, Session } from '../../index.ts'
import { TcpTransport } from '../../actors/index.ts'
import type { TcpPipe } from '../../actors/index.ts'
import { encodeFrame } from '../../codec/index.ts'
import { validationKey } from '../../protocol/index.ts'
import { within } from './bounded-wait.ts'
import { dialUntilOk, RustSeat } from './rust-seat.ts'
import type { RawSocket } from './raw-socket.ts'
import { SocketClock } from './socket-clock.ts'

/** All tests come from one address and retry at once: the caps for strangers have tests of their own. */
export const testLimits: Partial<Limits> = {
  backoffMinMs: 1,
  backoffMaxMs: 20,
  connectBurst: 10_000,
  pendingInboundPerAddressMax: 64,
  makeSessionsTimeoutMs: 10_000,
}

export const anyPort = 'tcp://127.0.0.1:0'

export type PartyConfig = Partial<AmpcPlaintextConfig> & Pick<AmpcPlaintextConfig, 'identity' | 'peers'>

const networks: Network[] = []
const transports = new WeakMap<Network, TcpTransport>()
/** Of networks whose time a test advances. */
const clocks = new WeakMap<Network, SocketClock>()
const seats: RustSeat[] = []
const sockets: RawSocket[] = []

/** A network that is running. */
export async function party(
  config: PartyConfig,
  runtime: NetworkRuntimeOptions = {},
  transport = new TcpTransport(),
): Promise<Network> {
  const network = createNetwork(
    { security: 'plaintext', listen: anyPort, ...config, limits: { ...testLimits, ...config.limits } },
    { ...runtime, environment: { ...runtime.environment, transport } },
  )
  track(network, transport)
  if (runtime.environment?.clock instanceof SocketClock) clocks.set(network, runtime.environment.clock)
  await within(network.ready(), `${config.identity} is ready`)
  return network
}

/** Registers a network that was made in another way for the same cleanup. */
export function track(network: Network, transport: TcpTransport): void {
  transports.set(network, transport)
  networks.push(network)
}

/**
 * Networks of all the given parties, each knowing all others; the lesser ones first, because the greater dial them.
 */
export async function parties(
  identities: readonly string[],
  config: Partial<AmpcPlaintextConfig> = {},
): Promise<Network[]> {
  const urls = new Map<string, string>()
  const made: Network[] = []
  for (const identity of identities) {
    const peers = identities
      .filter((id) => id !== identity)
      .map((id) => (urls.has(id) ? { id, urls: urls.get(id) as string } : { id }))
    const network = await party({ ...config, identity, peers })
    urls.set(identity, network.url as string)
    made.push(network)
  }
  return made
}

/** The open sockets of a network, for a test to break. */
export function pipesOf(network: Network): TcpPipe[] {
  return [...(transports.get(network) as TcpTransport).pipes]
}

export async function seat(identity: string, port = 0): Promise<RustSeat> {
  const made = await RustSeat.listen(identity, port)
  seats.push(made)
  return made
}

export function keep<T extends RawSocket>(socket: T): T {
  sockets.push(socket)
  return socket
}

/** "bob" dials the network and gets its "2ok". */
export async function dialed(network: Network, identity = 'bob', connectionId = 0): Promise<RawSocket> {
  return keep(await dialUntilOk(network.url as string, identity, connectionId))
}

/** What a party sends first: each of its sessions sends its index in the session group. */
export function validation(indexes: readonly number[], firstId = 0): Buffer {
  return Buffer.concat(
    indexes.map((index) => encodeFrame(firstId + index, { type: 'PrfKey', value: validationKey(index) })),
  )
}

export function ring16(value: number): NetworkValue {
  return { type: 'RingElement16', value }
}

export async function makeAll(
  made: readonly Network[],
  count: number,
  options: Partial<Parameters<Network['makeSessions']>[0]> = {},
): Promise<Session[][]> {
  return await within(
    Promise.all(made.map((network) => network.makeSessions({ count, ...options }))),
    'all parties make their sessions',
  )
}

/** alice as a network, and bob as a plain socket that shook hands and was validated on every session. */
export async function aliceWithRawBob(
  count = 1,
  limits: Partial<Limits> = {},
): Promise<{ alice: Network; sessions: Session[]; bob: RawSocket }> {
  const alice = await party({ identity: 'alice', peers: [{ id: 'bob' }], limits })
  const made = alice.makeSessions({ count })
  const bob = await dialed(alice)
  const indexes = Array.from({ length: count }, (_, index) => index)
  bob.write(validation(indexes))
  const sessions = await within(made, 'alice makes her sessions')
  expect(await bob.read(validation(indexes).length)).toEqual(validation(indexes))
  return { alice, sessions, bob }
}

export async function shutDown(network: Network): Promise<void> {
  const stopped = network.shutdown()
  await within(clocks.get(network)?.run(stopped) ?? stopped, `${network.identity} shuts down`)
  expect({ of: network.identity, ...network.resources }).toEqual({
    of: network.identity,
    actors: 0,
    deadlines: 0,
    handles: 0,
  })
}

/** Registers the end of every scenario: whatever it did, nothing is left. */
export function leaveNothingBehind(): void {
  afterEach(async () => {
    try {
      for (const network of networks) await shutDown(network)
    } finally {
      networks.length = 0
      for (const made of seats.splice(0)) made.close()
      for (const socket of sockets.splice(0)) socket.close()
    }
  })
}
