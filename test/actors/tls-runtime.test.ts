/**
 * Owns: that a runtime on which TLS does not work is refused at once and by name, by every call that needs TLS.
 * Independent of: the runtimes themselves.
 */
import { afterAll, describe, expect, it, vi } from 'vitest'
import { checkTlsRuntime } from '../../actors/tls/tls-runtime.ts'
import { StatewireError } from '../../codec/errors.ts'

const hoisted = vi.hoisted(() => ({ versions: process.versions as Record<string, string | undefined> }))
vi.mock('../../actors/tls/tls-runtime.ts', async (original) => {
  const real = await original<{ checkTlsRuntime: typeof checkTlsRuntime }>()
  return { checkTlsRuntime: (versions = hoisted.versions) => real.checkTlsRuntime(versions) }
})

// Test files share their modules: those that were loaded without the mock are loaded again, here and by the next file.
vi.resetModules()
const { createNetwork, Identity, TlsTransport } = await import('../../actors/index.ts')
afterAll(() => void vi.resetModules())

const deno = { node: '24.2.0', v8: '15.0.245', deno: '2.9.6' }
const expected = {
  code: 'ERR_UNSUPPORTED_HOST',
  fatal: true,
  message: expect.stringMatching(
    /^TLS does not work on Deno \(this is 2\.9\.6\).*Run on Node or Bun, or set security: 'plaintext'/,
  ) as string,
}

/** Runs as if the process were of another runtime. */
function on<T>(versions: Record<string, string>, run: () => T): T {
  hoisted.versions = versions
  try {
    return run()
  } finally {
    hoisted.versions = process.versions
  }
}

function errorOf(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  return undefined
}

describe('TLS', () => {
  it.each([
    ['Node', { node: '20.19.0' }],
    ['Bun', { node: '24.3.0', bun: '1.4.5' }],
  ])('TLS is allowed on %s', (_, versions) => {
    expect(() => checkTlsRuntime(versions as Record<string, string>)).not.toThrow()
  })

  it('TLS is refused on Deno with an error that says what to do', () => {
    const error = errorOf(() => checkTlsRuntime(deno))
    expect(error).toBeInstanceOf(StatewireError)
    expect(error).toMatchObject(expected)
  })

  it('TLS is refused on Deno as soon as a network or a transport is made with it', () => {
    const identity = Identity.generate()
    expect(on(deno, () => errorOf(() => new TlsTransport({ identity })))).toMatchObject(expected)
    expect(on(deno, () => errorOf(() => createNetwork({ identity, peers: [] })))).toMatchObject(expected)
    expect(on(deno, () => errorOf(() => createNetwork({ identity, peers: [], security: 'plaintext' })))).toBeUndefined()
  })
})
