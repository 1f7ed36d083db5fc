/**
 * Owns: the native dialect as a strategy: its handshake in both roles.
 * Independent of: links and sockets; what it agrees on is kept in native-link.ts.
 */
import { StatewireError } from '../../../codec/errors.ts'
import type { Dialect } from '../../dialect.ts'
import { NativeAcceptorHandshake, NativeDialerHandshake } from './native-handshake.ts'

export const nativeDialect: Dialect = {
  name: 'native',
  bothMayDial: true,
  createDialerHandshake: ({ state }) => new NativeDialerHandshake(state),
  createAcceptorHandshake: () => new NativeAcceptorHandshake(),
  sessions: () => unsupported('framing of its own for sessions: its links make their readers'),
  control: () => unsupported('a control channel'),
}

function unsupported(what: string): never {
  throw new StatewireError('ERR_DIALECT_UNSUPPORTED', `the native dialect has no ${what}`)
}
