/**
 * Owns: the receiving side: which part is where, what may be written, and when a file gets its name.
 * Independent of: the network beneath the streams, and the terminal.
 *
 * Every path is the directory plus a checked name. The part is opened without following a link, so a link in the
 * directory leads nowhere either.
 */
import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, open, rename, statfs, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import path from 'node:path'
import type { Stream } from '../../index.ts'
import { digestOf, hashFirst } from './hash.ts'
import { formatBytes } from './progress.ts'
import type { Screen } from './progress.ts'
import { clean, digestBytes, parseOffer, parseOpening, partSuffix, Refused, sentenceOf } from './wire.ts'
import type { Offer } from './wire.ts'

/** What a peer may send next, or is sending. */
interface Incoming extends Offer {
  readonly peer: string
  /** The size of the part, or of the file if `isComplete`. */
  readonly offset: number
  /** Of these first bytes. */
  readonly hash: Hash
  readonly isComplete: boolean
  /** Set while the part is written. */
  stop: ((why: Refused) => Promise<void>) | null
  isTaken: boolean
}

/** What `permit` hands to `receive`. */
export interface Accepted {
  readonly incoming: Incoming
  readonly handle: FileHandle
  readonly offset: number
  readonly hash: Hash
  /** From then on `receive` closes the part. */
  isStarted: boolean
}

export class Receiver {
  readonly #dir: string
  readonly #screen: Screen
  /** One file at a time for each peer. The peers are known, so there is a bound. */
  readonly #byPeer = new Map<string, Incoming>()
  #isStopping = false

  constructor(dir: string, screen: Screen) {
    this.#dir = dir
    this.#screen = screen
  }

  /** @throws Refused. @returns how much of the offered file is here */
  async offset(peer: string, bytes: Uint8Array, signal: AbortSignal): Promise<number> {
    return this.#orRefuse(peer, async () => {
      const offer = parseOffer(bytes)
      // An earlier attempt of the same peer, whose process may be gone.
      await this.#byPeer.get(peer)?.stop?.(new Refused('stopping', 'a later attempt takes over'))
      this.#checkFree(offer.name, peer)
      const found = (await this.#find(offer, signal)) ?? { offset: 0, hash: createHash('sha256'), isComplete: false }
      this.#byPeer.set(peer, { ...offer, ...found, peer, stop: null, isTaken: false })
      return found.offset
    })
  }

  /** The file, or a part of it. */
  async #find(
    { name, size }: Offer,
    signal: AbortSignal,
  ): Promise<Pick<Incoming, 'offset' | 'hash' | 'isComplete'> | null> {
    for (const isComplete of [true, false]) {
      const handle = await this.#openIfThere(isComplete ? name : name + partSuffix)
      if (handle === null) continue
      try {
        const { size: offset } = await handle.stat()
        if (isComplete && offset !== size) throw existsAlready(name)
        // A longer part is of another file.
        if (offset <= size) return { offset, hash: await hashFirst(handle, offset, signal), isComplete }
      } finally {
        await handle.close()
      }
    }
    return null
  }

  async #openIfThere(entry: string): Promise<FileHandle | null> {
    const file = path.join(this.#dir, entry)
    try {
      const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
      return await checkFile(await open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw error
    }
  }

  #checkFree(name: string, peer: string): void {
    if (this.#isStopping) throw new Refused('stopping', 'the receiver is stopping')
    for (const other of this.#byPeer.values())
      if (other.isTaken && other.name === name && other.peer !== peer)
        throw new Refused('busy', `${JSON.stringify(name)} is being received from another peer`)
  }

  /**
   * Decides on a stream, and opens its part.
   * @param signal aborts when the stream ends, also one that never reaches `receive` because its opener gave up
   * @throws Refused
   */
  async permit(peer: string, extra: Uint8Array, signal: AbortSignal): Promise<Accepted> {
    return this.#orRefuse(peer, async () => {
      const { name, size, offset, prefix } = parseOpening(extra)
      const incoming = this.#byPeer.get(peer)
      if (incoming === undefined || incoming.isTaken || incoming.name !== name || incoming.size !== size)
        throw new Refused('stale', 'the offset was not asked for')
      this.#checkFree(name, peer)
      const hash = offset === 0 ? createHash('sha256') : incoming.hash.copy()
      if (offset !== 0 && offset !== incoming.offset) throw new Refused('stale', 'the offset has changed')
      if (digestOf(hash).toString('hex') !== prefix) {
        if (incoming.isComplete) throw existsAlready(name)
        throw new Refused('other-content', `the ${offset} bytes that are here differ`)
      }
      if (incoming.isComplete) throw offset === size ? new Refused('complete', '') : existsAlready(name)
      incoming.isTaken = true
      try {
        const handle = await this.#openPart(incoming, offset)
        const accepted: Accepted = { incoming, handle, offset, hash, isStarted: false }
        const release = (): void => {
          if (accepted.isStarted) return
          incoming.isTaken = false
          void handle.close()
        }
        if (signal.aborted) release()
        else signal.addEventListener('abort', release, { once: true })
        return accepted
      } catch (error) {
        incoming.isTaken = false
        throw error
      }
    })
  }

  async #openPart({ name, size }: Offer, offset: number): Promise<FileHandle> {
    const { bavail, bsize } = await statfs(this.#dir)
    if (bavail * bsize < size - offset)
      throw new Refused(
        'no-space',
        `the disk of the receiver is full: ${formatBytes(size - offset)} needed, ${formatBytes(bavail * bsize)} free`,
      )
    const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants
    const part = path.join(this.#dir, name + partSuffix)
    const handle = await checkFile(await open(part, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK))
    try {
      if (offset === 0) await handle.truncate(0)
      else if ((await handle.stat()).size !== offset) throw new Refused('stale', 'the part has changed')
      return handle
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** Writes what comes, and ends the stream when the file has its name. Never rejects. */
  async receive(stream: Stream, accepted: Accepted): Promise<void> {
    const { incoming, handle, offset, hash } = accepted
    accepted.isStarted = true
    const { name, size, peer } = incoming
    const from = peer.slice(0, 8)
    const start =
      offset === 0 ? `receiving ${name} from ${from}` : `resuming ${name} from ${from} at ${formatBytes(offset)}`
    this.#screen.print(`${start}: ${formatBytes(size)}`)
    const meter = this.#screen.start(name, size, offset)
    let ended = (): void => {}
    const end = new Promise<void>((resolve) => (ended = resolve))
    incoming.stop = (why) => {
      stream.destroy(why)
      return end
    }
    stream.on('error', () => {})
    try {
      const sent = await this.#write(stream, handle, hash, size, offset, (done) => (meter.done = done))
      await this.#finish(name, handle, digestOf(hash), sent)
      // The receipt.
      stream.end()
      this.#screen.print(`received ${name}: ${this.#screen.stop(meter)}, SHA-256 ${sent.toString('hex')}`)
    } catch (error) {
      const refused = refusedOf(error)
      this.#screen.stop(meter)
      this.#screen.error(
        `stopped ${name} at ${formatBytes(meter.done)} of ${formatBytes(size)}: ${clean(refused.message)}`,
      )
      if (!stream.destroyed) stream.reset(refused.streamErrorCode, refused.message)
    } finally {
      await handle.close().catch(() => {})
      incoming.stop = null
      incoming.isTaken = false
      if (this.#byPeer.get(peer) === incoming) this.#byPeer.delete(peer)
      ended()
    }
  }

  /** @returns the digest that the sender sent after the file */
  async #write(
    stream: Stream,
    handle: FileHandle,
    hash: Hash,
    size: number,
    offset: number,
    onDone: (done: number) => void,
  ): Promise<Buffer> {
    let done = offset
    const digest: Buffer[] = []
    // Its error has a code for the sender, so the loop must not destroy it without one.
    for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      const body = chunk.subarray(0, size - done)
      for (let written = 0; written < body.length;)
        written += (await handle.write(body, written, body.length - written, done + written)).bytesWritten
      hash.update(body)
      done += body.length
      onDone(done)
      if (body.length < chunk.length) digest.push(chunk.subarray(body.length))
    }
    const sent = Buffer.concat(digest)
    if (done < size || sent.length !== digestBytes)
      throw new Refused('bad-offer', 'the sender did not send as many bytes as it offered')
    return sent
  }

  /** Gives the file its name if it is whole. @throws Refused */
  async #finish(name: string, handle: FileHandle, here: Buffer, sent: Buffer): Promise<void> {
    const [part, file] = [path.join(this.#dir, name + partSuffix), path.join(this.#dir, name)]
    if (!here.equals(sent)) {
      await unlink(part)
      throw new Refused('wrong-hash', 'the SHA-256 of what arrived is wrong, and it was deleted')
    }
    await handle.sync()
    if (await exists(file)) throw existsAlready(name)
    await rename(part, file)
  }

  /** Ends every transfer; the parts stay. @returns the names */
  async stop(): Promise<string[]> {
    this.#isStopping = true
    const names: string[] = []
    for (const { name, stop } of this.#byPeer.values()) {
      if (stop === null) continue
      names.push(name)
      await stop(new Refused('stopping', 'the receiver was stopped'))
    }
    return names
  }

  async #orRefuse<Result>(peer: string, action: () => Promise<Result>): Promise<Result> {
    try {
      return await action()
    } catch (error) {
      const refused = refusedOf(error)
      if (refused.code !== 'complete' && refused.code !== 'other-content' && refused.code !== 'stale')
        this.#screen.error(`refused ${peer.slice(0, 8)}: ${clean(refused.message)}`)
      throw refused
    }
  }
}

function existsAlready(name: string): Refused {
  return new Refused('exists', `the receiver has another file ${JSON.stringify(name)}; send it under another name`)
}

/** @returns the handle. O_NONBLOCK and this check are there because opening a pipe would wait for its other end. */
async function checkFile(handle: FileHandle): Promise<FileHandle> {
  if ((await handle.stat()).isFile()) return handle
  await handle.close()
  throw new Refused('disk', 'at the receiver something that is no file has this name')
}

async function exists(file: string): Promise<boolean> {
  return lstat(file).then(
    () => true,
    () => false,
  )
}

const sentences: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk of the receiver is full',
  EDQUOT: 'the receiver has used up its quota of disk space',
  EFBIG: 'the file is too large for the disk of the receiver',
  EACCES: 'the receiver may not write to its directory',
  EPERM: 'the receiver may not write to its directory',
  EROFS: 'the disk of the receiver is read-only',
  ENOENT: 'the directory of the receiver is gone',
  ELOOP: 'at the receiver a link has this name',
  EISDIR: 'at the receiver a directory has this name',
  ENAMETOOLONG: 'the name is too long for the disk of the receiver',
}

/** What the sender gets: a sentence without paths. */
function refusedOf(error: unknown): Refused {
  if (error instanceof Refused) return error
  const { code = '' } = error as NodeJS.ErrnoException
  const sentence = sentences[code]
  if (sentence !== undefined) return new Refused(code === 'ENOSPC' ? 'no-space' : 'disk', sentence)
  return new Refused(
    'disk',
    code.startsWith('ERR_') ? sentenceOf(error) : `the receiver cannot store the file (${code})`,
  )
}
