/**
 * The child process of one end of P9: connects, ours or raw TLS, one after the other. Owns the loops and their figures.
 * Independent of: rounds, ratios, cores.
 */
import { createHash } from 'node:crypto'
import type net from 'node:net'
import tls from 'node:tls'
import { createNetwork, Identity, TlsTransport } from '../../../actors/index.ts'
import type { Network, Session } from '../../../actors/index.ts'

/** raw-tls: mutual TLS 1.3 with Node's defaults and one context for all sockets: connect, handshake, one echo. */
export type ConnectSubject = 'ours' | 'raw-tls'

export interface ConnectInput {
  readonly role: 'server' | 'client'
  readonly subject: ConnectSubject
  readonly port: number
}

/** From the child; a server answers `run` with its CPU time since the last call. */
export interface ConnectReport {
  readonly port: number
  readonly connects: number
  readonly elapsedMs: number
  readonly cpuUs: number
}

/**
 * PKCS#8 of an Ed25519 key is this prefix and the 32 bytes of the seed. These are public keys of a benchmark; both
 * processes know them.
 */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')
function identityOf(name: string): Identity {
  const der = Buffer.concat([pkcs8Prefix, createHash('sha256').update(`statewire P9 ${name}`).digest()])
  return Identity.fromPem(`-----BEGIN PRIVATE KEY-----\n${der.toString('base64')}\n-----END PRIVATE KEY-----\n`)
}

const [server, client] = [identityOf('server'), identityOf('client')]
const limits = { connectBurst: 1_000_000, backoffMinMs: 1 }
const echoLengthBytes = 64
const payload = Buffer.alloc(echoLengthBytes, 7)

async function serveOurs(): Promise<number> {
  const network = createNetwork({ identity: server, listen: 'tls://127.0.0.1:0', peers: [{ id: client.id }], limits })
  await network.ready()
  network
    .makeSessions({ count: 1, timeoutMs: 1_000_000 })
    .then(([session]) => session?.handle(client.id, (value) => void session.send(client.id, value)), fail)
  return Number(new URL(network.url as string).port)
}

interface Ours {
  readonly network: Network
  readonly session: Session
  readonly transport: TlsTransport
}
let ours: Ours | null = null

async function beginOurs(port: number): Promise<Ours> {
  const transport = new TlsTransport({ identity: client, authorize: (id) => id === server.id })
  const network = createNetwork(
    { identity: client, peers: [{ id: server.id, urls: `tls://127.0.0.1:${port}` }], limits },
    { environment: { transport } },
  )
  const [session] = await network.makeSessions({ count: 1 })
  return { network, session: session as Session, transport }
}

/**
 * The connection is destroyed and the session continues over a new one: the difference to raw is everything that our
 * connection does.
 */
async function connectOurs(port: number): Promise<void> {
  const { network, session, transport } = (ours ??= await beginOurs(port))
  const lost = new Promise<void>((resolve) => {
    const off = network.on('connection.lost', () => {
      off()
      resolve()
    })
  })
  for (const pipe of transport.pipes) pipe.destroy()
  await lost
  const echoed = session.receive(server.id)
  await session.send(server.id, { type: 'Bytes', value: payload })
  await echoed
}

const rawParameters = { minVersion: 'TLSv1.3' } as const

function serveRaw(): Promise<number> {
  return new Promise((resolve) => {
    const options = {
      ...rawParameters,
      key: server.toPem(),
      cert: server.certificate,
      requestCert: true,
      rejectUnauthorized: false,
      noDelay: true,
    }
    const listening = tls.createServer(options, (socket) => {
      let receivedBytes = 0
      socket.on('error', () => socket.destroy())
      socket.on('data', (bytes: Buffer) => {
        receivedBytes += bytes.length
        if (receivedBytes === echoLengthBytes) socket.write(payload)
      })
      socket.on('end', () => socket.end())
    })
    listening.listen(0, '127.0.0.1', () => resolve((listening.address() as net.AddressInfo).port))
  })
}

let rawSocket: tls.TLSSocket | null = null
let rawContext: tls.SecureContext | null = null

async function connectRaw(port: number): Promise<void> {
  rawContext ??= tls.createSecureContext({ ...rawParameters, key: client.toPem(), cert: client.certificate })
  const options = {
    port,
    host: '127.0.0.1',
    secureContext: rawContext,
    rejectUnauthorized: false,
    servername: '',
    checkServerIdentity: () => undefined,
  }
  const last = rawSocket
  if (last !== null) {
    const closed = new Promise((resolve) => last.once('close', resolve))
    last.destroy()
    await closed
  }
  await new Promise<void>((resolve, reject) => {
    let receivedBytes = 0
    const socket = tls.connect(options, () => void socket.write(payload))
    socket.setNoDelay(true)
    rawSocket = socket
    socket.on('data', (bytes: Buffer) => {
      receivedBytes += bytes.length
      if (receivedBytes === echoLengthBytes) resolve()
    })
    socket.on('error', reject)
  })
}

function fail(error: unknown): void {
  console.error(error)
  process.exit(1)
}

const { role, subject, port } = JSON.parse(process.argv[2] ?? '{}') as ConnectInput
let cpu = process.cpuUsage()
function cpuUs(): number {
  const { user, system } = process.cpuUsage(cpu)
  cpu = process.cpuUsage()
  return user + system
}
const report = (more: Partial<ConnectReport>): void =>
  void process.send?.({ port, connects: 0, elapsedMs: 0, cpuUs: cpuUs(), ...more })

process.on('disconnect', () => process.exit(0))
process.on('message', ({ connects }: { connects: number }) => {
  if (role === 'server') return report({})
  const connect = subject === 'ours' ? connectOurs : connectRaw
  const run = async (): Promise<void> => {
    cpuUs()
    const startedMs = performance.now()
    for (let i = 0; i < connects; i++) await connect(port)
    report({ connects, elapsedMs: performance.now() - startedMs })
  }
  run().catch(fail)
})

report({ port: role === 'client' ? port : subject === 'ours' ? await serveOurs() : await serveRaw() })
