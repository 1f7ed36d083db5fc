/**
 * Owns: finding the control socket of a running peer by its process id: each writes a file, named after it, into a
 * folder of this user.
 * Independent of: what is said on control sockets.
 */
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { StatewireError } from '../codec/errors.ts'

const ownerOnlyMode = 0o700
const othersMask = 0o077

export interface RunningPeer {
  readonly pid: number
  readonly control: string
}

/** For files that last as long as a process. Call {@link isOurs} before you trust what is in it. */
export function runtimeFolder(): string {
  const { XDG_RUNTIME_DIR: own } = process.env
  if (own !== undefined && path.isAbsolute(own)) return path.join(own, 'statewire')
  return path.join(tmpdir(), `statewire-${process.getuid?.() ?? 'user'}`)
}

/** Makes the folder if it does not exist. @returns whether nobody else may write there */
export function isOurs(folder: string): boolean {
  try {
    mkdirSync(folder, { recursive: true, mode: ownerOnlyMode })
    const { mode, uid } = lstatSync(folder)
    return process.getuid === undefined || (uid === process.getuid() && (mode & othersMask) === 0)
  } catch {
    return false
  }
}

/**
 * Lets `--attach PID` find this process. Without a folder of our own it is found by its control socket only.
 * @returns a function that undoes it
 */
export function announcePeer(control: string): () => void {
  const folder = runtimeFolder()
  if (!isOurs(folder)) return () => {}
  const file = path.join(folder, String(process.pid))
  try {
    writeFileSync(file, path.resolve(control), { mode: 0o600 })
  } catch {
    return () => {}
  }
  return () => rmSync(file, { force: true })
}

export function runningPeers(): readonly RunningPeer[] {
  const folder = runtimeFolder()
  if (!isOurs(folder)) return []
  return readdirSync(folder).flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    const pid = Number(name)
    if (isRunning(pid)) return [{ pid, control: readFileSync(path.join(folder, name), 'utf8') }]
    // It was killed.
    rmSync(path.join(folder, name), { force: true })
    return []
  })
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/**
 * The control socket that is meant by a path or a process id; without either, that of the only running peer.
 * @throws StatewireError ERR_INVALID_OPTION
 */
export function findControl(socketOrPid: string | undefined): string {
  if (socketOrPid !== undefined && !/^\d+$/.test(socketOrPid)) return socketOrPid
  const all = runningPeers()
  const found = socketOrPid === undefined ? all : all.filter(({ pid }) => pid === Number(socketOrPid))
  const [only, ...others] = found
  if (only !== undefined && others.length === 0) return only.control
  const list = all.map(({ pid, control }) => `${pid} (${control})`).join(', ')
  const running = all.length === 0 ? 'no peer of this user is running' : `running: ${list}`
  const why =
    socketOrPid !== undefined
      ? `no running peer has the process id ${socketOrPid}`
      : all.length === 0
        ? 'there is no peer to ask'
        : 'there are several peers'
  throw new StatewireError('ERR_INVALID_OPTION', `${why}: name one with --attach SOCKET or --attach PID; ${running}`)
}
