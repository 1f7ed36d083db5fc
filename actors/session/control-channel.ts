/**
 * Owns: the control channel of an application (docs/protocol.md): values outside any session, on a connection of its
 * own, and the barrier `sync()`.
 * Independent of: links and frames.
 */
import { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import type { NetworkValue } from '../../codec/values.ts'
import { ringAround } from '../../protocol/ampc/party-ring.ts'
import type { Ring } from '../../protocol/ampc/party-ring.ts'
import { checkCall } from '../base/checks.ts'
import { whenFlushed } from '../link/link-pumps.ts'
import { bounded } from '../base/bounded.ts'
import type { CallOptions } from '../base/bounded.ts'
import type { Channel } from './session.ts'
import type { SessionContext } from './session-context.ts'

const ok = Buffer.from('ok', 'latin1')

export class ControlChannel {
  readonly peers: readonly string[]
  readonly ring: Ring
  readonly #context: SessionContext
  readonly #channels: ReadonlyMap<string, Channel>
  readonly #onClosed: () => void

  constructor(context: SessionContext, channels: ReadonlyMap<string, Channel>, onClosed: () => void) {
    this.peers = [...channels.keys()]
    this.ring = ringAround(context.options.identity, this.peers)
    this.#context = context
    this.#channels = channels
    this.#onClosed = onClosed
  }

  /**
   * Sends a value to a peer. Resolves when the kernel has accepted the bytes, so phases of a protocol can wait for it.
   * @throws StatewireError
   */
  async send(peer: string, value: NetworkValue, options?: CallOptions): Promise<void> {
    const { lane, state } = this.#channel(peer)
    checkCall(options, 'send')
    const timeoutMs = options?.timeoutMs ?? this.#context.options.limits.sendTimeoutMs
    await bounded<void>(
      this.#context,
      { ...options, timeoutMs },
      'ERR_SEND_TIMED_OUT',
      `${peer} did not accept a control value`,
      (resolve, reject) => {
        const flushed = (): void =>
          whenFlushed(state, (error) =>
            error === null
              ? resolve()
              : reject(
                  lane.end ??
                    new StatewireError('ERR_CONNECTION_LOST', `the control channel to ${peer} was lost`, {
                      cause: error,
                    }),
                ),
          )
        if (state.trySend(lane, value)) {
          flushed()
          return () => {}
        }
        const withdraw = state.waitToSend(lane, value, flushed, reject)
        return () => void withdraw()
      },
      () => this.#context.explainNotSent(peer, state.isConnected),
    )
  }

  /** Returns the next value of a peer. Waits without a limit unless `timeoutMs` is given. */
  async receive(peer: string, options?: CallOptions): Promise<NetworkValue> {
    const { lane } = this.#channel(peer)
    checkCall(options, 'receive')
    const value = lane.take()
    if (value !== undefined) return value
    return bounded<NetworkValue>(
      this.#context,
      options,
      'ERR_TIMED_OUT',
      `no control value from ${peer}`,
      (resolve, reject) => lane.wait({ resolve, reject }),
    )
  }

  /**
   * A barrier with the two neighbours in the ring: resolves when both have called `sync` too.
   *
   * Sends "ok" to the next party, then to the previous one, and expects the same in that order.
   * @throws StatewireError ERR_SYNC_MISMATCH if a neighbour sends anything else
   */
  async sync(options?: CallOptions): Promise<void> {
    checkCall(options, 'sync')
    const { next, previous } = this.ring
    await this.send(next, { type: 'Bytes', value: ok }, options)
    await this.send(previous, { type: 'Bytes', value: ok }, options)
    await this.#expectOk(next, options)
    await this.#expectOk(previous, options)
  }

  async #expectOk(peer: string, options: CallOptions | undefined): Promise<void> {
    const value = await this.receive(peer, options)
    if (value.type === 'Bytes' && ok.equals(value.value)) return
    throw new StatewireError('ERR_SYNC_MISMATCH', `${peer} answered sync() with ${value.type} instead of Bytes("ok")`)
  }

  /** Closes the channel and its connections. Call `sync()` first: closing is not coordinated. */
  close(): void {
    this.#onClosed()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #channel(peer: string): Channel {
    const channel = this.#channels.get(peer)
    if (channel === undefined)
      throw new StatewireError(
        'ERR_UNKNOWN_PEER',
        `${formatValue(peer)} is not a peer of this control channel; there are: ${this.peers.join(', ')}`,
      )
    return channel
  }
}
