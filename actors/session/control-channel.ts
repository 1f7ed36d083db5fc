/**
 * Owns: what an application holds of a control channel (docs/protocol.md): values outside any session, on a connection of its
 * own, and the barrier `sync()`.
 * Refuses to know: links and frames.
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
  readonly #services: SessionContext
  readonly #channels: ReadonlyMap<string, Channel>
  readonly #onClosed: () => void

  constructor(services: SessionContext, channels: ReadonlyMap<string, Channel>, onClosed: () => void) {
    this.peers = [...channels.keys()]
    this.ring = ringAround(services.options.identity, this.peers)
    this.#services = services
    this.#channels = channels
    this.#onClosed = onClosed
  }

  /** Resolves when the value is with the kernel, which is what phases of a protocol wait for. @throws StatewireError */
  async send(peer: string, value: NetworkValue, options?: CallOptions): Promise<void> {
    const { lane, state } = this.#channel(peer)
    checkCall(options, 'send')
    const timeoutMs = options?.timeoutMs ?? this.#services.options.limits.sendTimeoutMs
    await bounded<void>(
      this.#services,
      { ...options, timeoutMs },
      'ERR_SEND_TIMED_OUT',
      `${peer} did not take a control value`,
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
      () => this.#services.explainNotSent(peer, state.isConnected),
    )
  }

  /** The next value of a peer. There is no time limit unless one is given. */
  async receive(peer: string, options?: CallOptions): Promise<NetworkValue> {
    const { lane } = this.#channel(peer)
    checkCall(options, 'receive')
    const value = lane.take()
    if (value !== undefined) return value
    return bounded<NetworkValue>(
      this.#services,
      options,
      'ERR_TIMED_OUT',
      `no control value from ${peer}`,
      (resolve, reject) => lane.wait({ resolve, reject }),
    )
  }

  /**
   * A barrier around the ring: returns when both neighbours have called it too. "ok" to next, then to previous, then
   * expected from next, then from previous. @throws StatewireError ERR_SYNC_MISMATCH if a neighbour says something else
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
    throw new StatewireError(
      'ERR_SYNC_MISMATCH',
      `${peer} answered the barrier with ${value.type} instead of Bytes("ok")`,
    )
  }

  /** Ends the channel and its connections. Do it after a `sync()`: closing is not coordinated. */
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
        `${formatValue(peer)} is not on this control channel; there are: ${this.peers.join(', ')}`,
      )
    return channel
  }
}
