/**
 * Owns: the long-lived Ed25519 key of one runtime: how it is created, loaded and saved, and that it is never exposed
 * elsewhere.
 * Independent of: peers and sockets.
 *
 * The key is in a private field. Inspectors, logs and snapshots see an identity's id only.
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

/** An Ed25519 key in PKCS#8 PEM has 119 bytes; comments may surround it. */
const keyFileLengthBytesMax = 64 * 1024

export interface SaveOptions {
  /** Whether to replace an existing file. Default: false. */
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

  /** Generates a new key, which is in memory only until it is saved. */
  static generate(): Identity {
    return new Identity(generateKeyPairSync('ed25519').privateKey)
  }

  /**
   * Reads a key from PKCS#8 PEM text.
   * @throws StatewireError ERR_KEY_FORMAT or ERR_KEY_TYPE; the message contains nothing of the text
   */
  static fromPem(pem: string): Identity {
    return new Identity(readPrivateKey(pem, 'the key'))
  }

  /**
   * Reads a key in PKCS#8 PEM from a file that only its owner can access.
   * @throws StatewireError ERR_KEY_FILE_NOT_FOUND, ERR_KEY_FILE_PERMISSIONS, ERR_KEY_FILE_UNUSABLE, ERR_KEY_FORMAT or
   *   ERR_KEY_TYPE
   */
  static async load(file: string): Promise<Identity> {
    checkFile(file)
    const handle = await open(file, 'r').catch((error: unknown) => {
      throw codeOf(error) === 'ENOENT'
        ? new StatewireError('ERR_KEY_FILE_NOT_FOUND', `the key file ${formatValue(file)} does not exist`)
        : unusable(file, error)
    })
    try {
      // Checked on the open file, so that the checked file is the one that is read.
      const { mode, size, isFile } = await handle
        .stat()
        .then((stat) => ({ mode: stat.mode, size: stat.size, isFile: stat.isFile() }))
      if (!isFile) throw new StatewireError('ERR_KEY_FILE_UNUSABLE', `${formatValue(file)} is not a file`)
      if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
        const permissions = (mode & 0o777).toString(8).padStart(4, '0')
        throw new StatewireError(
          'ERR_KEY_FILE_PERMISSIONS',
          `the key file ${formatValue(file)} has mode ${permissions}, so other users can access it: run chmod 600 ` +
            'on it, and generate a new key if someone may have read this one',
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
   * Writes the key as PKCS#8 PEM with mode 0600, atomically.
   * @throws StatewireError ERR_KEY_FILE_EXISTS or ERR_KEY_FILE_UNUSABLE
   */
  async save(file: string, options: SaveOptions = {}): Promise<void> {
    checkFile(file)
    checkObject(options, 'the options of save')
    checkNames(options, ['overwrite'], 'an option of save')
    checkBoolean(options.overwrite, 'overwrite')
    const overwrite = options.overwrite === true
    // A replacement is written next to the old file and then renamed over it; the old file's mode does not matter.
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

  /** A copy of the 32 bytes of the public key. */
  get publicKey(): Buffer {
    return Buffer.from(this.#publicKey)
  }

  /** Returns the private key in PKCS#8 PEM. This is the only way it leaves this object. */
  toPem(): string {
    return this.#privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  }

  /** The self-signed certificate in PEM, created on first use. */
  get certificate(): string {
    return (this.#certificate ??= createCertificate(this.#privateKey))
  }

  /** TLS 1.3 with this key, for both roles. Created once, because it costs more than a handshake. */
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

/** The parser's error is not passed on as `cause`, because it may quote the key. */
function readPrivateKey(pem: unknown, what: string): KeyObject {
  if (typeof pem !== 'string')
    throw new StatewireError('ERR_KEY_FORMAT', `${what} must be PEM text, got ${formatValue(pem)}`)
  if (pem.includes('-----BEGIN ENCRYPTED PRIVATE KEY-----'))
    throw new StatewireError('ERR_KEY_FORMAT', `${what} is encrypted: store it without a password`)
  if (!pem.includes('-----BEGIN PRIVATE KEY-----'))
    throw new StatewireError('ERR_KEY_FORMAT', `${what} is not PKCS#8 PEM: there is no line "BEGIN PRIVATE KEY"`)
  let privateKey: KeyObject
  try {
    privateKey = createPrivateKey({ key: pem, format: 'pem' })
  } catch {
    throw new StatewireError(
      'ERR_KEY_FORMAT',
      `${what} is damaged: its header says PKCS#8 PEM, but it cannot be parsed`,
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
    `the key file ${formatValue(file)} cannot be used (${codeOf(error) ?? 'unknown reason'})`,
  )
}

/** Explains why a path cannot be written, and what to do. */
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
      `${formatValue(file)} exists already; a lost key cannot be recovered, so it is only overwritten with { ` +
        'overwrite: true }',
    )
  const isFolderMissing = code === 'ENOENT' || code === 'ENOTDIR'
  if (isFolderMissing)
    return new StatewireError(
      'ERR_KEY_FILE_UNUSABLE',
      `the key file ${formatValue(file)} cannot be written: the folder ${formatValue(path.dirname(file))} does ` +
        `not exist; create it first (${code})`,
    )
  return new StatewireError(
    'ERR_KEY_FILE_UNUSABLE',
    `the key file ${formatValue(file)} cannot be written (${code ?? 'unknown reason'})`,
  )
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
}

/** A path with a NUL character names no file; the system's own error would be less clear. */
function checkFile(file: unknown): void {
  if (typeof file !== 'string' || file === '' || file.includes('\0'))
    throw invalid(`file must be the path of a key file, got ${formatValue(file)}`)
}
