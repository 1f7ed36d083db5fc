/**
 * Owns: a web server of which every body can be checked, and the clients that check them.
 * Independent of: tunnels.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import type net from 'node:net'

const block = Buffer.alloc(1024 * 1024)
for (let at = 0; at < block.length; at += 4) block.writeUInt32LE((at * 2_654_435_761) >>> 0, at)

/** The body of `/n`: its length and content follow from the number. */
export function bodyOf(number: number): Buffer {
  const body = Buffer.alloc(64 + ((number * 7919) % 20_000), number & 0xff)
  body.write(`number ${number}`)
  return body
}

/** Of `/bulk/MIB`: that many blocks, each with its index at the beginning. */
export function bulkDigest(mebibytes: number): string {
  const hash = createHash('sha256')
  for (let index = 0; index < mebibytes; index++) hash.update(blockOf(index))
  return hash.digest('hex')
}

function blockOf(index: number): Buffer {
  const copy = Buffer.from(block)
  copy.writeUInt32LE(index, 0)
  return copy
}

export interface WebTarget {
  readonly port: number
  stop(): Promise<void>
}

export async function serveWeb(): Promise<WebTarget> {
  const server = http.createServer((request, response) => {
    const [, first = '', second = ''] = (request.url ?? '').split('/')
    if (first !== 'bulk') {
      response.end(bodyOf(Number(first)))
      return
    }
    let index = 0
    const total = Number(second)
    response.setHeader('content-length', total * block.length)
    const more = (): void => {
      while (index < total) if (!response.write(blockOf(index++))) return void response.once('drain', more)
      response.end()
    }
    more()
  })
  server.keepAliveTimeout = 120_000
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as net.AddressInfo).port,
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** @param agent false: a connection of its own */
async function fetchBytes(agent: http.Agent | false, port: number, path: string): Promise<Buffer> {
  const request = http.get({ host: '127.0.0.1', port, path, agent })
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  const parts: Buffer[] = []
  for await (const part of response) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

/** @returns how many requests failed, and how many bodies were wrong */
export async function checkRequests(
  port: number,
  requests: number,
  { keepAlive, onDone }: { readonly keepAlive: boolean; readonly onDone: (done: number) => void },
): Promise<{ readonly failed: number; readonly wrong: number; readonly firstError: string }> {
  const kept = new http.Agent({ keepAlive: true, maxSockets: 32 })
  let [next, failed, wrong, done] = [0, 0, 0, 0]
  let firstError = ''
  const worker = async (): Promise<void> => {
    for (let number = next++; number < requests; number = next++) {
      try {
        if (!(await fetchBytes(keepAlive ? kept : false, port, `/${number}`)).equals(bodyOf(number))) wrong++
      } catch (error) {
        failed++
        firstError ||= (error as Error).message
      }
      onDone(++done)
    }
  }
  await Promise.all(Array.from({ length: 32 }, worker))
  kept.destroy()
  return { failed, wrong, firstError }
}

/** @returns the digest of what came. Node's own client, for where there is no other. */
export async function download(port: number, mebibytes: number): Promise<string> {
  const hash = createHash('sha256')
  const request = http.get({ host: '127.0.0.1', port, path: `/bulk/${mebibytes}` })
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  for await (const part of response) hash.update(part as Buffer)
  return hash.digest('hex')
}
