/**
 * Owns: the URLs of addresses: TLS or TCP with a host and a port, IPv6 with a zone, and unix sockets.
 * Independent of: who listens or dials there.
 */
import { isIPv6 } from 'node:net'
import { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import { invalid } from '../base/checks.ts'
import { formatAddress, isUnixPath } from '../base/pipe.ts'
import type { Address } from '../base/pipe.ts'

/**
 * `tls`: mutual TLS 1.3; identities are proved. `plaintext`: nothing is encrypted and identities are only claimed; must
 * be requested explicitly.
 */
export type Security = 'tls' | 'plaintext'

/** URLs of one peer at most: each is dialled before the back-off grows. */
export const urlsPerPeerMax = 32

/**
 * The addresses of a peer.
 * @throws StatewireError ERR_INVALID_URL, ERR_INVALID_OPTION
 */
export function parseUrls(urls: unknown, where: string, security: Security): readonly Address[] {
  if (urls === undefined) return []
  const isList = Array.isArray(urls)
  const list: readonly unknown[] = isList ? urls : [urls]
  if (list.length > urlsPerPeerMax)
    throw invalid(`${where} has ${list.length} URLs; at most ${urlsPerPeerMax} are tried`)
  const addresses: Address[] = []
  for (const [index, url] of list.entries()) {
    const place = isList ? `${where}[${index}]` : where
    const address = parseUrl(url, place, security)
    if (address.port === 0 && !isUnixPath(address.host))
      throw wrongUrl(`${place} has port 0: give the port that the peer listens on`, url, security)
    if (!addresses.some(({ host, port }) => host === address.host && port === address.port)) addresses.push(address)
  }
  return addresses
}

/** The longest host name has 253 characters. */
const urlLengthMax = 300

/**
 * Checks a URL.
 * @throws StatewireError ERR_INVALID_URL naming `where`, with a valid example
 */
export function parseUrl(text: unknown, where: string, security: Security = 'plaintext'): Address {
  const scheme = security === 'tls' ? 'tls' : 'tcp'
  if (typeof text !== 'string') throw wrongUrl(`${where} must be a string`, text, security)
  if (text.startsWith('unix:')) return parseUnixUrl(text, where, security)
  const zoned = zonedUrl.exec(text)
  if (zoned?.groups !== undefined && zoned.groups['scheme'] === scheme) {
    const { ip = '', zone = '', port = '' } = zoned.groups
    if (isIPv6(ip) && Number(port) <= 65_535) return { host: `${ip}%${zone}`, port: Number(port) }
  }
  // The URL parser silently drops line ends and tabs, and accepts hosts that cannot be resolved.
  if (/[\s%]/.test(text) || text.length > urlLengthMax)
    throw wrongUrl(`${where} contains blanks or escapes, or has more than ${urlLengthMax} characters`, text, security)
  let url: URL
  try {
    url = new URL(text)
  } catch {
    // No `cause`: that error repeats the whole text, which may contain a password.
    throw wrongUrl(`${where} is not a URL`, text, security)
  }
  if (url.protocol !== `${scheme}:`) throw wrongUrl(`${where} must begin with ${scheme}://`, text, security)
  if (url.hostname === '') throw wrongUrl(`${where} has no host`, text, security)
  if (url.port === '') throw wrongUrl(`${where} has no port`, text, security)
  if (
    url.username !== '' ||
    url.password !== '' ||
    (url.pathname !== '' && url.pathname !== '/') ||
    url.search !== '' ||
    url.hash !== ''
  ) {
    throw wrongUrl(`${where} must have only a host and a port`, text, security)
  }
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port) }
}

/** A link-local address with its interface, which URLs of the standard cannot express: RFC 6874 has `%25`. */
const zonedUrl = /^(?<scheme>[a-z]+):\/\/\[(?<ip>[0-9a-f:.]+)%(?:25)?(?<zone>[\w.-]{1,15})\]:(?<port>\d{1,5})\/?$/i
/** The longest path that the kernel takes for a socket (`sun_path` less its end; 104 on some systems). */
const unixPathBytesMax = 103

function parseUnixUrl(text: string, where: string, security: Security): Address {
  const path = text.slice('unix:'.length)
  const lengthBytes = Buffer.byteLength(path)
  if (!isUnixPath(path) || path.includes('\0') || path.endsWith('/') || lengthBytes > unixPathBytesMax)
    throw wrongUrl(`${where} must be unix: and an absolute path of at most ${unixPathBytesMax} bytes`, text, security)
  return { host: path, port: 0 }
}

function wrongUrl(problem: string, text: unknown, security: Security): StatewireError {
  return new StatewireError(
    'ERR_INVALID_URL',
    `${problem}, got ${formatValue(text)}; for example ${formatUrl({ host: '127.0.0.1', port: 15600 }, security)}`,
  )
}

export function formatUrl(address: Address, security: Security = 'plaintext'): string {
  if (isUnixPath(address.host)) return formatAddress(address)
  return `${security === 'tls' ? 'tls' : 'tcp'}://${formatAddress(address)}`
}
