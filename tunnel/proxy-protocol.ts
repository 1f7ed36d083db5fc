/**
 * Owns: the header of the PROXY protocol, version 2, which tells a target who its client is; and how the opening side
 * tells the exposing side, in `extra`.
 * Independent of: sockets and streams.
 *
 * Source: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt, section 2.2.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { decode, encode } from '@msgpack/msgpack'

/** A TCP connection, as the opening side sees it. */
export interface ClientAddress {
  readonly from: readonly [host: string, port: number]
  readonly to: readonly [host: string, port: number]
}

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
const proxyCommand = 0x21
const unspecified = 0x00
const tcpOverIPv4 = 0x11
const tcpOverIPv6 = 0x21
/** Two addresses and two ports. */
const ipv4LengthBytes = 4 + 4 + 2 + 2
const ipv6LengthBytes = 16 + 16 + 2 + 2

/**
 * @param client null if the client has no address, such as one at a unix socket
 * @returns 16, 28 or 52 bytes
 */
export function proxyHeader(client: ClientAddress | null): Buffer {
  if (client === null) return header(unspecified, Buffer.alloc(0))
  const { from, to } = client
  const isIPv4Both = isIPv4(from[0]) && isIPv4(to[0])
  const body = Buffer.alloc(isIPv4Both ? ipv4LengthBytes : ipv6LengthBytes)
  const hostLengthBytes = isIPv4Both ? 4 : 16
  const bytesOf = isIPv4Both ? ipv4Bytes : ipv6Bytes
  body.set(bytesOf(from[0]), 0)
  body.set(bytesOf(to[0]), hostLengthBytes)
  body.writeUInt16BE(from[1], 2 * hostLengthBytes)
  body.writeUInt16BE(to[1], 2 * hostLengthBytes + 2)
  return header(isIPv4Both ? tcpOverIPv4 : tcpOverIPv6, body)
}

function header(family: number, body: Buffer): Buffer {
  const fixed = Buffer.alloc(4)
  fixed[0] = proxyCommand
  fixed[1] = family
  fixed.writeUInt16BE(body.length, 2)
  return Buffer.concat([signature, fixed, body])
}

function ipv4Bytes(host: string): number[] {
  return host.split('.').map(Number)
}

/** An IPv4 address is mapped (RFC 4291, 2.5.5.2). */
function ipv6Bytes(host: string): number[] {
  if (isIPv4(host)) return [...Array<number>(10).fill(0), 0xff, 0xff, ...ipv4Bytes(host)]
  const bare = host.replace(/%.*$/, '')
  // The last 32 bits may be written like IPv4.
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(bare)
  const [a = 0, b = 0, c = 0, d = 0] = dotted === null ? [] : ipv4Bytes(dotted[2]!)
  const text = dotted === null ? bare : `${dotted[1]!}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
  const [head = '', tail] = text.split('::')
  const groups = (part: string): number[] => (part === '' ? [] : part.split(':').map((group) => parseInt(group, 16)))
  const [before, after] = [groups(head), tail === undefined ? [] : groups(tail)]
  const zeros = Array<number>(8 - before.length - after.length).fill(0)
  return [...before, ...zeros, ...after].flatMap((group) => [group >> 8, group & 0xff])
}

export function encodeClient(client: ClientAddress | null): Buffer {
  return Buffer.from(encode(client === null ? {} : { from: client.from, to: client.to }))
}

/** Never throws: whatever a peer says that is not a client is nothing that is known of the client. */
export function decodeClient(extra: Uint8Array): ClientAddress | null {
  let value: unknown
  try {
    value = decode(extra)
  } catch {
    return null
  }
  const { from, to } = (value ?? {}) as { from?: unknown; to?: unknown }
  return isAddress(from) && isAddress(to) ? { from, to } : null
}

function isAddress(value: unknown): value is [string, number] {
  if (!Array.isArray(value) || value.length !== 2) return false
  const [host, port] = value as unknown[]
  return (
    typeof host === 'string' &&
    (isIPv4(host) || isIPv6(host)) &&
    typeof port === 'number' &&
    Number.isInteger(port) &&
    port >= 0 &&
    port <= 0xffff
  )
}
