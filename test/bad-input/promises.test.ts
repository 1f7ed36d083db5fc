/**
 * Owns: that calls which return a promise reject for wrong arguments instead of throwing.
 * Independent of: calls on a running network (live-*.test.ts).
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { createNetwork, Identity, PeerConnectionBuilder } from '../../actors/index.ts'
import { StatewireError } from '../../codec/errors.ts'
import type { ErrorCode } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import { VirtualClock } from '../../testing/index.ts'
import { native, own, refuses } from './rows.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'statewire-bad-input-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('calls that return a promise', () => {
  const file = path.join(folder, 'not-a-key.pem')
  writeFileSync(file, 'nothing', { mode: 0o600 })
  const rows: [string, () => Promise<unknown>, ErrorCode, ...string[]][] = [
    ...[undefined, null, 7, '', 'a\0b', {}].flatMap(
      (name): [string, () => Promise<unknown>, ErrorCode, ...string[]][] => [
        [
          `loading a key from ${formatValue(name)}`,
          () => Identity.load(name as never),
          'ERR_INVALID_OPTION',
          `file must be the path of a key file, got ${formatValue(name)}`,
        ],
        [
          `saving a key to ${formatValue(name)}`,
          () => own.save(name as never),
          'ERR_INVALID_OPTION',
          `file must be the path of a key file, got ${formatValue(name)}`,
        ],
      ],
    ),
    [
      'loading a key that does not exist',
      () => Identity.load(path.join(folder, 'none.pem')),
      'ERR_KEY_FILE_NOT_FOUND',
      'none.pem',
    ],
    ['loading a key from a folder', () => Identity.load(folder), 'ERR_KEY_FILE_UNUSABLE', formatValue(folder)],
    ['loading a key from a file that holds none', () => Identity.load(file), 'ERR_KEY_FORMAT', 'not-a-key.pem'],
    ['saving a key over an existing file', () => own.save(file), 'ERR_KEY_FILE_EXISTS', 'not-a-key.pem'],
    [
      'saving a key with a misspelled option',
      () => own.save(file, { overwite: true } as never),
      'ERR_INVALID_OPTION',
      'overwite is not an option of save (did you mean overwrite?)',
    ],
    [
      'saving a key with a string as overwrite',
      () => own.save(file, { overwrite: 'yes' } as never),
      'ERR_INVALID_OPTION',
      'overwrite must be true or false, got "yes"',
    ],
    [
      'saving a key with null as options',
      () => own.save(file, null as never),
      'ERR_INVALID_OPTION',
      'the options of save must be an object, got null',
    ],
    ...[-1, Number.NaN, Number.POSITIVE_INFINITY, '5', null].map(
      (ms): [string, () => Promise<unknown>, ErrorCode, ...string[]] => [
        `advancing virtual time by ${formatValue(ms)}`,
        () => new VirtualClock().advance(ms as never),
        'ERR_INVALID_OPTION',
        'byMs of advance',
        `got ${formatValue(ms)}`,
      ],
    ),
    [
      'waiting on virtual time without a condition',
      () => new VirtualClock().until('it', undefined as never),
      'ERR_INVALID_OPTION',
      'the condition of until',
      'got undefined',
    ],
    [
      'waiting on virtual time without a finite limit',
      () => new VirtualClock().until('it', () => true, Number.NaN),
      'ERR_INVALID_OPTION',
      'withinMs of until',
      'got NaN',
    ],
    [
      'a build with a misspelled option',
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
      'ready() of a network whose listen address belongs to another machine',
      () => createNetwork({ ...native, listen: 'tls://203.0.113.1:1' }).ready(),
      'ERR_LISTEN_FAILED',
      '203.0.113.1:1',
    ],
  ]
  it.each(rows)('rejects %s', async (name, call, code, ...said) => {
    let made: Promise<unknown> | undefined
    // The caller handles errors of the promise, so the call itself must not throw.
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
