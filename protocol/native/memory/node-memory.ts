/**
 * Owns: how the memory budget of a node is divided among its links: a share for sending that is set aside for each, and
 * one pool for everything beyond it. The sum of what its links hold is what the node holds.
 * Independent of: frames, lanes, sockets.
 *
 * budget = links × share + pool pool: windows (three quarters at most), values in flight beyond a share
 *
 * A link can always send within its share, whatever others do. Nothing here is called for each value: a link takes room
 * for sending in quanta and gives it back in the same way. Reasons: docs/decisions/0006-memory-budget.md.
 */
import type { HeldMemory } from '../../link-figures.ts'
import { StatewireError } from '../../../codec/errors.ts'
import { defaultMemoryBudgetBytes, MemoryBudget } from './memory-budget.ts'

/** Set aside for each link, as far as half of the budget allows: four times what a sender takes at a time. */
const shareBytesMax = 256 * 1024
/** The least of the budget that a link needs; half of it is its share for sending. */
export const leastBudgetPerLinkBytes = 64 * 1024
/** A link takes room for sending in this quantum; where there is little left, in a smaller one. */
export const sendQuantumBytes = 64 * 1024
/** Windows of new lanes may take this much of the pool, growing ones less: growth is optional. */
const windowsOfPool = 3 / 4
const growthOfPool = 1 / 2

export class NodeMemory {
  readonly budgetBytes: number
  #shareBytes: number
  readonly #pool: MemoryBudget
  readonly #links = new Set<LinkMemory>()

  /** @param links how many there will be: each has a share from the beginning */
  constructor(budgetBytes: number = defaultMemoryBudgetBytes, links = 1) {
    this.budgetBytes = budgetBytes
    this.#shareBytes = this.#shareFor(links)
    const poolBytes = budgetBytes - links * this.#shareBytes
    this.#pool = new MemoryBudget(poolBytes, Math.floor(poolBytes * windowsOfPool))
  }

  /** What each link can send in, whatever the others hold. */
  get shareBytes(): number {
    return this.#shareBytes
  }

  /**
   * Divides the budget among another number of links. Those that exist keep what they hold; what is beyond a smaller
   * share then counts against the pool.
   * @throws StatewireError ERR_MEMORY_BUDGET if there would be less than 64 KiB of the budget for each link
   */
  setLinks(links: number): void {
    const leastBytes = links * leastBudgetPerLinkBytes
    if (leastBytes > this.budgetBytes) {
      throw new StatewireError(
        'ERR_MEMORY_BUDGET',
        `memoryBudgetBytes is ${this.budgetBytes}; ${links} links need at least ${leastBytes}`,
      )
    }
    this.#shareBytes = this.#shareFor(links)
    const poolBytes = this.budgetBytes - links * this.#shareBytes
    for (const link of this.#links) link.shareChanged()
    this.#pool.resize(poolBytes, Math.floor(poolBytes * windowsOfPool))
  }

  open(): LinkMemory {
    const link = new LinkMemory(this.#pool, this)
    this.#links.add(link)
    return link
  }

  /** A link has ended for good and holds nothing any more. */
  forget(link: LinkMemory): void {
    this.#links.delete(link)
  }

  #shareFor(links: number): number {
    return Math.min(shareBytesMax, Math.floor(this.budgetBytes / 2 / Math.max(1, links)))
  }

  get held(): HeldMemory {
    const held = { windowsBytes: 0, largeFramesBytes: 0, sendQueueBytes: 0, replayBytes: 0 }
    for (const link of this.#links) {
      held.windowsBytes += link.held.windowsBytes
      held.largeFramesBytes += link.held.largeFramesBytes
      held.sendQueueBytes += link.held.sendQueueBytes
      held.replayBytes += link.held.replayBytes
    }
    return held
  }

  get usedBytes(): number {
    const { windowsBytes, largeFramesBytes, sendQueueBytes, replayBytes } = this.held
    return windowsBytes + largeFramesBytes + sendQueueBytes + replayBytes
  }

  /** Links that wait for room, to send or to read on. */
  get waiting(): number {
    return this.#pool.waiting
  }

  /** Throws ERR_INTERNAL if the pool does not hold exactly what the links hold beyond their shares. For tests. */
  invariants(): void {
    let pooledBytes = 0
    for (const link of this.#links) pooledBytes += link.pooledBytes
    if (pooledBytes !== this.#pool.usedBytes)
      throw new StatewireError(
        'ERR_INTERNAL',
        `The links hold ${pooledBytes} bytes of the pool; it counts ${this.#pool.usedBytes}.`,
      )
  }
}

export class LinkMemory {
  readonly #pool: MemoryBudget
  readonly #node: NodeMemory
  #windowsBytes = 0
  #largeFramesBytes = 0
  #sendQueueBytes = 0
  #replayBytes = 0
  /**
   * What of the last two is beyond the share, and so taken from the pool. In the share, values in flight come first.
   */
  #pooledQueueBytes = 0
  #pooledReplayBytes = 0
  #isClosed = false

  constructor(pool: MemoryBudget, node: NodeMemory) {
    this.#pool = pool
    this.#node = node
  }

  /** The node has another number of links: what this one sends beyond its share is counted again. */
  shareChanged(): void {
    if (!this.#isClosed) this.#settleSend()
  }

  get held(): HeldMemory {
    return {
      windowsBytes: this.#windowsBytes,
      largeFramesBytes: this.#largeFramesBytes,
      sendQueueBytes: this.#sendQueueBytes,
      replayBytes: this.#replayBytes,
    }
  }

  get pooledBytes(): number {
    return this.#windowsBytes + this.#largeFramesBytes + this.#pooledQueueBytes + this.#pooledReplayBytes
  }

  /** Others wait: what is not needed now is better given back. */
  get isWanted(): boolean {
    return this.#pool.waiting > 0
  }

  // Receiving.

  /** The first windows of so many lanes, or equal parts of what is left. @returns for each; 0 if there is no room */
  openWindow(wantedBytes: number, lanes = 1): number {
    if (this.#isClosed) return 0
    const bytes = this.#pool.reserveWindow(wantedBytes, lanes)
    this.#windowsBytes += lanes * bytes
    return bytes
  }

  /** The lanes of windows that are open here are on another link of the node. */
  passWindows(bytes: number, to: LinkMemory): void {
    this.#windowsBytes -= bytes
    to.#windowsBytes += bytes
  }

  growWindow(bytes: number): boolean {
    if (this.#isClosed || this.#pool.heldBytes('windows') + bytes > this.#pool.totalBytes * growthOfPool) return false
    if (!this.#pool.tryReserve('windows', bytes)) return false
    this.#windowsBytes += bytes
    return true
  }

  closeWindow(bytes: number): void {
    if (this.#isClosed || bytes === 0) return
    this.#windowsBytes -= bytes
    this.#pool.release('windows', bytes)
  }

  /**
   * Calls back once a frame longer than its window may be read on, at once if there is room. The returned function
   * gives up.
   */
  whenFrame(bytes: number, onReserved: () => void): () => boolean {
    return this.#pool.whenReserved('largeFrames', bytes, () => {
      this.#largeFramesBytes += bytes
      onReserved()
    })
  }

  /** The frame is here already. */
  takeFrame(bytes: number): void {
    if (this.#isClosed) return
    this.#pool.force('largeFrames', bytes)
    this.#largeFramesBytes += bytes
  }

  releaseFrame(bytes: number): void {
    if (this.#isClosed || bytes === 0) return
    this.#largeFramesBytes -= bytes
    this.#pool.release('largeFrames', bytes)
  }

  // Sending.

  /** Room for values in flight. */
  reserveReplay(bytes: number): boolean {
    if (!this.#reserveSend(bytes)) return false
    this.#replayBytes += bytes
    this.#settleSend()
    return true
  }

  /** Whether a value that waits may be sent: nothing is overdrawn, and no other link waits. */
  get mayMove(): boolean {
    return !this.#pool.isOverdrawn && this.#pool.waiting === 0
  }

  /** A value that waited is in flight: the sum stays. */
  moveToReplay(bytes: number): void {
    if (this.#isClosed || bytes === 0) return
    this.#sendQueueBytes -= bytes
    this.#replayBytes += bytes
    this.#settleSend()
  }

  /** Calls back once there is room, in the order in which links have asked. The returned function gives up. */
  whenReplay(bytes: number, onReserved: () => void): () => boolean {
    // Requested in full, though a part of it may be within the share by then: the excess is given back at once.
    return this.#pool.whenReserved('replay', bytes, () => {
      this.#pooledReplayBytes += bytes
      this.#replayBytes += bytes
      this.#settleSend()
      onReserved()
    })
  }

  /** Frames of the link's own, which are always sent. */
  takeReplay(bytes: number): void {
    if (this.#isClosed) return
    this.#replayBytes += bytes
    this.#settleSend()
  }

  releaseReplay(bytes: number): void {
    if (this.#isClosed || bytes === 0) return
    this.#replayBytes -= bytes
    this.#settleSend()
  }

  /** A value is to wait. @param mayOverdraw it waits whether there is room or not */
  queueValue(bytes: number, mayOverdraw: boolean): boolean {
    if (this.#isClosed) return mayOverdraw
    if (!mayOverdraw && !this.#reserveSend(bytes)) return false
    this.#sendQueueBytes += bytes
    this.#settleSend()
    return true
  }

  unqueueValue(bytes: number): void {
    if (this.#isClosed || bytes === 0) return
    this.#sendQueueBytes -= bytes
    this.#settleSend()
  }

  /** The caller counts it, and settles. */
  #reserveSend(bytes: number): boolean {
    if (this.#isClosed) return false
    const moreBytes =
      this.#beyondShare(this.#sendQueueBytes + this.#replayBytes + bytes) -
      this.#pooledQueueBytes -
      this.#pooledReplayBytes
    if (moreBytes > 0) {
      if (!this.#pool.tryReserve('replay', moreBytes)) return false
      this.#pooledReplayBytes += moreBytes
    }
    return true
  }

  #beyondShare(bytes: number): number {
    return Math.max(0, bytes - this.#node.shareBytes)
  }

  #settleSend(): void {
    const replayBytes = this.#beyondShare(this.#replayBytes)
    const queueBytes = this.#beyondShare(this.#sendQueueBytes + this.#replayBytes) - replayBytes
    const [moreReplayBytes, moreQueueBytes] = [
      replayBytes - this.#pooledReplayBytes,
      queueBytes - this.#pooledQueueBytes,
    ]
    this.#pooledReplayBytes = replayBytes
    this.#pooledQueueBytes = queueBytes
    // Taken before anything is given back, because others would get that.
    if (moreReplayBytes > 0) this.#pool.force('replay', moreReplayBytes)
    if (moreQueueBytes > 0) this.#pool.force('sendQueues', moreQueueBytes)
    if (moreReplayBytes < 0) this.#pool.release('replay', -moreReplayBytes)
    if (moreQueueBytes < 0) this.#pool.release('sendQueues', -moreQueueBytes)
  }

  /** The link has ended for good. Unread values belong to the application now. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const { windowsBytes, largeFramesBytes } = this.held
    this.#windowsBytes = this.#largeFramesBytes = this.#sendQueueBytes = this.#replayBytes = 0
    const [pooledQueueBytes, pooledReplayBytes] = [this.#pooledQueueBytes, this.#pooledReplayBytes]
    this.#pooledQueueBytes = this.#pooledReplayBytes = 0
    this.#pool.release('windows', windowsBytes)
    this.#pool.release('largeFrames', largeFramesBytes)
    this.#pool.release('sendQueues', pooledQueueBytes)
    this.#pool.release('replay', pooledReplayBytes)
    this.#node.forget(this)
  }
}
