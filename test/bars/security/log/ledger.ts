/**
 * Owns: everything that a run prints anywhere (log lines, errors, events, inspection, console), and what must not be in
 * it: raw control characters, unbounded text, key material.
 * Independent of: what caused it.
 */
import { createPrivateKey } from 'node:crypto'
import { inspect } from 'node:util'
import { StatewireError } from '../../../../codec/errors.ts'
import type { Identity, Log } from '../../../../actors/index.ts'

/** Line ends, terminal escapes in 7 and 8 bits, Unicode line ends, and characters that change the text direction. */
export const forged = 'x\r\n\u001b[31mERROR forged\u0000\u007f\u009b31m\u0085\u2028\u2029\u202e\u2066'
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const raw = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/

/** Longer than any of our messages with the longest allowed names. */
const longestText = 4_096

/** All the ways in which the 32 bytes of a private key could be written by accident. */
export function secretsOf(identity: Identity): string[] {
  const pem = identity.toPem()
  const seed = (createPrivateKey(pem).export({ type: 'pkcs8', format: 'der' }) as Buffer).subarray(-32)
  const hex = seed.toString('hex')
  return [
    pem.split('\n')[1] as string,
    hex,
    hex.toUpperCase(),
    seed.toString('base64').slice(0, 43),
    seed.toString('base64url'),
    (hex.match(/../g) ?? []).slice(0, 16).join(' '),
    [...seed.subarray(0, 16)].join(','),
    [...seed.subarray(0, 8)].join(', '),
    seed.toString('latin1'),
  ]
}

export class Ledger {
  texts = 0
  controls = 0
  long = 0
  secrets = 0
  readonly notes: string[] = []
  readonly #secrets: string[] = []
  source = ''

  readonly log: Log = {
    write: (_level, event, fields) => {
      this.line(`log ${event}`, event)
      this.tree(`log ${event}`, fields)
    },
  }

  keep(...secrets: readonly string[]): void {
    this.#secrets.push(...secrets)
  }

  /** A line for people: none of the three. */
  line(where: string, text: string): void {
    this.texts++
    if (raw.test(text)) this.#fault('controls', where, text)
    if (text.length > longestText) this.#fault('long', where, text)
    this.quiet(where, text)
  }

  /** For machines, or long by nature: no key material. */
  quiet(where: string, text: string): void {
    if (this.#secrets.some((secret) => text.includes(secret))) this.#fault('secrets', where, text)
  }

  /** All texts in a value, including field names. */
  tree(where: string, value: unknown, depth = 0): void {
    if (typeof value === 'string') this.line(where, value)
    else if (value instanceof Error) this.error(where, value)
    else if (typeof value === 'object' && value !== null && depth < 8) {
      for (const [name, inner] of Object.entries(value)) {
        this.line(where, name)
        this.tree(where, inner, depth + 1)
      }
    }
  }

  error(where: string, error: unknown): void {
    if (!(error instanceof StatewireError)) this.#fault('controls', `${where}: not typed`, String(error))
    else this.line(where, error.message)
    this.quiet(`${where}, inspected`, inspect(error, { depth: 8 }))
    this.quiet(`${where}, its stack`, (error as Error).stack ?? '')
  }

  #fault(kind: 'controls' | 'long' | 'secrets', where: string, text: string): void {
    this[kind]++
    if (this.notes.length < 40)
      this.notes.push(
        `${kind} by ${this.source} in ${where}: ${JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}… (${text.length})` : text)}`,
      )
  }
}
