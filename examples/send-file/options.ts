/**
 * Owns: the command line of both programs, and its help. Independent of: what they do.
 */
import { parseArgs } from 'node:util'

export interface PeerOption {
  readonly id: string
  readonly urls?: string
}

export interface ReceiveOptions {
  readonly command: 'receive'
  readonly dir: string
  readonly keyFile: string
  readonly listen: string | undefined
  readonly peers: readonly PeerOption[]
}

export interface SendOptions {
  readonly command: 'send'
  readonly file: string
  /** The name at the receiver; undefined for that of the file. */
  readonly name: string | undefined
  readonly peer: PeerOption
  readonly keyFile: string
  readonly listen: string | undefined
  readonly waitMs: number
  /** Infinity without a limit. */
  readonly bytesPerSecondMax: number
}

export const help = `npm run example:send-file -- receive --dir DIR --key FILE --peer ID[@URL]… [--listen URL]
npm run example:send-file -- send FILE ID[@URL] --key FILE [--as NAME] [--listen URL]

  Sends a file to a peer. After an interruption, also of a whole process, run the same command
  again: it goes on where it stopped. The SHA-256 is checked at the end.

  --key FILE      your key; it is made if FILE does not exist, and the other side needs its id
  --listen URL    where others can reach you, such as tls://0.0.0.0:15600
  --help          print this

  receive: takes files until Ctrl-C. An unfinished file is NAME.part. No file is overwritten.
  --dir DIR       where files go; it must exist
  --peer ID@URL   who may send; without @URL they have to dial this side

  send: the peer is ID@URL, or ID alone if it dials this side.
  --as NAME       the name at the receiver (default: the name of the file)
  --wait SECONDS  give up after so long without a connection (default: 60)
  --limit BYTES   the most per second, such as 500K or 20M (default: no limit)

  Exit codes: 0 sent (or the same file was there), 1 failed, 2 wrong options, 130 Ctrl-C.
`

/** @throws Error with one sentence */
export function parseOptions(args: readonly string[]): ReceiveOptions | SendOptions | 'help' {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: {
      dir: { type: 'string' },
      key: { type: 'string' },
      listen: { type: 'string' },
      peer: { type: 'string', multiple: true, default: [] },
      as: { type: 'string' },
      wait: { type: 'string' },
      limit: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
    allowPositionals: true,
    strict: true,
  })
  if (values.help === true) return 'help'
  const [command, ...rest] = positionals
  if (command !== 'receive' && command !== 'send') throw new Error('say `receive` or `send` first')
  const { dir, key, listen, peer, as: name, wait, limit } = values
  const unused = command === 'receive' ? { '--as': name, '--wait': wait, '--limit': limit } : { '--dir': dir }
  for (const [option, value] of Object.entries(unused))
    if (value !== undefined) throw new Error(`${command} has no option ${option}`)
  if (key === undefined) throw new Error('--key is missing')
  if (command === 'receive') {
    if (rest.length > 0) throw new Error(`receive takes no ${JSON.stringify(rest[0])}; use --dir and --peer`)
    if (dir === undefined) throw new Error('--dir is missing')
    if (peer.length === 0) throw new Error('--peer is missing: who may send?')
    return { command, dir, keyFile: key, listen, peers: peer.map(peerOf) }
  }
  const [file, to, ...more] = rest
  if (file === undefined || to === undefined) throw new Error('send needs a FILE and an ID[@URL]')
  if (more.length > 0 || peer.length > 0) throw new Error('send takes one FILE and one peer')
  const target = peerOf(to)
  if (target.urls === undefined && listen === undefined)
    throw new Error(`${to} has no @URL, so it has to dial this side: set --listen, or write ID@URL`)
  const waitMs = (wait === undefined ? 60 : Number(wait)) * 1000
  if (!(waitMs > 0)) throw new Error(`--wait takes seconds, got ${JSON.stringify(wait)}`)
  return {
    command,
    file,
    name,
    peer: target,
    keyFile: key,
    listen,
    waitMs,
    bytesPerSecondMax: limit === undefined ? Infinity : bytesOf(limit),
  }
}

function bytesOf(text: string): number {
  const [, number = '', unit = ''] = /^(\d+)([KMG]?)$/.exec(text) ?? []
  const bytes = Number(number) * 1024 ** ' KMG'.indexOf(unit || ' ')
  if (!(bytes > 0)) throw new Error(`--limit takes bytes per second, such as 500K or 20M, got ${JSON.stringify(text)}`)
  return bytes
}

function peerOf(text: string): PeerOption {
  const at = text.indexOf('@')
  return at < 0 ? { id: text } : { id: text.slice(0, at), urls: text.slice(at + 1) }
}
