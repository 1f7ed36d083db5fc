/**
 * Owns: listening at a unix socket that only its owner may use, and what a dead process has left there.
 * Independent of: what is said on it.
 */
import { chmod, unlink } from 'node:fs/promises'
import net from 'node:net'
import { isMainThread } from 'node:worker_threads'

/** Neither group nor others may read, write or connect. */
const ownerOnlyMask = 0o177
const ownerOnlyMode = 0o600

export function listenAt(server: net.Server, where: net.ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/**
 * The file of a process that has died is replaced; that of one that lives is not, and the error is EADDRINUSE. On
 * Windows `path` is a named pipe, which has no file.
 */
export async function listenAtPath(server: net.Server, path: string): Promise<void> {
  if (process.platform === 'win32') return listenAt(server, { path })
  try {
    await bindForOwner(server, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || (await isAnswered(path))) throw error
    await unlink(path)
    await bindForOwner(server, path)
  }
}

/**
 * The file has its mode from the first moment on: `listen` binds before it returns, and the mask is that of the process
 * for as long. A worker cannot set it, and changes the mode afterwards.
 */
async function bindForOwner(server: net.Server, path: string): Promise<void> {
  if (!isMainThread) {
    await listenAt(server, { path })
    return chmod(path, ownerOnlyMode)
  }
  const mask = process.umask(ownerOnlyMask)
  let bound: Promise<void>
  try {
    bound = listenAt(server, { path })
  } finally {
    process.umask(mask)
  }
  await bound
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ path })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'ECONNREFUSED'))
  })
}
