/**
 * Owns: the check that TLS works in this JavaScript runtime, made before a handshake waits for its deadline.
 * Independent of: TLS itself, and of what it is used for.
 *
 * Node and Bun pass a value over mutual TLS. Deno 2.9 has the same API, but the handshake never ends.
 */
import { StatewireError } from '../../codec/errors.ts'

/** @throws StatewireError ERR_UNSUPPORTED_HOST that names the runtime and what to do */
export function checkTlsRuntime(versions: Readonly<Record<string, string | undefined>> = process.versions): void {
  const { deno } = versions
  if (deno === undefined) return
  throw new StatewireError(
    'ERR_UNSUPPORTED_HOST',
    `TLS does not work on Deno (this is ${deno}): its node:tls does not finish the handshake. Run on Node or Bun, or set security: 'plaintext' where the network is trusted`,
  )
}
