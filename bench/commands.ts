/**
 * Owns: the cost of a message sent as a command event, beside the plain call.
 * Independent of: the transport. Both ends are networks of this process over loopback TCP; the CPU of both is counted.
 */
import { parseArgs } from 'node:util'
import { createActor, fromCallback } from 'xstate'
import type { AnyActorRef } from 'xstate'
import { createNetwork, Identity, Payload } from '../actors/index.ts'
import type { Network } from '../actors/index.ts'

const help = `Usage: commands [--quick]

Sends 64-byte messages by network.send, by command events, and by command events with replyTo, in turns, and prints the
CPU time of both ends for each message: the median of the rounds, and the ratio to the plain call.

  --quick  fewer messages and rounds; the figures are rougher
  --help   this text`

const { values } = parseArgs({ options: { quick: { type: 'boolean' }, help: { type: 'boolean' } } })
if (values.help === true) {
  process.stdout.write(`${help}\n`)
  process.exit(0)
}
const messages = values.quick === true ? 5_000 : 100_000
const rounds = values.quick === true ? 3 : 9
/** As many as are sent before the event loop may turn. */
const burst = 100

const bytes = Buffer.alloc(64, 7)
const [own, other] = [Identity.generate(), Identity.generate()]
const server = createNetwork({
  identity: own,
  security: 'plaintext',
  listen: 'tcp://127.0.0.1:0',
  peers: [{ id: other.id }],
})
await server.ready()
const client = createNetwork({
  identity: other,
  security: 'plaintext',
  peers: [{ id: own.id, urls: server.url as string }],
})
await client.ready({ peers: 'all' })

let arrived = 0
let onArrived = (): void => {}
server.onMessage('', () => {
  if (++arrived === messages) onArrived()
})

let answered = 0
const asker: AnyActorRef = createActor(fromCallback(({ receive }) => receive(() => void answered++))).start()

type Way = (network: Network) => Promise<void>
const ways: Record<string, Way> = {
  'network.send': async (network) => {
    for (let sent = 0; sent < messages; sent += burst) {
      const sending: Promise<void>[] = []
      for (let i = 0; i < burst; i++) sending.push(network.send(own.id, bytes))
      await Promise.all(sending)
      await turn()
    }
  },
  'command event': async (network) => {
    for (let sent = 0; sent < messages; sent += burst) {
      for (let i = 0; i < burst; i++)
        network.ref.send({ type: 'message.send', peer: own.id, payload: new Payload(bytes) })
      await turn()
    }
  },
  'command event with replyTo': async (network) => {
    answered = 0
    for (let sent = 0; sent < messages; sent += burst) {
      for (let i = 0; i < burst; i++)
        network.ref.send({ type: 'message.send', peer: own.id, payload: new Payload(bytes), replyTo: asker })
      await turn()
    }
    if (answered !== messages) throw new Error(`${answered} of ${messages} commands were answered`)
  },
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

/** CPU of this process for each message, in microseconds. */
async function measure(way: Way): Promise<number> {
  arrived = 0
  const all = new Promise<void>((resolve) => (onArrived = resolve))
  const before = process.cpuUsage()
  await way(client)
  await all
  const { user, system } = process.cpuUsage(before)
  return (user + system) / messages
}

const figures = new Map(Object.keys(ways).map((name) => [name, [] as number[]]))
for (let round = -1; round < rounds; round++)
  for (const [name, way] of Object.entries(ways)) {
    const cpuUs = await measure(way)
    // The first round warms up.
    if (round >= 0) figures.get(name)?.push(cpuUs)
  }
await Promise.all([client.shutdown(), server.shutdown()])

const median = (list: number[]): number => list.sort((a, b) => a - b)[Math.floor(list.length / 2)] as number
const medians = [...figures].map(([name, list]) => [name, median(list)] as const)
const plain = medians[0]?.[1] as number
for (const [name, cpuUs] of medians)
  process.stdout.write(`${name.padEnd(28)} ${cpuUs.toFixed(2)} µs a message, ${(cpuUs / plain).toFixed(2)}x\n`)
