/**
 * Owns: where a key may come from and go to, and that it is shown nowhere else.
 * Independent of: TLS.
 */
import { generateKeyPairSync } from 'node:crypto'
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { format, inspect } from 'node:util'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { Identity } from '../../actors/tls/identity.ts'
import { TlsTransport } from '../../actors/tls/tls-transport.ts'
import { StatewireError } from '../../codec/errors.ts'
import { comparePeerIds, decodePeerId, encodePeerId } from '../../protocol/key-id.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'statewire-identity-'))
afterAll(() => rmSync(folder, { recursive: true }))
let number = 0
const fresh = (): string => path.join(folder, `key-${number++}.pem`)

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(StatewireError)
  return (error as StatewireError).code
}

function thrown(run: () => unknown): StatewireError {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(StatewireError)
    return error as StatewireError
  }
  throw new Error('nothing was thrown')
}

/** Every form in which the private key could show: PEM, its base64, the 32 bytes as hex. */
function secretsOf(identity: Identity): string[] {
  const pem = identity.toPem()
  const base64 = (pem.split('\n')[1] as string).trim()
  const der = Buffer.from(base64, 'base64')
  const raw = der.subarray(-32)
  return [
    base64,
    base64.slice(-40),
    raw.toString('hex'),
    raw.toString('base64').slice(0, 40),
    [...raw.subarray(0, 8)].join(','),
    [...raw.subarray(0, 8)].join(', '),
  ]
}

describe('id52', () => {
  it('an id round-trips any 32 bytes and sorts as they do', () => {
    const keys = fc.uint8Array({ minLength: 32, maxLength: 32 })
    fc.assert(
      fc.property(keys, keys, (a, b) => {
        const [textA, textB] = [encodePeerId(a), encodePeerId(b)]
        expect(textA).toMatch(/^[0-9a-v]{52}$/)
        expect(Buffer.compare(decodePeerId(textA), a)).toBe(0)
        expect(Math.sign(comparePeerIds(textA, textB))).toBe(Buffer.compare(a, b))
      }),
    )
  })

  it('an id is base32hex of RFC 4648: known texts', () => {
    expect(encodePeerId(Buffer.alloc(32))).toBe('0'.repeat(52))
    expect(encodePeerId(Buffer.alloc(32, 0xff))).toBe(`${'v'.repeat(51)}g`)
    // "foobar" is CPNMUOJ1E8 in the RFC.
    expect(encodePeerId(Buffer.concat([Buffer.from('foobar'), Buffer.alloc(26)])).slice(0, 9)).toBe('cpnmuoj1e')
  })

  const good = encodePeerId(Buffer.alloc(32, 0xa5))
  it.each([
    ['a wrong type', 7, /must be a string of 52 characters, got 7/],
    ['undefined', undefined, /got undefined/],
    ['the empty text', '', /must have 52 characters, has 0/],
    ['51 characters', good.slice(1), /has 51/],
    ['53 characters', `${good}0`, /has 53/],
    ['upper case', good.toUpperCase(), /lower case/],
    ['one upper case letter', `V${good.slice(1)}`, /lower case, character 0/],
    ['a letter beyond v', `w${good.slice(1)}`, /0-9 and a-v only, character 0/],
    ['padding', `${good.slice(0, 51)}=`, /character 51/],
    ['a line end', `${good.slice(0, 51)}\n`, /character 51/],
    ['a Cyrillic letter', `${good.slice(0, 51)}а`, /character 51/],
  ])('decoding an id refuses %s', (_name, text, message) => {
    const error = thrown(() => decodePeerId(text, 'peers[3].id'))
    expect([error.code, error.fatal]).toEqual(['ERR_INVALID_PEER_ID', true])
    expect(error.message).toMatch(message)
    expect(error.message).toMatch(/^peers\[3\]\.id /)
  })

  it('decoding an id refuses each of the 15 other spellings with spare bits', () => {
    const key = encodePeerId(Buffer.alloc(32))
    const others = '123456789abcdefghijklmnopqrstuv'
      .split('')
      .filter((last) => last !== 'g')
      .map((last) => key.slice(0, 51) + last)
    for (const other of others) expect(thrown(() => decodePeerId(other)).message).toMatch(/spare bits/)
    expect(() => decodePeerId(`${key.slice(0, 51)}g`)).not.toThrow()
  })

  it('an id refuses keys of other lengths, with an error of one short line without control characters', () => {
    for (const length of [0, 31, 33])
      expect(thrown(() => encodePeerId(Buffer.alloc(length))).code).toBe('ERR_INVALID_PEER_ID')
    const { message } = thrown(() => decodePeerId('\u001b[31m'.repeat(1000)))
    expect(message.length).toBeLessThan(250)
    expect(message).toMatch(/^[ -~…]+$/)
  })
})

describe('a key', () => {
  it('a key loads from PEM and from a file as the same identity, and only its owner can read the file', async () => {
    const identity = Identity.generate()
    const file = fresh()
    await identity.save(file)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readFileSync(file, 'utf8')).toMatch(/^-----BEGIN PRIVATE KEY-----\n/)
    expect([(await Identity.load(file)).id, Identity.fromPem(identity.toPem()).id]).toEqual([identity.id, identity.id])
    expect(decodePeerId(identity.id).equals(identity.publicKey)).toBe(true)
    expect(Identity.generate().id).not.toBe(identity.id)
  })

  it.each([0o640, 0o604, 0o660, 0o644, 0o601, 0o610, 0o620])('a key file of mode %o is refused', async (mode) => {
    const file = fresh()
    await Identity.generate().save(file)
    chmodSync(file, mode)
    const error = await Identity.load(file).then(
      () => null,
      (reason: StatewireError) => reason,
    )
    expect(error?.code).toBe('ERR_KEY_FILE_PERMISSIONS')
    expect(error?.message).toMatch(new RegExp(`mode 0${mode.toString(8)}.*chmod 600`))
  })

  it('a key file that only its owner can read is loaded', async () => {
    const file = fresh()
    await Identity.generate().save(file)
    for (const mode of [0o400, 0o600, 0o700]) {
      chmodSync(file, mode)
      await expect(Identity.load(file)).resolves.toBeInstanceOf(Identity)
    }
  })

  it('the mode of a linked key file is that of the file itself', async () => {
    const file = fresh()
    const link = fresh()
    await Identity.generate().save(file)
    symlinkSync(file, link)
    await expect(Identity.load(link)).resolves.toBeInstanceOf(Identity)
    chmodSync(file, 0o644)
    expect(await codeOf(Identity.load(link))).toBe('ERR_KEY_FILE_PERMISSIONS')
  })

  it('a missing key file, a folder, a large file and an unwritable place give different errors', async () => {
    expect(await codeOf(Identity.load(fresh()))).toBe('ERR_KEY_FILE_NOT_FOUND')
    expect(await codeOf(Identity.load(folder))).toBe('ERR_KEY_FILE_UNUSABLE')
    const file = fresh()
    writeFileSync(file, 'x'.repeat(65 * 1024), { mode: 0o600 })
    expect(await codeOf(Identity.load(file))).toBe('ERR_KEY_FILE_UNUSABLE')
    expect(await codeOf(Identity.generate().save(path.join(folder, 'no', 'such', 'folder')))).toBe(
      'ERR_KEY_FILE_UNUSABLE',
    )
  })

  it('a key overwrites another one only on request, and then with the right mode', async () => {
    const file = fresh()
    const [first, second] = [Identity.generate(), Identity.generate()]
    await first.save(file)
    expect(await codeOf(second.save(file))).toBe('ERR_KEY_FILE_EXISTS')
    expect((await Identity.load(file)).id).toBe(first.id)
    chmodSync(file, 0o644)
    await second.save(file, { overwrite: true })
    expect([(await Identity.load(file)).id, statSync(file).mode & 0o777]).toEqual([second.id, 0o600])
    expect(readdirSync(folder).filter((name) => name.startsWith(path.basename(file)))).toEqual([path.basename(file)])
  })

  const pkcs8 = (type: 'rsa' | 'ec' | 'x25519' | 'ed448'): string => {
    const pem = { type: 'pkcs8', format: 'pem' } as const
    if (type === 'rsa') return generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export(pem) as string
    if (type === 'ec') return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export(pem) as string
    return (type === 'x25519' ? generateKeyPairSync('x25519') : generateKeyPairSync('ed448')).privateKey.export(
      pem,
    ) as string
  }
  const ed = generateKeyPairSync('ed25519')

  it.each([
    ['RSA', pkcs8('rsa'), 'ERR_KEY_TYPE'],
    ['ECDSA', pkcs8('ec'), 'ERR_KEY_TYPE'],
    ['X25519', pkcs8('x25519'), 'ERR_KEY_TYPE'],
    ['Ed448', pkcs8('ed448'), 'ERR_KEY_TYPE'],
    [
      'PKCS#1',
      generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ type: 'pkcs1', format: 'pem' }) as string,
      'ERR_KEY_FORMAT',
    ],
    [
      'an encrypted key',
      ed.privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'x' }) as string,
      'ERR_KEY_FORMAT',
    ],
    ['a public key', ed.publicKey.export({ type: 'spki', format: 'pem' }) as string, 'ERR_KEY_FORMAT'],
    ['a certificate', Identity.generate().certificate, 'ERR_KEY_FORMAT'],
    ['nothing', '', 'ERR_KEY_FORMAT'],
    ['text', 'not a key', 'ERR_KEY_FORMAT'],
    ['a cut key', (ed.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string).slice(0, 80), 'ERR_KEY_FORMAT'],
    ['damaged base64', '-----BEGIN PRIVATE KEY-----\n****\n-----END PRIVATE KEY-----\n', 'ERR_KEY_FORMAT'],
    ['a buffer', Buffer.from('x') as unknown as string, 'ERR_KEY_FORMAT'],
  ])('a key is not loaded from %s', async (_name, pem, code) => {
    expect(thrown(() => Identity.fromPem(pem)).code).toBe(code)
    const file = fresh()
    writeFileSync(file, pem, { mode: 0o600 })
    expect(await codeOf(Identity.load(file))).toBe(code)
  })
})

describe('private key material', () => {
  it('no text form of an identity, its certificate or its transport contains the private key', () => {
    const identity = Identity.generate()
    const transport = new TlsTransport({ identity })
    const pipe = transport.dial(
      { host: '127.0.0.1', port: 1 },
      { highWaterMarkBytes: 1, expectedPeerId: Identity.generate().id },
    )
    pipe.handle({ onOpen() {}, onBytes() {}, onDrain() {}, onEnd() {}, onClose() {} })
    pipe.destroy()
    expect(identity.secureContext).toBeDefined()
    const deep = { depth: 20, showHidden: true, getters: true } as const
    const texts = [
      identity,
      { identity },
      [identity],
      transport,
      pipe,
      new Map([['key', identity]]),
      new Error('x', { cause: identity }),
    ].flatMap((thing) => [
      JSON.stringify(thing),
      inspect(thing, deep),
      inspect(thing, { ...deep, customInspect: false, getters: false }),
      format('%s %o %O %j', thing, thing, thing, thing),
      // oxlint-disable-next-line typescript/restrict-template-expressions -- what a careless log line does
      `${thing}`,
    ])
    expect(JSON.stringify({ identity })).toBe(`{"identity":"${identity.id}"}`)
    expect(inspect(identity)).toBe(`Identity(${identity.id})`)
    for (const secret of secretsOf(identity)) for (const text of texts) expect(text ?? '').not.toContain(secret)
    expect(() => structuredClone(identity.toJSON())).not.toThrow()
  })

  it('the search for private key material finds it where it is', () => {
    const identity = Identity.generate()
    const leak = inspect({ pem: identity.toPem() })
    expect(secretsOf(identity).some((secret) => leak.includes(secret))).toBe(true)
  })

  it('no error about a key contains the key', async () => {
    const identity = Identity.generate()
    const damaged = identity.toPem().replace('MC4CAQ', 'MC4CAg').replace('-----END PRIVATE', '-----END SECRET')
    const file = fresh()
    writeFileSync(file, damaged, { mode: 0o600 })
    const errors = [
      thrown(() => Identity.fromPem(damaged)),
      await Identity.load(file).then(
        () => null,
        (error: Error) => error,
      ),
    ]
    chmodSync(file, 0o644)
    errors.push(
      (await Identity.load(file).then(
        () => null,
        (error: Error) => error,
      )) as StatewireError,
    )
    for (const error of errors)
      for (const secret of secretsOf(identity))
        expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(secret)
  })

  it('the private key cannot be reached through the public key', () => {
    const identity = Identity.generate()
    identity.publicKey.fill(0)
    expect(decodePeerId(identity.id).equals(identity.publicKey)).toBe(true)
    expect(Object.keys(identity)).toEqual(['id'])
    expect(() => Object.assign(identity, { id: 'x' })).toThrow(TypeError)
  })
})
