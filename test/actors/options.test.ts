/**
 * Owns: that every bad option is refused with a code and one plain sentence that names it, and that good ones are
 * resolved.
 * Independent of: what is done with them.
 */
import { describe, expect, it } from 'vitest'
import { createNetwork, defaultLimits, Identity } from '../../actors/index.ts'
import type { NetworkConfig } from '../../actors/index.ts'
import { resolveOptions } from '../../actors/config/options.ts'
import { formatUrl, parseUrl } from '../../actors/config/urls.ts'
import { resolveLimits } from '../../actors/config/limits.ts'
import { expectError } from '../codec/harness.ts'

const good: NetworkConfig = {
  identity: 'bob',
  listen: 'tcp://127.0.0.1:0',
  peers: [{ id: 'alice', urls: 'tcp://127.0.0.1:15600' }, { id: 'carol' }],
  security: 'plaintext',
}
const withPeer = (...peers: unknown[]): object => ({ peers })

describe('bad options', () => {
  it.each<[object, string]>([
    [{ surprise: 1 }, 'surprise is not an option; there are: identity, listen, peers'],
    [{ onConnectionLost: 'later' }, `onConnectionLost must be 'resume', 'reconnect' or 'fail', got "later"`],
    [{ connectionParallelism: 0 }, 'connectionParallelism must be a whole number from 1 to 64, got 0'],
    [{ connectionParallelism: 65 }, 'connectionParallelism must be a whole number from 1 to 64, got 65'],
    [{ connectionParallelism: 1.5 }, 'connectionParallelism must be a whole number from 1 to 64, got 1.5'],
    [{ connectionParallelism: '2' }, 'connectionParallelism must be a whole number from 1 to 64, got "2"'],
    [{ peers: 'alice' }, 'peers must be a list, got "alice"'],
    [withPeer(null), 'peers[0] must be an object with an id, got null'],
    [withPeer('alice'), 'peers[0] must be an object with an id, got "alice"'],
    [withPeer({ id: 'bob' }), `peers[0].id is this side's own identity "bob"`],
    [
      withPeer({ id: 'alice' }),
      'peers[0].urls is missing: this side ("bob") has the greater identity and must dial "alice"',
    ],
    [withPeer({ id: 'carol' }, { id: 'carol' }), 'peers[1].id is "carol", which is in the list already'],
    [
      { listen: undefined, peers: [{ id: 'carol' }] },
      'peers[0] ("carol") has the greater identity, so it must dial this side: set listen',
    ],
    [{ limits: { dialTimeoutMs: 0 } }, 'limits.dialTimeoutMs must be a whole number of at least 1, got 0'],
    [{ limits: { surprise: 1 } }, 'limits.surprise is not a limit; there are: dialTimeoutMs'],
  ])('the configuration change %j is refused: %s', (bad, sentence) => {
    const config = { ...good, ...bad } as NetworkConfig
    expect(expectError('ERR_INVALID_OPTION', () => resolveOptions(config)).message).toContain(sentence)
  })

  it.each<[object, string]>([
    [
      { limits: { maxMessageLengthBytes: 65_535 } },
      'limits.maxMessageLengthBytes must be at least 65536 in the native dialect, got 65535',
    ],
    [
      { limits: { connectionsPerPeerMax: 100_000 }, connectionParallelism: 65_536 },
      'connectionParallelism must be at most 65535 in the native dialect, got 65536',
    ],
  ])('the native option %j is refused: %s', (bad, sentence) => {
    const config: NetworkConfig = { identity: Identity.generate(), peers: [], ...bad }
    expect(expectError('ERR_INVALID_OPTION', () => resolveOptions(config)).message).toBe(sentence)
  })

  it.each([null, undefined, 7, 'x'])('the configuration %j is refused, because it must be an object', (config) => {
    expect(expectError('ERR_INVALID_OPTION', () => resolveOptions(config as never)).message).toContain(
      'the configuration must be an object',
    )
  })

  it.each<[object, string]>([
    [{ identity: '' }, 'identity must not be empty'],
    [
      { identity: 7 },
      'identity must be an Identity (Identity.generate(), or await Identity.load(file)) or, in the ampc dialect, a name, got 7',
    ],
    [{ identity: Promise.resolve(7) }, 'identity is a Promise: await Identity.load(file) first'],
    [withPeer({ id: 'x'.repeat(129) }), `peers[0].id has 129 bytes, more than 128: "${'x'.repeat(129)}"`],
    [withPeer({}), 'peers[0].id must be a string, got undefined'],
  ])('the identity %j is refused: %s', (bad, sentence) => {
    expect(expectError('ERR_INVALID_PEER_ID', () => resolveOptions({ ...good, ...bad } as NetworkConfig)).message).toBe(
      sentence,
    )
  })

  it('the error of a bad url names the url and where it is', () => {
    expect(
      expectError('ERR_INVALID_URL', () =>
        resolveOptions({ ...good, ...withPeer({ id: 'alice', urls: 'nowhere' }) } as NetworkConfig),
      ).message,
    ).toContain('peers[0].urls')
    expect(expectError('ERR_INVALID_URL', () => resolveOptions({ ...good, listen: 'nowhere' })).message).toContain(
      'listen',
    )
  })

  it('a bad option makes createNetwork throw before anything is begun', () => {
    expectError('ERR_INVALID_OPTION', () => createNetwork({ ...good, connectionParallelism: 0 }))
  })

  it('the error of a bad option shortens a long string', () => {
    const { message } = expectError('ERR_INVALID_OPTION', () =>
      resolveOptions({ ...good, onConnectionLost: 'x'.repeat(5000) as never }),
    )
    expect(message.length).toBeLessThan(300)
  })
})

describe('the memory budget', () => {
  const key = Identity.generate()
  const peers = [Identity.generate(), Identity.generate()].map(({ id }) => ({ id }))
  const resolve = (memoryBudgetBytes?: unknown, connectionParallelism = 16): number =>
    resolveOptions({
      identity: key,
      listen: 'tls://127.0.0.1:0',
      peers,
      connectionParallelism,
      ...(memoryBudgetBytes === undefined ? {} : { memoryBudgetBytes }),
    } as unknown as NetworkConfig).memoryBudgetBytes

  it('the memory budget is 256 MiB by default', () => {
    expect(resolve()).toBe(256 * 1024 * 1024)
  })

  it.each([2 * 1024 * 1024, 2 ** 40])('the memory budget may be %i bytes for 32 links', (bytes) => {
    expect(resolve(bytes)).toBe(bytes)
  })

  it.each([2 * 1024 * 1024 - 1, 0, -1, 1.5, Infinity, '1', null])(
    'the memory budget must not be %j for 32 links',
    (bytes) => {
      expect(expectError('ERR_INVALID_OPTION', () => resolve(bytes)).message).toContain(
        'memoryBudgetBytes must be a whole number of at least 2097152 for 32 links',
      )
    },
  )

  it('the memory budget is at least 1 MiB, however few the links are', () => {
    expect(expectError('ERR_INVALID_OPTION', () => resolve(1024 * 1024 - 1, 1)).message).toContain('at least 1048576')
  })

  const mib = 1024 * 1024
  it.each<[number | undefined, number | undefined, number, number]>([
    [undefined, undefined, 256 * mib, 64 * mib],
    [8 * mib, undefined, 8 * mib, 4 * mib],
    [128 * mib, undefined, 128 * mib, 64 * mib],
    [8 * mib, 4 * mib, 8 * mib, 4 * mib],
    [8 * mib, mib, 8 * mib, mib],
    [undefined, 200 * mib, 400 * mib, 200 * mib],
  ])(
    'with a memory budget of %j and a longest message of %j, a network has a budget of %i and takes messages of up to %i',
    (memoryBudgetBytes, maxMessageLengthBytes, budget, longest) => {
      const resolved = resolveOptions({
        identity: key,
        listen: 'tls://127.0.0.1:0',
        peers,
        memoryBudgetBytes,
        limits: maxMessageLengthBytes === undefined ? {} : { maxMessageLengthBytes },
      } as unknown as NetworkConfig)
      expect([resolved.memoryBudgetBytes, resolved.limits.maxMessageLengthBytes]).toEqual([budget, longest])
    },
  )

  it('the longest message must not be over half of the memory budget', () => {
    const config = { identity: key, listen: 'tls://127.0.0.1:0', peers, memoryBudgetBytes: 8 * mib }
    const tooLong = { ...config, limits: { maxMessageLengthBytes: 4 * mib + 1 } } as unknown as NetworkConfig
    expect(expectError('ERR_INVALID_OPTION', () => resolveOptions(tooLong)).message).toBe(
      'limits.maxMessageLengthBytes must be at most half of memoryBudgetBytes (4194304), got 4194305: lower it, or set ' +
        'memoryBudgetBytes to 8388610',
    )
  })

  it('the memory budget is not an option of the ampc dialect', () => {
    expect(
      expectError('ERR_INVALID_OPTION', () => resolveOptions({ ...good, memoryBudgetBytes: 2 ** 30 } as NetworkConfig))
        .message,
    ).toContain('memoryBudgetBytes belongs to the native dialect')
  })
})

describe('urls', () => {
  it.each<[unknown, string]>([
    [7, 'must be a string'],
    ['', 'is not a URL'],
    ['127.0.0.1:80', 'url'],
    ['http://127.0.0.1:80', 'must begin with'],
    ['tcp://127.0.0.1', 'has no port'],
    ['tcp://127.0.0.1:65536', 'is not a URL'],
    ['tcp://:80', 'url'],
    ['tcp://user@127.0.0.1:80', 'must have only a host and a port'],
    ['tcp://127.0.0.1:80/path', 'must have only a host and a port'],
    ['tcp://127.0.0.1:80?x=1', 'must have only a host and a port'],
    ['tcp://127.0.0.1:80#x', 'must have only a host and a port'],
  ])('the url %j is refused: %s', (text, sentence) => {
    expect(expectError('ERR_INVALID_URL', () => parseUrl(text, 'url')).message).toContain(sentence)
  })

  it.each([
    ['tcp://127.0.0.1:0', '127.0.0.1', 0],
    ['tcp://127.0.0.1:65535/', '127.0.0.1', 65535],
    ['tcp://[::1]:80', '::1', 80],
    ['tcp://bob.example:15600', 'bob.example', 15600],
  ])('the url %s is parsed into host %s and port %i, and formatted back', (text, host, port) => {
    const address = parseUrl(text, 'url')
    expect(address).toMatchObject({ host, port })
    expect(formatUrl(address)).toBe(text.replace(/\/$/, ''))
  })
})

describe('a good configuration', () => {
  it('a good configuration is resolved to roles, addresses and defaults', () => {
    const options = resolveOptions(good)
    expect(options).toMatchObject({
      identity: 'bob',
      onConnectionLost: 'fail',
      connectionParallelism: 1,
      limits: { ...defaultLimits, backoffMaxMs: 2_000 },
    })
    expect(options.peers.find(({ id }) => id === 'alice')).toMatchObject({
      role: 'dialer',
      addresses: [{ host: '127.0.0.1', port: 15600 }],
    })
    expect(options.peers.find(({ id }) => id === 'carol')).toMatchObject({
      role: 'acceptor',
      addresses: [],
      connect: 'always',
    })
  })

  it.each([1, 64])('a good configuration may have %i connections to each peer', (connectionParallelism) => {
    expect(resolveOptions({ ...good, connectionParallelism }).connectionParallelism).toBe(connectionParallelism)
  })

  it('a good configuration may omit listen if it dials every peer, and may have no peers', () => {
    expect(
      resolveOptions({ identity: 'z', peers: [{ id: 'a', urls: 'tcp://127.0.0.1:1' }], security: 'plaintext' }).listen,
    ).toBeNull()
    expect(resolveOptions({ identity: 'z', peers: [], security: 'plaintext' }).peers).toEqual([])
  })
})

describe('limits', () => {
  const names = Object.keys(defaultLimits) as (keyof typeof defaultLimits)[]
  const isFactor = (name: string): boolean => name === 'backoffFactor' || name === 'connectRatePerSecond'

  // Its least is the record of TLS: test/actors/read-buffer.test.ts.
  it.each(names.filter((name) => name !== 'readBufferBytes'))(
    'the limit %s may be 1, but not 0, a string, NaN or infinite',
    (name) => {
      // A lesser limit must not be above its greater one.
      const partner =
        { backoffMaxMs: { backoffMinMs: 1 }, pendingInboundMax: { pendingInboundPerAddressMax: 1 } }[name as string] ??
        {}
      expect(resolveLimits({ ...partner, [name]: 1 })[name]).toBe(1)
      for (const bad of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, '1', null]) {
        expect(
          expectError('ERR_INVALID_OPTION', () => resolveLimits({ ...partner, [name]: bad as never })).message,
        ).toContain(`limits.${name} must be`)
      }
    },
  )

  it.each(names.filter((name) => !isFactor(name)))('the limit %s may not be a fraction', (name) => {
    expectError('ERR_INVALID_OPTION', () => resolveLimits({ [name]: 1.5 }))
  })

  it.each(names.filter((name) => name.endsWith('Ms')))('the limit %s is at most what a timer can hold', (name) => {
    const partner = name === 'backoffMinMs' ? { backoffMaxMs: 2 ** 31 - 1 } : {}
    expect(resolveLimits({ ...partner, [name]: 2 ** 31 - 1 })[name]).toBe(2 ** 31 - 1)
    expect(expectError('ERR_INVALID_OPTION', () => resolveLimits({ ...partner, [name]: 2 ** 31 })).message).toContain(
      'must be at most 2147483647 ms',
    )
  })

  it('limits must fit into the wire format, and lesser limits must not be above greater ones', () => {
    expect(resolveLimits({ replayWindowBytes: 2 ** 32 - 1, laneWindowBytes: 2 ** 31 - 1 })).toMatchObject({
      replayWindowBytes: 2 ** 32 - 1,
      laneWindowBytes: 2 ** 31 - 1,
    })
    expect(expectError('ERR_INVALID_OPTION', () => resolveLimits({ replayWindowBytes: 2 ** 32 })).message).toContain(
      'must be at most 4294967295',
    )
    expect(expectError('ERR_INVALID_OPTION', () => resolveLimits({ laneWindowBytes: 2 ** 31 })).message).toContain(
      'limits.laneWindowBytes must be at most 2147483647',
    )
    for (const [dialect, max] of [
      ['native', 2 ** 30],
      ['ampc', 2 ** 32 - 1],
    ] as const) {
      expect(resolveLimits({ maxMessageLengthBytes: max }, dialect).maxMessageLengthBytes).toBe(max)
      expect(
        expectError('ERR_INVALID_OPTION', () => resolveLimits({ maxMessageLengthBytes: max + 1 }, dialect)).message,
      ).toContain(`must be at most ${max}`)
    }
    expect(resolveLimits({ streamsMax: 2 ** 32 - 1 }).streamsMax).toBe(2 ** 32 - 1)
    expect(expectError('ERR_INVALID_OPTION', () => resolveLimits({ streamsMax: 2 ** 32 })).message).toContain(
      'limits.streamsMax must be at most 4294967295',
    )
    for (const [lesser, greater] of [
      ['backoffMinMs', 'backoffMaxMs'],
      ['pendingInboundPerAddressMax', 'pendingInboundMax'],
    ] as const) {
      expect(resolveLimits({ [lesser]: 50, [greater]: 50 })[lesser]).toBe(50)
      expect(expectError('ERR_INVALID_OPTION', () => resolveLimits({ [lesser]: 51, [greater]: 50 })).message).toContain(
        `limits.${lesser} (51) must not be above limits.${greater} (50)`,
      )
    }
  })

  it('limits that are not given are the defaults', () => {
    expect(resolveLimits(undefined)).toEqual(defaultLimits)
    expect(resolveLimits({ dialsMax: undefined } as never)).toEqual(defaultLimits)
  })
})

describe('undefined options', () => {
  it.each<[string, NetworkConfig]>([
    ['native', { identity: Identity.generate(), listen: 'tls://127.0.0.1:0', peers: [{ id: Identity.generate().id }] }],
    ['ampc', { identity: 'bob', listen: 'tcp://127.0.0.1:0', peers: [{ id: 'carol' }], security: 'plaintext' }],
  ])('an undefined option means the same as a missing one (%s)', (_, config) => {
    const nothing = {
      dialect: undefined,
      onConnectionLost: undefined,
      connectionParallelism: undefined,
      allowAddresses: undefined,
      admit: undefined,
      tls: undefined,
      memoryBudgetBytes: undefined,
      limits: Object.fromEntries(Object.keys(defaultLimits).map((name) => [name, undefined])),
    }
    const peers = config.peers.map((peer) => ({ ...peer, urls: undefined, connect: undefined }))
    const plain = (resolved: object): object => JSON.parse(JSON.stringify(resolved)) as object
    expect(plain(resolveOptions({ ...config, ...nothing, peers } as NetworkConfig))).toEqual(
      plain(resolveOptions(config)),
    )
  })
})
