/**
 * Owns: a party of the ampc dialect played with plain sockets, byte for byte as the Rust party does: the acceptor
 * echoes the id, reads the identity and answers "2ok" in one write; the dialer sends its id, waits for the echo, sends
 * its identity and waits for "2ok".
 * Independent of: the runtime under test, and the bytes after the handshake.
 */
import net from 'node:net'
import { within } from './bounded-wait.ts'
import { RawSocket } from './raw-socket.ts'

export const ok = Buffer.from('2ok', 'latin1')

export function u32be(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value, 0)
  return bytes
}

/** Length and identity, as the dialer sends them after the echo. */
export function identityBytes(identity: string | Uint8Array): Buffer {
  const bytes = typeof identity === 'string' ? Buffer.from(identity, 'utf8') : identity
  return Buffer.concat([u32be(bytes.length), bytes])
}

/** A dialer that has sent its identity and not yet read the answer. */
export async function claim(url: string, identity: string | Uint8Array, connectionId: number): Promise<RawSocket> {
  const socket = await RawSocket.dial(url)
  socket.write(u32be(connectionId))
  const echo = await socket.read(4)
  if (!echo.equals(u32be(connectionId)))
    throw new Error(`the echo of connection id ${connectionId} was ${echo.toString('hex')}`)
  socket.write(identityBytes(identity))
  return socket
}

/**
 * The whole handshake of a dialer. If it is closed before "2ok", the acceptor is not waiting for it: the Rust dialer
 * tries again forever, this one 200 times.
 */
export async function dialUntilOk(url: string, identity: string, connectionId: number): Promise<RawSocket> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const socket = await claim(url, identity, connectionId)
    const answer = await socket.read(3).catch(() => null)
    if (answer?.equals(ok) === true) return socket
    socket.close()
  }
  throw new Error(`${url} refused connection ${connectionId} of ${identity} 200 times`)
}

/** One dialed connection as an acceptor seat sees it, before its "2ok". */
export interface Claimed {
  readonly socket: RawSocket
  readonly identity: string
  readonly connectionId: number
}

export class RustSeat {
  readonly identity: string
  readonly url: string
  readonly sockets: RawSocket[] = []
  readonly #server: net.Server
  readonly #arrived: RawSocket[] = []
  readonly #waiting: ((socket: RawSocket) => void)[] = []

  private constructor(identity: string, server: net.Server) {
    this.identity = identity
    this.#server = server
    this.url = `tcp://127.0.0.1:${(server.address() as net.AddressInfo).port}`
    server.on('connection', (socket) => {
      const raw = new RawSocket(socket)
      this.sockets.push(raw)
      const waiting = this.#waiting.shift()
      if (waiting === undefined) this.#arrived.push(raw)
      else waiting(raw)
    })
  }

  static async listen(identity: string, port = 0): Promise<RustSeat> {
    const server = net.createServer({ noDelay: true })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: '127.0.0.1', port }, resolve)
    })
    return new RustSeat(identity, server)
  }

  /** Accepted connections that the test has not taken yet. */
  get waiting(): number {
    return this.#arrived.length
  }

  /** The next connection, with nothing sent on it yet. */
  accept(): Promise<RawSocket> {
    const arrived = this.#arrived.shift()
    if (arrived !== undefined) return Promise.resolve(arrived)
    return within(new Promise((resolve) => this.#waiting.push(resolve)), `${this.identity} is dialed`)
  }

  /** The next connection up to the identity; the caller sends "2ok". */
  async acceptClaim(): Promise<Claimed> {
    const socket = await this.accept()
    const id = await socket.read(4)
    socket.write(id)
    const length = (await socket.read(4)).readUInt32BE(0)
    const identity = (await socket.read(length)).toString('utf8')
    return { socket, identity, connectionId: id.readUInt32BE(0) }
  }

  /** The whole handshake of an acceptor. @param inTheSameSegment goes out in one write with "2ok" */
  async acceptLink(inTheSameSegment: Uint8Array = Buffer.alloc(0)): Promise<Claimed> {
    const claimed = await this.acceptClaim()
    claimed.socket.write(Buffer.concat([ok, inTheSameSegment]))
    return claimed
  }

  close(): void {
    this.#server.close()
    for (const socket of this.sockets) socket.close()
  }
}
