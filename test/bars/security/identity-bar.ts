/**
 * Owns: S3, attacks on identity: on TLS pipes (test/security/identity-attacks.ts), and on a whole network, where
 * strangers continue after TLS with hellos and frames.
 * Independent of: how TLS is attacked.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import net from 'node:net'
import tls from 'node:tls'
import { createNetwork, Identity } from '../../../actors/index.ts'
import type { Network } from '../../../actors/index.ts'
import { encodeFrame } from '../../../codec/index.ts'
import { encodeHello } from '../../../codec/hello.ts'
import type { Hello } from '../../../codec/hello.ts'
import { encodeCredit } from '../../../codec/native-frames.ts'
import { runIdentityAttacks } from '../../security/identity-attacks.ts'
import { attempt } from '../../security/tls13-client.ts'
import { eventually, pause } from '../bar.ts'
import type { Bar, BarContext } from '../bar.ts'

export interface WholeNetworkCounts {
  attacks: number
  /** Strangers that the network took for a peer. */
  opened: number
  /** Values of strangers that an application could read. */
  delivered: number
  /** Bytes that strangers received beyond a refusal. */
  toldBytes: number
  rejected: number
  /** The honest peer connected afterwards, and its one value arrived. */
  isHonestServed: boolean
}

export function helloOf(publicKey: Uint8Array, changes: Partial<Hello> = {}): Hello {
  return {
    keepsIdle: true,
    connectionId: 0,
    maxMessageLengthBytes: 1 << 20,
    laneWindowBytes: 65_536,
    resumeTimeoutMs: 120_000,
    bootId: 1_800_000_000_000_000n,
    epoch: 7n,
    nextEpoch: 9n,
    known: 0n,
    received: 0,
    first: 0,
    next: 0,
    publicKey,
    helloNumber: 1,
    links: 1,
    replayWindowBytes: 4 << 20,
    streamsMax: 1024,
    ...changes,
  }
}

/** A session's first Credit and a value on it: what an honest peer would send next. */
const frames = Buffer.concat([encodeCredit(0, 65_536), encodeFrame(0, { type: 'Bytes', value: Buffer.from('forged') })])

interface Stranger {
  readonly name: string
  readonly tls: tls.ConnectionOptions
  readonly say: Buffer
}

function strangers(server: Identity, alice: Identity, mallory: Identity): Stranger[] {
  const keys = (identity: Identity): tls.ConnectionOptions => ({ key: identity.toPem(), cert: identity.certificate })
  const his = keys(mallory)
  const [asAlice, asHimself, asServer] = [alice, mallory, server].map(({ publicKey }) =>
    encodeHello(helloOf(publicKey)),
  ) as [Buffer, Buffer, Buffer]
  return [
    { name: 'a stranger with his own hello', tls: his, say: asHimself },
    { name: 'a stranger with her hello', tls: his, say: asAlice },
    { name: 'a stranger with her hello and frames behind it', tls: his, say: Buffer.concat([asAlice, frames]) },
    { name: 'a stranger with frames and no hello', tls: his, say: frames },
    { name: 'nobody with her hello', tls: {}, say: Buffer.concat([asAlice, frames]) },
    { name: 'a stranger with the hello of the server', tls: his, say: asServer },
    { name: 'the server itself', tls: keys(server), say: asServer },
    { name: 'Alice with the hello of a stranger', tls: keys(alice), say: Buffer.concat([asHimself, frames]) },
    { name: 'Alice without ALPN', tls: { ...keys(alice), ALPNProtocols: [] }, say: Buffer.concat([asAlice, frames]) },
    {
      name: 'Alice over TLS 1.2',
      tls: { ...keys(alice), minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' },
      say: Buffer.concat([asAlice, frames]),
    },
    {
      name: 'Alice with a link that nobody has',
      tls: keys(alice),
      say: Buffer.concat([encodeHello(helloOf(alice.publicKey, { connectionId: 5, links: 9 })), frames]),
    },
    { name: 'Alice with frames behind her hello', tls: keys(alice), say: Buffer.concat([asAlice, frames]) },
  ]
}

/** @returns bytes that it received */
function knock(port: number, { tls: options, say }: Stranger): Promise<number> {
  return new Promise((resolve) => {
    let told = 0
    const socket = tls.connect(
      {
        host: '127.0.0.1',
        port,
        rejectUnauthorized: false,
        minVersion: 'TLSv1.3',
        ALPNProtocols: ['statewire/1'],
        servername: '',
        ...options,
      },
      () => void socket.write(say),
    )
    socket.on('data', (bytes) => (told += bytes.length))
    socket.on('error', () => socket.destroy())
    socket.on('close', () => resolve(told))
  })
}

/** Sends a hello and frames over plain TCP to a TLS port. */
function knockPlain(port: number, say: Buffer): Promise<number> {
  return new Promise((resolve) => {
    let told = 0
    const socket = net.connect({ host: '127.0.0.1', port }, () => void socket.write(say))
    socket.on('data', (bytes) => (told += bytes.length))
    socket.on('error', () => socket.destroy())
    socket.on('close', () => resolve(told))
  })
}

const refusalLengthBytesMax = 10 + 256 + 8

async function attackWholeNetwork(rounds: number): Promise<WholeNetworkCounts> {
  const [server, alice, mallory] = [Identity.generate(), Identity.generate(), Identity.generate()]
  const limits = {
    connectBurst: 1_000_000,
    pendingInboundPerAddressMax: 64,
    backoffMinMs: 1,
    backoffMaxMs: 20,
    handshakeTimeoutMs: 2_000,
  }
  const network: Network = createNetwork({
    identity: server,
    listen: 'tls://127.0.0.1:0',
    peers: [{ id: alice.id }],
    limits,
  })
  const counts: WholeNetworkCounts = {
    attacks: 0,
    opened: 0,
    delivered: 0,
    toldBytes: 0,
    rejected: 0,
    isHonestServed: false,
  }
  let honest: Network | null = null
  network.on('connection.rejected', () => void counts.rejected++)
  network.on('connection.opened', () => {
    if (honest === null) counts.opened++
  })
  try {
    await network.ready()
    const port = Number(new URL(network.url as string).port)
    // The application waits for sessions all the time, so that no connection is rejected as not requested.
    const sessions = network.makeSessions({ count: 1, timeoutMs: 300_000 })
    sessions.catch(() => {})
    const certificate = new X509Certificate(alice.certificate).raw
    for (let round = 0; round < rounds; round++) {
      for (const stranger of strangers(server, alice, mallory)) {
        counts.toldBytes += Math.max(0, (await knock(port, stranger)) - refusalLengthBytesMax)
        counts.attacks++
      }
      const forged = Buffer.concat([encodeHello(helloOf(alice.publicKey)), frames])
      counts.toldBytes += await knockPlain(port, forged)
      counts.toldBytes += (
        await attempt(port, {
          certificates: [certificate],
          signer: createPrivateKey(mallory.toPem()),
          say: forged.toString('latin1'),
        })
      ).received.length
      counts.attacks += 2
    }
    const openedByStrangers = counts.opened
    honest = createNetwork({ identity: alice, peers: [{ id: server.id, urls: network.url as string }], limits })
    const [[mine], [hers]] = (await Promise.all([sessions, honest.makeSessions({ count: 1 })])) as [
      [Awaited<typeof sessions>[number]],
      [Awaited<typeof sessions>[number]],
    ]
    await hers.send(server.id, { type: 'RingElement32', value: 42 })
    const value = await mine.receive(alice.id, { timeoutMs: 5_000 })
    // The first value must be the honest peer's: a forged one would have come before it.
    counts.isHonestServed = value.type === 'RingElement32' && value.value === 42
    await pause(50)
    counts.delivered = (counts.isHonestServed ? 0 : 1) + mine.unread(alice.id)
    counts.opened = openedByStrangers
  } finally {
    await honest?.shutdown()
    await network.shutdown()
    await eventually('the networks hold nothing', () => network.resources.handles === 0)
  }
  return counts
}

export async function identityBar({ isQuick, progress }: BarContext): Promise<readonly Bar[]> {
  progress('S3 attacks on TLS pipes, both roles')
  const pipes = await runIdentityAttacks(1)
  progress('S3 attacks on a whole network')
  const whole = await attackWholeNetwork(isQuick ? 1 : 4)
  const attacks = pipes.attacks + whole.attacks
  const accepted = pipes.accepted + whole.opened
  const passed =
    attacks >= 255 &&
    accepted === 0 &&
    pipes.wrongId === 0 &&
    pipes.leakedBytes === 0 &&
    whole.delivered === 0 &&
    whole.toldBytes === 0 &&
    whole.isHonestServed
  const figures = {
    attacks,
    accepted,
    wrong_id: pipes.wrongId,
    leaked_bytes: pipes.leakedBytes + whole.toldBytes,
    frames_delivered: whole.delivered,
    network_attacks: whole.attacks,
    network_rejected: whole.rejected,
    honest_served: String(whole.isHonestServed),
  }
  return [{ id: 'S3', passed, figures, notes: pipes.failures }]
}
