/**
 * Owns: the commands of the control socket: their fields, and what each does with the network.
 * Independent of: sockets and lines.
 */
import { checkNames, invalid } from '../actors/base/checks.ts'
import type { Network } from '../actors/network/network.ts'
import type { Peer } from '../actors/network/peer-handle.ts'
import { StatewireError } from '../codec/errors.ts'
import { formatValue } from '../codec/format-value.ts'
import type { TunnelBoard } from './tunnel-board.ts'

export type Fields = Readonly<Record<string, unknown>>

interface Command {
  readonly fields: readonly string[]
  /** For the help. */
  readonly says: string
  run(network: Network, fields: Fields, board: TunnelBoard): unknown
}

const peerOf = (network: Network, { peer }: Fields): Peer => {
  const found = typeof peer === 'string' ? network.peer(peer) : undefined
  if (found === undefined) throw new StatewireError('ERR_UNKNOWN_PEER', `${formatValue(peer)} is not a peer`)
  return found
}

/** `text`, or `base64`. */
const bytesOf = ({ text, base64 }: Fields): Buffer => {
  if (typeof text === 'string' && base64 === undefined) return Buffer.from(text)
  if (typeof base64 === 'string' && text === undefined) return Buffer.from(base64, 'base64')
  throw invalid('the body must be text (a string) or base64 (a string)')
}

const optionsOf = ({ name, headers, timeoutMs }: Fields): object => ({
  ...(name === undefined ? {} : { name }),
  ...(headers === undefined ? {} : { headers }),
  ...(timeoutMs === undefined ? {} : { timeoutMs }),
})

const content = ['text', 'base64', 'name', 'headers', 'timeoutMs']

export const commands: Readonly<Record<string, Command>> = {
  status: {
    fields: [],
    says: 'identity, address, uptime and memory of the running peer',
    run: (network) => {
      const { identity, memory, messages } = network.metrics()
      const connected = network.peers.filter(({ state }) => state === 'connected').length
      return {
        id: identity,
        url: network.url,
        pid: process.pid,
        uptimeSeconds: Math.round(process.uptime()),
        peers: network.peers.length,
        connected,
        memory,
        messages,
      }
    },
  },
  peers: {
    fields: [],
    says: 'all peers with their state',
    run: (network) => network.peers.map((peer) => peer.toJSON()),
  },
  add: {
    fields: ['peer', 'urls', 'connect'],
    says: 'adds a peer, or URLs to one that exists',
    run: (network, { peer, ...rest }) => network.add({ id: peer as string, ...rest }).toJSON(),
  },
  remove: {
    fields: ['peer', 'timeoutMs', 'reason'],
    says: 'removes a peer, after what was sent to it is acknowledged',
    run: (network, { peer, ...options }) => peerOf(network, { peer }).remove(options),
  },
  connect: {
    fields: ['peer', 'timeoutMs'],
    says: 'wants a peer connected, and waits until it is',
    run: async (network, { peer, ...options }) => {
      const handle = peerOf(network, { peer })
      await handle.connect({ timeoutMs: 30_000, ...options })
      return handle.toJSON()
    },
  },
  disconnect: {
    fields: ['peer', 'timeoutMs', 'reason'],
    says: 'disconnects a peer until connect',
    run: (network, { peer, ...options }) => peerOf(network, { peer }).disconnect(options),
  },
  send: {
    fields: ['peer', ...content],
    says: 'sends a message',
    run: async (network, fields) => {
      await network.send(fields['peer'] as string, bytesOf(fields), optionsOf(fields))
      return null
    },
  },
  request: {
    fields: ['peer', ...content],
    says: 'sends a request and prints its answer',
    run: async (network, fields) => {
      const { bytes } = await network.request(fields['peer'] as string, bytesOf(fields), optionsOf(fields))
      return { text: bytes.toString('utf8'), base64: bytes.toString('base64') }
    },
  },
  broadcast: {
    fields: content,
    says: 'sends a message to all peers',
    run: async (network, fields) => {
      const results = await network.broadcast(bytesOf(fields), optionsOf(fields))
      return Object.fromEntries([...results].map(([id, it]) => [id, it.ok ? 'ok' : it.error.message]))
    },
  },
  services: {
    fields: ['peer', 'timeoutMs'],
    says: 'the services of a peer',
    run: (network, { peer, ...options }) => network.services(peer as string, options),
  },
  tunnels: {
    fields: [],
    says: 'the tunnels and their open connections',
    run: (_network, _fields, { tunnels, connections }) => ({ tunnels, connections }),
  },
  'tunnel-kill': {
    fields: ['connection', 'reason'],
    says: 'resets a connection of a tunnel at both ends',
    run: (_network, { connection, reason }, board) => {
      if (typeof connection !== 'number') throw invalid(`connection must be a number, got ${formatValue(connection)}`)
      if (reason !== undefined && typeof reason !== 'string')
        throw invalid(`reason must be a text, got ${formatValue(reason)}`)
      if (!board.kill(connection, reason))
        throw invalid(`no connection ${connection} is open: statewire tunnel ps lists them`)
      return null
    },
  },
}

/** Commands that concern the connection on which they come: see control-server.ts. */
export const sessionCommands: Readonly<Record<string, string>> = {
  events: 'every event, until Ctrl-C',
  tunnel:
    'a tunnel as in tunnels of the configuration, until Ctrl-C: open, listen; or expose, name, allow, proxyProtocol',
  shutdown: 'stops the peer',
}

/**
 * Runs one command, other than those of `sessionCommands`.
 * @throws StatewireError ERR_INVALID_OPTION, or what the call throws
 */
export async function runCommand(board: TunnelBoard, command: string, fields: Fields): Promise<unknown> {
  const found = Object.hasOwn(commands, command) ? commands[command] : undefined
  if (found === undefined) throw unknownCommand(command)
  checkNames(fields, found.fields, `a field of ${command}`)
  return found.run(board.network, fields, board)
}

function unknownCommand(command: unknown): StatewireError {
  return invalid(
    `there is no command ${formatValue(command)}; there are: ${[...Object.keys(commands), ...Object.keys(sessionCommands)].join(', ')}`,
  )
}
