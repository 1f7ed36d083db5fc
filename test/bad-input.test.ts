/**
 * Owns: that whatever is wrong with a configuration, a URL, a key, a certificate, a flag or a tool for tests is refused by an
 * error of ours that says where it stands and what came; and that no text of it gets past the error whole.
 * Refuses to know: calls on a network that runs (bad-input-live.test.ts), and what a peer sends (codec/, native/).
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import {
  createNetwork,
  defaultLimits,
  Identity,
  MemoryTransport,
  Network,
  PeerConnectionBuilder,
  SharedPort,
  supervisor,
  TcpNetworkHandle,
  TlsTransport,
} from '../actors/index.ts'
import { run } from '../cli/run.ts'
import { StatewireError } from '../codec/errors.ts'
import type { ErrorCode } from '../codec/errors.ts'
import { show } from '../codec/show.ts'
import { createActor } from '../machines/xstate.ts'
import { seededRandom, VirtualClock } from '../testing/index.ts'
import { expectError } from './codec/harness.ts'

const [own, other, third] = [1, 2, 3].map(() => Identity.generate()) as [Identity, Identity, Identity]
const native = {
  identity: own,
  listen: 'tls://127.0.0.1:0',
  peers: [{ id: other.id, url: 'tls://127.0.0.1:1' }, { id: third.id }],
}
const ampc = {
  identity: 'bob',
  listen: 'tcp://127.0.0.1:0',
  peers: [{ id: 'alice', url: 'tcp://127.0.0.1:1' }],
  security: 'plaintext',
}
const tls = { key: own.toPem(), certificate: own.certificate, roots: { alice: other.certificate } }
const ampcTls = {
  ...ampc,
  listen: 'tls://127.0.0.1:0',
  peers: [{ id: 'alice', url: 'tls://127.0.0.1:1' }],
  security: 'tls',
  tls,
}
const peerWith = (peer: object): object => ({ ...native, peers: [native.peers[1], { id: other.id, ...peer }] })
const network =
  (config: unknown, ...runtime: unknown[]): (() => unknown) =>
  () =>
    createNetwork(config as never, ...(runtime as []))

const folder = mkdtempSync(path.join(tmpdir(), 'statewire-bad-input-'))
afterAll(() => rmSync(folder, { recursive: true }))

type Row = [name: string, call: () => unknown, code: ErrorCode, ...said: string[]]

/** Held against each row: thrown at once, by its code, with every piece of `said` in it, in one line of bounded length. */
function refuses(_name: string, call: () => unknown, code: ErrorCode, ...said: string[]): void {
  const { message } = expectError(code, call)
  for (const piece of said) expect(message).toContain(piece)
  expect(message).toMatch(/^[ -~…]{1,2000}$/)
  expect(message).not.toContain('PRIVATE KEY-----')
}

const strange: unknown[] = [null, 7, true, 'x', [], Symbol('s'), () => {}, 7n]

const inFirst = 'is an option of the network: it belongs into the first argument, as createNetwork({ '
const inLimits = 'is a limit: it belongs into limits, as limits: { '
const inSecond = 'belongs into the second argument, as createNetwork(config, { '
const inEnvironment =
  'is a part of the environment: it belongs into the second argument, as createNetwork(config, { environment: { '
const inTls = 'is an option of tls, in the ampc dialect: it belongs into tls, as tls: { '
const inPeers = 'is an option of a peer: it belongs into the list, as peers: [{ '
const inCalls = 'is an option of calls, as makeSessions({ '
/** As they are told to whoever misspells one. */
const namesOfTls =
  /there are: (.*)$/
    .exec(expectError('ERR_INVALID_OPTION', network({ ...ampcTls, tls: { ...tls, surprise: 1 } })).message)?.[1]
    ?.split(', ') ?? []
/** Names that stand where they do not belong, with the sentence that says where they do. */
const misplaced = (
  places: [name: string, sentence: string][],
  call: (name: string) => () => unknown,
  path = '',
): Row[] =>
  places.map(([name, sentence]): Row => [
    `with ${path}${name}, which ${sentence.slice(0, 40)}`,
    call(name),
    'ERR_INVALID_OPTION',
    `${path}${name} ${sentence}${name}: `,
  ])

describe('a configuration', () => {
  it.each<Row>([
    ...[undefined, ...strange].map((value): Row => [
      `that is ${show(value)}`,
      network(value),
      'ERR_INVALID_OPTION',
      'the configuration must be an object',
      show(value),
    ]),
    [
      'with a name that is near another',
      network({ ...native, lisen: 1 }),
      'ERR_INVALID_OPTION',
      'lisen is not an option (did you mean listen?); there are: identity, listen',
    ],
    [
      'with a name in other letters',
      network({ ...native, Limits: {} }),
      'ERR_INVALID_OPTION',
      'Limits is not an option (did you mean limits?)',
    ],
    [
      'with a name that is near none',
      network({ ...native, surprise: 1 }),
      'ERR_INVALID_OPTION',
      'surprise is not an option; there are',
    ],
    [
      'with a name that has no value',
      network({ ...native, timeout: undefined }),
      'ERR_INVALID_OPTION',
      'timeout is not an option',
    ],
    ...Object.keys(defaultLimits).map((name): Row => [
      `with the limit ${name} outside of limits`,
      network({ ...native, [name]: 1 }),
      'ERR_INVALID_OPTION',
      `${name} is a limit: it belongs into limits, as limits: { ${name}: `,
    ]),
    ...misplaced(
      [
        ['inspect', inSecond],
        ['environment', inSecond],
      ],
      (name) => network({ ...native, [name]: {} }),
    ),
    ...misplaced(
      [
        ['clock', inEnvironment],
        ['random', inEnvironment],
        ['transport', inEnvironment],
        ['log', inEnvironment],
      ],
      (name) => network({ ...native, [name]: {} }),
    ),
    ...misplaced(
      namesOfTls.map((name) => [name, inTls]),
      (name) => network({ ...native, [name]: 1 }),
    ),
    ...misplaced(
      [
        ['id', inPeers],
        ['url', inPeers],
      ],
      (name) => network({ ...native, [name]: 'x' }),
    ),
    ...misplaced(
      [
        ['timeoutMs', inCalls],
        ['signal', inCalls],
        ['count', inCalls],
        ['agreePrfKeys', inCalls],
      ],
      (name) => network({ ...native, [name]: 1 }),
    ),
    ...misplaced(
      [
        ['limits', inFirst],
        ['peers', inFirst],
        ['dialTimeoutMs', inLimits],
        ['log', inEnvironment],
      ],
      (name) => network(native, { [name]: {} }),
    ),
    [
      'with a name that moves the cursor',
      network({ ...native, 'a\u001b[2Jb': 1 }),
      'ERR_INVALID_OPTION',
      String.raw`"a\u001b[2Jb" is not an option`,
    ],
    [
      'with a name of a megabyte',
      network({ ...native, ['x'.repeat(2 ** 20)]: 1 }),
      'ERR_INVALID_OPTION',
      '…" is not an option',
    ],
    [
      'with a name that every object has',
      network({ ...native, constructor: 1 }),
      'ERR_INVALID_OPTION',
      'constructor is not an option',
    ],
    [
      'with __proto__ from JSON',
      network(JSON.parse('{"__proto__":1}')),
      'ERR_INVALID_OPTION',
      '__proto__ is not an option',
    ],
    ...[undefined, null, 7, [], {}].map((identity): Row => [
      `whose identity is ${show(identity)}`,
      network({ ...native, identity }),
      'ERR_INVALID_PEER_ID',
      'identity must be an Identity (Identity.generate(), or await Identity.load(file))',
      `or, in the ampc dialect, a name, got ${show(identity)}`,
    ]),
    [
      'whose identity is the key itself',
      network({ ...ampc, identity: own.toPem() }),
      'ERR_INVALID_PEER_ID',
      'identity must be a name, got a text in PEM',
    ],
    [
      'whose identity is a name in the native dialect',
      network({ ...native, identity: 'bob', dialect: 'native' }),
      'ERR_INVALID_OPTION',
      'identity must be an Identity in the native dialect (Identity.generate()',
      'got "bob"',
    ],
    [
      'whose identity is a text, with nothing that says that it is meant as a name',
      network({ ...native, identity: 'key.pem' }),
      'ERR_INVALID_OPTION',
      'identity must be an Identity (Identity.generate(), or await Identity.load(file)), got "key.pem"',
      "security must be said: 'tls' or 'plaintext'",
    ],
    [
      'whose security is not said in the ampc dialect, which is',
      network({ ...ampc, dialect: 'ampc', security: undefined }),
      'ERR_INVALID_OPTION',
      "security must be 'tls' or 'plaintext', got undefined",
    ],
    [
      'whose identity is a key in the ampc dialect',
      network({ ...ampc, identity: own, dialect: 'ampc' }),
      'ERR_INVALID_OPTION',
      'identity must be a name in the ampc dialect, got an Identity',
    ],
    ...[null, 'Native', 7, ''].map((dialect): Row => [
      `whose dialect is ${show(dialect)}`,
      network({ ...native, dialect }),
      'ERR_INVALID_OPTION',
      `dialect must be 'native' or 'ampc', got ${show(dialect)}`,
    ]),
    ...[null, 'none', true].map((security): Row => [
      `whose security is ${show(security)}`,
      network({ ...native, security }),
      'ERR_INVALID_OPTION',
      `security must be 'tls' or 'plaintext', got ${show(security)}`,
    ]),
    [
      'whose security is not said in the ampc dialect',
      network({ ...ampc, security: undefined }),
      'ERR_INVALID_OPTION',
      'security must be',
      'got undefined',
    ],
    ...[null, 'later', {}].map((mode): Row => [
      `whose onConnectionLost is ${show(mode)}`,
      network({ ...native, onConnectionLost: mode }),
      'ERR_INVALID_OPTION',
      'onConnectionLost must be',
      `got ${show(mode)}`,
    ]),
    [
      'whose onConnectionLost is of the other dialect',
      network({ ...native, onConnectionLost: 'fail' }),
      'ERR_DIALECT_UNSUPPORTED',
      'onConnectionLost "fail"',
      'native',
    ],
    ...[null, 0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 65, '2', 2n].map((value): Row => [
      `whose connectionParallelism is ${show(value)}`,
      network({ ...native, connectionParallelism: value }),
      'ERR_INVALID_OPTION',
      'connectionParallelism must be a whole number from 1 to 64',
      `got ${show(value)}`,
    ]),
    ...[undefined, null, 'alice', {}, 7].map((peers): Row => [
      `whose peers are ${show(peers)}`,
      network({ ...native, peers }),
      'ERR_INVALID_OPTION',
      `peers must be a list, got ${show(peers)}`,
    ]),
    [
      'whose tls stands in the native dialect',
      network({ ...native, tls }),
      'ERR_INVALID_OPTION',
      'tls belongs to the ampc dialect',
    ],
  ])('%s', refuses)
})

describe('a peer in the list', () => {
  it.each<Row>([
    ...[null, 'alice', 7, []].map((peer): Row => [
      `that is ${show(peer)}`,
      network({ ...native, peers: [native.peers[1], peer] }),
      'ERR_INVALID_OPTION',
      `peers[1] must be an object with an id, got ${show(peer)}`,
    ]),
    [
      'with a name that is near another',
      network(peerWith({ uri: 'tls://127.0.0.1:1' })),
      'ERR_INVALID_OPTION',
      'peers[1].uri is not an option of a peer (did you mean url?); there are: id, url',
    ],
    [
      'with a name that is near none',
      network(peerWith({ weight: 1 })),
      'ERR_INVALID_OPTION',
      'peers[1].weight is not an option of a peer; there are: id, url',
    ],
    ...misplaced(
      [
        ['listen', inFirst],
        ['limits', inFirst],
        ['resumeTimeoutMs', inLimits],
        ['roots', inTls],
      ],
      (name) => network(peerWith({ [name]: 1 })),
      'peers[1].',
    ),
    ...[undefined, null, 7, ''].map((id): Row => [
      `whose id is ${show(id)}`,
      network(peerWith({ id })),
      'ERR_INVALID_PEER_ID',
      'peers[1].id must',
      typeof id === 'string' ? 'has 0' : `got ${show(id)}`,
    ]),
    [
      'whose id is too short',
      network(peerWith({ id: other.id.slice(1) })),
      'ERR_INVALID_PEER_ID',
      'peers[1].id',
      'has 51',
      show(other.id.slice(1)),
    ],
    [
      'whose id is in capitals',
      network(peerWith({ id: other.id.toUpperCase() })),
      'ERR_INVALID_PEER_ID',
      'peers[1].id',
      'lower case',
      show(other.id.toUpperCase()),
    ],
    [
      'whose id holds a line end',
      network(peerWith({ id: `${other.id.slice(0, 51)}\n` })),
      'ERR_INVALID_PEER_ID',
      'peers[1].id',
      'character 51',
      String.raw`\n"`,
    ],
    [
      'whose id is a key',
      network(peerWith({ id: own.toPem() })),
      'ERR_INVALID_PEER_ID',
      'peers[1].id',
      'a text in PEM',
    ],
    [
      'that is this side itself',
      network(peerWith({ id: own.id })),
      'ERR_INVALID_OPTION',
      'peers[1].id is the own identity',
      own.id,
    ],
    [
      'that is in the list twice',
      network(peerWith({ id: third.id })),
      'ERR_INVALID_OPTION',
      `peers[1].id is "${third.id}", which is in the list already`,
    ],
    [
      'that would dial where nothing listens',
      network({ identity: own, peers: [{ id: other.id }] }),
      'ERR_INVALID_OPTION',
      'peers[0]',
      'listen must be set',
    ],
    ...(
      [
        [null, 'must be a string'],
        [7, 'must be a string'],
        [{}, 'must be a string'],
        ['', 'is not a URL'],
        ['nowhere', 'is not a URL'],
        ['127.0.0.1:80', 'peers[1].url'],
        ['tcp://127.0.0.1:80', 'must begin with tls://'],
        ['https://127.0.0.1:80', 'must begin with tls://'],
        ['tls://127.0.0.1', 'names no port'],
        ['tls://127.0.0.1:0', 'has port 0'],
        ['tls://127.0.0.1:65536', 'is not a URL'],
        ['tls://127.0.0.1:-1', 'is not a URL'],
        ['tls://127.0.0.1:8x', 'is not a URL'],
        ['tls://127.0.0.1:1/a', 'a host and a port only'],
        ['tls://127.0.0.1:1?a', 'a host and a port only'],
        ['tls://127.0.0.1:1#a', 'a host and a port only'],
        ['tls://127.0.0.1:1\n', 'blanks'],
        [' tls://127.0.0.1:1', 'blanks'],
        ['tls://a\tb:1', 'blanks'],
        ['tls://a%20b:1', 'escapes'],
        ['tls://[::1:1', 'is not a URL'],
        [`tls://${'a'.repeat(400)}:1`, 'more than 300'],
      ] as [unknown, string][]
    ).map(([url, said]): Row => [
      `whose url is ${show(url)}`,
      network(peerWith({ url })),
      'ERR_INVALID_URL',
      'peers[1].url',
      said,
      show(url),
      'a right one is tls://127.0.0.1:15600',
    ]),
    [
      'whose url is of TLS where plain TCP was asked for',
      network({ ...ampc, peers: [{ id: 'alice', url: 'tls://127.0.0.1:1' }] }),
      'ERR_INVALID_URL',
      'peers[0].url must begin with tcp://',
      'a right one is tcp://127.0.0.1:15600',
    ],
    [
      'whose url holds a password, which is not said again',
      network(peerWith({ url: 'tls://u:p@127.0.0.1:1' })),
      'ERR_INVALID_URL',
      'peers[1].url',
      'a host and a port only',
      '"tls://…@127.0.0.1:1"',
    ],
  ])('%s', refuses)

  it.each([null, 7, 'nowhere', 'tls://127.0.0.1', 'tcp://127.0.0.1:0'])('listen may not be %j', (listen) => {
    expect(expectError('ERR_INVALID_URL', network({ ...native, listen })).message).toMatch(
      /^listen .*; a right one is tls:\/\/127\.0\.0\.1:15600$/,
    )
  })
})

describe('limits', () => {
  const wrong = [null, '1', Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1, 0, 1.5, 1n, true, {}]
  it.each<Row>([
    ...[null, 7, 'x', true, []].map((limits): Row => [
      `that are ${show(limits)}`,
      network({ ...native, limits }),
      'ERR_INVALID_OPTION',
      `limits must be an object, got ${show(limits)}`,
    ]),
    [
      'with a name that is near another',
      network({ ...native, limits: { dialTimeout: 1 } }),
      'ERR_INVALID_OPTION',
      'limits.dialTimeout is not a limit (did you mean dialTimeoutMs?)',
    ],
    ...misplaced(
      [
        ['memoryBudgetBytes', inFirst],
        ['connectionParallelism', inFirst],
        ['timeoutMs', inCalls],
        ['inspect', inSecond],
      ],
      (name) => network({ ...native, limits: { [name]: 1 } }),
      'limits.',
    ),
    [
      'with a name that every object has',
      network({ ...native, limits: { toString: 1 } }),
      'ERR_INVALID_OPTION',
      'limits.toString is not a limit',
    ],
    ...wrong.map((value): Row => [
      `of which one is ${show(value)}`,
      network({ ...native, limits: { dialTimeoutMs: value } }),
      'ERR_INVALID_OPTION',
      'limits.dialTimeoutMs must be a whole number of at least 1',
      `got ${show(value)}`,
    ]),
    [
      'that a native hello can not say',
      network({ ...native, limits: { maxMessageLengthBytes: 65_535 } }),
      'ERR_INVALID_OPTION',
      'limits.maxMessageLengthBytes must be at least 65536 in the native dialect, got 65535',
    ],
    [
      'of links that a native hello can not say',
      network({ ...native, limits: { connectionsPerPeerMax: 100_000 }, connectionParallelism: 65_536 }),
      'ERR_INVALID_OPTION',
      'connectionParallelism must be at most 65535 in the native dialect, got 65536',
    ],
    [
      'beyond a timer',
      network({ ...native, limits: { dialTimeoutMs: 2 ** 31 } }),
      'ERR_INVALID_OPTION',
      'limits.dialTimeoutMs must be at most',
      '2147483648',
    ],
  ])('%s', refuses)

  it.each(Object.keys(defaultLimits))('%s is named where it is wrong', (name) => {
    refuses(
      '',
      network({ ...native, limits: { [name]: Number.NaN } }),
      'ERR_INVALID_OPTION',
      `limits.${name} must be`,
      'got NaN',
    )
  })
})

describe('who may connect', () => {
  it.each<Row>([
    ...[null, '10.0.0.0/8', {}].map((list): Row => [
      `allowAddresses may not be ${show(list)}`,
      network({ ...native, allowAddresses: list }),
      'ERR_INVALID_OPTION',
      `allowAddresses must be a list, got ${show(list)}`,
    ]),
    ...[null, 7, '', 'localhost', '10.0.0.0/33', '::1/129', '1.2.3.4/', '1.2.3.4/8/8', '1.2.3', '1.2.3.4/-1'].map(
      (entry): Row => [
        `an address may not be ${show(entry)}`,
        network({ ...native, allowAddresses: ['::1', entry] }),
        'ERR_INVALID_OPTION',
        'allowAddresses[1] must be',
        `got ${show(entry)}`,
      ],
    ),
    ...[null, true, 'yes', {}].map((admit): Row => [
      `admit may not be ${show(admit)}`,
      network({ ...native, admit }),
      'ERR_INVALID_OPTION',
      `admit must be a function, got ${show(admit)}`,
    ]),
  ])('%s', refuses)
})

describe('keys and certificates of the ampc dialect', () => {
  const withTls = (change: object): (() => unknown) => network({ ...ampcTls, tls: { ...tls, ...change } })
  it.each<Row>([
    ['none', network({ ...ampcTls, tls: undefined }), 'ERR_INVALID_OPTION', 'tls must hold the key'],
    ...[null, 'x', []].map((value): Row => [
      `that are ${show(value)}`,
      network({ ...ampcTls, tls: value }),
      'ERR_INVALID_OPTION',
      `tls must be an object, got ${show(value)}`,
    ]),
    [
      'with a name that is near another',
      withTls({ cert: tls.certificate, roots: {} }),
      'ERR_INVALID_OPTION',
      'tls.cert is not an option; there are: key, certificate',
    ],
    ...[undefined, null, Buffer.from(tls.key)].map((key): Row => [
      `whose key is ${show(key)}`,
      withTls({ key }),
      'ERR_KEY_FORMAT',
      `tls.key must be a private key in PEM, got ${show(key)}`,
    ]),
    ['whose key is no key', withTls({ key: 'x' }), 'ERR_KEY_FORMAT', 'the key of the ampc dialect'],
    [
      'whose key is of another certificate',
      withTls({ key: other.toPem() }),
      'ERR_CERTIFICATE_UNUSABLE',
      'belongs to another key',
    ],
    ...[undefined, null, 7].map((certificate): Row => [
      `whose certificate is ${show(certificate)}`,
      withTls({ certificate }),
      'ERR_CERTIFICATE_UNUSABLE',
      `tls.certificate must be a certificate in PEM, got ${show(certificate)}`,
    ]),
    [
      'whose certificate is none',
      withTls({ certificate: 'x' }),
      'ERR_CERTIFICATE_UNUSABLE',
      'the certificate is not a certificate',
    ],
    ...[undefined, null, 'x', []].map((roots): Row => [
      `whose roots are ${show(roots)}`,
      withTls({ roots }),
      'ERR_INVALID_OPTION',
      `tls.roots must be an object, got ${show(roots)}`,
    ]),
    [
      'with a root that is a number',
      withTls({ roots: { alice: 7 } }),
      'ERR_CERTIFICATE_UNUSABLE',
      'tls.roots["alice"] must be a certificate in PEM, got 7',
    ],
    [
      'with a root that is no certificate',
      withTls({ roots: { alice: 'x' } }),
      'ERR_CERTIFICATE_UNUSABLE',
      'the root of "alice"',
    ],
    ['with a root that is no authority', withTls({}), 'ERR_CERTIFICATE_UNUSABLE', 'the root of "alice"'],
    [
      'that ask for a name with a text',
      withTls({ checkHostName: 'no' }),
      'ERR_INVALID_OPTION',
      'tls.checkHostName must be true or false, got "no"',
    ],
    [
      'that ask a text for the time',
      withTls({ wallTimeMs: 'now' }),
      'ERR_INVALID_OPTION',
      'tls.wallTimeMs must be a function, got "now"',
    ],
  ])('%s', refuses)
})

describe('the runtime around a network', () => {
  const clock = new VirtualClock()
  const inside = (environment: unknown): (() => unknown) => network(native, { environment })
  it.each<Row>([
    ...[null, 7, 'x', []].map((runtime): Row => [
      `may not be ${show(runtime)}`,
      network(native, runtime),
      'ERR_INVALID_OPTION',
      'the second argument of createNetwork must be an object',
      show(runtime),
    ]),
    [
      'has a name that is near another',
      network(native, { enviroment: {} }),
      'ERR_INVALID_OPTION',
      'enviroment is not an option of the runtime (did you mean environment?)',
    ],
    ...[null, 7, []].map((value): Row => [
      `may not have ${show(value)} as its environment`,
      inside(value),
      'ERR_INVALID_OPTION',
      `environment must be an object, got ${show(value)}`,
    ]),
    [
      'has a part that is near another',
      inside({ clok: clock }),
      'ERR_INVALID_OPTION',
      'environment.clok is not a part of the environment (did you mean clock?)',
    ],
    ...['clock', 'random', 'transport', 'log'].flatMap((part): Row[] => [
      [
        `has ${part} that is null`,
        inside({ [part]: null }),
        'ERR_INVALID_OPTION',
        `environment.${part} must be an object, got null`,
      ],
      [
        `has ${part} that can do nothing`,
        inside({ [part]: {} }),
        'ERR_INVALID_OPTION',
        `environment.${part}.`,
        'must be a function, got undefined',
      ],
    ]),
    [
      'has a transport that counts nothing',
      inside({ transport: { dial() {}, listen() {} } }),
      'ERR_INVALID_OPTION',
      'environment.transport.openHandles must be a number, got undefined',
    ],
    ...[null, 7, {}, 'x'].map((inspect): Row => [
      `may not be inspected by ${show(inspect)}`,
      network(native, { inspect }),
      'ERR_INVALID_OPTION',
      'inspect must be a function',
      show(inspect),
    ]),
    ...[undefined, null, 7, { config: native, environment: {}, limits: {} }].map((input): Row => [
      `has no supervisor of ${show(input)}`,
      () => Network.from(createActor(supervisor, { input } as never)),
      'ERR_INVALID_OPTION',
      'of the supervisor',
    ]),
    ...[...strange, {}].map((ref): Row => [
      `is not behind ${show(ref)}`,
      () => Network.from(ref),
      'ERR_NOT_A_NETWORK',
      'statewire supervisor',
    ]),
  ])('%s', refuses)

  it('is the real one where a part is undefined', async () => {
    const real = createNetwork(native, { environment: { clock: undefined, log: undefined } as never })
    await real.ready()
    await real.shutdown()
  })
})

describe('other doors', () => {
  it.each<Row>([
    [
      'a builder without a configuration',
      () => new PeerConnectionBuilder(null as never),
      'ERR_INVALID_OPTION',
      'the configuration must be an object, got null',
    ],
    [
      'a builder with peers',
      () => new PeerConnectionBuilder(ampc as never),
      'ERR_INVALID_OPTION',
      'peers is not an option of the builder',
      'includePeer',
    ],
    [
      'a builder with a misspelt runtime',
      () => new PeerConnectionBuilder({ identity: 'a' } as never, { inspct: 1 } as never),
      'ERR_INVALID_OPTION',
      'inspct',
      'did you mean inspect?',
    ],
    [
      'a handle of nothing',
      () => new TcpNetworkHandle(null as never),
      'ERR_INVALID_OPTION',
      'what build gave, got null',
    ],
    [
      'a handle of something else',
      () => new TcpNetworkHandle({ connections: {} } as never),
      'ERR_INVALID_OPTION',
      'what build gave, got an object',
    ],
    [
      'a shared port with a name that is near another',
      () => new SharedPort({ limit: {} } as never),
      'ERR_INVALID_OPTION',
      'limit is not an option of a SharedPort (did you mean limits?)',
    ],
    [
      'a shared port with a wrong limit',
      () => new SharedPort({ limits: { dialsMax: 0 } }),
      'ERR_INVALID_OPTION',
      'limits.dialsMax',
      'got 0',
    ],
    [
      'a shared port with a wrong clock',
      () => new SharedPort({ clock: {} as never }),
      'ERR_INVALID_OPTION',
      'clock.nowMs must be a function',
    ],
    [
      'a TLS transport of nothing',
      () => new TlsTransport(undefined as never),
      'ERR_INVALID_OPTION',
      'the options of a TLS transport must be an object, got undefined',
    ],
    ['a TLS transport without a key', () => new TlsTransport({}), 'ERR_INVALID_OPTION', 'needs an identity'],
    [
      'a TLS transport with a name for a key',
      () => new TlsTransport({ identity: 'bob' as never }),
      'ERR_INVALID_OPTION',
      'identity must be an Identity, got "bob"',
    ],
    [
      'a TLS transport that asks a list',
      () => new TlsTransport({ identity: own, authorize: [other.id] as never }),
      'ERR_INVALID_OPTION',
      'authorize must be a function, got a list of 1',
    ],
    [
      'a TLS transport with a misspelt name',
      () => new TlsTransport({ identity: own, authorise: () => true } as never),
      'ERR_INVALID_OPTION',
      'did you mean authorize?',
    ],
    ...[undefined, null, 7, Buffer.from('x'), 'x', ''].map((pem): Row => [
      `a key that is ${show(pem)}`,
      () => Identity.fromPem(pem as never),
      'ERR_KEY_FORMAT',
      'the key',
    ]),
    [
      'a key that is encrypted',
      () => Identity.fromPem('-----BEGIN ENCRYPTED PRIVATE KEY-----\nx'),
      'ERR_KEY_FORMAT',
      'encrypted',
    ],
    ['a key that is damaged', () => Identity.fromPem(own.toPem().replace('MC4', 'AAA')), 'ERR_KEY_FORMAT', 'damaged'],
    [
      'a memory transport without a clock',
      () => new MemoryTransport(undefined as never),
      'ERR_INVALID_OPTION',
      'the clock of a MemoryTransport must be an object, got undefined',
    ],
    ...[undefined, null, '1', 1.5, Number.NaN].map((seed): Row => [
      `a seed that is ${show(seed)}`,
      () => seededRandom(seed as never),
      'ERR_INVALID_OPTION',
      `seed must be a whole number, got ${show(seed)}`,
    ]),
    ...[undefined, Number.NaN, '5'].map((delay): Row => [
      `a timer after ${show(delay)}`,
      () => new VirtualClock().setTimeout(() => {}, delay as never),
      'ERR_INVALID_OPTION',
      `delayMs of setTimeout must be a number, got ${show(delay)}`,
    ]),
    [
      'a timer that calls nothing',
      () => new VirtualClock().setTimeout(undefined as never, 5),
      'ERR_INVALID_OPTION',
      'callback of setTimeout',
    ],
    [
      'a tick that calls nothing',
      () => new VirtualClock().nextTick(7 as never),
      'ERR_INVALID_OPTION',
      'callback of nextTick',
      'got 7',
    ],
    [
      'an immediate that calls nothing',
      () => new VirtualClock().setImmediate(null as never),
      'ERR_INVALID_OPTION',
      'callback of setImmediate',
      'got null',
    ],
  ])('%s', refuses)
})

describe('what is refused by a promise', () => {
  const file = path.join(folder, 'not-a-key.pem')
  writeFileSync(file, 'nothing', { mode: 0o600 })
  const rows: [string, () => Promise<unknown>, ErrorCode, ...string[]][] = [
    ...[undefined, null, 7, '', 'a\0b', {}].flatMap(
      (name): [string, () => Promise<unknown>, ErrorCode, ...string[]][] => [
        [
          `a key loaded from ${show(name)}`,
          () => Identity.load(name as never),
          'ERR_INVALID_OPTION',
          `file must be the path of a key file, got ${show(name)}`,
        ],
        [
          `a key saved to ${show(name)}`,
          () => own.save(name as never),
          'ERR_INVALID_OPTION',
          `file must be the path of a key file, got ${show(name)}`,
        ],
      ],
    ),
    [
      'a key that is not there',
      () => Identity.load(path.join(folder, 'none.pem')),
      'ERR_KEY_FILE_NOT_FOUND',
      'none.pem',
    ],
    ['a folder for a key', () => Identity.load(folder), 'ERR_KEY_FILE_UNUSABLE', show(folder)],
    ['a file that holds no key', () => Identity.load(file), 'ERR_KEY_FORMAT', 'not-a-key.pem'],
    ['a key saved over another', () => own.save(file), 'ERR_KEY_FILE_EXISTS', 'not-a-key.pem'],
    [
      'a key saved with a misspelt option',
      () => own.save(file, { overwite: true } as never),
      'ERR_INVALID_OPTION',
      'overwite is not an option of save (did you mean overwrite?)',
    ],
    [
      'a key saved with a text for a yes',
      () => own.save(file, { overwrite: 'yes' } as never),
      'ERR_INVALID_OPTION',
      'overwrite must be true or false, got "yes"',
    ],
    [
      'a key saved with null',
      () => own.save(file, null as never),
      'ERR_INVALID_OPTION',
      'the options of save must be an object, got null',
    ],
    ...[-1, Number.NaN, Number.POSITIVE_INFINITY, '5', null].map(
      (ms): [string, () => Promise<unknown>, ErrorCode, ...string[]] => [
        `time that goes on by ${show(ms)}`,
        () => new VirtualClock().advance(ms as never),
        'ERR_INVALID_OPTION',
        'byMs of advance',
        `got ${show(ms)}`,
      ],
    ),
    [
      'a wait for nothing',
      () => new VirtualClock().until('it', undefined as never),
      'ERR_INVALID_OPTION',
      'the condition of until',
      'got undefined',
    ],
    [
      'a wait without an end',
      () => new VirtualClock().until('it', () => true, Number.NaN),
      'ERR_INVALID_OPTION',
      'withinMs of until',
      'got NaN',
    ],
    [
      'a build with a misspelt option',
      () => new PeerConnectionBuilder({ identity: 'a', security: 'plaintext' }).build({ timeout: 5 } as never),
      'ERR_INVALID_OPTION',
      'timeout is not an option of build (did you mean timeoutMs?)',
    ],
    [
      'a build with a peer that is a number',
      () => new PeerConnectionBuilder({ identity: 'a', security: 'plaintext' }).includePeer(7 as never).build(),
      'ERR_INVALID_PEER_ID',
      'peers[0].id must be a string, got 7',
    ],
    [
      'a build with a wrong url',
      () => new PeerConnectionBuilder({ identity: 'b', security: 'plaintext' }).includePeer('a', 'nowhere').build(),
      'ERR_INVALID_URL',
      'peers[0].url',
      '"nowhere"',
    ],
    [
      'a port that a peer has',
      () => createNetwork({ ...native, listen: 'tls://203.0.113.1:1' }).ready(),
      'ERR_LISTEN_FAILED',
      '203.0.113.1:1',
    ],
  ]
  it.each(rows)('%s', async (name, call, code, ...said) => {
    let made: Promise<unknown> | undefined
    // It must not throw at the caller, who has put his `catch` on the promise.
    expect(() => (made = call())).not.toThrow()
    const error: unknown = await made!.then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error, name).toBeInstanceOf(StatewireError)
    refuses(
      name,
      () => {
        throw error
      },
      code,
      ...said,
    )
  })
})

describe('the command line', () => {
  it.each<[string[], string]>([
    [[], 'a command is missing'],
    [['keygn'], 'there is no command "keygn"'],
    [['key\u001b[2Jgen'], String.raw`there is no command "key\u001b[2Jgen"`],
    [['keygen', '--ouT', 'a'], '--ouT'],
    [['keygen', '--bits=4096'], '--bits'],
    [['keygen', '--\u001b[2J'], String.raw`\u001b[2J`],
    [['keygen', 'key.pem'], 'key.pem'],
    [['keygen', '--out'], '--out'],
    [['keygen', '--out='], '--out needs a file'],
    [['keygen', '--out', '--force'], '--out'],
    [['keygen', '--force'], '--force means nothing without --out'],
    [['keygen', '--force=yes', '--out', 'x'], '--force'],
  ])('%j is wrong usage: exit code 2, and says what', async (args, said) => {
    const printed: string[] = []
    expect(await run(args, { out: (text) => printed.push(text), err: (text) => printed.push(text) })).toBe(2)
    expect(printed.join('')).toContain(said)
    expect(printed.join('')).toMatch(/^[\n -~]*$/)
  })
})
