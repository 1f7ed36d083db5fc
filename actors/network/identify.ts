/**
 * Owns: finding out whose key answers at an address: a connection that ends once the key is proved.
 * Independent of: what is done with the answer; peers and their links.
 */
import { StatewireError } from '../../codec/errors.ts'
import { causeOf, errorOf } from '../base/causes.ts'
import type { Cause } from '../base/causes.ts'
import type { Environment } from '../base/environment.ts'
import type { NameLookups } from '../base/name-lookups.ts'
import { noopHandlers } from '../base/pipe.ts'
import type { Address, Pipe } from '../base/pipe.ts'

export interface IdentifyOptions {
  readonly environment: Environment
  readonly lookups: NameLookups
  readonly highWaterMarkBytes: number
}

/** One attempt to find out who is at an address. `cancel` ends it at once, and leaves no socket. */
export class Identification {
  readonly #options: IdentifyOptions
  #stopLookup: () => void = () => {}
  #pipe: Pipe | null = null
  #cancelled: Error | null = null
  #reject: (error: Error) => void = () => {}

  constructor(options: IdentifyOptions) {
    this.#options = options
  }

  /** Tries the addresses of the host in order. Rejects with the last failure. */
  async run({ host, port }: Address): Promise<string> {
    let failure: unknown
    for (const address of await this.#resolve(host)) {
      if (this.#cancelled !== null) throw this.#cancelled
      try {
        return await this.#identify({ host: address, port }, address === host ? undefined : host)
      } catch (error) {
        failure = error
      }
    }
    const reason = causeOf(failure, 'ERR_TRANSPORT')
    throw this.#cancelled ?? (failure instanceof StatewireError ? failure : errorOf(reason))
  }

  #resolve(host: string): Promise<readonly string[]> {
    return new Promise((resolve, reject) => {
      this.#reject = reject
      this.#stopLookup = this.#options.lookups.resolve(host, {
        onAddresses: resolve,
        onFailed: (reason: Cause) => reject(errorOf(reason)),
      })
    })
  }

  #identify(address: Address, serverName: string | undefined): Promise<string> {
    const { environment, highWaterMarkBytes } = this.#options
    return new Promise<string>((resolve, reject) => {
      this.#reject = reject
      const pipe = environment.transport.dial(address, {
        highWaterMarkBytes,
        identify: () => {},
        ...(serverName === undefined ? {} : { serverName }),
      })
      this.#pipe = pipe
      pipe.handle({
        ...noopHandlers,
        onOpen: () => {
          pipe.secure().then(() => {
            if (pipe.peerId === undefined)
              reject(
                new StatewireError(
                  'ERR_DIALECT_UNSUPPORTED',
                  "dial finds a peer by its key, which plain TCP does not prove: use security: 'tls', or add the peer with " +
                    'its id',
                ),
              )
            else resolve(pipe.peerId)
            pipe.destroy()
          }, reject)
        },
        onEnd: () => pipe.destroy(),
        onClose: (error) =>
          reject(error ?? new StatewireError('ERR_TRANSPORT', `${pipe.remoteAddress} closed the connection at once`)),
      })
    })
  }

  cancel(error: Error): void {
    this.#cancelled = error
    this.#stopLookup()
    this.#pipe?.destroy()
    this.#reject(error)
  }
}
