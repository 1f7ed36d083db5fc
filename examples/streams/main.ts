/**
 * The section "Streams and channels" of README.md as a program: a test compares them.
 *
 * node build/examples/streams/main.js
 *
 * Owns: the smallest use of a stream and of a channel. Independent of: everything else.
 */
import { pipeline } from 'node:stream/promises'
import { createGzip, gunzipSync } from 'node:zlib'
import { createNetwork, Identity } from '../../index.ts'

const aliceKey = Identity.generate()
const bobKey = Identity.generate()

const alice = createNetwork({ identity: aliceKey, listen: 'tls://127.0.0.1:0', peers: [{ id: bobKey.id }] })
await alice.ready()
const bob = createNetwork({ identity: bobKey, peers: [{ id: aliceKey.id, urls: String(alice.url) }] })

// README from here
// a stream: bytes in both directions, a Node Duplex. Alice gets it once bob's `permit` has said yes
bob.onStream('gzip/1', (stream) => pipeline(stream, createGzip(), stream), {
  permit: ({ peer }) => peer === aliceKey.id,
})
const stream = await alice.getStream(bobKey.id, 'gzip/1', { extra: 'hello.txt', timeoutMs: 5_000 })
stream.end('hello '.repeat(1_000))
const zipped = Buffer.concat(await stream.toArray())
console.log(gunzipSync(zipped).length, (await stream.closed).how) // 6000 finished

// a channel: values in both directions
bob.onChannel<number[]>('double/1', async (channel) => {
  for await (const numbers of channel) await channel.send(numbers.map((number) => 2 * number))
  channel.end()
})
const channel = await alice.getChannel<number[]>(bobKey.id, 'double/1')
await channel.send([1, 2, 3])
channel.end()
for await (const numbers of channel) console.log(numbers) // [ 2, 4, 6 ]
// to here

await Promise.all([alice.shutdown(), bob.shutdown()])
