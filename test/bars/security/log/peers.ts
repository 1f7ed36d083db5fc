/**
 * Owns: S12, texts from a peer or a stranger: names, refusals, reasons, certificates, ALPN.
 * Independent of: what is searched for in the results (ledger.ts).
 */
import net from 'node:net'
import tls from 'node:tls'
import { createNetwork, Identity } from '../../../../actors/index.ts'
import type { AmpcConfig, Network, NetworkConfig } from '../../../../actors/index.ts'
import { encodeRefusal } from '../../../../codec/hello.ts'
import { encodeGoodbye, encodeReset } from '../../../../codec/native-frames.ts'
import { compareKeys } from '../../../../protocol/native/handshake/hello-checks.ts'
import { issue } from '../../../security/test-authority.ts'
import { HandMadeSetup } from '../../../support/hand-made-setup.ts'
import { eventually, pause } from '../../bar.ts'
import { HostilePeer } from '../../chaos/hostile-peer.ts'
import type { Ledger } from './ledger.ts'

const limits = { backoffMinMs: 20, backoffMaxMs: 20, connectBurst: 1_000_000, handshakeTimeoutMs: 2_000 }

/** A network whose complete output is recorded. */
function watched(ledger: Ledger, config: NetworkConfig): Network {
  const network = createNetwork({ ...config, limits } as NetworkConfig, {
    environment: { log: ledger.log },
    inspect: (event) =>
      ledger.quiet(
        'inspection',
        JSON.stringify(event, (name, value: unknown) =>
          name === 'actorRef' || name === 'sourceRef' || name === 'snapshot' ? undefined : value,
        ),
      ),
  })
  network.ref.on('*', (event) => {
    ledger.quiet(`event ${event.type}`, JSON.stringify(event))
    if ('cause' in event) ledger.line(`cause of ${event.type}`, event.cause.message)
  })
  return network
}

const portOf = (network: Network): number => Number(new URL(network.url as string).port)

/** Connects to a listening network and waits until it has answered. */
async function tell(
  ledger: Ledger,
  source: string,
  network: Network,
  begin: (port: number) => net.Socket,
): Promise<void> {
  ledger.source = source
  let said = 0
  const off = [network.on('connection.rejected', () => void said++), network.on('connection.lost', () => void said++)]
  const socket = begin(portOf(network))
  socket.on('error', () => socket.destroy())
  socket.resume()
  await eventually(`${source} is answered`, () => said > 0, 3_000).catch((error: Error) =>
    ledger.notes.push(error.message),
  )
  socket.destroy()
  for (const each of off) each()
}

/** A server that sends the same bytes to each client; a network dials it. */
async function answer(
  ledger: Ledger,
  source: string,
  server: net.Server,
  config: (url: string) => NetworkConfig,
  scheme: string,
): Promise<void> {
  ledger.source = source
  const sockets = new Set<net.Socket>()
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const network = watched(ledger, config(`${scheme}://127.0.0.1:${(server.address() as net.AddressInfo).port}`))
  let failures = 0
  network.on('connection.failed', () => void failures++)
  const call = network
    .makeSessions({ count: 1, timeoutMs: 40 })
    .catch((error: unknown) => ledger.error(`${source}, the call`, error))
  await eventually(`${source} is noticed`, () => failures > 0, 3_000).catch((error: Error) =>
    ledger.notes.push(error.message),
  )
  await call
  await network.shutdown()
  for (const socket of sockets) socket.destroy()
  await new Promise((resolve) => server.close(resolve))
}

const ampcHello = (name: Buffer): Buffer => {
  const head = Buffer.alloc(8)
  head.writeUInt32BE(name.length, 4)
  return Buffer.concat([head, name])
}

async function claimNames(ledger: Ledger, text: string): Promise<void> {
  const network = watched(ledger, {
    identity: 'alice',
    listen: 'tcp://127.0.0.1:0',
    peers: [{ id: 'bob' }],
    security: 'plaintext',
    onConnectionLost: 'reconnect',
  })
  await network.ready()
  const say =
    (bytes: Buffer) =>
    (port: number): net.Socket =>
      net.connect(port, '127.0.0.1', function (this: net.Socket) {
        this.write(bytes)
      })
  await tell(ledger, 'a claimed name', network, say(ampcHello(Buffer.from(text).subarray(0, 100))))
  await tell(ledger, 'a name that is too long', network, say(ampcHello(Buffer.from(text).subarray(0, 100_000))))
  await tell(ledger, 'plain text', network, say(Buffer.from(text)))
  await network.shutdown()
}

async function speakNative(ledger: Ledger, text: string): Promise<void> {
  const [own, peer] = [Identity.generate(), Identity.generate()]
  ledger.source = 'a reset and a goodbye'
  const network = watched(ledger, {
    identity: own,
    listen: 'tcp://127.0.0.1:0',
    peers: [{ id: peer.id }],
    security: 'plaintext',
  })
  await network.ready()
  const made = network.makeSessions({ count: 1, timeoutMs: 3_000 })
  const setup = new HandMadeSetup({ count: 1, say: (frames) => void hostile.say(frames) })
  const hostile: HostilePeer = new HostilePeer(portOf(network), peer, {
    isPlain: true,
    onFrame: (lane, descriptor, body) => setup.onFrame(lane, descriptor, body),
  })
  await hostile.whenAnswered
  setup.begin(compareKeys(peer.publicKey, own.publicKey) > 0)
  const [session] = await made
  await hostile.say(encodeReset(0, { code: 0, reason: text }))
  await session
    ?.receive(peer.id, { timeoutMs: 2_000 })
    .catch((error: unknown) => ledger.error('a session that was reset', error))
  await hostile.say(encodeGoodbye({ code: 1, next: 0, received: 0, reason: text }))
  await pause(50)
  hostile.end()
  await network.shutdown()
  const refusal = encodeRefusal('busy', text)
  await answer(
    ledger,
    'a refusal',
    net.createServer((accepted) => void accepted.write(refusal)),
    (url) => ({ identity: own, peers: [{ id: peer.id, urls: url }], security: 'plaintext' }),
    'tcp',
  )
}

async function showCertificates(ledger: Ledger, text: string): Promise<void> {
  const [own, peer] = [Identity.generate(), Identity.generate()]
  const name = text.slice(0, 20_000)
  const network = watched(ledger, { identity: own, listen: 'tls://127.0.0.1:0', peers: [{ id: peer.id }] })
  await network.ready()
  const shown = issue({ name, kind: 'ed25519' })
  const connect =
    (more: tls.ConnectionOptions) =>
    (port: number): net.Socket =>
      tls.connect({
        port,
        host: '127.0.0.1',
        rejectUnauthorized: false,
        ALPNProtocols: ['statewire/1'],
        servername: '',
        ...more,
      })
  await tell(ledger, 'a certificate of that name', network, connect({ key: shown.keyPem, cert: shown.pem }))
  await tell(
    ledger,
    'an ALPN of that name',
    network,
    connect({ ALPNProtocols: [Buffer.from(text).subarray(0, 200).toString('latin1')] }),
  )
  await network.shutdown()
  await answer(
    ledger,
    'a server with a certificate of that name',
    tls
      .createServer({ key: shown.keyPem, cert: shown.pem, ALPNProtocols: ['statewire/1'] })
      .on('tlsClientError', () => {}),
    (url) => ({ identity: own, peers: [{ id: peer.id, urls: url }] }),
    'tls',
  )
  const root = issue({ name: 'alice root', isAuthority: true })
  const mine = issue({ name: 'bob root', isAuthority: true })
  const leaf = issue({ name: 'bob', issuer: mine, purposes: ['client', 'server'] })
  const theirs = issue({ name, issuer: root, hosts: [text.slice(0, 200)], purposes: ['server'] })
  const ampc = (url: string): AmpcConfig => ({
    identity: 'bob',
    peers: [{ id: 'alice', urls: url }],
    security: 'tls',
    onConnectionLost: 'reconnect',
    tls: { key: leaf.keyPem, certificate: leaf.pem, roots: { alice: root.pem } },
  })
  await answer(
    ledger,
    'an ampc server for a host of that name',
    tls
      .createServer({ key: theirs.keyPem, cert: theirs.pem, requestCert: true, rejectUnauthorized: false })
      .on('tlsClientError', () => {}),
    ampc,
    'tls',
  )
  const alone = issue({ name, hosts: [text.slice(0, 200)] })
  await answer(
    ledger,
    'an ampc server under no root',
    tls
      .createServer({ key: alone.keyPem, cert: alone.pem, requestCert: true, rejectUnauthorized: false })
      .on('tlsClientError', () => {}),
    ampc,
    'tls',
  )
}

export async function askAsPeer(ledger: Ledger, texts: readonly string[]): Promise<void> {
  for (const text of texts) {
    await claimNames(ledger, text)
    await speakNative(ledger, text)
    await showCertificates(ledger, text)
  }
}
