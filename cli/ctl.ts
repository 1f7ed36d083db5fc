/**
 * Owns: the command that sends one command to a running peer and prints its answer.
 * Independent of: what the commands do.
 */
import net from 'node:net'
import { parseArgs } from 'node:util'
import { escapeControls } from '../codec/sanitize.ts'
import { UsageError } from './command.ts'
import type { Output } from './command.ts'
import { defaultControl } from './peer-config.ts'

/** A running peer answers at once; a request or a removal has its own time. */
const answerTimeoutMs = 120_000

/** The peer answered with an error: exit code 1. */
export class ControlError extends Error {}

/** @throws UsageError; ControlError for an error that the peer reports, and if there is none */
export async function ctl(args: readonly string[], { out }: Output): Promise<void> {
  const { path, command, fields } = parse(args)
  const socket = net.connect(path)
  socket.setEncoding('utf8')
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', ({ code }: NodeJS.ErrnoException) =>
      reject(new ControlError(`no peer answers at ${path} (${code}): start one with statewire peer --config FILE`)),
    )
  })
  const follows = command === 'events' || command === 'tunnel'
  if (!follows) socket.setTimeout(answerTimeoutMs, () => socket.destroy(new ControlError('the peer did not answer')))
  socket.write(`${JSON.stringify({ command, ...fields })}\n`)
  const stop = (): void => void socket.end()
  process.once('SIGINT', stop)
  try {
    let text = ''
    let isFirst = true
    for await (const chunk of socket as AsyncIterable<string>) {
      text += chunk
      const lines = text.split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) {
        if (!isFirst) out(`${line}\n`)
        else {
          isFirst = false
          show(line, follows, out)
        }
      }
      if (!follows && !isFirst) return
    }
    if (isFirst) throw new ControlError('the peer closed the control socket without an answer')
  } finally {
    process.off('SIGINT', stop)
    socket.destroy()
  }
}

function show(line: string, follows: boolean, out: Output['out']): void {
  const answer = JSON.parse(line) as { ok: boolean; result?: unknown; code?: string; message?: string }
  if (!answer.ok) throw new ControlError(`${answer.message ?? ''} (${answer.code ?? ''})`)
  if (!follows) out(`${JSON.stringify(answer.result, null, 2)}\n`)
}

/** Numbers and lists may be given as JSON. */
function valueOf(name: string, text: string): unknown {
  if (name === 'timeoutMs') {
    const timeoutMs = Number(text)
    if (text.trim() === '' || !(timeoutMs >= 0))
      throw new UsageError(`timeoutMs must be milliseconds, got ${JSON.stringify(text)}`)
    return timeoutMs
  }
  if (name === 'urls' || (name === 'allow' && text !== 'all')) return text.split(',')
  if (name === 'proxyProtocol') return text === 'true'
  if (name === 'connection' && /^\d+$/.test(text)) return Number(text)
  if (name !== 'headers') return text
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new UsageError('headers must be a JSON object')
  }
}

function parse(args: readonly string[]): { path: string; command: string; fields: Record<string, unknown> } {
  let parsed: { values: { config?: string; control?: string }; positionals: string[] }
  try {
    parsed = parseArgs({
      args: [...args],
      options: { config: { type: 'string' }, control: { type: 'string' } },
      allowPositionals: true,
      strict: true,
    })
  } catch (error) {
    throw new UsageError(escapeControls((error as Error).message))
  }
  const { values, positionals } = parsed
  const [command, ...rest] = positionals
  if (command === undefined) throw new UsageError('ctl needs a command, such as status')
  const path = values.control ?? (values.config === undefined ? undefined : defaultControl(values.config))
  if (path === undefined) throw new UsageError('ctl needs --control SOCKET, or the --config FILE of the running peer')
  const fields: Record<string, unknown> = {}
  for (const part of rest) {
    const at = part.indexOf('=')
    if (at < 1) throw new UsageError(`${JSON.stringify(part)} must be name=value, such as peer=ID`)
    const name = part.slice(0, at)
    fields[name] = valueOf(name, part.slice(at + 1))
  }
  return { path, command, fields }
}
