/**
 * Owns: a hand-made TLS 1.3 client (RFC 8446: X25519, TLS_AES_128_GCM_SHA256), because no library presents one
 * certificate and signs with the key of another.
 * Independent of: whether it should be let in, certificates of the server, and everything else that it does not need.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  randomBytes,
  sign,
} from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import net from 'node:net'

export interface Presented {
  /** DER, the leaf first; empty for none. */
  readonly certificates: readonly Buffer[]
  /** Signs CertificateVerify; null leaves the message out. */
  readonly signer: KeyObject | null
  readonly alpn?: string | null
  /** Sent as application data once the handshake is done. */
  readonly say?: string
  /** May change a handshake message of the client before it is sent. */
  readonly tamper?: (name: 'certificate' | 'verify' | 'finished', message: Buffer) => Buffer
}

export interface Ending {
  /** The client has sent its Finished. */
  readonly finished: boolean
  /** The alert of the server, if it sent one that could be read. */
  readonly alert: number | null
  /** Application data of the server. */
  readonly received: string
}

const sha = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest()
const hmac = (key: Uint8Array, bytes: Uint8Array): Buffer => createHmac('sha256', key).update(bytes).digest()
const u16 = (value: number): Buffer => Buffer.from([value >>> 8, value & 0xff])
const u24 = (value: number): Buffer => Buffer.from([value >>> 16, (value >>> 8) & 0xff, value & 0xff])
const vector = (lengthBytes: 1 | 2 | 3, ...parts: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts)
  return Buffer.concat([
    lengthBytes === 1 ? Buffer.from([content.length]) : lengthBytes === 2 ? u16(content.length) : u24(content.length),
    content,
  ])
}
const message = (type: number, body: Uint8Array): Buffer => Buffer.concat([Buffer.from([type]), u24(body.length), body])
const extension = (type: number, body: Uint8Array): Buffer => Buffer.concat([u16(type), vector(2, body)])

/** HKDF-Expand-Label; no output here is longer than one block. */
function expand(secret: Uint8Array, label: string, context: Uint8Array, length: number): Buffer {
  const info = Buffer.concat([
    u16(length),
    vector(1, Buffer.from(`tls13 ${label}`)),
    vector(1, context),
    Buffer.from([1]),
  ])
  return hmac(secret, info).subarray(0, length)
}

/** One direction of protected records. */
class Protection {
  readonly secret: Buffer
  readonly #key: Buffer
  readonly #iv: Buffer
  #sequence = 0

  constructor(secret: Buffer) {
    this.secret = secret
    this.#key = expand(secret, 'key', Buffer.alloc(0), 16)
    this.#iv = expand(secret, 'iv', Buffer.alloc(0), 12)
  }

  #nonce(): Buffer {
    const nonce = Buffer.from(this.#iv)
    nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ this.#sequence++) >>> 0, 8)
    return nonce
  }

  seal(type: number, content: Uint8Array): Buffer {
    const head = Buffer.concat([Buffer.from([23, 3, 3]), u16(content.length + 17)])
    const cipher = createCipheriv('aes-128-gcm', this.#key, this.#nonce()).setAAD(head)
    return Buffer.concat([
      head,
      cipher.update(Buffer.concat([content, Buffer.from([type])])),
      cipher.final(),
      cipher.getAuthTag(),
    ])
  }

  open(record: Buffer): { type: number; content: Buffer } {
    const decipher = createDecipheriv('aes-128-gcm', this.#key, this.#nonce())
      .setAAD(record.subarray(0, 5))
      .setAuthTag(record.subarray(-16))
    const plain = Buffer.concat([decipher.update(record.subarray(5, -16)), decipher.final()])
    let end = plain.length - 1
    while (plain[end] === 0) end--
    return { type: plain[end] as number, content: plain.subarray(0, end) }
  }
}

const spkiPrefix = Buffer.from('302a300506032b656e032100', 'hex')

class Tls13Client {
  readonly #presented: Presented
  readonly #send: (bytes: Buffer) => void
  readonly #share = generateKeyPairSync('x25519')
  #transcript: Buffer = Buffer.alloc(0)
  #records: Buffer = Buffer.alloc(0)
  #messages: Buffer = Buffer.alloc(0)
  #reading: Protection | null = null
  #writing: Protection | null = null
  #master: Buffer = Buffer.alloc(0)
  finished = false
  alert: number | null = null
  received = ''

  constructor(presented: Presented, send: (bytes: Buffer) => void) {
    this.#presented = presented
    this.#send = send
  }

  begin(): void {
    const share = this.#share.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)
    const alpn = this.#presented.alpn === undefined ? 'statewire/1' : this.#presented.alpn
    const extensions = [
      extension(43, vector(1, u16(0x0304))),
      extension(10, vector(2, u16(0x001d))),
      extension(13, vector(2, u16(0x0807))),
      extension(51, vector(2, u16(0x001d), vector(2, share))),
      ...(alpn === null ? [] : [extension(16, vector(2, vector(1, Buffer.from(alpn))))]),
    ]
    const hello = message(
      1,
      Buffer.concat([
        u16(0x0303),
        randomBytes(32),
        vector(1, randomBytes(32)),
        vector(2, u16(0x1301)),
        vector(1, Buffer.from([0])),
        vector(2, ...extensions),
      ]),
    )
    this.#transcript = hello
    this.#send(Buffer.concat([Buffer.from([22, 3, 1]), u16(hello.length), hello]))
  }

  feed(bytes: Buffer): void {
    this.#records = Buffer.concat([this.#records, bytes])
    while (this.#records.length >= 5 && this.#records.length >= 5 + this.#records.readUInt16BE(3)) {
      const record = this.#records.subarray(0, 5 + this.#records.readUInt16BE(3))
      this.#records = this.#records.subarray(record.length)
      if (record[0] === 20) continue
      const { type, content } =
        record[0] === 23 && this.#reading !== null
          ? this.#reading.open(record)
          : { type: record[0] as number, content: record.subarray(5) }
      if (type === 21) this.alert = content[1] as number
      else if (type === 23) this.received += content.toString('latin1')
      else if (type === 22 && !this.finished) this.#handshake(content)
    }
  }

  #handshake(content: Buffer): void {
    this.#messages = Buffer.concat([this.#messages, content])
    while (this.#messages.length >= 4 && this.#messages.length >= 4 + this.#messages.readUIntBE(1, 3)) {
      const received = this.#messages.subarray(0, 4 + this.#messages.readUIntBE(1, 3))
      this.#messages = this.#messages.subarray(received.length)
      this.#transcript = Buffer.concat([this.#transcript, received])
      if (received[0] === 2) this.#serverHello(received)
      else if (received[0] === 20) this.#answer()
    }
  }

  /** RFC 8446 7.1: from the shared secret to the keys of the handshake. */
  #serverHello(received: Buffer): void {
    let at = 4 + 2 + 32
    at += 1 + (received[at] as number) + 2 + 1 + 2
    let serverShare: Buffer | undefined
    for (; at < received.length; at += 4 + received.readUInt16BE(at + 2))
      if (received.readUInt16BE(at) === 51) serverShare = received.subarray(at + 8, at + 40)
    if (serverShare === undefined) throw new Error('the server sent no key share')
    const publicKey = createPublicKey({ key: Buffer.concat([spkiPrefix, serverShare]), type: 'spki', format: 'der' })
    const shared = diffieHellman({ privateKey: this.#share.privateKey, publicKey })
    const zeros = Buffer.alloc(32)
    const nothing = sha(Buffer.alloc(0))
    const secret = hmac(expand(hmac(zeros, zeros), 'derived', nothing, 32), shared)
    const transcript = sha(this.#transcript)
    this.#writing = new Protection(expand(secret, 'c hs traffic', transcript, 32))
    this.#reading = new Protection(expand(secret, 's hs traffic', transcript, 32))
    this.#master = hmac(expand(secret, 'derived', nothing, 32), zeros)
  }

  /**
   * After the server's Finished: the certificate, whose signature is the point of this client, and the own Finished.
   */
  #answer(): void {
    const { certificates, signer, say, tamper = (_name, bytes) => bytes } = this.#presented
    const writing = this.#writing as Protection
    const applicationTranscript = sha(this.#transcript)
    const flight: Buffer[] = []
    const add = (name: 'certificate' | 'verify' | 'finished', bytes: Buffer): void => {
      const sent = tamper(name, bytes)
      flight.push(writing.seal(22, sent))
      this.#transcript = Buffer.concat([this.#transcript, sent])
    }
    add(
      'certificate',
      message(
        11,
        Buffer.concat([
          vector(1),
          vector(3, ...certificates.map((certificate) => Buffer.concat([vector(3, certificate), u16(0)]))),
        ]),
      ),
    )
    if (signer !== null) {
      const signed = Buffer.concat([
        Buffer.alloc(64, 0x20),
        Buffer.from('TLS 1.3, client CertificateVerify\0'),
        sha(this.#transcript),
      ])
      add('verify', message(15, Buffer.concat([u16(0x0807), vector(2, sign(null, signed, signer))])))
    }
    add('finished', message(20, hmac(expand(writing.secret, 'finished', Buffer.alloc(0), 32), sha(this.#transcript))))
    const application = new Protection(expand(this.#master, 'c ap traffic', applicationTranscript, 32))
    this.#reading = new Protection(expand(this.#master, 's ap traffic', applicationTranscript, 32))
    if (say !== undefined) flight.push(application.seal(23, Buffer.from(say)))
    this.finished = true
    this.#send(Buffer.concat(flight))
  }
}

/** Connects, goes as far as it gets, and returns how it ended: when the server closes, or when `done` says so. */
export function attempt(
  port: number,
  presented: Presented,
  done: (client: { readonly received: string }) => boolean = () => false,
): Promise<Ending> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: '127.0.0.1', port })
    const client = new Tls13Client(presented, (bytes) => void socket.write(bytes))
    socket.on('connect', () => client.begin())
    socket.on('data', (bytes) => {
      try {
        client.feed(bytes)
      } catch (error) {
        socket.destroy()
        reject(error as Error)
      }
      if (done(client)) socket.destroy()
    })
    // A reset is one of the ways to be refused.
    socket.on('error', () => {})
    socket.on('close', () => resolve({ finished: client.finished, alert: client.alert, received: client.received }))
  })
}
