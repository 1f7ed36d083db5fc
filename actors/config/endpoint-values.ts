/**
 * Owns: the value types of RFC 33 as thin, checked values: port, address, protocol, URL, endpoint and its id.
 * Independent of: networks. Every call of a network takes plain strings and objects as well.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import { decodePeerId } from '../../protocol/key-id.ts'
import { invalid } from '../base/checks.ts'
import { formatAddress, isUnixPath } from '../base/pipe.ts'
import type { Address as PipeAddress } from '../base/pipe.ts'
import { formatUrl, parseUrl } from './urls.ts'

/** A TCP port, from 0 (any free port, to listen only) to 65,535. */
export type Port = number

/** @throws StatewireError ERR_INVALID_OPTION */
export function Port(port: number): Port {
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port
  throw invalid(`a port must be a whole number from 0 to 65535, got ${formatValue(port)}`)
}

/** Where a socket connects to, or listens: a host and a port, or the path of a unix socket. */
export type Address = PipeAddress

/** Constructors. None of them looks a name up: that is done again at each dial. */
export const Address = {
  /** @throws StatewireError ERR_INVALID_OPTION */
  fromV4AddrAndPort(host: string, port: Port): Address {
    if (!isIPv4(host)) throw invalid(`host must be an IPv4 address such as 192.0.2.7, got ${formatValue(host)}`)
    return Object.freeze({ host, port: Port(port) })
  },

  /** The address may have a zone: `fe80::1%eth0`. @throws StatewireError ERR_INVALID_OPTION */
  fromV6AddrAndPort(host: string, port: Port): Address {
    if (!isIPv6(host)) throw invalid(`host must be an IPv6 address such as 2001:db8::7, got ${formatValue(host)}`)
    return Object.freeze({ host, port: Port(port) })
  },

  /** `192.0.2.7:15600`, `[2001:db8::7]:15600`, `node.example:15600`. @throws StatewireError ERR_INVALID_URL */
  fromAddrStr(address: string): Address {
    if (typeof address !== 'string')
      throw new StatewireError('ERR_INVALID_URL', `an address must be a string, got ${formatValue(address)}`)
    return Object.freeze(parseUrl(`tcp://${address}`, `the address ${formatValue(address)}`, 'plaintext'))
  },

  /** As in a URL: "192.0.2.7:15600", "[2001:db8::7]:15600". */
  toString: (address: Address): string => formatAddress(address),
} as const

/** How a socket is protected and carried: TLS over TCP, plain TCP, or a unix socket. */
export type Protocol = 'tls' | 'tcp' | 'unix'

export const Protocol = { Tls: 'tls', Tcp: 'tcp', Unix: 'unix' } as const satisfies Record<string, Protocol>

/** An address with its protocol. Calls that take URLs take its text: `String(url)`. */
export class Url {
  readonly address: Address
  readonly protocol: Protocol

  /** @throws StatewireError ERR_INVALID_URL */
  constructor(address: Address, protocol: Protocol) {
    if (!Object.values(Protocol).includes(protocol))
      throw new StatewireError('ERR_INVALID_URL', `protocol must be tls, tcp or unix, got ${formatValue(protocol)}`)
    const url = formatUrl(address, protocol === 'tls' ? 'tls' : 'plaintext')
    const checked = parseUrl(url, 'the URL', protocol === 'tls' ? 'tls' : 'plaintext')
    if (isUnixPath(checked.host) !== (protocol === 'unix'))
      throw new StatewireError('ERR_INVALID_URL', `${protocol} and the address ${formatAddress(address)} do not fit`)
    this.address = Object.freeze(checked)
    this.protocol = protocol
  }

  /** `tls://host:port`, `tcp://host:port` or `unix:/path`. @throws StatewireError ERR_INVALID_URL */
  static fromUrlStr(url: string): Url {
    const protocol = /^(tcp|unix):/.exec(url)?.[1] as Protocol | undefined
    return new Url(parseUrl(url, 'the URL', protocol === 'tcp' ? 'plaintext' : 'tls'), protocol ?? 'tls')
  }

  toString(): string {
    return formatUrl(this.address, this.protocol === 'tls' ? 'tls' : 'plaintext')
  }

  toJSON(): string {
    return this.toString()
  }
}

/** The id of an endpoint: its public key as an id52. An address is no id: it may change. */
export type EndpointId = string

/** @throws StatewireError ERR_INVALID_PEER_ID */
export function EndpointId(id: string): EndpointId {
  decodePeerId(id, 'the id of an endpoint')
  return id
}

/** A peer as an application describes it, for `peers` of a configuration and `network.add`. */
export class Endpoint {
  readonly id: EndpointId
  readonly urls: readonly string[]

  /** @throws StatewireError ERR_INVALID_PEER_ID, ERR_INVALID_URL, ERR_INVALID_OPTION */
  constructor(id: EndpointId, urls: Url | string | readonly (Url | string)[] = []) {
    this.id = EndpointId(id)
    const list = Array.isArray(urls) ? urls : [urls]
    this.urls = list.map((url) => String(url instanceof Url ? url : Url.fromUrlStr(url as string)))
  }
}
