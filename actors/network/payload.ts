/**
 * Owns: the bytes of a message command while they travel as part of an XState event: opaque to inspectors, logs and
 * snapshots.
 * Independent of: commands and how a message is sent.
 */
import { bytesOf } from '../messaging/content.ts'

let read: (payload: Payload) => Uint8Array

/** The bytes of a message in a command. They are copied, and nothing but the runtime reads them. */
export class Payload {
  readonly #bytes: Uint8Array

  static {
    read = (payload) => payload.#bytes
  }

  /** @param bytes text is sent as UTF-8 @throws StatewireError ERR_INVALID_VALUE */
  constructor(bytes: Uint8Array | string) {
    const given = bytesOf(bytes, 'a payload')
    this.#bytes = typeof bytes === 'string' ? given : Buffer.from(given)
  }

  get lengthBytes(): number {
    return this.#bytes.length
  }

  toJSON(): { readonly lengthBytes: number } {
    return { lengthBytes: this.lengthBytes }
  }
}

/** The bytes, for the runtime only. */
export function payloadBytes(payload: Payload): Uint8Array {
  return read(payload)
}
