/**
 * Owns: what a text may look like in an error or a log. Independent of: who says it (test/bars/security/log-bar.ts
 * tries them all).
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { StatewireError } from '../../codec/errors.ts'
import { sanitize, sanitizeData, sentenceLengthMax } from '../../codec/sanitize.ts'

// oxlint-disable-next-line no-control-regex -- control characters are what must not be there
const raw = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/

describe('a legible text', () => {
  test.each<[string, string, string]>([
    [
      'is itself, if it is an ordinary sentence',
      'no connection with "zoë" within 5 ms 🙂',
      'no connection with "zoë" within 5 ms 🙂',
    ],
    ['has no line ends', 'a\r\nb', 'a\\u000d\\u000ab'],
    ['has no escapes of terminals', '\u001b[31m\u009b0m', '\\u001b[31m\\u009b0m'],
    ['has no line ends of Unicode', 'a\u2028b\u2029', 'a\\u2028b\\u2029'],
    ['does not turn its line around', 'a\u202eb\u2066', 'a\\u202eb\\u2066'],
    ['has no half characters', 'a\ud83d', 'a\\ud83d'],
    ['has no private key', 'x -----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY----- y', 'x <private key> y'],
    [
      'has no private key of other kinds',
      '-----BEGIN RSA PRIVATE KEY-----abc-----END RSA PRIVATE KEY-----',
      '<private key>',
    ],
    ['has no beginning of one', 'x -----BEGIN ENCRYPTED PRIVATE KEY-----\nMC4C', 'x <private key>'],
    ['has no password in front of a host', '"tls://me:secret@host:1" is wrong', '"tls://…@host:1" is wrong'],
  ])('%s', (_, text, expected) => {
    expect(sanitize(text)).toBe(expected)
  })

  test('of one character below U+00A0 is that character where it can be printed, and nowhere else', () => {
    const kept = Array.from({ length: 0xa0 }, (_, code) => code).filter(
      (code) => sanitize(String.fromCharCode(code)) === String.fromCharCode(code),
    )
    expect(kept).toEqual(Array.from({ length: 95 }, (_, index) => 0x20 + index))
  })

  test.each([
    [sentenceLengthMax - 1, false],
    [sentenceLengthMax, false],
    [sentenceLengthMax + 1, true],
    [1 << 20, true],
  ])('of %i characters is cut: %s', (length, isCut) => {
    const text = sanitize('a'.repeat(length))
    expect([text.length, text.endsWith('…')]).toEqual([Math.min(length, sentenceLengthMax), isCut])
  })

  test('is one line of bounded length, whatever comes, and stays what it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 2000 }), (text) => {
        const clean = sanitize(text)
        expect(clean).not.toMatch(raw)
        expect(clean.length).toBeLessThanOrEqual(sentenceLengthMax)
        expect(sanitize(clean)).toBe(clean)
      }),
    )
  })

  test('is what an error says, in its message and its stack', () => {
    const error = new StatewireError('ERR_INVALID_OPTION', 'a\u001bb\u2028c')
    expect(error.message).toBe('a\\u001bb\\u2028c')
    expect(error.stack?.split('\n')[0]).toBe('StatewireError: a\\u001bb\\u2028c')
  })

  test('stands in plain data wherever a text does', () => {
    expect(sanitizeData({ 'a\n': ['b\n', { c: 'd\n', e: 5, f: null }] })).toEqual({
      'a\\u000a': ['b\\u000a', { c: 'd\\u000a', e: 5, f: null }],
    })
  })
})
