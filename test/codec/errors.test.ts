/** Owns: the contract of error codes and classes, and the check of the host's byte order. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { assertLittleEndian } from '../../codec/byte-order.ts'
import { errorCodes, InvalidValueError, ProtocolError, StatewireError, type ErrorCode } from '../../codec/index.ts'
import { expectError } from './harness.ts'

describe('errors', () => {
  test('errors carry code, retryable and fatal from the table, and are named after their class', () => {
    for (const code of Object.keys(errorCodes) as ErrorCode[]) {
      const error = new StatewireError(code, 'A sentence.')
      expect(error).toBeInstanceOf(Error)
      expect([error.name, error.code, error.message, error.retryable, error.fatal]).toEqual([
        'StatewireError',
        code,
        'A sentence.',
        errorCodes[code].retryable,
        errorCodes[code].fatal,
      ])
    }
    class OwnError extends ProtocolError {}
    const error = new OwnError('ERR_VALUE_TRUNCATED', 'A sentence.')
    expect(error).toBeInstanceOf(ProtocolError)
    expect(error.name).toBe('OwnError')
    expect(error.stack).toMatch(/^OwnError: A sentence\./)
    expect(Object.keys(error).sort()).toEqual(['code', 'fatal', 'retryable'])
    expect(new InvalidValueError('x').code).toBe('ERR_INVALID_VALUE')
  })

  test('errors keep their cause, and have none without one', () => {
    const cause = new Error('below')
    expect(new StatewireError('ERR_TRANSPORT', 'x', { cause }).cause).toBe(cause)
    expect('cause' in new StatewireError('ERR_TRANSPORT', 'x')).toBe(false)
  })

  test('no error code is both retryable and fatal, and each has a meaning that is a sentence', () => {
    for (const [code, { meaning, retryable, fatal }] of Object.entries(errorCodes)) {
      expect(code).toMatch(/^ERR_[A-Z_]+$/)
      expect(meaning).toMatch(/^[A-Z].+\.$/)
      expect(retryable && fatal).toBe(false)
    }
  })

  test('every code that the codec throws has a test in this folder', () => {
    const read = (folder: URL) =>
      readdirSync(folder)
        .filter((name) => name.endsWith('.ts'))
        .map((name) => ({ name, text: readFileSync(new URL(name, folder), 'utf8') }))
    const source = read(new URL('../../codec/', import.meta.url)).filter(({ name }) => name !== 'errors.ts')
    const thrown = new Set(source.flatMap(({ text }) => text.match(/'ERR_[A-Z_]+'/g) ?? []))
    thrown.add(`'ERR_INVALID_VALUE'`)
    const tests = read(new URL('./', import.meta.url))
      .map(({ text }) => text)
      .join('\n')
    expect(thrown.size).toBeGreaterThanOrEqual(13)
    // In a call, or at the end of a row of a table.
    const isTested = (code: string, text: string): boolean =>
      new RegExp(`expect(Protocol)?Error\\(${code}|, ${code}\\],?$`, 'm').test(text)
    expect([...thrown].filter((code) => !isTested(code, tests))).toEqual([])
  })
})

describe('byte order', () => {
  test('a big-endian host is refused with ERR_UNSUPPORTED_HOST', () => {
    expectError('ERR_UNSUPPORTED_HOST', () => {
      assertLittleEndian(Uint8Array.of(0x01, 0x02))
    })
    expect(() => {
      assertLittleEndian(Uint8Array.of(0x02, 0x01))
    }).not.toThrow()
  })
})

describe('the folder', () => {
  test('the codec folder imports nothing but itself, and the MessagePack library in one file', () => {
    const folder = new URL('../../codec/', import.meta.url)
    const imports = readdirSync(folder).flatMap((name) =>
      [...readFileSync(new URL(name, folder), 'utf8').matchAll(/from '([^']+)'/g)].map(([, from]) => [name, from]),
    )
    expect(imports.length).toBeGreaterThan(20)
    expect(imports.filter(([, from]) => from?.startsWith('.') !== true)).toEqual([
      ['msgpack-encode.ts', '@msgpack/msgpack'],
    ])
  })
})
