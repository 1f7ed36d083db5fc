/**
 * A gossip node after Bee RFC 33: static peers, multicast, an allow-list and a graceful stop.
 * `npm run example:gossip -- --help`
 *
 * Owns: what a node does with a rumour, and its commands. Independent of: how peers are connected.
 */
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { init } from '../../actors/index.ts'
import { Identity } from '../../index.ts'

const help = `npm run example:gossip -- --key FILE [--listen URL] [--peer ID[@URL]]…

  A node passes each new rumour on to all its peers but the one it came from, so that a rumour
  reaches every node that is connected in any way, and each node prints it once.

  --key FILE      the key of this node; it is made if FILE does not exist
  --listen URL    where others can reach it, such as tls://0.0.0.0:15600
  --peer ID@URL   a node; without @URL it has to dial this one
  --help          print this

  Type a line to start a rumour. /allow ID ID … sets who may be connected, /quit or Ctrl-C stops.
`

interface Rumour {
  readonly id: string
  readonly hops: number
  readonly text: string
}

/** Rumours that a node remembers, so that it passes each on once. */
const knownMost = 10_000

const say = (text: string): void => void process.stdout.write(`${text.replaceAll(/\p{Cc}/gu, ' ')}\n`)

async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      key: { type: 'string' },
      listen: { type: 'string' },
      peer: { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help === true) return void process.stdout.write(help)
  if (values.key === undefined) throw new Error('--key is missing')
  if (!existsSync(values.key)) await Identity.generate().save(values.key)
  const identity = await Identity.load(values.key)
  const peers = values.peer.map((text) => {
    const [id = '', urls] = text.split('@')
    return urls === undefined ? { id } : { id, urls }
  })

  // The RFC's three parts: the network, its events, and a shutdown with the work of the application.
  const { network, events, shutdown } = init({ identity, listen: values.listen, peers })
  const known = new Set<string>()
  const spread = async (rumour: Rumour, from: string | null): Promise<void> => {
    known.add(rumour.id)
    if (known.size > knownMost) known.delete(known.values().next().value as string)
    const others = network.peers.filter(({ id, state }) => id !== from && state === 'connected')
    if (others.length > 0) await network.multicast(others, JSON.stringify(rumour), { name: 'rumour', timeoutMs: 5_000 })
  }
  network.onMessage('rumour', ({ peer, bytes }) => {
    const { id, hops, text } = JSON.parse(bytes.toString()) as Rumour
    if (known.has(id)) return
    say(`rumour ${JSON.stringify(text)} from ${peer.slice(0, 8)} after ${hops + 1} hops`)
    void spread({ id, hops: hops + 1, text }, peer)
  })
  shutdown.addTask(
    (async () => {
      for await (const event of events) {
        if (event.type === 'peer.connected') say(`connected ${event.peer.slice(0, 8)} at ${event.address}`)
        if (event.type === 'peer.disconnected')
          say(`disconnected ${event.peer.slice(0, 8)}: ${event.reason} by ${event.by}`)
        if (event.type === 'peer.removed') say(`removed ${event.peer.slice(0, 8)}: ${event.reason}`)
      }
    })(),
  )
  await network.ready()
  say(`node ${identity.id}${network.url === null ? '' : `@${network.url}`}`)

  const input = createInterface({ input: process.stdin })
  shutdown.addNotifier(() => input.close())
  const stop = (): void => input.close()
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  for await (const line of input) {
    const text = line.trim()
    if (text === '/quit') break
    if (text.startsWith('/allow')) {
      const { added, removed } = network.setAllowed(text.split(/\s+/).slice(1))
      say(`allowed: ${added.length} added, ${removed.length} cut off`)
    } else if (text !== '')
      await spread({ id: `${identity.id.slice(0, 8)}.${Date.now()}.${known.size}`, hops: 0, text }, null)
  }
  const { errors, unfinishedTasks } = await shutdown.execute()
  say(`stopped: ${errors.length} errors, ${unfinishedTasks} tasks unfinished`)
}

try {
  await run(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`gossip-node: ${(error as Error).message}\n\n${help}`)
  process.exitCode = 2
}
