/**
 * Owns: the long-lived Ed25519 key of one runtime: where it comes from, where it is kept, and that it shows nowhere
 * else.
 * Refuses to know: peers and sockets.
 *
 * The key stands in a private field. What an inspector, a log or a snapshot sees of an identity is its id.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { open, rename, stat, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import type { SecureContext } from 'node:tls'
import path from 'node:path'
import { inspect } from 'node:util'
import { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import { encodePeerId } from '../../protocol/key-id.ts'
import { checkBoolean, checkNames, checkObject, invalid } from '../base/checks.ts'
import { createCertificate, rawPublicKey } from './certificate.ts'
import { nativeParameters } from './tls-parameters.ts'

/** An Ed25519 key in PKCS#8 PEM has 119 bytes; comments may stand around it. */
const keyFileLengthBytesMax = 64 * 1024

export interface SaveOptions {
  /** Replace a file that exists. */
  readonly overwrite?: boolean
}

export class Identity {
  /** id52: the public key as 52 characters. */
  readonly id: string
  readonly #privateKey: KeyObject
  readonly #publicKey: Buffer
  #certificate: string | undefined
  #secureContext: SecureContext | undefined

  private constructor(privateKey: KeyObject) {
    this.#privateKey = privateKey
    this.#publicKey = rawPublicKey(createPublicKey(privateKey)) as Buffer
    this.id = encodePeerId(this.#publicKey)
    Object.freeze(this)
  }

  /** A new key, held in memory only until it is saved. */
  static generate(): Identity {
    return new Identity(generateKeyPairSync('ed25519').privateKey)
  }

  /** @throws StatewireError ERR_KEY_FORMAT or ERR_KEY_TYPE; nothing of the text is in the error. */
  static fromPem(pem: string): Identity {
    return new Identity(readPrivateKey(pem, 'the key'))
  }

  /**
   * Reads a key in PKCS#8 PEM, and only from a file that nobody but its owner can read.
   * @throws StatewireError ERR_KEY_FILE_NOT_FOUND, ERR_KEY_FILE_PERMISSIONS, ERR_KEY_FILE_UNUSABLE, ERR_KEY_FORMAT or
   * ERR_KEY_TYPE
   */
  static async load(file: string): Promise<Identity> {
    checkFile(file)
    const handle = await open(file, 'r').catch((error: unknown) => {
      throw codeOf(error) === 'ENOENT'
        ? new StatewireError('ERR_KEY_FILE_NOT_FOUND', `there is no key file ${formatValue(file)}`)
        : unusable(file, error)
    })
    try {
      // Asked of the open file: what is checked is what is read.
      const { mode, size, isFile } = await handle
        .stat()
        .then((stat) => ({ mode: stat.mode, size: stat.size, isFile: stat.isFile() }))
      if (!isFile) throw new StatewireError('ERR_KEY_FILE_UNUSABLE', `${formatValue(file)} is not a file`)
      if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
        const permissions = (mode & 0o777).toString(8).padStart(4, '0')
        throw new StatewireError(
          'ERR_KEY_FILE_PERMISSIONS',
          `the key file ${formatValue(file)} has mode ${permissions}, so others than its owner can reach it: run chmod 600 on it, and make a new key if others may have read this one`,
        )
      }
      if (size > keyFileLengthBytesMax)
        throw new StatewireError('ERR_KEY_FILE_UNUSABLE', `${formatValue(file)} has ${size} bytes, too many for a key`)
      const pem = await handle.readFile('utf8').catch((error: unknown) => {
        throw unusable(file, error)
      })
      return new Identity(readPrivateKey(pem, `the key in ${formatValue(file)}`))
    } finally {
      await handle.close()
    }
  }

  /**
   * Writes the key as PKCS#8 PEM, mode 0600, whole or not at all.
   * @throws StatewireError ERR_KEY_FILE_EXISTS or ERR_KEY_FILE_UNUSABLE
   */
  async save(file: string, options: SaveOptions = {}): Promise<void> {
    checkFile(file)
    checkObject(options, 'the options of save')
    checkNames(options, ['overwrite'], 'an option of save')
    checkBoolean(options.overwrite, 'overwrite')
    const overwrite = options.overwrite === true
    // A replacement is written beside the old file and takes its place in one step; the old file's mode does not count.
    const target = overwrite ? `${file}.${randomBytes(6).toString('hex')}` : file
    const handle = await open(target, 'wx', 0o600).catch(async (error: unknown) => {
      throw await unwritable(file, error)
    })
    try {
      await writeAndClose(handle, this.toPem())
      if (overwrite) await rename(target, file)
    } catch (error) {
      await unlink(target).catch(() => {})
      throw await unwritable(file, error)
    }
  }

  /** A copy of the 32 bytes. */
  get publicKey(): Buffer {
    return Buffer.from(this.#publicKey)
  }

  /** The private key in PKCS#8 PEM: the one way by which it leaves this object. */
  toPem(): string {
    return this.#privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  }

  /** The self-signed certificate in PEM; made when first asked for. */
  get certificate(): string {
    return (this.#certificate ??= createCertificate(this.#privateKey))
  }

  /** TLS 1.3 with this key, for both roles; made once, because it costs more than a handshake. */
  get secureContext(): SecureContext {
    return (this.#secureContext ??= createSecureContext({
      ...nativeParameters,
      key: this.toPem(),
      cert: this.certificate,
    }))
  }

  toJSON(): string {
    return this.id
  }

  toString(): string {
    return this.id
  }

  [inspect.custom](): string {
    return `Identity(${this.id})`
  }
}

/** Errors of the parser are not passed on as a cause: what they quote is not in our hands. */
function readPrivateKey(pem: unknown, what: string): KeyObject {
  if (typeof pem !== 'string')
    throw new StatewireError('ERR_KEY_FORMAT', `${what} must be PEM text, got ${formatValue(pem)}`)
  if (pem.includes('-----BEGIN ENCRYPTED PRIVATE KEY-----'))
    throw new StatewireError('ERR_KEY_FORMAT', `${what} is encrypted; take the password off first`)
  if (!pem.includes('-----BEGIN PRIVATE KEY-----'))
    throw new StatewireError('ERR_KEY_FORMAT', `${what} is not PKCS#8 PEM: there is no line "BEGIN PRIVATE KEY"`)
  let privateKey: KeyObject
  try {
    privateKey = createPrivateKey({ key: pem, format: 'pem' })
  } catch {
    throw new StatewireError(
      'ERR_KEY_FORMAT',
      `${what} is damaged: it begins like PKCS#8 PEM and can not be read as such`,
    )
  }
  const type = privateKey.asymmetricKeyType
  if (type !== 'ed25519')
    throw new StatewireError('ERR_KEY_TYPE', `${what} must be an Ed25519 key, but is ${type ?? 'unknown'}`)
  return privateKey
}

async function writeAndClose(handle: FileHandle, text: string): Promise<void> {
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function unusable(file: string, error: unknown): StatewireError {
  return new StatewireError(
    'ERR_KEY_FILE_UNUSABLE',
    `the key file ${formatValue(file)} can not be used (${codeOf(error) ?? 'unknown reason'})`,
  )
}

/** Of a path that a person typed: what stands in the way, and what to do. */
async function unwritable(file: string, error: unknown): Promise<StatewireError> {
  const code = codeOf(error)
  const isFolder =
    code === 'EISDIR' ||
    (await stat(file).then(
      (found) => found.isDirectory(),
      () => false,
    ))
  if (isFolder)
    return new StatewireError(
      'ERR_KEY_FILE_UNUSABLE',
      `${formatValue(file)} is a folder: name a file in it for the key (${code ?? 'unknown reason'})`,
    )
  if (code === 'EEXIST')
    return new StatewireError(
      'ERR_KEY_FILE_EXISTS',
      `${formatValue(file)} exists already; a lost key can not be made again, so it is not overwritten unless that is asked for`,
    )
  const isFolderMissing = code === 'ENOENT' || code === 'ENOTDIR'
  if (isFolderMissing)
    return new StatewireError(
      'ERR_KEY_FILE_UNUSABLE',
      `the key file ${formatValue(file)} can not be written, for ${formatValue(path.dirname(file))} is not a folder that exists: make it first (${code})`,
    )
  return new StatewireError(
    'ERR_KEY_FILE_UNUSABLE',
    `the key file ${formatValue(file)} can not be written (${code ?? 'unknown reason'})`,
  )
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
}

/** A path with a zero in it names no file, and the system would say so in words of its own. */
function checkFile(file: unknown): void {
  if (typeof file !== 'string' || file === '' || file.includes('\0'))
    throw invalid(`file must be the path of a key file, got ${formatValue(file)}`)
}
