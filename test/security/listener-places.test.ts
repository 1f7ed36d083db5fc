/**
 * Owns: that peers connect to a listener whose places are taken by connections that never finish their handshake.
 * Independent of: the rules for each case (test/protocol/admission.test.ts).
 */
import { afterEach, describe, expect, it } from 'vitest'
import { SharedPort } from '../../actors/index.ts'
import { createNetwork, Identity } from '../../index.ts'
import type { Network, NetworkEventOf } from '../../index.ts'
import { beginStuck, clientHello, sourceAddress } from '../bars/security/stuck-handshakes.ts'
import type { Stuck, StuckForm } from '../bars/security/stuck-handshakes.ts'
import { issue } from './test-authority.ts'
import { until, within } from '../support/bounded-wait.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

const own = Identity.generate()
const peer = Identity.generate()

async function listening(): Promise<Network> {
  const network = createNetwork({ identity: own, listen: 'tls://127.0.0.1:0', peers: [{ id: peer.id }] })
  cleanups.push(() => network.shutdown())
  await network.ready()
  return network
}

/** The peer connects to it, once, and leaves. @returns how many of its dials failed before */
async function connectOnce(to: Network): Promise<number> {
  const network = createNetwork({ identity: peer, peers: [{ id: own.id, urls: to.url as string }] })
  let failed = 0
  network.on('connection.failed', () => void failed++)
  try {
    await within(Promise.all([to, network].map((each) => each.makeSessions({ count: 1 }))), 'the peer is connected')
    return failed
  } finally {
    await network.shutdown()
  }
}

interface Occupation {
  readonly form: StuckForm
  readonly sources: readonly string[]
  readonly perSource: number
  /** Each connection that the listener closes is replaced at once. */
  readonly isRenewed: boolean
}

async function occupy(
  target: Network,
  { form, sources, perSource, isRenewed }: Occupation,
): Promise<{ renewed: number }> {
  const occupation = { renewed: 0 }
  const hello = await clientHello()
  const port = Number(new URL(target.url as string).port)
  const open = new Set<Stuck>()
  let isOver = false
  const begin = (localAddress: string): void => {
    const stuck = beginStuck({ form, port, localAddress, hello, identity: Identity.generate() })
    open.add(stuck)
    stuck.socket.once('close', () => {
      open.delete(stuck)
      if (isOver || !isRenewed) return
      occupation.renewed++
      setImmediate(() => isOver || begin(localAddress))
    })
  }
  cleanups.push(() => {
    isOver = true
    for (const { socket } of open) socket.destroy()
  })
  for (const source of sources) for (let i = 0; i < perSource; i++) begin(source)
  await until(
    () => [...open].filter(({ isStuck }) => isStuck).length >= Math.min(8, sources.length * perSource),
    'handshakes are under way',
  )
  return occupation
}

const home = ['127.0.0.1']
const others = Array.from({ length: 64 }, (_, index) => sourceAddress(index))

describe('a new peer', () => {
  it.each<[string, Occupation]>([
    ['eight silent sockets come from its address', { form: 'silent', sources: home, perSource: 8, isRenewed: false }],
    [
      'eight half-open handshakes come from its address',
      { form: 'half-client-hello', sources: home, perSource: 8, isRenewed: false },
    ],
    [
      'silent sockets of eight other addresses fill the table',
      { form: 'silent', sources: others.slice(0, 8), perSource: 8, isRenewed: false },
    ],
    [
      'silent sockets of 64 other addresses fill the table',
      { form: 'silent', sources: others, perSource: 1, isRenewed: false },
    ],
  ])('a new peer connects with its first dial while %s', async (_name, occupation) => {
    const network = await listening()
    await occupy(network, occupation)
    expect(await connectOnce(network)).toBe(0)
  })
})

describe('a known peer', () => {
  it.each<[string, Occupation]>([
    ['silent sockets from its address', { form: 'silent', sources: home, perSource: 8, isRenewed: true }],
    [
      'half-open handshakes from its address',
      { form: 'half-client-hello', sources: home, perSource: 24, isRenewed: true },
    ],
    [
      'half-open handshakes from its address and others',
      { form: 'half-client-hello', sources: [...home, ...others.slice(0, 8)], perSource: 8, isRenewed: true },
    ],
    [
      'more silent sockets from its address than there are places',
      { form: 'silent', sources: home, perSource: 72, isRenewed: true },
    ],
  ])(
    'a known peer connects twelve times of twelve while the listener is occupied by renewed %s',
    async (_name, plan) => {
      const network = await listening()
      await connectOnce(network)
      await occupy(network, plan)
      for (let i = 0; i < 12; i++) await connectOnce(network)
    },
  )
})

describe('an evicted connection', () => {
  it('an evicted connection is closed and reported once as rejected', async () => {
    const network = await listening()
    const rejected: NetworkEventOf<'connection.rejected'>[] = []
    network.on('connection.rejected', (event) => void rejected.push(event))
    await occupy(network, { form: 'silent', sources: home, perSource: 9, isRenewed: false })
    await until(() => rejected.length > 0 && network.resources.handles === 9, 'eight sockets and the listener are left')
    expect(rejected).toMatchObject([
      {
        peer: null,
        cause: {
          code: 'ERR_ADMISSION_LIMIT',
          message: expect.stringContaining('the oldest was closed for a newer connection') as string,
        },
      },
    ])
  })

  it('an evicted connection on a port that two networks share is closed before it is routed to one', async () => {
    const root = issue({ name: 'root', isAuthority: true })
    const port = new SharedPort({
      tls: { identity: own, ampc: { key: root.keyPem, certificate: root.pem, roots: {} } },
    })
    const network = createNetwork(
      { identity: own, listen: 'tls://127.0.0.1:0', peers: [{ id: peer.id }] },
      { environment: { transport: port.native } },
    )
    cleanups.push(() => network.shutdown())
    await network.ready()
    await occupy(network, { form: 'silent', sources: home, perSource: 12, isRenewed: false })
    await connectOnce(network)
  })
})
