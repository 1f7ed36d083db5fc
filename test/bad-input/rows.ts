/**
 * Owns: what the tests of bad input share: a good configuration of each dialect, the form of a row, and the check of
 * its error.
 * Independent of: what is wrong in any row.
 */
import { expect } from 'vitest'
import { createNetwork, Identity } from '../../actors/index.ts'
import type { ErrorCode } from '../../codec/errors.ts'
import { expectError } from '../codec/harness.ts'

export const [own, other, third] = [1, 2, 3].map(() => Identity.generate()) as [Identity, Identity, Identity]
export const native = {
  identity: own,
  listen: 'tls://127.0.0.1:0',
  peers: [{ id: other.id, urls: 'tls://127.0.0.1:1' }, { id: third.id }],
}
export const ampc = {
  identity: 'bob',
  listen: 'tcp://127.0.0.1:0',
  peers: [{ id: 'alice', urls: 'tcp://127.0.0.1:1' }],
  security: 'plaintext',
}
export const tls = { key: own.toPem(), certificate: own.certificate, roots: { alice: other.certificate } }
export const ampcTls = {
  ...ampc,
  listen: 'tls://127.0.0.1:0',
  peers: [{ id: 'alice', urls: 'tls://127.0.0.1:1' }],
  security: 'tls',
  tls,
}
export const peerWith = (peer: object): object => ({ ...native, peers: [native.peers[1], { id: other.id, ...peer }] })
/** A call of createNetwork, for a row. */
export const network =
  (config: unknown, ...runtime: unknown[]): (() => unknown) =>
  () =>
    createNetwork(config as never, ...(runtime as []))

export type Row = [name: string, call: () => unknown, code: ErrorCode, ...said: string[]]

/** Checks a row: the call throws at once, by its code, with every text of `said`, in one line of bounded length. */
export function refuses(_name: string, call: () => unknown, code: ErrorCode, ...said: string[]): void {
  const { message } = expectError(code, call)
  for (const text of said) expect(message).toContain(text)
  expect(message).toMatch(/^[ -~…]{1,2000}$/)
  expect(message).not.toContain('PRIVATE KEY-----')
}

export const wrongTypes: unknown[] = [null, 7, true, 'x', [], Symbol('s'), () => {}, 7n]

export const inFirst = 'is an option of the network: pass it in the first argument, as createNetwork({ '
export const inLimits = 'is a limit: set it as limits: { '
export const inSecond = 'must be in the second argument: createNetwork(config, { '
export const inEnvironment =
  'is a part of the environment: pass it in the second argument, as createNetwork(config, { environment: { '
export const inTls = 'is an option of tls, of the ampc dialect: set it as tls: { '
export const inPeers = 'is an option of a peer: set it in the list, as peers: [{ '
export const inCalls = 'is an option of a call: pass it there, as in makeSessions({ '
/** As the error for a misspelled one lists them. */
export const namesOfTls =
  /there are: (.*)$/
    .exec(expectError('ERR_INVALID_OPTION', network({ ...ampcTls, tls: { ...tls, surprise: 1 } })).message)?.[1]
    ?.split(', ') ?? []
/** Options in the wrong place, with the sentence that says where they belong. */
export const misplaced = (
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
