#!/usr/bin/env node
/**
 * Counts the files and functions of a compiled tree that run for one byte, one dial and one reconnect.
 * Owns: the scene (two native TLS networks in this process, with a plain TCP relay between them), the phases and the
 * sums.
 * Independent of: the layout of the tree. It uses the public API only, so that it can compare two versions.
 *
 * Counted with V8's precise coverage: a function counts if it was called at least once in the phase, on either side.
 */
import { Session as InspectorSession } from 'node:inspector/promises'
import { createServer, connect } from 'node:net'
import { once } from 'node:events'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

const help = `node scripts/count-functions.mjs [--build DIR] [--json] [--list PHASE]

  byte        one value on a warm session, from send to receive
  ack         what follows it: the acknowledgement and its timer
  dial        from createNetwork at the dialing side until both sides have opened the connection
  reconnect   from a reset socket until both sides have resumed the link

  --build DIR    the compiled tree (build/ of this repository)
  --json         prints one line of JSON
  --list PHASE   also names the functions of that phase, a line for each file`

const { values: options } = parseArgs({
  options: {
    build: { type: 'string', default: fileURLToPath(new URL('../build', import.meta.url)) },
    json: { type: 'boolean', default: false },
    list: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

/** Long enough for acknowledgements and for work that was put off; shorter than the first keep-alive. */
const settleMs = 100
const warmUpValues = 300

class FunctionCounter {
  #inspector = new InspectorSession()
  #folder

  constructor(folder) {
    this.#folder = pathToFileURL(`${path.resolve(folder)}/`).href
  }

  async start() {
    this.#inspector.connect()
    await this.#inspector.post('Profiler.enable')
    await this.#inspector.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
  }

  /** What was called since the last time, as a map from file to the names of its functions. */
  async take() {
    const { result } = await this.#inspector.post('Profiler.takePreciseCoverage')
    const called = new Map()
    for (const { url, functions } of result) {
      if (!url.startsWith(this.#folder)) continue
      // A module's own top level begins at 0: it runs once, when it is loaded.
      const names = functions
        .filter(({ ranges: [range] }) => range.startOffset > 0 && range.count > 0)
        .map(({ functionName }) => functionName || '(anonymous)')
      if (names.length > 0) called.set(url.slice(this.#folder.length), names)
    }
    return called
  }

  stop() {
    this.#inspector.disconnect()
  }
}

/** Forwards TCP to one port; `reset` destroys both halves of every connection, as a failing network does. */
class Relay {
  #sockets = new Set()
  #server

  async listen(target) {
    this.#server = createServer((near) => {
      const far = connect(target, '127.0.0.1')
      for (const socket of [near, far]) {
        socket.setNoDelay(true)
        socket.on('error', () => {})
        socket.on('close', () => this.#sockets.delete(socket))
        this.#sockets.add(socket)
      }
      near.pipe(far).pipe(near)
    })
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return this.#server.address().port
  }

  reset() {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  async close() {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.reset()
    await closed
  }
}

function nextEvent(network, type) {
  return new Promise((resolve) => {
    const off = network.on(type, (event) => {
      off()
      resolve(event)
    })
  })
}

async function measure(folder) {
  const counter = new FunctionCounter(folder)
  await counter.start()
  const { createNetwork, Identity } = await import(pathToFileURL(path.resolve(folder, 'index.js')).href)
  const [aliceKey, bobKey] = [Identity.generate(), Identity.generate()]
  const alice = createNetwork({ identity: aliceKey, listen: 'tls://127.0.0.1:0', peers: [{ id: bobKey.id }] })
  await alice.ready()
  const relay = new Relay()
  const port = await relay.listen(Number(new URL(alice.url).port))
  await counter.take()
  const bob = createNetwork({ identity: bobKey, peers: [{ id: aliceKey.id, urls: `tls://127.0.0.1:${port}` }] })
  await Promise.all([nextEvent(alice, 'connection.opened'), nextEvent(bob, 'connection.opened')])
  await delay(settleMs)
  const dial = await counter.take()

  const [[a], [b]] = await Promise.all([alice.makeSessions({ count: 1 }), bob.makeSessions({ count: 1 })])
  const sendOne = async () => {
    const received = a.receive(bobKey.id)
    await b.send(aliceKey.id, { type: 'Bytes', value: new Uint8Array(1) })
    await received
  }
  for (let i = 0; i < warmUpValues; i++) await sendOne()
  await delay(settleMs)
  await counter.take()

  await sendOne()
  const byte = await counter.take()
  await delay(settleMs)
  const ack = await counter.take()

  const resumed = Promise.all([nextEvent(alice, 'link.resumed'), nextEvent(bob, 'link.resumed')])
  relay.reset()
  await resumed
  await delay(settleMs)
  const reconnect = await counter.take()

  await Promise.all([alice.shutdown(), bob.shutdown()])
  await relay.close()
  counter.stop()
  return { byte, ack, dial, reconnect }
}

function sumsOf(called) {
  return { files: called.size, functions: [...called.values()].reduce((sum, names) => sum + names.length, 0) }
}

if (options.help) {
  console.log(help)
} else {
  const phases = await measure(options.build)
  const sums = Object.fromEntries(Object.entries(phases).map(([phase, called]) => [phase, sumsOf(called)]))
  if (options.json) {
    console.log(JSON.stringify(sums))
  } else {
    for (const [phase, { files, functions }] of Object.entries(sums)) {
      console.log(`${phase.padEnd(9)}  ${String(files).padStart(3)} files  ${String(functions).padStart(4)} functions`)
    }
  }
  if (options.list !== undefined) {
    for (const [file, names] of [...phases[options.list]].toSorted(([left], [right]) => (left < right ? -1 : 1)))
      console.log(`${file}: ${names.join(', ')}`)
  }
}
