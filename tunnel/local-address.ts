/**
 * Owns: the local ends of a tunnel, TCP addresses and unix sockets: their text, listening and connecting.
 * Independent of: streams.
 */
import net from 'node:net'
import { invalid } from '../actors/base/checks.ts'
import { listenAt, listenAtPath } from '../actors/transport/unix-path.ts'
import { StatewireError } from '../codec/errors.ts'
import { formatValue } from '../codec/format-value.ts'

export type LocalAddress = { readonly path: string } | { readonly host: string; readonly port: number }

const loopback = '127.0.0.1'
/** As in the address of a unix socket, less its end. */
const pathBytesMost = 100

/**
 * `127.0.0.1:5432`, `[::1]:5432`, `localhost:5432`, `:5432` (of 127.0.0.1) or `unix:/run/app.sock`.
 * @throws StatewireError ERR_INVALID_OPTION
 */
export function parseLocalAddress(text: unknown, where: string, needsPort: boolean): LocalAddress {
  const wrong = (why: string): StatewireError =>
    invalid(`${where} ${why}, got ${formatValue(text)}; valid: 127.0.0.1:5432, [::1]:5432, unix:/run/app.sock`)
  if (typeof text !== 'string') throw wrong('must be a string')
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length)
    if (!path.startsWith('/') || path.includes('\0')) throw wrong('must have an absolute path after unix:')
    if (Buffer.byteLength(path) > pathBytesMost) throw wrong(`must have a path of at most ${pathBytesMost} bytes`)
    return { path }
  }
  const match = /^(?:\[(?<v6>[^\]]+)\]|(?<host>[^:[\]\s/]*)):(?<port>\d{1,5})$/.exec(text)
  if (match?.groups === undefined) throw wrong('must be HOST:PORT or unix:PATH')
  const { v6, host = '', port = '' } = match.groups
  if (v6 !== undefined && !net.isIPv6(v6)) throw wrong('must have an IPv6 address in its brackets')
  if (Number(port) > 0xffff) throw wrong('must have a port up to 65535')
  if (needsPort && Number(port) === 0) throw wrong('must have a port other than 0')
  return { host: v6 ?? (host === '' ? loopback : host), port: Number(port) }
}

export function formatLocalAddress(address: LocalAddress): string {
  if ('path' in address) return `unix:${address.path}`
  return `${net.isIPv6(address.host) ? `[${address.host}]` : address.host}:${address.port}`
}

/** @returns the address with its real port. @throws StatewireError ERR_LISTEN_FAILED */
export async function listenLocally(server: net.Server, address: LocalAddress): Promise<LocalAddress> {
  try {
    if ('path' in address) {
      await listenAtPath(server, address.path)
      return address
    }
    await listenAt(server, { host: address.host, port: address.port })
    return { host: address.host, port: (server.address() as net.AddressInfo).port }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const why = code === 'EADDRINUSE' ? 'it is in use already; choose another port, or 0 for a free one' : message
    throw new StatewireError('ERR_LISTEN_FAILED', `the tunnel cannot listen at ${formatLocalAddress(address)}: ${why}`)
  }
}

/** How often the system asks whether a silent program is still there. The default of most systems is two hours. */
const keepAliveMs = 60_000

export function prepare(socket: net.Socket): void {
  socket.setNoDelay(true)
  socket.setKeepAlive(true, keepAliveMs)
}

/** How long a program may take to read what is on its way to it, before its connection is closed without a RST. */
const resetTimeoutMs = 1_000

/**
 * Resets a connection, so that no program takes what it has got for the whole. Before it resets, Node ends the
 * connection, and a FIN that is seen first would look like a proper end: so there is nothing to be done at the end.
 */
export function resetLocally(socket: net.Socket): void {
  if (socket.destroyed) return
  socket._final = (callback) => callback()
  socket.on('error', () => {})
  // A unix socket has no RST, and Node throws. One without an address is closed already.
  if (socket.remoteFamily === undefined) socket.destroy()
  else socket.resetAndDestroy()
  const deadline = setTimeout(() => socket.destroy(), resetTimeoutMs)
  socket.once('close', () => clearTimeout(deadline))
}

/**
 * Connects to the target of a tunnel. The socket is paused.
 * @throws Error that names the failure, and not the address, which the peer has no business to know
 */
export function connectLocally(address: LocalAddress, timeoutMs: number, signal: AbortSignal): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const where = 'path' in address ? { path: address.path } : { host: address.host, port: address.port }
    const socket = net.connect({ ...where, allowHalfOpen: true })
    const settle = (): void => {
      clearTimeout(deadline)
      signal.removeEventListener('abort', onAbort)
      socket.off('connect', onConnect)
      socket.off('error', onError)
    }
    const fail = (why: string): void => {
      settle()
      socket.on('error', () => {})
      socket.destroy()
      reject(new Error(why))
    }
    const onConnect = (): void => {
      settle()
      socket.pause()
      prepare(socket)
      resolve(socket)
    }
    const onError = (error: NodeJS.ErrnoException): void => {
      const says = error.code === 'ECONNREFUSED' ? 'the target refuses connections' : 'the target cannot be reached'
      fail(`${says} (${error.code ?? 'unknown'})`)
    }
    const onAbort = (): void => fail('the opener gave up')
    const deadline = setTimeout(() => fail(`the target did not answer within ${timeoutMs} ms`), timeoutMs)
    socket.on('connect', onConnect)
    socket.on('error', onError)
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
  })
}

/** A name that fits into an address PEER/NAME and on a line. @throws StatewireError ERR_INVALID_OPTION */
export function checkTunnelName(name: unknown): string {
  const text = typeof name === 'string' ? name : ''
  if (!/^[^\s/\p{C}]+$/u.test(text) || Buffer.byteLength(text) > nameBytesMost)
    throw invalid(
      `the name of a tunnel has 1 to ${nameBytesMost} bytes, and no blanks, slashes and control characters, ` +
        `got ${formatValue(name)}`,
    )
  return text
}

/** Fits into a column, and into the name of a protocol with what stands before it. */
const nameBytesMost = 64
