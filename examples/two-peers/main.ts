/**
 * Two peers who know each other by their keys, and one value between them.
 *
 * node build/examples/two-peers/main.js
 *
 * Owns: the smallest program with statewire.
 * Independent of: where keys are kept (`Identity.load(file)`), and how one process learns another's id and address:
 * here both are in one process.
 */
import { createNetwork, Identity } from '../../index.ts'

const [aliceKey, bobKey] = [Identity.generate(), Identity.generate()]

const alice = createNetwork({
  identity: aliceKey,
  listen: 'tls://127.0.0.1:0',
  peers: [{ id: bobKey.id }], // no url, so bob dials
})
await alice.ready()
const bob = createNetwork({
  identity: bobKey,
  peers: [{ id: aliceKey.id, urls: alice.url ?? '' }],
})

const [[a], [b]] = await Promise.all([alice.makeSessions({ count: 1 }), bob.makeSessions({ count: 1 })])
await a?.send(bob.identity, { type: 'VecRing32', value: Uint32Array.of(1, 2, 3) })
console.log('bob received', await b?.receive(alice.identity, { timeoutMs: 1000 }))

await Promise.all([alice.shutdown(), bob.shutdown()])
