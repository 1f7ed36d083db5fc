/**
 * Owns: B3: requests while sockets are destroyed: each handler runs exactly once and every request is answered.
 * B4: with processes that are killed: a request that was not sent never ran, and one with an unknown outcome ran at
 * most once.
 * Independent of: how a request travels.
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { createNetwork, Identity, RequestError, TlsTransport } from '../../../actors/index.ts'
import { pause, type Bar, type BarContext } from '../bar.ts'

/** As many requests as are under way at once. */
const inFlight = 256
const killEveryMs = 200

export async function requestsWhileSocketsDie({ isQuick, progress }: BarContext): Promise<readonly Bar[]> {
  const requests = isQuick ? 20_000 : 1_000_000
  const [ownKey, otherKey] = [Identity.generate(), Identity.generate()]
  const transport = new TlsTransport({ identity: ownKey, authorize: (id) => id === otherKey.id })
  const limits = { backoffMinMs: 1, backoffMaxMs: 20, connectBurst: 1_000_000 }
  const server = createNetwork({
    identity: otherKey,
    listen: 'tls://127.0.0.1:0',
    peers: [{ id: ownKey.id }],
    limits,
  })
  await server.ready()
  const client = createNetwork(
    { identity: ownKey, peers: [{ id: otherKey.id, urls: server.url as string }], limits },
    { environment: { transport } },
  )
  const ran = new Uint8Array(requests)
  let twice = 0
  server.onRequest('n', ({ bytes }) => {
    const number = bytes.readUInt32LE()
    if (++ran[number]! > 1) twice++
    return bytes
  })
  let kills = 0
  const over = new AbortController()
  const killing = (async () => {
    while (!over.signal.aborted) {
      await pause(killEveryMs)
      for (const pipe of transport.pipes) {
        pipe.destroy()
        kills++
      }
    }
  })()
  let [next, failed, wrong] = [0, 0, 0]
  const startedAtMs = performance.now()
  const worker = async (): Promise<void> => {
    for (let number = next++; number < requests; number = next++) {
      const bytes = Buffer.alloc(64)
      bytes.writeUInt32LE(number)
      try {
        const reply = await client.request(otherKey.id, bytes, { name: 'n', timeoutMs: 120_000 })
        if (reply.bytes.readUInt32LE() !== number) wrong++
      } catch {
        failed++
      }
      if (number % 50_000 === 0) progress(`${number} of ${requests} requests, ${kills} sockets destroyed`)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
  const seconds = (performance.now() - startedAtMs) / 1000
  over.abort()
  await killing
  await Promise.all([client.shutdown(), server.shutdown()])
  const once = ran.reduce((sum, times) => sum + Number(times === 1), 0)
  const passed = once === requests && twice === 0 && failed === 0 && wrong === 0 && kills > 0
  return [{ id: 'B3', passed, figures: { requests, once, twice, failed, wrong, kills, seconds }, notes: [] }]
}

export async function requestsWhileProcessesDie({ isQuick, progress }: BarContext): Promise<readonly Bar[]> {
  const rounds = isQuick ? 3 : 20
  const [ownKey, otherKey] = [Identity.generate(), Identity.generate()]
  const script = fileURLToPath(new URL('request-process.js', import.meta.url))
  const limits = { backoffMinMs: 1, backoffMaxMs: 50, connectBurst: 1_000_000, resumeTimeoutMs: 10_000 }
  const network = createNetwork({ identity: ownKey, listen: 'tls://127.0.0.1:0', peers: [{ id: otherKey.id }], limits })
  await network.ready()
  /** By number: how often its handler began. It says so before it answers, over a pipe that outlives the process. */
  const ran = new Map<number, number>()
  const start = async (): Promise<ChildProcess> => {
    const child = fork(script)
    child.on('message', (message) => {
      if (typeof message === 'number') ran.set(message, (ran.get(message) ?? 0) + 1)
    })
    child.send({ pem: otherKey.toPem(), peer: { id: ownKey.id, urls: network.url } })
    await new Promise((resolve) => child.once('message', resolve))
    return child
  }
  const counts = { ok: 0, notSent: 0, unknown: 0, other: 0 }
  let [notSentRan, ranTwice] = [0, 0]
  let number = 0
  for (let round = 0; round < rounds; round++) {
    const child = await start()
    await network.ready({ peers: 'all', timeoutMs: 60_000 })
    const ends: Promise<[number, string]>[] = []
    const ask = (): void => {
      const own = number++
      const bytes = Buffer.alloc(4)
      bytes.writeUInt32LE(own)
      ends.push(
        network.request(otherKey.id, bytes, { name: 'n', timeoutMs: 60_000 }).then(
          () => [own, 'ok'],
          (error: unknown) => [own, error instanceof RequestError ? error.outcome : 'other'],
        ),
      )
    }
    for (let group = 0; group < 20 + (round % 10); group++) {
      for (let index = 0; index < 20; index++) ask()
      await pause(2)
    }
    // Some of these are in a handler, or on their way.
    for (let index = 0; index < 100; index++) ask()
    child.kill('SIGKILL')
    await new Promise((resolve) => child.once('close', resolve))
    for (let index = 0; index < 50; index++) ask()
    const next = await start()
    for (const [own, end] of await Promise.all(ends)) {
      counts[end === 'ok' || end === 'notSent' || end === 'unknown' ? end : 'other']++
      const times = ran.get(own) ?? 0
      if (end === 'notSent' && times > 0) notSentRan++
      if (times > 1) ranTwice++
    }
    next.kill('SIGKILL')
    await new Promise((resolve) => next.once('close', resolve))
    progress(`round ${round + 1} of ${rounds}: ${JSON.stringify(counts)}`)
  }
  await network.shutdown()
  const passed = notSentRan === 0 && ranTwice === 0 && counts.other === 0 && counts.unknown > 0 && counts.ok > 0
  return [{ id: 'B4', passed, figures: { kills: 2 * rounds, ...counts, notSentRan, ranTwice }, notes: [] }]
}
