/**
 * Owns: checking what an application gives for a stream: the name of its protocol, and its extra bytes.
 * Independent of: streams.
 */
import { formatValue } from '../../codec/format-value.ts'
import { openExtraLengthBytesMax, protocolNameLengthBytesMax } from '../../codec/native-frames.ts'
import { invalid } from '../base/checks.ts'

/** Protocols that begin like this belong to the runtime. */
export const reservedPrefix = 'statewire/'

/** @throws StatewireError ERR_INVALID_OPTION */
export function checkProtocol(protocol: unknown, isReservedAllowed = false): string {
  if (typeof protocol !== 'string') throw invalid(`a protocol is a string, got ${formatValue(protocol)}`)
  const encoded = Buffer.from(protocol, 'utf8')
  if (encoded.length < 1 || encoded.length > protocolNameLengthBytesMax)
    throw invalid(`a protocol has 1 to ${protocolNameLengthBytesMax} bytes of UTF-8, got ${encoded.length}`)
  if (encoded.toString('utf8') !== protocol)
    throw invalid(`a protocol must be well-formed text, got ${formatValue(protocol)} with a lone surrogate`)
  if (!isReservedAllowed && protocol.startsWith(reservedPrefix))
    throw invalid(
      `protocols that begin with ${reservedPrefix} are reserved for the runtime, got ${formatValue(protocol)}`,
    )
  return protocol
}

/** Text is sent as UTF-8. @throws StatewireError ERR_INVALID_OPTION */
export function checkExtra(extra: unknown): Buffer {
  if (extra === undefined) return none
  const bytes = typeof extra === 'string' ? Buffer.from(extra, 'utf8') : extra
  if (!(bytes instanceof Uint8Array))
    throw invalid(`extra must be a Uint8Array (a Buffer, for example) or a string, got ${formatValue(extra)}`)
  if (bytes.length > openExtraLengthBytesMax)
    throw invalid(`extra must have at most ${openExtraLengthBytesMax} bytes, got ${bytes.length}`)
  return Buffer.from(bytes)
}

const none = Buffer.alloc(0)
