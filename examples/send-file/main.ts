/**
 * Sends a file to a peer, or receives files: `npm run example:send-file -- --help`
 *
 * Owns: the two programs as processes: keys, files, signals and exit codes.
 * Independent of: how a transfer works (sender.ts, receiver.ts).
 */
import { existsSync } from 'node:fs'
import { mkdtemp, open, rmdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { createNetwork, Identity } from '../../index.ts'
import { help, parseOptions } from './options.ts'
import type { ReceiveOptions, SendOptions } from './options.ts'
import { Screen } from './progress.ts'
import { Receiver } from './receiver.ts'
import type { Accepted } from './receiver.ts'
import { Sender } from './sender.ts'
import { clean, fileProtocol, offsetRequest, partSuffix } from './wire.ts'

/** A peer that was restarted is dialled soon: somebody waits at the terminal. */
const limits = { backoffMaxMs: 2_000 }
const interruptedExitCode = 130

async function keyOf(file: string): Promise<Identity> {
  if (existsSync(file)) return Identity.load(file)
  const identity = Identity.generate()
  await identity.save(file)
  return identity
}

/** Aborts on the first Ctrl-C. The second one ends the process, as it does by default. */
function interruption(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => controller.abort())
  return controller.signal
}

async function receive({ dir, keyFile, listen, peers }: ReceiveOptions): Promise<number> {
  const isDir = await stat(dir).then(
    (it) => it.isDirectory(),
    () => false,
  )
  if (!isDir) throw new Error(`${dir} is not a directory; create it first`)
  // By trying: permissions do not say everything.
  await mkdtemp(path.join(dir, '.send-file-'))
    .then(rmdir)
    .catch((error: NodeJS.ErrnoException) => {
      throw new Error(`${dir} is not writable (${error.code})`)
    })
  const network = createNetwork({ identity: await keyOf(keyFile), listen, peers, limits })
  const interrupted = interruption()
  const screen = new Screen()
  try {
    const receiver = new Receiver(dir, screen)
    network.onRequest(offsetRequest, async ({ peer, bytes, signal }) =>
      JSON.stringify({ offset: await receiver.offset(peer, bytes, signal) }),
    )
    network.onStream<Accepted>(fileProtocol, (stream, accepted) => void receiver.receive(stream, accepted), {
      permit: async ({ peer, extra, signal }) => ({ context: await receiver.permit(peer, extra, signal) }),
    })
    network.on('connection.rejected', ({ cause }) => screen.error(`rejected: ${cause.message}`))
    await network.ready()
    screen.print(`you are ${network.identity}${network.url === null ? '' : `@${network.url}`}`)
    await new Promise((resolve) => interrupted.addEventListener('abort', resolve))
    const unfinished = await receiver.stop()
    for (const name of unfinished)
      screen.print(`${name}${partSuffix} is kept: start the receiver again with this --dir to go on`)
    return unfinished.length > 0 ? interruptedExitCode : 0
  } finally {
    screen.close()
    await network.shutdown()
  }
}

async function send(options: SendOptions): Promise<number> {
  const { file, peer, keyFile, listen, waitMs, bytesPerSecondMax } = options
  const handle = await open(file).catch((error: NodeJS.ErrnoException) => {
    throw new Error(error.code === 'ENOENT' ? `${file} does not exist` : `${file} cannot be read (${error.code})`)
  })
  const interrupted = interruption()
  let sender: Sender | null = null
  const screen = new Screen(() => sender?.tick())
  try {
    if (!(await handle.stat()).isFile()) throw new Error(`${file} is not a regular file`)
    const network = createNetwork({ identity: await keyOf(keyFile), listen, peers: [peer], limits })
    try {
      sender = new Sender({
        network,
        screen,
        peer: peer.id,
        handle,
        name: options.name ?? path.basename(file),
        waitMs,
        bytesPerSecondMax,
        signal: interrupted,
      })
      await network.ready()
      screen.print(`you are ${network.identity}${network.url === null ? '' : `@${network.url}`}`)
      await sender.run()
      return 0
    } catch (error) {
      if (!interrupted.aborted) throw error
      screen.print(`stopped: ${sender?.state ?? 'nothing was sent yet'}. Run the same command again to go on`)
      return interruptedExitCode
    } finally {
      await network.shutdown()
    }
  } finally {
    screen.close()
    await handle.close()
  }
}

try {
  const options = parseOptions(process.argv.slice(2))
  if (options === 'help') process.stdout.write(help)
  else
    try {
      process.exitCode = await (options.command === 'receive' ? receive(options) : send(options))
    } catch (error) {
      process.stderr.write(`send-file: ${clean((error as Error).message)}\n`)
      process.exitCode = (error as { code?: string }).code?.startsWith('ERR_INVALID_') === true ? 2 : 1
    }
} catch (error) {
  process.stderr.write(`send-file: ${(error as Error).message}\n\n${help}`)
  process.exitCode = 2
}
