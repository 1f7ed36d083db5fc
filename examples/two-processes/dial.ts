/**
 * The process that dials: sends one value, and ends when it has arrived.
 *
 * npx statewire keygen --out b.pem
 *     node dial.js "$(npx statewire keygen --id a.pem)"
 *
 * Owns: the dialling half of the smallest program in two processes.
 * Independent of: how ids get from one machine to another.
 */
import { createNetwork, Identity } from '../../index.ts'

const [, , peer, url = 'tls://127.0.0.1:15600'] = process.argv
if (peer === undefined) throw new Error('usage: node dial.js ID_OF_THE_OTHER_PEER [URL]')

const network = createNetwork({ identity: await Identity.load('b.pem'), peers: [{ id: peer, urls: url }] })
network.on('connection.failed', ({ cause }) => console.error(cause.message))

const [session] = await network.makeSessions({ count: 1 })
await session.send(peer, { type: 'Bytes', value: Buffer.from('hello') })
await network.shutdown() // first waits until every sent value is acknowledged
