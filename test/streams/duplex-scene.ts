/**
 * Owns: a pair of Duplexes over sockets or over one stream, and what tests observe of each.
 * Independent of: the table of behaviours (duplex-conformance.test.ts).
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { Stream } from '../../actors/index.ts'
import { play } from '../support/native-scene.ts'

export type End = Duplex & Pick<Socket, 'bytesRead' | 'bytesWritten' | 'setTimeout'>

interface Pair {
  readonly near: End
  readonly far: End
}

export type Body = (pair: Pair) => Promise<unknown>

export async function overSockets(body: Body): Promise<unknown> {
  const server = createServer({ allowHalfOpen: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const near = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true })
  const [[far]] = (await Promise.all([once(server, 'connection'), once(near, 'connect')])) as [[Socket], unknown]
  for (const end of [near, far]) end.on('error', () => {})
  try {
    return await body({ near, far })
  } finally {
    near.destroy()
    far.destroy()
    server.close()
    await once(server, 'close')
  }
}

export async function overStreams(body: Body): Promise<unknown> {
  let seen: unknown
  await play({ on: 'memory' }, async (scene) => {
    const [alice, bob] = await scene.pair()
    await scene.run(bob.network.ready({ peers: 'all' }))
    await scene.until('the other end', () => alice.network.peer(bob.id)?.state === 'connected')
    const accepted: Stream[] = []
    bob.network.onStream('p', (stream) => {
      stream.on('error', () => {})
      accepted.push(stream)
    })
    const near = await scene.run(alice.network.getStream(bob.id, 'p'))
    near.on('error', () => {})
    await scene.until('the handler has its stream', () => accepted.length === 1)
    seen = await scene.run(body({ near, far: accepted[0] } as unknown as Pair))
    near.destroy()
    accepted[0]?.destroy()
  })
  return seen
}

export async function textOf(end: End): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of end) parts.push(part as Buffer)
  return Buffer.concat(parts).toString()
}

/** Emitted events in order, until `close`. */
export async function eventsOf(end: End, names = ['end', 'finish', 'error', 'close']): Promise<string[]> {
  const seen: string[] = []
  for (const name of names) end.on(name, () => seen.push(name))
  await new Promise<void>((resolve) => end.once('close', () => resolve()))
  return seen
}

/** How reading ended: `end`, or the code and message of the error. */
export function readingOf(end: End): Promise<string> {
  end.resume()
  return new Promise((resolve) => {
    end.once('end', () => resolve('end'))
    end.once('error', (error: NodeJS.ErrnoException) => resolve(`${error.code}: ${error.message}`))
  })
}

export const callbackOf = (action: (callback: (error?: Error | null) => void) => void): Promise<string> =>
  new Promise((resolve) => {
    action((error) => resolve((error as NodeJS.ErrnoException | null | undefined)?.code ?? 'no error'))
  })

/** By events: leaving or finishing a `for await` destroys both directions. */
export async function hashOf(end: End): Promise<string> {
  const hash = createHash('sha256')
  end.on('data', (part: Buffer) => hash.update(part))
  await finished(end, { writable: false })
  return hash.digest('hex')
}
