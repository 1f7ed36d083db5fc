/**
 * Owns: the mpc example: its arithmetic, its three parties, runs of the built program, and the barrier that it relies
 * on.
 * Independent of: printed text beyond what is promised.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createNetwork, Identity } from '../../index.ts'
import type { Network } from '../../index.ts'
import { runParty } from '../../examples/mpc/party.ts'
import type { PartyJob, PartyName, PartyReport } from '../../examples/mpc/party.ts'
import {
  dealShares,
  decodeProduct,
  encodeFixed,
  fractionBitsFor,
  lengthMax,
  maskWords,
  multiplyAccumulate,
  plainDot,
  signed,
  zeroShare,
} from '../../examples/mpc/shares.ts'

const program = fileURLToPath(new URL('../../build/examples/mpc/main.js', import.meta.url))

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

function run(...args: string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let out = ''
    let err = ''
    child.stdout.on('data', (text: Buffer) => (out += text.toString()))
    child.stderr.on('data', (text: Buffer) => (err += text.toString()))
    child.on('error', reject).on('close', (code) => resolve({ code, out, err }))
  })
}

const word = fc.integer({ min: 0, max: 0xffff_ffff })
const vectors = fc
  .integer({ min: 1, max: 40 })
  .chain((length) =>
    fc.tuple(
      fc.array(word, { minLength: length, maxLength: length }),
      fc.array(word, { minLength: length, maxLength: length }),
    ),
  )
const key = fc.uint8Array({ minLength: 16, maxLength: 16 })

function sum(words: readonly number[]): number {
  return words.reduce((total, one) => (total + one) >>> 0, 0)
}

describe('the arithmetic of the mpc example', () => {
  it('the arithmetic uses the finest fixed point whose dot product stays in the signed range', () => {
    for (const length of [1, 2, 3, 511, 512, 1000, 2047, 2048, 32_767, 32_768, lengthMax]) {
      const bits = fractionBitsFor(length)
      const ones = Array.from({ length: 2 }, () => encodeFixed(new Float64Array(length).fill(-1), bits)) as [
        Uint32Array,
        Uint32Array,
      ]
      expect(plainDot(...ones), `${length}`).toBe(length * 4 ** bits)
      expect(signed(plainDot(...ones)), `${length}`).toBe(length * 4 ** bits)
      expect(bits === 15 || length * 4 ** (bits + 1) >= 2 ** 31, `${length}`).toBe(true)
    }
  })

  it.each([0, -1, 1.5, lengthMax + 1, Number.NaN])('the arithmetic refuses vectors of length %d', (length) => {
    expect(() => fractionBitsFor(length)).toThrow(RangeError)
  })

  it.each([1.0001, -1.0001, Number.NaN, Infinity])('the arithmetic refuses the number %d', (real) => {
    expect(() => encodeFixed(Float64Array.of(0, real), 10)).toThrow('element 1')
  })

  it('the arithmetic rounds to the nearest step, and decodes negative products', () => {
    expect([...encodeFixed(Float64Array.of(-1, -0.5, 0.00049, 0.0004, 1), 10)].map(signed)).toEqual([
      -1024, -512, 1, 0, 1024,
    ])
    expect(decodeProduct(-(2 ** 20) >>> 0, 10)).toBe(-1)
  })

  it('the arithmetic deals shares that add up to the secret, and neighbours hold the same ones', () => {
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 20 }), (secret) => {
        const shares = dealShares(Uint32Array.from(secret))
        for (const [place, { previous }] of shares.entries()) expect(previous).toEqual(shares[(place + 2) % 3]?.own)
        for (const [index, expected] of secret.entries())
          expect(sum(shares.map(({ own }) => own[index] ?? 0))).toBe(expected)
      }),
    )
  })

  it('the arithmetic multiplies shares into addends of the product', () => {
    fc.assert(
      fc.property(vectors, ([x, y]) => {
        const [dealtX, dealtY] = [x, y].map((secret) => dealShares(Uint32Array.from(secret))) as [
          ReturnType<typeof dealShares>,
          ReturnType<typeof dealShares>,
        ]
        const expected = x.reduce((total, one, index) => (total + Math.imul(one, y[index] ?? 0)) >>> 0, 0)
        expect(sum([0, 1, 2].map((place) => multiplyAccumulate(dealtX[place as 0], dealtY[place as 0])))).toBe(expected)
      }),
    )
  })

  it('the arithmetic masks with words of AES-128 in counter mode that sum to zero', () => {
    fc.assert(
      fc.property(key, key, key, (first, second, third) => {
        const masks = [
          { mine: first, previous: third },
          { mine: second, previous: first },
          { mine: third, previous: second },
        ].map((keys) => zeroShare(keys, 5))
        for (let index = 0; index < 5; index++) expect(sum(masks.map((mask) => mask[index] ?? 0))).toBe(0)
      }),
    )
    // FIPS 197: AES-128 of a block of zeros under a key of zeros.
    expect(maskWords(new Uint8Array(16), 4)).toEqual(Uint32Array.of(0xd44be966, 0x3b2c8aef, 0x59fa4c88, 0x2e2b34ca))
  })
})

describe('the three parties of the mpc example', () => {
  /** `keys`: of alice, bob and charlie; null for the ampc dialect. */
  async function runAll(
    keys: readonly Identity[] | null,
    change: (job: PartyJob) => PartyJob = (job) => job,
  ): Promise<PartyReport[]> {
    const x = Float64Array.of(0.5, -0.25, 1, 0.125, -1)
    const y = Float64Array.of(-1, 0.75, 0.5, 1, 0.25)
    const fractionBits = fractionBitsFor(x.length)
    const expected = plainDot(encodeFixed(x, fractionBits), encodeFixed(y, fractionBits))
    const inputs = { alice: [...x], bob: [...y], charlie: null }
    const ids = { alice: keys?.[0]?.id ?? 'alice', bob: keys?.[1]?.id ?? 'bob', charlie: keys?.[2]?.id ?? 'charlie' }
    const urls: Partial<Record<PartyName, string>> = {}
    const reports: Promise<PartyReport>[] = []
    for (const [index, name] of (['alice', 'bob', 'charlie'] as const).entries()) {
      const job = change({
        name,
        ids,
        urls: { ...urls },
        input: inputs[name],
        length: x.length,
        fractionBits,
        sessions: 2,
        expected,
        cheats: false,
      })
      const url = await new Promise<string | null>((resolve) =>
        reports.push(runParty(job, keys?.[index] ?? null, resolve)),
      )
      if (url !== null) urls[name] = url
    }
    return Promise.all(reports)
  }

  const keys = Array.from({ length: 3 }, () => Identity.generate()).sort((a, b) => (a.id < b.id ? -1 : 1))
  /** Every order that three generated keys can have in the ring. */
  const orders = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ].map((order) => order.map((place) => keys[place] as Identity))

  it.each<[string, readonly Identity[] | null]>([
    ...orders.map((order): [string, readonly Identity[]] => [
      `native, keys in the order ${order.map((key) => keys.indexOf(key)).join('')}`,
      order,
    ]),
    ['ampc', null],
  ])('three parties open exactly the plain result: %s', async (_, order) => {
    const reports = await runAll(order)
    expect(reports.map(({ problem }) => problem)).toEqual([null, null, null])
    expect(decodeProduct(reports[0]?.opened ?? 0, fractionBitsFor(5))).toBe(-0.5 - 0.1875 + 0.5 + 0.125 - 0.25)
  })

  it.each<[string, readonly Identity[] | null]>([
    ['native', keys],
    ['ampc', null],
  ])('three parties notice that one of them opens a wrong share: %s', async (_, order) => {
    const reports = await runAll(order, (job) => ({ ...job, cheats: job.name === 'charlie' }))
    expect(reports.find(({ name }) => name === 'bob')).toMatchObject({
      opened: null,
      problem: expect.stringContaining('sent different values') as string,
    })
  })

  it('three parties notice that their result differs from the plain one', async () => {
    const reports = await runAll(keys, (job) => ({ ...job, expected: job.expected + 1 }))
    expect(reports.every(({ problem }) => problem?.includes('the plain result is') === true)).toBe(true)
  })
})

describe('the mpc example', () => {
  it('the mpc example runs three processes that open the plain result, and exits with code 0', async () => {
    const { code, out, err } = await run('--length', '100')
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toContain('100 elements in [-1, 1] from seed 2016')
    expect(out.match(/opened -?\d+/g)).toHaveLength(3)
    expect(new Set(out.match(/opened -?\d+/g)).size).toBe(1)
    expect(new Set(out.match(/process \d+/g)).size).toBe(3)
    expect(out).toContain('equal, at all three parties')
    expect(out).toContain('native over mutual TLS')
    expect(out.match(/listens on tls:/g)).toHaveLength(2)
  })

  it.each([['--length', '0'], ['--nonsense']])('the mpc example exits with code 2 for %s %s', async (...args) => {
    const { code, err } = await run(...args)
    expect(code).toBe(2)
    expect(err).toContain(args[0])
  })

  it('the mpc example prints its help for --help', async () => {
    const { code, out } = await run('--help')
    expect(code).toBe(0)
    for (const option of ['--length', '--seed', '--sessions', '--in-process', '--cheat', '--json'])
      expect(out).toContain(option)
  })
})

describe('the barrier of the control channel', () => {
  it('a party may close as soon as its own sync() is over, however slow the third party is', async () => {
    const names = ['alice', 'bob', 'charlie']
    const networks: Record<string, Network> = {}
    for (const identity of names) {
      const peers = names
        .filter((id) => id !== identity)
        .map((id) => ({ id, ...(id < identity ? { urls: networks[id]?.url ?? '' } : {}) }))
      const network = createNetwork({
        identity,
        listen: 'tcp://127.0.0.1:0',
        peers,
        security: 'plaintext',
        limits: { backoffMinMs: 1 },
      })
      networks[identity] = network
      await network.ready()
    }
    const [alice, bob, charlie] = await Promise.all(
      names.map((name) => (networks[name] as Network).openControlChannel()),
    )
    if (alice === undefined || bob === undefined || charlie === undefined) throw new Error('no control channel')
    const ok = { type: 'Bytes', value: Buffer.from('ok') } as const
    const lost = ['bob', 'charlie'].map(
      (name) => new Promise((resolve) => networks[name]?.on('connection.lost', resolve)),
    )

    // Charlie has sent to alice and not yet to bob when alice closes.
    const bobSynced = bob.sync()
    const aliceSynced = alice.sync()
    await charlie.send('alice', ok)
    await aliceSynced
    alice.close()
    await Promise.all(lost)
    await charlie.send('bob', ok)
    await expect(bobSynced).resolves.toBeUndefined()
    expect(await charlie.receive('alice')).toEqual({ type: 'Bytes', value: ok.value })
    expect(await charlie.receive('bob')).toEqual({ type: 'Bytes', value: ok.value })

    // Values that alice sent before she closed were read; reading further is an error.
    await expect(charlie.receive('alice')).rejects.toMatchObject({ code: 'ERR_CONNECTION_LOST' })
    await Promise.all(names.map((name) => networks[name]?.shutdown()))
    expect(names.map((name) => networks[name]?.resources)).toEqual(
      names.map(() => ({ actors: 0, deadlines: 0, handles: 0 })),
    )
  })
})
