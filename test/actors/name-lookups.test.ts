/**
 * Owns: how the lookups of host names share two places: which requests are one, in which order they run, when one is
 * given up.
 * Independent of: dials and links (test/simulation/names.test.ts), and of the system's resolver.
 */
import { describe, expect, it } from 'vitest'
import { NameLookups } from '../../actors/base/name-lookups.ts'
import { TimerWheel } from '../../actors/base/timer-wheel.ts'
import { VirtualClock } from '../../testing/index.ts'

interface Asked {
  readonly host: string
  readonly resolve: (addresses: readonly string[]) => void
  readonly reject: (error: Error) => void
}

class Scene {
  readonly clock = new VirtualClock()
  readonly asked: Asked[] = []
  readonly said: string[] = []
  readonly lookups: NameLookups

  constructor(runningMax = 2) {
    const lookup = (host: string): Promise<readonly string[]> =>
      new Promise((resolve, reject) => this.asked.push({ host, resolve, reject }))
    this.lookups = new NameLookups({
      names: { lookup },
      wheel: new TimerWheel(this.clock),
      timeoutMs: 5_000,
      runningMax,
    })
  }

  get askedHosts(): string[] {
    return this.asked.map(({ host }) => host)
  }

  /** @returns a function that cancels the requests */
  ask(...hosts: string[]): () => void {
    const cancels = hosts.map((host) =>
      this.lookups.resolve(host, {
        onAddresses: (addresses) => this.said.push(`${host}: ${addresses.join(' ')}`),
        onFailed: ({ code, message }) => this.said.push(`${code}: ${message}`),
      }),
    )
    return () => cancels.forEach((cancel) => cancel())
  }

  /** Answers the newest question for a host. */
  async answer(host: string, ...addresses: string[]): Promise<void> {
    this.asked.findLast((asked) => asked.host === host)?.resolve(addresses)
    await this.clock.settle()
  }

  async fail(host: string, error: Error): Promise<void> {
    this.asked.findLast((asked) => asked.host === host)?.reject(error)
    await this.clock.settle()
  }
}

const wrongAnswers: [string, unknown, string][] = [
  ['nothing', undefined, 'the name service must find a list of addresses, got undefined'],
  ['null', null, 'the name service must find a list of addresses, got null'],
  ['a text', '10.0.0.1', 'the name service must find a list of addresses, got "10.0.0.1"'],
  ['objects', [{ address: '10.0.0.1', family: 4 }], 'the name service must find addresses as texts, got an object'],
  ['numbers', ['10.0.0.1', 7], 'the name service must find addresses as texts, got 7'],
  ['an empty text', [''], 'the name service must find addresses as texts, got ""'],
]

const notFound = Object.assign(new Error('getaddrinfo ENOTFOUND x'), { code: 'ENOTFOUND' })

describe('name lookups', () => {
  it('name lookups use an address in place of a name without a lookup', () => {
    const scene = new Scene()
    scene.ask('127.0.0.1', '::1')
    expect([scene.said, scene.askedHosts]).toEqual([['127.0.0.1: 127.0.0.1', '::1: ::1'], []])
  })

  it.each(wrongAnswers)('name lookups fail for a name service that finds %s', async (_what, found, reason) => {
    const scene = new Scene()
    scene.ask('a')
    scene.asked[0]?.resolve(found as string[])
    await scene.clock.settle()
    expect(scene.said).toEqual([`ERR_NAME_NOT_RESOLVED: a was not resolved: ${reason}`])
    scene.ask('a')
    await scene.answer('a', '10.0.0.1')
    expect(scene.said.slice(1)).toEqual(['a: 10.0.0.1'])
  })

  it('name lookups fail for a name service that rejects with an object that has no text', async () => {
    const scene = new Scene()
    scene.ask('a')
    await scene.fail('a', Object.create(null) as Error)
    expect(scene.said).toEqual(['ERR_NAME_NOT_RESOLVED: a was not resolved: an object that has no text'])
  })

  it('name lookups resolve localhost without a lookup, even while other names hang', () => {
    const scene = new Scene()
    scene.ask('a', 'b', 'localhost')
    expect([scene.said, scene.askedHosts]).toEqual([['localhost: 127.0.0.1 ::1'], ['a', 'b']])
  })

  it('name lookups look up a name once for all requests of the same time', async () => {
    const scene = new Scene()
    scene.ask('a', 'a', 'a')
    await scene.answer('a', '10.0.0.1', '10.0.0.2')
    expect([scene.askedHosts, scene.said]).toEqual([['a'], Array.from({ length: 3 }, () => 'a: 10.0.0.1 10.0.0.2')])
    scene.ask('a')
    expect(scene.askedHosts).toEqual(['a', 'a'])
  })

  it.each([1, 2, 3])(
    'name lookups run %i lookups at once and the others in the order of the requests',
    async (runningMax) => {
      const scene = new Scene(runningMax)
      const hosts = ['a', 'b', 'c', 'd', 'e']
      scene.ask(...hosts)
      for (let answered = 0; answered < hosts.length; answered++) {
        expect(scene.askedHosts).toEqual(hosts.slice(0, answered + runningMax))
        await scene.answer(hosts[answered]!, '10.0.0.1')
      }
      expect(scene.said).toHaveLength(hosts.length)
    },
  )

  it('name lookups fail a lookup with ERR_NAME_NOT_RESOLVED at its deadline and run the next', async () => {
    const scene = new Scene()
    scene.ask('a', 'b', 'c', 'good')
    await scene.clock.advance(4_999)
    expect([scene.said, scene.askedHosts]).toEqual([[], ['a', 'b']])
    await scene.clock.advance(5)
    expect(scene.said).toEqual(
      ['a', 'b'].map((host) => `ERR_NAME_NOT_RESOLVED: ${host} was not resolved: no answer within 5000 ms`),
    )
    expect(scene.askedHosts).toEqual(['a', 'b', 'c', 'good'])
    await scene.answer('good', '10.0.0.1')
    expect(scene.said.at(-1)).toBe('good: 10.0.0.1')
  })

  it('name lookups use an answer that arrives after the deadline, and do not start another lookup', async () => {
    const scene = new Scene()
    scene.ask('slow')
    await scene.clock.advance(5_004)
    scene.ask('slow')
    await scene.clock.advance(1_000)
    await scene.answer('slow', '10.0.0.1')
    expect([scene.askedHosts, scene.said.at(-1)]).toEqual([['slow'], 'slow: 10.0.0.1'])
  })

  it('name lookups fail each request for a name whose lookup never returns', async () => {
    const scene = new Scene()
    for (let round = 1; round <= 3; round++) {
      scene.ask('never')
      await scene.clock.advance(5_004)
      expect([scene.askedHosts, scene.said.length]).toEqual([['never'], round])
    }
  })

  it('name lookups run names that failed last time after the others, and never in every place', async () => {
    const scene = new Scene()
    const bad = ['bad1', 'bad2', 'bad3']
    scene.ask(...bad)
    for (const host of bad) await scene.fail(host, notFound)
    scene.ask(...bad, 'good1', 'good2')
    // A name that failed before took the first place; the other place is for names that did not.
    expect(scene.askedHosts.slice(3)).toEqual(['bad1', 'good1'])
    await scene.answer('good1', '10.0.0.1')
    expect(scene.askedHosts.slice(5)).toEqual(['good2'])
    await scene.answer('good2', '10.0.0.2')
    expect(scene.askedHosts.slice(6)).toEqual([])
    await scene.fail('bad1', notFound)
    expect(scene.askedHosts.slice(6)).toEqual(['bad2'])
  })

  it.each<[string, Error, string]>([
    ['a name that does not exist', notFound, 'no such host (ENOTFOUND)'],
    [
      'a name server that does not answer',
      Object.assign(new Error('x'), { code: 'EAI_AGAIN' }),
      'the name server does not answer (EAI_AGAIN)',
    ],
    ['an error of a name service of its own', new Error('the registry is closed'), 'the registry is closed'],
  ])('name lookups give the reason in the error for %s', async (_, error, reason) => {
    const scene = new Scene()
    scene.ask('a')
    await scene.fail('a', error)
    expect(scene.said).toEqual([`ERR_NAME_NOT_RESOLVED: a was not resolved: ${reason}`])
  })

  it('name lookups report a name without an address as not resolved', async () => {
    const scene = new Scene()
    scene.ask('a')
    await scene.answer('a')
    expect(scene.said).toEqual(['ERR_NAME_NOT_RESOLVED: a was not resolved: it has no address'])
  })

  it('name lookups call no handler of a cancelled request, and skip a name without requests', async () => {
    const scene = new Scene()
    scene.ask('a', 'b')
    const cancel = scene.ask('a', 'c')
    cancel()
    await scene.answer('a', '10.0.0.1')
    expect([scene.said, scene.askedHosts]).toEqual([['a: 10.0.0.1'], ['a', 'b']])
  })

  it.each([
    [4_095, 'waits'],
    [4_096, 'waits'],
    [4_097, 'fails'],
  ])('name lookups with %i names at once: the last request %s', (count, outcome) => {
    const scene = new Scene()
    scene.ask(...Array.from({ length: count }, (_, index) => `host${index}`))
    expect(scene.said.length > 0 ? 'fails' : 'waits').toBe(outcome)
  })
})
