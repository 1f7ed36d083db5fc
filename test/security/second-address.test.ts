/**
 * Owns: dialling by name over real sockets: the default name service, a second address after one where another program
 * answers, and the name for which a certificate has to be valid.
 * Independent of: the order of addresses (test/actors/dial-addresses.test.ts) and the queue of lookups.
 */
import dns from 'node:dns'
import net from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createNetwork, Identity, systemNames } from '../../actors/index.ts'
import type { AmpcConfig, Network } from '../../actors/index.ts'
import { issue } from './test-authority.ts'
import { nextEvent } from '../support/bounded-wait.ts'

const ends: (() => unknown)[] = []

afterEach(async () => {
  vi.restoreAllMocks()
  await Promise.all(ends.splice(0).map((end) => end()))
})

function begin(network: Network): Network {
  ends.push(() => network.shutdown())
  return network
}

/** A server at this address that speaks another protocol. */
async function speakHttp(host: string, port: number): Promise<void> {
  const server = net.createServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  await new Promise<void>((resolve) => server.listen(port, host, resolve))
  ends.push(() => server.close())
}

async function up(network: Network): Promise<{ remoteAddress: string; failures: string[] }> {
  const failures: string[] = []
  network.on('connection.failed', ({ cause }) => void failures.push(cause.message))
  const opened = nextEvent(network, 'connection.opened')
  void network.makeSessions({ count: 1 }).catch(() => {})
  return { remoteAddress: (await opened).remoteAddress, failures }
}

const portOf = (network: Network): number => Number(new URL(network.url as string).port)
const names = { lookup: () => Promise.resolve(['127.0.0.2', '127.0.0.1']) }

describe('a peer that is dialled by name over TLS', () => {
  it('a peer dialled by name connects at its second address when an HTTP server answers at the first', async () => {
    const [alice, bob] = [Identity.generate(), Identity.generate()]
    const listener = begin(createNetwork({ identity: alice, listen: 'tls://127.0.0.1:0', peers: [{ id: bob.id }] }))
    await listener.ready()
    await speakHttp('127.0.0.2', portOf(listener))
    const dialler = begin(
      createNetwork(
        { identity: bob, peers: [{ id: alice.id, urls: `tls://alice.test:${portOf(listener)}` }] },
        { environment: { names } },
      ),
    )
    const { remoteAddress, failures } = await up(dialler)
    expect(remoteAddress).toBe(`127.0.0.1:${portOf(listener)}`)
    expect(failures).toEqual([expect.stringContaining(`127.0.0.2:${portOf(listener)}`)])
  })

  it.each([
    [['bob.test'], true],
    [['127.0.0.1'], false],
  ])(
    'an ampc certificate is checked against the dialled name, not its address (valid for %j, connects: %s)',
    async (hosts, connects) => {
      const ids = ['alice', 'bob'] as const
      const roots = ids.map((name) => issue({ name: `${name} root`, isAuthority: true }))
      const configOf = (index: 0 | 1): AmpcConfig => {
        const leaf = issue({ name: ids[index], issuer: roots[index]!, hosts, purposes: ['client', 'server'] })
        const tls = { key: leaf.keyPem, certificate: leaf.pem, roots: { alice: roots[0]!.pem, bob: roots[1]!.pem } }
        return { identity: ids[index], dialect: 'ampc', security: 'tls', listen: 'tls://127.0.0.1:0', peers: [], tls }
      }
      const listener = begin(createNetwork({ ...configOf(0), peers: [{ id: 'bob' }] }))
      await listener.ready()
      void listener.makeSessions({ count: 1 }).catch(() => {})
      const only = { lookup: () => Promise.resolve(['127.0.0.1']) }
      const dialler = begin(
        createNetwork(
          { ...configOf(1), peers: [{ id: 'alice', urls: `tls://bob.test:${portOf(listener)}` }] },
          { environment: { names: only } },
        ),
      )
      if (connects) {
        const { failures } = await up(dialler)
        expect(failures.filter((message) => message.includes('certificate'))).toEqual([])
        return
      }
      const failed = nextEvent(dialler, 'connection.failed')
      void dialler.makeSessions({ count: 1 }).catch(() => {})
      expect(await failed).toMatchObject({ cause: { code: 'ERR_CERTIFICATE_REJECTED' } })
    },
  )
})

describe('the system name service', () => {
  it('the system name service resolves names by dns.lookup with all addresses, so it uses the hosts file', async () => {
    const asked: unknown[] = []
    vi.spyOn(dns, 'lookup').mockImplementation(((
      host: string,
      options: unknown,
      done: (error: null, found: object[]) => void,
    ) => {
      asked.push([host, options])
      done(null, [
        { address: '::1', family: 6 },
        { address: '127.0.0.1', family: 4 },
      ])
    }) as never)
    expect(await systemNames.lookup('bob.test')).toEqual(['::1', '127.0.0.1'])
    expect(asked).toEqual([['bob.test', { all: true }]])
  })

  it('the system name service rejects a name that does not exist with the error of the system', async () => {
    const error = Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' })
    vi.spyOn(dns, 'lookup').mockImplementation(((_: string, __: unknown, done: (error: Error) => void) =>
      done(error)) as never)
    await expect(systemNames.lookup('nowhere.test')).rejects.toBe(error)
  })
})
