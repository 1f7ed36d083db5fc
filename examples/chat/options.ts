/**
 * Owns: the command line of the chat, and its help. Independent of: the chat.
 */
import { parseArgs } from 'node:util'

export interface ChatOptions {
  readonly name: string
  readonly keyFile: string
  readonly listen: string | undefined
  readonly peers: readonly { readonly id: string; readonly urls?: string }[]
}

export const help = `npm run example:chat -- --name NAME --key FILE [--listen URL] [--peer ID[@URL]]…

  A chat between peers that know each other's keys, on one machine or several. Who joins late
  asks for what was said before.

  --name NAME     how others see you
  --key FILE      your key; it is made if FILE does not exist, and the others need its id
  --listen URL    where others can reach you, such as tls://0.0.0.0:15600
  --peer ID@URL   somebody to talk to; without @URL they have to dial you
  --help          print this

  Type a line to say it. /who shows who is there, /add ID[@URL] adds somebody, /quit or Ctrl-C leaves.
`

/** @throws Error with one sentence */
export function parseOptions(args: readonly string[]): ChatOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      name: { type: 'string' },
      key: { type: 'string' },
      listen: { type: 'string' },
      peer: { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', short: 'h' },
    },
    strict: true,
  })
  if (values.help === true) return 'help'
  const { name, key, listen, peer } = values
  if (name === undefined || name.trim() === '') throw new Error('--name is missing')
  if (key === undefined) throw new Error('--key is missing')
  return { name, keyFile: key, listen, peers: peer.map(peerOf) }
}

export function peerOf(text: string): { id: string; urls?: string } {
  const at = text.indexOf('@')
  return at < 0 ? { id: text } : { id: text.slice(0, at), urls: text.slice(at + 1) }
}
