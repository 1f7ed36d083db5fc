/**
 * Owns: the check that TLS works in this JavaScript runtime, before a handshake could time out because of it.
 * Independent of: TLS itself, and what it is used for.
 *
 * Mutual TLS works in Node and Bun. Deno 2.9 has the same API, but the handshake never completes.
 */
import { StatewireError } from '../../codec/errors.ts'

/**
 * Checks the runtime.
 * @throws StatewireError ERR_UNSUPPORTED_HOST, which names the runtime and what to do
 */
export function checkTlsRuntime(versions: Readonly<Record<string, string | undefined>> = process.versions): void {
  const { deno } = versions
  if (deno === undefined) return
  throw new StatewireError(
    'ERR_UNSUPPORTED_HOST',
    `TLS does not work on Deno (this is ${deno}): its node:tls does not finish the handshake. Run on Node or Bun, ` +
      `or set security: 'plaintext' where the network is trusted`,
  )
}
