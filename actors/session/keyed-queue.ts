/**
 * Owns: the order of calls: calls that share a peer run one after the other, in the order they were made.
 * Independent of: what a call does.
 *
 * In the ampc dialect every session group and every control channel starts with connection id 0 of the same peers, so
 * two at a time could take each other's connections. All parties make their calls in the same order, and this queue
 * keeps it.
 */
interface Call {
  readonly peers: readonly string[]
  readonly granted: () => void
  running: boolean
}

export class KeyedQueue {
  readonly #queues = new Map<string, Call[]>()

  /** The number of calls that run or wait. */
  get size(): number {
    return new Set([...this.#queues.values()].flat()).size
  }

  /**
   * Queues a call. `granted` is called, now or later, once all earlier calls to any of these peers have ended.
   * @returns a function that ends the call
   */
  take(peers: readonly string[], granted: () => void): () => void {
    const call: Call = { peers, granted, running: false }
    for (const peer of peers) {
      const queue = this.#queues.get(peer)
      if (queue === undefined) this.#queues.set(peer, [call])
      else queue.push(call)
    }
    this.#tryToRun(call)
    return () => this.#end(call)
  }

  #end(call: Call): void {
    const next = new Set<Call>()
    for (const peer of call.peers) {
      const queue = this.#queues.get(peer)
      const place = queue?.indexOf(call) ?? -1
      if (queue === undefined || place < 0) continue
      queue.splice(place, 1)
      if (queue.length === 0) this.#queues.delete(peer)
      else next.add(queue[0] as Call)
    }
    for (const waiting of next) this.#tryToRun(waiting)
  }

  #tryToRun(call: Call): void {
    if (call.running || !call.peers.every((peer) => this.#queues.get(peer)?.[0] === call)) return
    call.running = true
    call.granted()
  }
}
