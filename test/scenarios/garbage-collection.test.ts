/**
 * Owns: that this package keeps no part of a network alive after its shutdown: not the network, its services, or its
 * private key. The first network of a process is the critical case.
 * Independent of: what the networks did.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const entry = new URL('../../build/index.js', import.meta.url).href

/**
 * In each of three rounds, two networks connect, exchange a value and shut down. Prints which of their parts are still
 * reachable after a garbage collection.
 */
const program = (config: string): string => `
import { setImmediate } from 'node:timers/promises'
const { createNetwork, Identity } = await import(${JSON.stringify(entry)})
const refs = []
function watch(round, parts) {
  for (const [name, part] of Object.entries(parts)) refs.push({ name: name + ' ' + round, ref: new WeakRef(part) })
}
async function play(round) {
  const { security, dialect, scheme } = ${config}
  const [aliceKey, bobKey] = dialect === 'ampc' ? ['alice', 'bob'] : [Identity.generate(), Identity.generate()]
  const [aliceId, bobId] = [aliceKey.id ?? aliceKey, bobKey.id ?? bobKey]
  const shared = { security, dialect }
  const alice = createNetwork({ ...shared, identity: aliceKey, listen: scheme + '://127.0.0.1:0', peers: [{ id: bobId }] })
  await alice.ready()
  const bob = createNetwork({ ...shared, identity: bobKey, peers: [{ id: aliceId, urls: alice.url }] })
  const [[fromAlice], [fromBob]] = await Promise.all([alice.makeSessions({ count: 1 }), bob.makeSessions({ count: 1 })])
  await fromAlice.send(bobId, { type: 'RingElement16', value: 1 })
  await fromBob.receive(aliceId)
  watch(round, { alice, bob, 'actor of alice': alice.ref, 'actor of bob': bob.ref, session: fromAlice })
  if (dialect !== 'ampc') watch(round, { 'key of alice': aliceKey, 'key of bob': bobKey })
  await Promise.all([alice.shutdown(), bob.shutdown()])
}
for (let round = 1; round <= 3; round++) await play(round)
let left = refs
for (let ticks = 0; ticks < 100 && left.length > 0; ticks++) {
  await setImmediate()
  gc()
  left = left.filter(({ ref }) => ref.deref() !== undefined)
}
console.log(JSON.stringify({ watched: refs.length, left: left.map(({ name }) => name) }))
`

describe('a network after shutdown', () => {
  it.each([
    ['native over TLS', "{ security: 'tls', dialect: 'native', scheme: 'tls' }", 21],
    ['native over plain TCP', "{ security: 'plaintext', dialect: 'native', scheme: 'tcp' }", 21],
    ['ampc over plain TCP', "{ security: 'plaintext', dialect: 'ampc', scheme: 'tcp' }", 15],
  ])(
    'a network after shutdown is garbage-collected with its actors, sessions and key: %s',
    async (_what, config, watched) => {
      const args = ['--expose-gc', '--input-type=module', '--eval', program(config)]
      const cwd = fileURLToPath(new URL('../..', import.meta.url))
      const { stdout } = await promisify(execFile)(process.execPath, args, { cwd, timeout: 20_000 })
      expect(JSON.parse(stdout)).toEqual({ watched, left: [] })
    },
  )
})
