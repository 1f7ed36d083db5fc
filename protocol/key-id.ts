/**
 * Owns: the text of a key: "id52", the 32 bytes of an Ed25519 public key in 52 characters, one text per key.
 * Independent of: what a key can do, certificates, and the identities of the ampc dialect (ampc/peer-id.ts).
 */
import { StatewireError } from '../codec/errors.ts'
import { formatValue } from '../codec/format-value.ts'

/** RFC 4648 "extended hex", lower case: the order of the texts is the order of the bytes. */
const alphabet = '0123456789abcdefghijklmnopqrstuv'
export const publicKeyLengthBytes = 32
export const peerIdLength = 52

const codes = Buffer.from(alphabet, 'latin1')
/** A text is written here: joining characters would create 52 strings. */
const text = Buffer.alloc(peerIdLength)

const valueOf = new Map(Array.from(alphabet, (character, value) => [character, value]))

/** @throws StatewireError ERR_INVALID_PEER_ID if there are not 32 bytes */
export function encodePeerId(publicKey: Uint8Array): string {
  if (publicKey.length !== publicKeyLengthBytes)
    throw invalid('a public key', `has ${publicKey.length} bytes, not ${publicKeyLengthBytes}`)
  let at = 0
  let bits = 0
  let held = 0
  for (let i = 0; i < publicKeyLengthBytes; i++) {
    held = (held << 8) | (publicKey[i] as number)
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text[at++] = codes[(held >>> bits) & 31] as number
    }
    held &= (1 << bits) - 1
  }
  // 256 bits fill 51 characters and one bit of the last: its other four bits are 0.
  text[at] = codes[(held << (5 - bits)) & 31] as number
  return text.toString('latin1')
}

/** The 32 bytes of the key. `what` names the place in errors. @throws StatewireError ERR_INVALID_PEER_ID */
export function decodePeerId(text: unknown, what = 'the peer id'): Buffer {
  if (typeof text !== 'string')
    throw invalid(what, `must be a string of ${peerIdLength} characters, got ${formatValue(text)}`)
  if (text.length !== peerIdLength)
    throw invalid(what, `must have ${peerIdLength} characters, has ${text.length}: ${formatValue(text)}`)
  const publicKey = Buffer.alloc(publicKeyLengthBytes)
  let bits = 0
  let held = 0
  let at = 0
  for (let i = 0; i < peerIdLength; i++) {
    const value = valueOf.get(text.charAt(i))
    if (value === undefined)
      throw invalid(
        what,
        `${/[A-V]/.test(text.charAt(i)) ? `must be lower case, character ${i} is not` : `may hold 0-9 and a-v only, character ${i} is another`}: ${formatValue(text)}`,
      )
    held = (held << 5) | value
    bits += 5
    if (bits < 8) continue
    bits -= 8
    publicKey[at++] = held >>> bits
    held &= (1 << bits) - 1
  }
  if (held !== 0)
    throw invalid(
      what,
      `has spare bits set in its last character, and only one text stands for a key: ${formatValue(text)}`,
    )
  return publicKey
}

/** Negative, 0 or positive, by the 32 bytes. @throws StatewireError ERR_INVALID_PEER_ID */
export function comparePeerIds(a: string, b: string): number {
  return Buffer.compare(decodePeerId(a, 'the first peer id'), decodePeerId(b, 'the second peer id'))
}

function invalid(what: string, problem: string): StatewireError {
  return new StatewireError('ERR_INVALID_PEER_ID', `${what} ${problem}`)
}
