/**
 * The process that listens: prints one value that the other process sends, and ends.
 *
 *     npx statewire keygen --out a.pem
 *     node listen.js "$(npx statewire keygen --id b.pem)"
 *
 * Owns: the listening half of the smallest program in two processes.
 * Independent of: how ids get from one machine to another.
 */
import { createNetwork, Identity } from '../../index.ts'

const [, , peer, listen = 'tls://127.0.0.1:15600'] = process.argv
if (peer === undefined) throw new Error('usage: node listen.js ID_OF_THE_OTHER_PEER [URL]')

const network = createNetwork({ identity: await Identity.load('a.pem'), listen, peers: [{ id: peer }] })
network.on('connection.rejected', ({ cause }) => console.error(cause.message))
await network.ready()
console.error(`listening on ${network.url}`)

const [session] = await network.makeSessions({ count: 1 })
const value = await session.receive(peer)
if (value.type === 'Bytes') console.log(Buffer.from(value.value).toString())
await network.shutdown()
