/**
 * Owns: how calls of makeSessions find the calls of their peers, for all calls of one network: which calls are paired
 * with all their peers, whether all parties mean the same set of calls, and when a call is done or has failed.
 * Independent of: sockets, clocks, memory and charts: links are behind SetupPort, and random numbers are passed in.
 * What happens with one peer is in setup-peer.ts.
 */
import { StatewireError } from '../../../codec/errors.ts'
import { formatValue } from '../../../codec/format-value.ts'
import { PendingCall } from './attempt.ts'
import type { SetupFrame } from '../../../codec/setup-frames.ts'
import type { SetupCall, SetupHandle, SetupPort } from './setup-port.ts'
import { SetupPeer } from './setup-peer.ts'
import type { SetupEvents } from './setup-peer.ts'

export interface SessionSetupOptions {
  /** @returns a random number below 2^bits */
  readonly randomBits: (bits: number) => bigint
}

export class SessionSetup<Lane> {
  readonly #randomBits: (bits: number) => bigint
  readonly #peers = new Map<string, SetupPeer<Lane>>()
  /** Callbacks of calls that have ended: they run when the event that ended them was handled. */
  readonly #callbacks: (() => void)[] = []
  /** Peers for which there may be something to do. */
  readonly #touched = new Set<SetupPeer<Lane>>()
  #isRunning = false
  readonly #events: SetupEvents<Lane> = {
    paired: (call) => this.#paired(call),
    agreed: (call) => this.#compare(call),
    failed: (call, error) => this.#fail(call, error),
    laneEnded: (attempt, peer) => this.#run(() => this.#find(peer.id)?.voidAttempt(attempt)),
  }

  constructor({ randomBits }: SessionSetupOptions) {
    this.#randomBits = randomBits
  }

  addPeer(id: string, port: SetupPort<Lane>): void {
    this.#peers.set(id, new SetupPeer(id, port, Number(this.#randomBits(31)), this.#events))
  }

  /** The peer is drained or gone: its calls fail with the error. To be called while its links can still send. */
  removePeer(id: string, error: StatewireError): void {
    this.#run(() => {
      for (const call of this.#find(id)?.calls ?? []) this.#fail(call, error)
      this.#peers.delete(id)
    })
  }

  /**
   * Throws StatewireError ERR_UNKNOWN_PEER. `onDone` or `onFailed` is called once, at the end of an event, unless the
   * call is aborted first. `onFailed` may be called before this method returns.
   */
  call(request: SetupCall<Lane>): SetupHandle {
    for (const id of request.peers) this.#peer(id)
    const call = new PendingCall(request, this.#callId())
    this.#run(() => {
      for (const id of request.peers) this.#peer(id).enqueue(call)
    })
    return {
      abort: () => this.#run(() => this.#end(call)),
      progress: () =>
        new Map(request.peers.map((id) => [id, this.#find(id)?.progress(call) ?? 'waiting for the peer'])),
    }
  }

  /** Throws ProtocolError; the link ends its epoch then and calls {@link linkReset}. */
  onFrame(id: string, link: number, frame: SetupFrame): void {
    this.#run(() => this.#find(id)?.onFrame(link, frame))
  }

  /** The link has adopted a hello; `isUp` and `links` of the port are up to date. May be called at each resume. */
  linkUp(id: string, _link: number): void {
    this.#run(() => this.#find(id)?.linkUp())
  }

  /**
   * The epoch of the link has ended, for whatever reason. To be called before the lanes of the link end and after its
   * `ids` are new, with `isUp` false.
   */
  linkReset(id: string, link: number): void {
    this.#run(() => this.#find(id)?.linkReset(link))
  }

  /** The number of links in use with the peer has changed: attempts that counted on the old number are void. */
  linksChanged(id: string): void {
    this.#run(() => this.#find(id)?.linksChanged())
  }

  #find(id: string): SetupPeer<Lane> | undefined {
    const peer = this.#peers.get(id)
    if (peer !== undefined) this.#touched.add(peer)
    return peer
  }

  #peer(id: string): SetupPeer<Lane> {
    const peer = this.#find(id)
    if (peer === undefined)
      throw new StatewireError('ERR_UNKNOWN_PEER', `${formatValue(id)} is not a peer of this network`)
    return peer
  }

  #callId(): bigint {
    let id = 0n
    while (id === 0n) id = this.#randomBits(64)
    return id
  }

  /** Callbacks come last, so that they meet a settled state and may make and abort calls. */
  #run(action: () => void): void {
    if (this.#isRunning) {
      action()
      return
    }
    this.#isRunning = true
    try {
      try {
        action()
      } finally {
        this.#advance()
      }
    } finally {
      this.#isRunning = false
    }
    for (let callback = this.#callbacks.shift(); callback !== undefined; callback = this.#callbacks.shift()) callback()
  }

  #advance(): void {
    for (const peer of this.#touched) {
      this.#touched.delete(peer)
      peer.advance()
    }
  }

  #paired(call: PendingCall<Lane>): void {
    const set = call.pairedSet()
    if (set === null) return
    call.set = set
    for (const [id, attempt] of call.attempts) this.#peer(id).sendAgree(attempt, set)
    this.#compare(call)
  }

  #compare(call: PendingCall<Lane>): void {
    const { set } = call
    if (set === null) return
    for (const [id, attempt] of call.attempts)
      if (attempt.agreedSet !== null && attempt.agreedSet !== set) this.#peer(id).voidAttempt(attempt)
    if (call.attempts.size < call.request.peers.length) return
    if ([...call.attempts.values()].every(({ agreedSet }) => agreedSet === set)) this.#done(call, set)
  }

  #done(call: PendingCall<Lane>, set: bigint): void {
    const { count, peers, onDone } = call.request
    call.hasEnded = true
    for (const id of peers) this.#peer(id).settle(call)
    const { attempts } = call
    const sessions = [...Array(count).keys()].map(
      (session) => new Map([...attempts].map(([id, attempt]) => [id, attempt.laneOf(session)])),
    )
    this.#callbacks.push(() => onDone({ set, sessions }))
  }

  #fail(call: PendingCall<Lane>, error: StatewireError): void {
    if (!this.#end(call)) return
    this.#callbacks.push(() => call.request.onFailed(error))
  }

  #end(call: PendingCall<Lane>): boolean {
    if (call.hasEnded) return false
    call.hasEnded = true
    for (const id of call.request.peers) this.#find(id)?.drop(call)
    return true
  }
}
