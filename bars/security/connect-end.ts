/**
 * The child process of one end of P9: connects, of ours or of raw TLS, one after the other. Owns the loops and their figures.
 * Refuses to know: rounds, ratios, cores.
 */
import { createHash } from 'node:crypto'
import type net from 'node:net'
import tls from 'node:tls'
import { createNetwork, Identity, TlsTransport } from '../../actors/index.ts'
import type { Network, Session } from '../../actors/index.ts'
import { helloLengthBytes } from '../../codec/hello.ts'
import { nativeAlpn, nativeParameters } from '../../actors/tls-parameters.ts'

/**
 * raw-tls: the raw-tls of bench/, with a context for all sockets: mutual TLS 1.3 and else what Node does by itself, connect, handshake,
 * one echo. raw-alike: as near to ours as a raw socket comes: our parameters (no tickets, our signatures, curve and ciphers), and as
 * many round trips, 160 bytes each way for the hellos before the echo.
 */
export type ConnectSubject = 'ours' | 'raw-tls' | 'raw-alike'

export interface ConnectInput {
  readonly role: 'server' | 'client'
  readonly subject: ConnectSubject
  readonly port: number
}

/** From the child; a server answers `run` with its CPU since the last time. */
export interface ConnectReport {
  readonly port: number
  readonly connects: number
  readonly elapsedMs: number
  readonly cpuUs: number
}

/** PKCS#8 of an Ed25519 key is this, and then the 32 bytes of the seed. Public keys of a benchmark: both processes know them. */
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
  network.makeSessions({ count: 1, timeoutMs: 1_000_000 }).then(([session]) => session?.handle(client.id, (value) => void session.send(client.id, value)), fail)
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
  const network = createNetwork({ identity: client, peers: [{ id: server.id, url: `tls://127.0.0.1:${port}` }], limits }, { environment: { transport } })
  const [session] = await network.makeSessions({ count: 1 })
  return { network, session: session as Session, transport }
}

/** The connection is destroyed, and the session goes on over a new one: what differs from raw is all that a connection of ours does. */
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

interface RawKind {
  readonly parameters: tls.SecureContextOptions & { readonly ALPNProtocols?: string[] }
  readonly hasHellos: boolean
}

const rawKinds: Readonly<Record<Exclude<ConnectSubject, 'ours'>, RawKind>> = {
  'raw-tls': { parameters: { minVersion: 'TLSv1.3' }, hasHellos: false },
  'raw-alike': { parameters: { ...nativeParameters, ALPNProtocols: [nativeAlpn] }, hasHellos: true },
}

function serveRaw(kind: RawKind): Promise<number> {
  const helloBytes = kind.hasHellos ? helloLengthBytes : 0
  return new Promise((resolve) => {
    const listening = tls.createServer({ ...kind.parameters, key: server.toPem(), cert: server.certificate, requestCert: true, rejectUnauthorized: false, noDelay: true }, (socket) => {
      let heard = 0
      socket.on('error', () => socket.destroy())
      socket.on('data', (bytes: Buffer) => {
        heard += bytes.length
        if (heard === helloBytes) socket.write(Buffer.alloc(helloLengthBytes))
        else if (heard === helloBytes + echoLengthBytes) socket.write(payload)
      })
      socket.on('end', () => socket.end())
    })
    listening.listen(0, '127.0.0.1', () => resolve((listening.address() as net.AddressInfo).port))
  })
}

let rawSocket: tls.TLSSocket | null = null
let rawContext: tls.SecureContext | null = null

async function connectRaw(port: number, { parameters, hasHellos }: RawKind): Promise<void> {
  const secureContext = (rawContext ??= tls.createSecureContext({ ...parameters, key: client.toPem(), cert: client.certificate }))
  const { ALPNProtocols } = parameters
  const helloBytes = hasHellos ? helloLengthBytes : 0
  const last = rawSocket
  if (last !== null) {
    const closed = new Promise((resolve) => last.once('close', resolve))
    last.destroy()
    await closed
  }
  await new Promise<void>((resolve, reject) => {
    let heard = 0
    const socket = tls.connect({ port, host: '127.0.0.1', secureContext, ...(ALPNProtocols === undefined ? {} : { ALPNProtocols }), rejectUnauthorized: false, servername: '', checkServerIdentity: () => undefined }, () => void socket.write(hasHellos ? Buffer.alloc(helloLengthBytes) : payload))
    socket.setNoDelay(true)
    rawSocket = socket
    socket.on('data', (bytes: Buffer) => {
      heard += bytes.length
      if (heard === helloBytes) socket.write(payload)
      else if (heard === helloBytes + echoLengthBytes) resolve()
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
const report = (more: Partial<ConnectReport>): void => void process.send?.({ port, connects: 0, elapsedMs: 0, cpuUs: cpuUs(), ...more })

process.on('disconnect', () => process.exit(0))
process.on('message', ({ connects }: { connects: number }) => {
  if (role === 'server') return report({})
  const connect = subject === 'ours' ? connectOurs : (to: number) => connectRaw(to, rawKinds[subject])
  const run = async (): Promise<void> => {
    cpuUs()
    const startedMs = performance.now()
    for (let i = 0; i < connects; i++) await connect(port)
    report({ connects, elapsedMs: performance.now() - startedMs })
  }
  run().catch(fail)
})

report({ port: role === 'client' ? port : subject === 'ours' ? await serveOurs() : await serveRaw(rawKinds[subject]) })
