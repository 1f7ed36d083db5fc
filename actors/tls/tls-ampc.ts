/**
 * Owns: the ampc dialect's mutual TLS: a leaf with its chain, and one root for each peer identity.
 * Independent of: the handshake of the dialect, in which the other side claims its identity only after TLS.
 *
 * Each root is pinned to one identity, in both directions. The dialling side trusts only the root of the peer that it
 * dials. The accepting side admits certificates anchored in any root; its proof then says whether it covers the claimed
 * identity. Without that check every peer could claim to be any other.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import net from 'node:net'
import tls from 'node:tls'
import { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import { checkIdentity } from '../../protocol/ampc/peer-id.ts'
import { checkBoolean, checkFunction, checkNames, checkObject } from '../base/checks.ts'
import { verifyErrorOf } from '../transport/node-internals.ts'
import { isAnchored } from './tls-chain.ts'
import { codeOf, dialError, handshakeError, refusal } from './tls-errors.ts'
import { ampcParameters } from './tls-parameters.ts'
import type { Proof, TlsSide } from './tls-side.ts'

export interface AmpcTlsOptions {
  /** The private key in PEM. */
  readonly key: string
  /** The leaf in PEM, followed by the certificates between it and its root. */
  readonly certificate: string
  /** The root certificate of each peer, in PEM, by identity. */
  readonly roots: Readonly<Record<string, string>>
  /** Whether a server's certificate must name the dialled host, as in the Rust stack. Default: true. */
  readonly checkHostName?: boolean | undefined
  /**
   * Wall time against which certificates are valid, in ms since 1970; OpenSSL uses the system's in any case. Default:
   * the system's.
   */
  readonly wallTimeMs?: (() => number) | undefined
}

export class AmpcTls {
  readonly #key: string
  readonly #certificate: string
  readonly #roots = new Map<string, X509Certificate>()
  readonly #checkHostName: boolean
  readonly #wallTimeMs: () => number
  readonly #dialContexts = new Map<string, tls.SecureContext>()
  #acceptContext: tls.SecureContext | undefined

  /**
   * Reads key, certificate and roots.
   * @throws StatewireError ERR_KEY_FORMAT, ERR_CERTIFICATE_UNUSABLE or ERR_INVALID_PEER_ID, naming which
   */
  constructor(options: AmpcTlsOptions) {
    checkAmpcTls(options, 'ampc')
    const { key, certificate, roots, checkHostName = true, wallTimeMs = () => new Date().getTime() } = options
    const leaf = parseCertificate(certificate, 'the certificate')
    if (!leaf.checkPrivateKey(parseKey(key)))
      throw unusable('the certificate belongs to another key; pass the key it was issued for')
    for (const [identity, pem] of Object.entries(roots)) {
      const root = parseCertificate(pem, `the root of ${formatValue(checkIdentity(identity, 'a name in roots'))}`)
      if (!root.ca) throw unusable(`the root of ${JSON.stringify(identity)} is not a CA certificate`)
      for (const [other, { publicKey }] of this.#roots) {
        if (publicKey.equals(root.publicKey))
          throw unusable(
            `${JSON.stringify(identity)} and ${JSON.stringify(other)} have the same root, so each could claim to ` +
              'be the other',
          )
      }
      this.#roots.set(identity, root)
    }
    this.#key = key
    this.#certificate = certificate
    this.#checkHostName = checkHostName
    this.#wallTimeMs = wallTimeMs
  }

  /**
   * Returns the dialling side towards one peer.
   * @param host the name, or the address, that the certificate has to name
   * @throws StatewireError ERR_UNKNOWN_PEER if there is no root for it
   */
  dialer(host: string, remoteAddress: string, identity: string): TlsSide {
    const secureContext = this.#dialContext(identity)
    return {
      role: 'dialer',
      begin: (socket, highWaterMark) => {
        const options: tls.ConnectionOptions = {
          socket,
          secureContext,
          servername: net.isIP(host) === 0 ? host : '',
          // Verified in `check` instead, which can report that the certificate was the reason.
          rejectUnauthorized: false,
          checkServerIdentity: (_name, certificate) =>
            this.#checkHostName ? tls.checkServerIdentity(host, certificate) : undefined,
        }
        return tls.connect({ ...options, ...({ highWaterMark } as object) })
      },
      check: (socket) => {
        if (socket.isSessionReused() === true) throw refusal(remoteAddress, 'it resumed an old TLS session')
        // Typed as an error, but in fact a code, or the text of `checkServerIdentity`.
        if (!socket.authorized)
          throw refusal(
            remoteAddress,
            `its certificate is not valid for ${JSON.stringify(identity)} (${reasonOf(socket.authorizationError)})`,
            'ERR_CERTIFICATE_REJECTED',
          )
        const proof = this.#proof(socket, identity)
        if (!proof.covers(identity))
          throw refusal(
            remoteAddress,
            `its certificate does not chain to the root of ${JSON.stringify(identity)}`,
            'ERR_CERTIFICATE_REJECTED',
          )
        return proof
      },
      failed: (error) => dialError(remoteAddress, error),
    }
  }

  acceptor(remoteAddress: string): TlsSide {
    const roots = [...this.#roots.values()].map(String)
    this.#acceptContext ??= tls.createSecureContext({
      ...ampcParameters,
      key: this.#key,
      cert: this.#certificate,
      ca: roots,
    })
    const secureContext = this.#acceptContext
    return {
      role: 'acceptor',
      begin: (raw, highWaterMark) =>
        new tls.TLSSocket(raw, {
          isServer: true,
          secureContext,
          requestCert: true,
          rejectUnauthorized: true,
          ...({ highWaterMark } as object),
        }),
      check: (socket) => {
        // A TLS socket without a server verifies but does not report the result: it has to be asked for.
        const problem = verifyErrorOf(socket)
        if (problem !== undefined)
          throw refusal(
            remoteAddress,
            `its certificate chains to none of the configured roots (${codeOf(problem) || problem.message})`,
          )
        if (socket.isSessionReused() === true) throw refusal(remoteAddress, 'it resumed an old TLS session')
        const proof = this.#proof(socket, undefined)
        if (![...this.#roots.keys()].some((identity) => proof.covers(identity)))
          throw refusal(remoteAddress, 'its certificate chains to none of the configured roots')
        return proof
      },
      failed: (error) => handshakeError(remoteAddress, error),
    }
  }

  /** The chain is kept, and each answer is cached. */
  #proof(socket: tls.TLSSocket, peerId: string | undefined): Proof {
    const shown: X509Certificate[] = []
    for (
      let next = socket.getPeerX509Certificate();
      next !== undefined && shown.length < 16;
      next = next.issuerCertificate
    )
      shown.push(next)
    const answers = new Map<string, boolean>()
    const covers = (identity: string): boolean => {
      const root = this.#roots.get(identity)
      if (root === undefined) return false
      const answer = answers.get(identity) ?? isAnchored(shown, root, this.#wallTimeMs())
      answers.set(identity, answer)
      return answer
    }
    return { dialect: 'ampc', peerId, covers }
  }

  #dialContext(identity: string): tls.SecureContext {
    const known = this.#dialContexts.get(identity)
    if (known !== undefined) return known
    const root = this.#roots.get(identity)
    if (root === undefined)
      throw new StatewireError(
        'ERR_UNKNOWN_PEER',
        `there is no root certificate for ${formatValue(identity)}; add it to tls.roots`,
      )
    const context = tls.createSecureContext({
      ...ampcParameters,
      key: this.#key,
      cert: this.#certificate,
      ca: root.toString(),
    })
    this.#dialContexts.set(identity, context)
    return context
  }
}

/** Checks the types; contents are checked when they are used. `path` is where the options are. */
export function checkAmpcTls(value: unknown, path: string): void {
  const options = checkObject(value, path)
  checkNames(options, ['key', 'certificate', 'roots', 'checkHostName', 'wallTimeMs'], 'an option', `${path}.`)
  if (typeof options['key'] !== 'string')
    throw new StatewireError(
      'ERR_KEY_FORMAT',
      `${path}.key must be a private key in PEM, got ${formatValue(options['key'])}`,
    )
  if (typeof options['certificate'] !== 'string')
    throw unusable(`${path}.certificate must be a certificate in PEM, got ${formatValue(options['certificate'])}`)
  for (const [identity, root] of Object.entries(checkObject(options['roots'], `${path}.roots`)))
    if (typeof root !== 'string')
      throw unusable(`${path}.roots[${formatValue(identity)}] must be a certificate in PEM, got ${formatValue(root)}`)
  checkBoolean(options['checkHostName'], `${path}.checkHostName`)
  if (options['wallTimeMs'] !== undefined) checkFunction(options['wallTimeMs'], `${path}.wallTimeMs`)
}

function reasonOf(problem: unknown): string {
  return problem instanceof Error ? codeOf(problem) || problem.message : String(problem)
}

function parseKey(pem: string): KeyObject {
  try {
    return createPrivateKey({ key: pem, format: 'pem' })
  } catch {
    throw new StatewireError('ERR_KEY_FORMAT', 'tls.key must be a private key in PEM without a password')
  }
}

function parseCertificate(pem: string, what: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch {
    throw unusable(`${what} is not a certificate in PEM`)
  }
}

function unusable(sentence: string): StatewireError {
  return new StatewireError('ERR_CERTIFICATE_UNUSABLE', sentence)
}
